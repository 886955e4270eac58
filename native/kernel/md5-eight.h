// What the instruction sets with vectors of eight 32-bit words have in common. Included once by md5-*.cc with their own
// flags; everything here has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace granary {
namespace {

struct Eight {
  static constexpr int kLanes = 8;
  using Vector = __m256i;
  static Vector Load(const uint32_t* at) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(at)); }
  static void Store(uint32_t* at, Vector v) { _mm256_store_si256(reinterpret_cast<__m256i*>(at), v); }
  static Vector Broadcast(uint32_t word) { return _mm256_set1_epi32(static_cast<int>(word)); }
  static Vector Add(Vector a, Vector b) { return _mm256_add_epi32(a, b); }

  // Eight rows of eight words become eight columns.
  static void TransposeHalf(const uint8_t* const* rows, size_t offset, Vector* out) {
    Vector r[8];
    for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[i] + offset));
    Vector pairs[8];
    for (int i = 0; i < 4; i++) {
      pairs[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
      pairs[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    Vector quads[8];
    for (int half = 0; half < 2; half++) {
      const Vector* p = pairs + 4 * half;
      quads[4 * half] = _mm256_unpacklo_epi64(p[0], p[2]);
      quads[4 * half + 1] = _mm256_unpackhi_epi64(p[0], p[2]);
      quads[4 * half + 2] = _mm256_unpacklo_epi64(p[1], p[3]);
      quads[4 * half + 3] = _mm256_unpackhi_epi64(p[1], p[3]);
    }
    for (int i = 0; i < 4; i++) {
      out[i] = _mm256_permute2x128_si256(quads[i], quads[4 + i], 0x20);
      out[4 + i] = _mm256_permute2x128_si256(quads[i], quads[4 + i], 0x31);
    }
  }
  static void Transpose(const uint8_t* const* rows, size_t offset, Vector* out) {
    TransposeHalf(rows, offset, out);
    TransposeHalf(rows, offset + 32, out + 8);
  }
};

}  // namespace
}  // namespace granary
