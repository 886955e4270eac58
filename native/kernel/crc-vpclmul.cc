#include <immintrin.h>

#include "crc.h"

namespace granary {
namespace {

__m512i FactorOf(const CrcFold& fold) {
  return _mm512_broadcast_i32x4(_mm_set_epi64x(static_cast<long long>(fold.high), static_cast<long long>(fold.low)));
}

__m512i Fold(__m512i sum, __m512i factor, __m512i next) {
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(sum, factor, 0x00),
                                   _mm512_clmulepi64_epi128(sum, factor, 0x11), next, 0x96);
}

}  // namespace

uint64_t CrcUpdateVpclmul(CrcKind kind, uint64_t raw, const uint8_t* data, size_t bytes) {
  if (bytes < 256) return CrcUpdatePclmul(kind, raw, data, bytes);
  const CrcFolds& folds = kCrcFolds[static_cast<int>(kind)];
  __m512i sums[4];
  for (int i = 0; i < 4; i++) sums[i] = _mm512_loadu_si512(data + 64 * i);
  sums[0] = _mm512_xor_si512(sums[0], _mm512_zextsi128_si512(_mm_cvtsi64_si128(static_cast<long long>(raw))));
  const __m512i by256 = FactorOf(folds.by256);
  for (data += 256, bytes -= 256; bytes >= 256; data += 256, bytes -= 256) {
    for (int i = 0; i < 4; i++) sums[i] = Fold(sums[i], by256, _mm512_loadu_si512(data + 64 * i));
  }
  const __m512i by64 = FactorOf(folds.by64);
  __m512i sum = sums[0];
  for (int i = 1; i < 4; i++) sum = Fold(sum, by64, sums[i]);
  for (; bytes >= 64; data += 64, bytes -= 64) sum = Fold(sum, by64, _mm512_loadu_si512(data));
  // 64 bytes that stand for all before them; the narrow path folds them with the tail.
  alignas(64) uint8_t rest[64];
  _mm512_store_si512(rest, sum);
  return CrcUpdateTable(kind, CrcUpdatePclmul(kind, 0, rest, sizeof(rest)), data, bytes);
}

}  // namespace granary
