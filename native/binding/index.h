#pragma once

#include <node_api.h>

namespace granary {

// Adds the functions of src/native/index-store.ts to `exports`. Stores live as long as the environment.
void DefineIndexMethods(napi_env env, napi_value exports);

}  // namespace granary
