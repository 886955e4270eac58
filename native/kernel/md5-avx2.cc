#include "md5-eight.h"
#include "md5-lanes.h"

namespace granary {
namespace {

struct Avx2 : Eight {
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
};

void Blocks(Md5Lane* lanes, int count, size_t blocks) {
  if (count > Avx2::kLanes) return RunSets<Avx2, 2>(lanes, count, blocks);
  RunSets<Avx2, 1>(lanes, count, blocks);
}

}  // namespace

const Md5Path kMd5Avx2 = {Blocks, 2};

}  // namespace granary
