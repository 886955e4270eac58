// The face of native/index to JavaScript: src/native/index-store.ts is its contract.
#include <errno.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "../index/store.h"
#include "call.h"
#include "index.h"
#include "instance.h"

namespace granary {
namespace {

using index::LiveRange;
using index::Slice;
using index::Store;

constexpr double kMemoryBytesMax = 1024.0 * 1024 * 1024;
constexpr double kStuckMsMax = 3600 * 1000;
constexpr uint32_t kEntryHeadBytes = 8;
constexpr double kOnlyDeleted = -1;

// One store as JavaScript holds it. Lives as long as its environment: its methods point to it.
struct IndexHandle {
  index::StoreHandle store;
  std::unordered_map<double, LiveRange> ranges;
  double lastRange = 0;
};

struct IndexHandles {
  std::vector<std::unique_ptr<IndexHandle>> all;
};

IndexHandle& HandleOf(Call& call) { return *static_cast<IndexHandle*>(call.data()); }

[[noreturn]] void Fail(const index::Reason& reason) {
  if (reason.isNoAnswer) throw CodedError("ETIMEDOUT", reason.text);
  if (reason.isShortage) throw CodedError("EAGAIN", reason.text);
  throw std::runtime_error(reason.text);
}

Store& StoreOf(Call& call) {
  IndexHandle& handle = HandleOf(call);
  if (!handle.store) throw std::runtime_error("the index is closed");
  return *handle.store;
}

Slice SliceArgument(Call& call, size_t argument, const char* name, size_t bytesMax) {
  const ByteSpan bytes = call.Bytes(argument, name);
  if (bytes.bytes > bytesMax) FailRange(std::string(name) + " is too long");
  return {bytes.data, bytes.bytes};
}

Slice KeyArgument(Call& call, size_t argument) { return SliceArgument(call, argument, "key", index::kKeyBytesMax); }

napi_value StringValue(Call& call, const std::string& text) { return call.Latin1Value(text.data(), text.size()); }

napi_value Get(Call& call) {
  Store& store = StoreOf(call);
  const Slice key = KeyArgument(call, 0);
  const ByteSpan into = call.Bytes(1, "into");
  Slice value;
  index::Reason failure;
  switch (store.Get(key, &value, &failure)) {
    case Store::Found::kFailed:
      Fail(failure);
    case Store::Found::kNothing:
      return call.NumberValue(-1);
    case Store::Found::kValue:
      break;
  }
  if (value.bytes > 0 && value.bytes <= into.bytes) memcpy(into.data, value.data, value.bytes);
  return call.NumberValue(static_cast<double>(value.bytes));
}

napi_value Put(Call& call) {
  Store& store = StoreOf(call);
  const Slice key = KeyArgument(call, 0);
  store.Put(key, SliceArgument(call, 1, "value", index::kValueBytesMax));
  return call.Undefined();
}

napi_value Delete(Call& call) {
  StoreOf(call).Delete(KeyArgument(call, 0));
  return call.Undefined();
}

napi_value EndBatch(Call& call) {
  Store& store = StoreOf(call);
  store.EndBatch();
  return call.BooleanValue(store.IsBehind());
}

napi_value IsBehind(Call& call) { return call.BooleanValue(StoreOf(call).IsBehind()); }

napi_value OpenRange(Call& call) {
  IndexHandle& handle = HandleOf(call);
  Store& store = StoreOf(call);
  const Slice start = KeyArgument(call, 0);
  const Slice end = KeyArgument(call, 1);
  const bool isReverse = call.Integer(2, "isReverse", 0, 1) == 1;
  handle.ranges.emplace(++handle.lastRange, store.RangeOf(start, end, isReverse));
  return call.NumberValue(handle.lastRange);
}

// Fills `into` with entries: bytes of the key, bytes of the value, key, value. Bytes used; 0 at the end of the
// range; less than 0 when not even one entry fits, which takes so many bytes; -1, which no entry takes, when only
// deleted ones were met.
napi_value ReadRange(Call& call) {
  IndexHandle& handle = HandleOf(call);
  StoreOf(call);
  const auto found = handle.ranges.find(call.Number(0, "range"));
  if (found == handle.ranges.end()) FailRange("range is not open");
  const ByteSpan into = call.Bytes(1, "into");
  LiveRange& range = found->second;
  size_t used = 0;
  size_t deletionsLeft = index::kDeletionsPerPause;
  auto step = LiveRange::Step::kEntry;
  for (double left = call.Integer(2, "countMax", 1, kSafeIntegerMax); left > 0; left--) {
    step = range.Find(&deletionsLeft);
    if (step != LiveRange::Step::kEntry) break;
    const Slice key = range.key();
    const Slice value = range.value();
    const size_t bytes = kEntryHeadBytes + key.bytes + value.bytes;
    if (into.bytes - used < bytes) return call.NumberValue(used > 0 ? double(used) : -double(bytes));
    const uint32_t head[2] = {static_cast<uint32_t>(key.bytes), static_cast<uint32_t>(value.bytes)};
    memcpy(into.data + used, head, kEntryHeadBytes);
    if (key.bytes > 0) memcpy(into.data + used + kEntryHeadBytes, key.data, key.bytes);
    if (value.bytes > 0) memcpy(into.data + used + kEntryHeadBytes + key.bytes, value.data, value.bytes);
    used += bytes;
    range.Leave();
  }
  if (!range.failure().empty()) Fail(range.failure());
  return call.NumberValue(used == 0 && step == LiveRange::Step::kPause ? kOnlyDeleted : static_cast<double>(used));
}

napi_value CloseRange(Call& call) {
  HandleOf(call).ranges.erase(call.Number(0, "range"));
  return call.Undefined();
}

napi_value Flush(Call& call) { return call.NumberValue(static_cast<double>(StoreOf(call).Flush())); }

napi_value IsFlushed(Call& call) {
  const double ticket = call.Integer(0, "ticket", 0, kSafeIntegerMax);
  return call.BooleanValue(StoreOf(call).IsFlushed(static_cast<uint64_t>(ticket)));
}

napi_value Trouble(Call& call) { return StringValue(call, StoreOf(call).Trouble()); }

napi_value Damage(Call& call) { return StringValue(call, StoreOf(call).Damage()); }

napi_value Clear(Call& call) {
  Store& store = StoreOf(call);
  HandleOf(call).ranges.clear();
  const index::Reason failure = store.Clear();
  if (!failure.empty()) Fail(failure);
  return call.Undefined();
}

napi_value Close(Call& call) {
  IndexHandle& handle = HandleOf(call);
  if (!handle.store) return call.Undefined();
  handle.ranges.clear();
  const index::Reason failure = handle.store->Close();
  handle.store.reset();
  if (!failure.empty()) Fail(failure);
  return call.Undefined();
}

napi_value Leave(Call& call) {
  IndexHandle& handle = HandleOf(call);
  if (!handle.store) return call.Undefined();
  handle.ranges.clear();
  Store::Leave(std::move(handle.store));
  return call.Undefined();
}

napi_value Figures(Call& call) {
  const index::StoreFigures figures = StoreOf(call).Figures();
  const uint64_t values[] = {figures.memoryBytes, figures.runCount, figures.runBytes,   figures.runEntries,
                             figures.flushes,     figures.merges,   figures.mergedBytes};
  constexpr const char* kNames[] = {"memoryBytes", "runCount", "runBytes",   "runEntries",
                                    "flushes",     "merges",   "mergedBytes"};
  napi_value object;
  Check(napi_create_object(call.env(), &object));
  for (size_t at = 0; at < sizeof(values) / sizeof(values[0]); at++) {
    Check(napi_set_named_property(call.env(), object, kNames[at], call.NumberValue(static_cast<double>(values[at]))));
  }
  return object;
}

constexpr Method kStoreMethods[] = {
    {"get", Entry<Get>},
    {"put", Entry<Put>},
    {"delete", Entry<Delete>},
    {"endBatch", Entry<EndBatch>},
    {"isBehind", Entry<IsBehind>},
    {"openRange", Entry<OpenRange>},
    {"readRange", Entry<ReadRange>},
    {"closeRange", Entry<CloseRange>},
    {"flush", Entry<Flush>},
    {"isFlushed", Entry<IsFlushed>},
    {"trouble", Entry<Trouble>},
    {"damage", Entry<Damage>},
    {"clear", Entry<Clear>},
    {"close", Entry<Close>},
    {"leave", Entry<Leave>},
    {"figures", Entry<Figures>},
};

napi_value OpenIndexStore(Call& call) {
  auto* handles = static_cast<IndexHandles*>(call.data());
  Text directory;
  call.String(0, "directory", &directory);
  index::StoreOptions options;
  options.directory.assign(directory.chars(), directory.bytes());
  options.memoryBytes = static_cast<size_t>(call.Integer(1, "memoryBytes", 1, kMemoryBytesMax));
  options.cacheBytes = static_cast<size_t>(call.Integer(2, "cacheBytes", 0, kMemoryBytesMax));
  options.stuckMs = static_cast<int>(call.Integer(3, "stuckMs", 1, kStuckMsMax));
  auto handle = std::make_unique<IndexHandle>();
  index::Reason failure;
  handle->store = Store::Open(options, &failure);
  if (!handle->store) Fail(failure);
  napi_value object;
  Check(napi_create_object(call.env(), &object));
  DefineMethods(call.env(), object, kStoreMethods, sizeof(kStoreMethods) / sizeof(kStoreMethods[0]), handle.get());
  handles->all.push_back(std::move(handle));
  return object;
}

constexpr Method kMethods[] = {{"openIndexStore", Entry<OpenIndexStore>}};

}  // namespace

void DefineIndexMethods(napi_env env, napi_value exports) {
  auto handles = std::make_unique<IndexHandles>();
  IndexHandles* kept = handles.get();
  // Ends the threads of stores that nobody closed; what was only in memory is replayed from the logs.
  if (napi_add_env_cleanup_hook(
          env, [](void* data) { delete static_cast<IndexHandles*>(data); }, kept) != napi_ok) {
    throw PendingException{};
  }
  handles.release();
  DefineMethods(env, exports, kMethods, 1, kept);
}

}  // namespace granary
