// The addon's one entry. Each environment that loads it gets its own instance data; nothing is
// shared between environments but the arena that JavaScript hands to each.
#include <napi.h>

#include "call.h"
#include "index.h"
#include "kernels.h"

#if defined(GRANARY_HAVE_IO)
// native/binding/io.cc: adds the functions of src/native/io.ts to `exports`.
void InitIo(Napi::Env env, Napi::Object exports, const granary::KernelInstance* kernels);
#endif

namespace {

void Define(Napi::Env env, Napi::Object exports) {
  const granary::KernelInstance* kernels = granary::InitKernels(env, exports);
#if defined(GRANARY_HAVE_IO)
  InitIo(env, exports, kernels);
#else
  static_cast<void>(kernels);
#endif
  granary::DefineIndexMethods(env, exports);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  try {
    Define(env, exports);
  } catch (const granary::PendingException&) {
    // Of a worker that is ended while it loads this: every call fails from there on, also the making of an error.
    if (!env.IsExceptionPending()) napi_throw_error(env, nullptr, "granary: the addon could not be set up");
  }
  return exports;
}

}  // namespace

NODE_API_MODULE(granary, Init)
