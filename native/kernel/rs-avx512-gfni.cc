#include <immintrin.h>

#include "rs-sweep.h"

namespace granary {
namespace {

struct Avx512Gfni {
  static constexpr size_t kBytes = 64;
  static constexpr int VectorsFor(int outputs) { return outputs <= 4 ? 4 : 2; }
  using Vector = __m512i;
  using Operand = __m512i;
  using Factor = __m512i;
  static Vector Zero() { return _mm512_setzero_si512(); }
  static Operand Prepare(const uint8_t* at) { return _mm512_loadu_si512(at); }
  static Factor FactorOf(const RsPlan& plan, int input, int output) {
    return _mm512_set1_epi64(static_cast<long long>(plan.affine[input][output]));
  }
  static Vector AddProduct(Vector sum, Operand operand, Factor factor) {
    return _mm512_xor_si512(sum, _mm512_gf2p8affine_epi64_epi8(operand, factor, 0));
  }
  static void Store(uint8_t* at, Vector value) { _mm512_storeu_si512(at, value); }
};

}  // namespace

void RsApplyAvx512Gfni(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes) {
  ApplySweep<Avx512Gfni>(plan, in, out, bytes);
}

}  // namespace granary
