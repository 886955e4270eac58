#include "kernels.h"

#include <cstring>
#include <memory>

#include "../kernel/dispatch.h"
#include "instance.h"

namespace granary {

void KernelInstance::AttachArena(Call& call, size_t argument) {
  napi_env env = call.env();
  napi_value global;
  napi_value sharedConstructor;
  Check(napi_get_global(env, &global));
  Check(napi_get_named_property(env, global, "SharedArrayBuffer", &sharedConstructor));
  bool isShared = false;
  if (napi_instanceof(env, call.at(argument), sharedConstructor, &isShared) != napi_ok || !isShared) {
    FailType("arena must be a SharedArrayBuffer");
  }
  // Node-API of this Node version reads shared memory only through a typed array over it.
  napi_value viewConstructor;
  napi_value view;
  napi_value buffer = call.at(argument);
  Check(napi_get_named_property(env, global, "Uint8Array", &viewConstructor));
  Check(napi_new_instance(env, viewConstructor, 1, &buffer, &view));
  const ByteSpan span = call.BytesOf(view, "arena");
  napi_ref reference;
  Check(napi_create_reference(env, view, 1, &reference));
  if (arenaView_ != nullptr) napi_delete_reference(env, arenaView_);
  arenaView_ = reference;
  AskForHugePages(span);
  arena_ = span.data;
  arenaBytes_ = static_cast<double>(span.bytes);
}

void KernelInstance::SetHashKey(ByteSpan key) {
  if (key.bytes != kHashBytes) FailRange("key must be 32 bytes");
  std::memcpy(hashKey_.lane, key.data, kHashBytes);
  hasHashKey_ = true;
}

uint8_t* KernelInstance::Range(double offset, double bytes, const char* name) const {
  if (arena_ == nullptr) FailType("no arena is attached");
  // Doubles do not wrap; the subtraction is exact below 2^53.
  if (!IsInteger(offset, 0, arenaBytes_) || !IsInteger(bytes, 0, arenaBytes_) || bytes > arenaBytes_ - offset) {
    FailRange(std::string(name) + " lies outside the arena");
  }
  return arena_ + static_cast<size_t>(offset);
}

const HashKey& KernelInstance::hashKey() const {
  if (!hasHashKey_) FailType("no hash key is set");
  return hashKey_;
}

const RsPlan& KernelInstance::EncodePlan(int k, int m) {
  std::unique_ptr<RsPlan>& plan = encodePlans_[k][m];
  if (!plan) {
    auto made = std::make_unique<RsPlan>();
    MakeEncodePlan(k, m, made.get());
    plan = std::move(made);
  }
  return *plan;
}

const RsPlan& KernelInstance::RebuildPlan(int k, int m, uint32_t used, uint32_t wanted) {
  for (Rebuild& entry : rebuilds_) {
    if (entry.plan && entry.k == k && entry.m == m && entry.used == used && entry.wanted == wanted) return *entry.plan;
  }
  auto made = std::make_unique<RsPlan>();
  MakeRebuildPlan(k, m, used, wanted, made.get());
  Rebuild& entry = rebuilds_[nextRebuild_];
  nextRebuild_ = (nextRebuild_ + 1) % kRebuildPlansMax;
  entry = Rebuild{k, m, used, wanted, std::move(made)};
  return *entry.plan;
}

void DefineMethods(napi_env env, napi_value exports, const Method* methods, size_t count, void* data) {
  for (size_t i = 0; i < count; i++) {
    napi_value function;
    Check(napi_create_function(env, methods[i].name, NAPI_AUTO_LENGTH, methods[i].callback, data, &function));
    Check(napi_set_named_property(env, exports, methods[i].name, function));
  }
}

const HashKey* HashKeyOf(const KernelInstance* instance) { return instance->hashKeyOrNull(); }

const KernelInstance* InitKernels(Napi::Env env, Napi::Object exports) {
  if (!Paths().overrideKnown) {
    throw Napi::Error::New(env,
                           "GRANARY_KERNEL must be one of scalar, ssse3, avx2, avx2-gfni, avx512, avx512-gfni, gfni");
  }
  auto* instance = new KernelInstance();
  // The instance outlives every call: hooks run when no JavaScript of the environment can run any more.
  if (napi_add_env_cleanup_hook(
          env, [](void* data) { delete static_cast<KernelInstance*>(data); }, instance) != napi_ok) {
    delete instance;
    throw PendingException{};
  }
  DefineArenaMethods(env, exports, instance);
  DefinePassMethods(env, exports, instance);
  DefineDigestMethods(env, exports, instance);
  DefineArgon2Methods(env, exports, instance);
  DefineProcessMethods(env, exports, instance);
  DefineSignatureMethods(env, exports, instance);
  return instance;
}

}  // namespace granary
