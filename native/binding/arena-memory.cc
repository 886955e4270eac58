// Memory for the arena. V8 takes shared buffers from malloc, which puts them 16 bytes past a page: then
// every 64-byte load and store of the kernels straddles two cache lines (half the speed, measured), and
// direct I/O refuses the addresses. So the pages come from here: aligned to 2 MiB, huge where possible.
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif
#include <v8.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include <sys/mman.h>

#include <cstring>

#include "instance.h"

namespace granary {
namespace {

constexpr uintptr_t kHugePageBytes = uintptr_t{2} << 20;
constexpr double kArenaBytesMax = 1099511627776.0;

uintptr_t RoundUp(uintptr_t value) { return (value + kHugePageBytes - 1) & ~(kHugePageBytes - 1); }

// `bytes` is a multiple of the huge page. Null when there is no room.
void* MapAligned(size_t bytes) {
  const size_t slack = bytes + kHugePageBytes;
  void* mapped = mmap(nullptr, slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  const auto from = reinterpret_cast<uintptr_t>(mapped);
  const uintptr_t start = RoundUp(from);
  const uintptr_t end = start + bytes;
  if (start != from) munmap(mapped, start - from);
  if (end != from + slack) munmap(reinterpret_cast<void*>(end), from + slack - end);
  return reinterpret_cast<void*>(start);
}

// Runs on whichever thread lets go last, possibly after the environment that made the arena.
void Unmap(void* data, size_t bytes, void*) { munmap(data, RoundUp(bytes)); }

}  // namespace

void AskForHugePages(const ByteSpan& span) {
#if defined(MADV_HUGEPAGE)
  const uintptr_t from = RoundUp(reinterpret_cast<uintptr_t>(span.data));
  const uintptr_t to = (reinterpret_cast<uintptr_t>(span.data) + span.bytes) & ~(kHugePageBytes - 1);
  if (from < to) (void)madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#else
  (void)span;
#endif
}

napi_value CreateArena(Call& call) {
  const auto bytes = static_cast<size_t>(call.Integer(0, "bytes", 1, kArenaBytesMax));
  void* data = MapAligned(RoundUp(bytes));
  if (data == nullptr) FailRange("there is no room for an arena of this size");
  AskForHugePages({static_cast<uint8_t*>(data), bytes});
  v8::Isolate* isolate = v8::Isolate::GetCurrent();
  std::unique_ptr<v8::BackingStore> store = v8::SharedArrayBuffer::NewBackingStore(data, bytes, Unmap, nullptr);
  v8::Local<v8::Value> buffer = v8::SharedArrayBuffer::New(isolate, std::move(store));
  // Node-API has no shared buffers; a napi_value is a V8 handle.
  static_assert(sizeof(napi_value) == sizeof(buffer), "a napi_value is a V8 handle");
  napi_value value;
  std::memcpy(&value, static_cast<void*>(&buffer), sizeof(value));
  return value;
}

}  // namespace granary
