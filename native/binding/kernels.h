#pragma once

#include <napi.h>

namespace granary {

class KernelInstance;
struct HashKey;

// Adds the functions of src/native/kernels.ts to `exports`.
// The instance lives as long as the environment.
const KernelInstance* InitKernels(Napi::Env env, Napi::Object exports);

// Null while no hash key is set.
const HashKey* HashKeyOf(const KernelInstance* instance);

}  // namespace granary
