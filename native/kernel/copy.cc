#include "copy.h"

#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace granary {

#if defined(__x86_64__)

namespace {

// What is shorter is coded at once, and stays in the cache until then.
constexpr size_t kStreamBytesMin = 64 * 1024;
constexpr size_t kLineBytes = 64;

// `to` is aligned to a line, bytes is a multiple of it.
void StreamLines(uint8_t* to, const uint8_t* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kLineBytes) {
    const __m128i* source = reinterpret_cast<const __m128i*>(from + at);
    __m128i* target = reinterpret_cast<__m128i*>(to + at);
    const __m128i a = _mm_loadu_si128(source);
    const __m128i b = _mm_loadu_si128(source + 1);
    const __m128i c = _mm_loadu_si128(source + 2);
    const __m128i d = _mm_loadu_si128(source + 3);
    _mm_stream_si128(target, a);
    _mm_stream_si128(target + 1, b);
    _mm_stream_si128(target + 2, c);
    _mm_stream_si128(target + 3, d);
  }
  // Other threads are told of the bytes with ordinary stores, which must not overtake these.
  _mm_sfence();
}

}  // namespace

void CopyBytes(uint8_t* to, const uint8_t* from, size_t bytes) {
  if (bytes == 0) return;
  const bool overlaps = from < to + bytes && to < from + bytes;
  if (bytes < kStreamBytesMin || overlaps) {
    std::memmove(to, from, bytes);
    return;
  }
  const size_t head = (kLineBytes - reinterpret_cast<uintptr_t>(to) % kLineBytes) % kLineBytes;
  const size_t lines = (bytes - head) / kLineBytes * kLineBytes;
  std::memcpy(to, from, head);
  StreamLines(to + head, from + head, lines);
  std::memcpy(to + head + lines, from + head + lines, bytes - head - lines);
}

#else

void CopyBytes(uint8_t* to, const uint8_t* from, size_t bytes) {
  if (bytes != 0) std::memmove(to, from, bytes);
}

#endif

}  // namespace granary
