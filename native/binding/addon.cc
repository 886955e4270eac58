// The addon's one entry. Each environment that loads it gets its own instance data; nothing is
// shared between environments but the arena that JavaScript hands to each.
#include <napi.h>

#include "index.h"
#include "kernels.h"

#if defined(GRANARY_HAVE_IO)
// native/binding/io.cc: adds the functions of src/native/io.ts to `exports`.
void InitIo(Napi::Env env, Napi::Object exports, const granary::KernelInstance* kernels);
#endif

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  const granary::KernelInstance* kernels = granary::InitKernels(env, exports);
#if defined(GRANARY_HAVE_IO)
  InitIo(env, exports, kernels);
#else
  static_cast<void>(kernels);
#endif
  granary::DefineIndexMethods(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(granary, Init)
