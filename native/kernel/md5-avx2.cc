#include <immintrin.h>

#include "md5-lanes.h"

namespace granary {
namespace {

struct Avx2 {
  static constexpr int kLanes = 8;
  using Vector = __m256i;
  static Vector Load(const uint32_t* at) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(at)); }
  static void Store(uint32_t* at, Vector v) { _mm256_store_si256(reinterpret_cast<__m256i*>(at), v); }
  static Vector Broadcast(uint32_t word) { return _mm256_set1_epi32(static_cast<int>(word)); }
  static Vector Add(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
  static void Settle(Vector* v) { __asm__("" : "+x"(*v)); }
  template <int kBits>
  static Vector Rotate(Vector v) {
    return _mm256_or_si256(_mm256_slli_epi32(v, kBits), _mm256_srli_epi32(v, 32 - kBits));
  }
  static Vector F(Vector b, Vector c, Vector d) {
    return _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)));
  }
  // The two halves of G share no bit, so adding is as good as or: the one without b is ready early.
  static Vector G(Vector b, Vector c, Vector d) {
    return _mm256_add_epi32(_mm256_andnot_si256(d, c), _mm256_and_si256(d, b));
  }
  static Vector H(Vector b, Vector c, Vector d) { return _mm256_xor_si256(b, _mm256_xor_si256(c, d)); }
  static Vector I(Vector b, Vector c, Vector d) {
    const Vector notD = _mm256_xor_si256(d, _mm256_set1_epi32(-1));
    return _mm256_xor_si256(c, _mm256_or_si256(b, notD));
  }

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

void Blocks(Md5Lane* lanes, int count, size_t blocks) {
  if (count > Avx2::kLanes) return RunSets<Avx2, 2>(lanes, count, blocks);
  RunSets<Avx2, 1>(lanes, count, blocks);
}

}  // namespace

const Md5Path kMd5Avx2 = {Blocks, 2};

}  // namespace granary
