// What one environment (main thread or worker) holds: its view of the arena, the hash key, plans.
#pragma once

#include <memory>

#include "../kernel/highway-hash.h"
#include "../kernel/reed-solomon.h"
#include "call.h"

namespace granary {

// Plans of rebuilds in use: at most this many combinations of lost drives are remembered.
constexpr int kRebuildPlansMax = 32;

class KernelInstance {
 public:
  void AttachArena(Call& call, size_t argument);
  void SetHashKey(ByteSpan key);

  // Throws RangeError unless offset...offset + bytes lies inside the arena.
  uint8_t* Range(double offset, double bytes, const char* name) const;
  double arenaBytes() const { return arenaBytes_; }
  const HashKey& hashKey() const;
  const HashKey* hashKeyOrNull() const { return hasHashKey_ ? &hashKey_ : nullptr; }

  const RsPlan& EncodePlan(int k, int m);
  // `used` is the lowest k of the present shards.
  const RsPlan& RebuildPlan(int k, int m, uint32_t used, uint32_t wanted);

 private:
  struct Rebuild {
    int k = 0;
    int m = 0;
    uint32_t used = 0;
    uint32_t wanted = 0;
    std::unique_ptr<RsPlan> plan;
  };

  uint8_t* arena_ = nullptr;
  double arenaBytes_ = 0;
  // Keeps the shared memory alive as long as the environment.
  napi_ref arenaView_ = nullptr;
  bool hasHashKey_ = false;
  HashKey hashKey_{};
  std::unique_ptr<RsPlan> encodePlans_[kDataShardsMax + 1][kParityShardsMax + 1];
  Rebuild rebuilds_[kRebuildPlansMax];
  int nextRebuild_ = 0;
};

inline KernelInstance& InstanceOf(Call& call) { return *static_cast<KernelInstance*>(call.data()); }

// arena-memory.cc: the entry that makes an arena, and advice on one made elsewhere.
napi_value CreateArena(Call& call);
void AskForHugePages(const ByteSpan& span);

struct Method {
  const char* name;
  napi_callback callback;
};

// Defines functions on `exports` that get `data` as their call data.
void DefineMethods(napi_env env, napi_value exports, const Method* methods, size_t count, void* data);

void DefineArgon2Methods(napi_env env, napi_value exports, KernelInstance* instance);
void DefineArenaMethods(napi_env env, napi_value exports, KernelInstance* instance);
void DefinePassMethods(napi_env env, napi_value exports, KernelInstance* instance);
void DefineDigestMethods(napi_env env, napi_value exports, KernelInstance* instance);
void DefineProcessMethods(napi_env env, napi_value exports, KernelInstance* instance);
void DefineSignatureMethods(napi_env env, napi_value exports, KernelInstance* instance);

}  // namespace granary
