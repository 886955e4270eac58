#pragma once

#include <napi.h>

namespace granary {

// Adds the functions of src/native/kernels.ts to `exports`.
void InitKernels(Napi::Env env, Napi::Object exports);

}  // namespace granary
