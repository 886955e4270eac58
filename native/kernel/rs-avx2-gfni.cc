#include <immintrin.h>

#include "rs-sweep.h"

namespace granary {
namespace {

// Multiplying by a constant is linear over the bits of a byte: one 8 x 8 bit matrix.
struct Avx2Gfni {
  static constexpr size_t kBytes = 32;
  static constexpr int VectorsFor(int outputs) { return outputs <= 2 ? 4 : outputs <= 5 ? 2 : 1; }
  using Vector = __m256i;
  using Operand = __m256i;
  using Factor = __m256i;
  static Vector Zero() { return _mm256_setzero_si256(); }
  static Operand Prepare(const uint8_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }
  static Factor FactorOf(const RsPlan& plan, int input, int output) {
    return _mm256_set1_epi64x(static_cast<long long>(plan.affine[input][output]));
  }
  static Vector AddProduct(Vector sum, Operand operand, Factor factor) {
    return _mm256_xor_si256(sum, _mm256_gf2p8affine_epi64_epi8(operand, factor, 0));
  }
  static void Store(uint8_t* at, Vector value) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), value); }
};

}  // namespace

void RsApplyAvx2Gfni(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes) {
  ApplySweep<Avx2Gfni>(plan, in, out, bytes);
}

}  // namespace granary
