#include <wmmintrin.h>

#include "crc.h"

namespace granary {
namespace {

__m128i Load(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }

__m128i FactorOf(const CrcFold& fold) {
  return _mm_set_epi64x(static_cast<long long>(fold.high), static_cast<long long>(fold.low));
}

// `sum` moved on by the distance of the factor, plus what lies there.
__m128i Fold(__m128i sum, __m128i factor, __m128i next) {
  return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(sum, factor, 0x00), _mm_clmulepi64_si128(sum, factor, 0x11)),
                       next);
}

}  // namespace

uint64_t CrcUpdatePclmul(CrcKind kind, uint64_t raw, const uint8_t* data, size_t bytes) {
  if (bytes < 64) return CrcUpdateTable(kind, raw, data, bytes);
  const CrcFolds& folds = kCrcFolds[static_cast<int>(kind)];
  __m128i sums[4];
  for (int i = 0; i < 4; i++) sums[i] = Load(data + 16 * i);
  sums[0] = _mm_xor_si128(sums[0], _mm_set_epi64x(0, static_cast<long long>(raw)));
  const __m128i by64 = FactorOf(folds.by64);
  for (data += 64, bytes -= 64; bytes >= 64; data += 64, bytes -= 64) {
    for (int i = 0; i < 4; i++) sums[i] = Fold(sums[i], by64, Load(data + 16 * i));
  }
  const __m128i by16 = FactorOf(folds.by16);
  __m128i sum = sums[0];
  for (int i = 1; i < 4; i++) sum = Fold(sum, by16, sums[i]);
  for (; bytes >= 16; data += 16, bytes -= 16) sum = Fold(sum, by16, Load(data));
  // 16 bytes that stand for all before them.
  alignas(16) uint8_t rest[16];
  _mm_store_si128(reinterpret_cast<__m128i*>(rest), sum);
  return CrcUpdateTable(kind, CrcUpdateTable(kind, 0, rest, sizeof(rest)), data, bytes);
}

}  // namespace granary
