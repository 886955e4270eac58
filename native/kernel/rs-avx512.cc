#include <immintrin.h>

#include "rs-sweep.h"

namespace granary {
namespace {

struct Avx512 {
  static constexpr size_t kBytes = 64;
  static constexpr int VectorsFor(int) { return 2; }
  using Vector = __m512i;
  struct Operand {
    __m512i low;
    __m512i high;
  };
  struct Factor {
    __m512i low;
    __m512i high;
  };
  static Vector Zero() { return _mm512_setzero_si512(); }
  static Operand Prepare(const uint8_t* at) {
    const __m512i mask = _mm512_set1_epi8(15);
    const __m512i value = _mm512_loadu_si512(at);
    return {_mm512_and_si512(value, mask), _mm512_and_si512(_mm512_srli_epi64(value, 4), mask)};
  }
  static Factor FactorOf(const RsPlan& plan, int input, int output) {
    const auto* table = reinterpret_cast<const __m128i*>(plan.nibble[input][output]);
    return {_mm512_broadcast_i32x4(_mm_load_si128(table)), _mm512_broadcast_i32x4(_mm_load_si128(table + 1))};
  }
  static Vector AddProduct(Vector sum, Operand operand, Factor factor) {
    // 0x96: the exclusive or of all three.
    return _mm512_ternarylogic_epi64(sum, _mm512_shuffle_epi8(factor.low, operand.low),
                                     _mm512_shuffle_epi8(factor.high, operand.high), 0x96);
  }
  static void Store(uint8_t* at, Vector value) { _mm512_storeu_si512(at, value); }
};

}  // namespace

void RsApplyAvx512(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes) {
  ApplySweep<Avx512>(plan, in, out, bytes);
}

}  // namespace granary
