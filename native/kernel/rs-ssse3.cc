#include <tmmintrin.h>

#include "rs-sweep.h"

namespace granary {
namespace {

// Products by two table look-ups of 16 entries: one for each half of a byte.
struct Ssse3 {
  static constexpr size_t kBytes = 16;
  static constexpr int VectorsFor(int outputs) { return outputs <= 4 ? 2 : 1; }
  using Vector = __m128i;
  struct Operand {
    __m128i low;
    __m128i high;
  };
  struct Factor {
    __m128i low;
    __m128i high;
  };
  static Vector Zero() { return _mm_setzero_si128(); }
  static Operand Prepare(const uint8_t* at) {
    const __m128i mask = _mm_set1_epi8(15);
    const __m128i value = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    return {_mm_and_si128(value, mask), _mm_and_si128(_mm_srli_epi64(value, 4), mask)};
  }
  static Factor FactorOf(const RsPlan& plan, int input, int output) {
    const auto* table = reinterpret_cast<const __m128i*>(plan.nibble[input][output]);
    return {_mm_load_si128(table), _mm_load_si128(table + 1)};
  }
  static Vector AddProduct(Vector sum, Operand operand, Factor factor) {
    const __m128i product =
        _mm_xor_si128(_mm_shuffle_epi8(factor.low, operand.low), _mm_shuffle_epi8(factor.high, operand.high));
    return _mm_xor_si128(sum, product);
  }
  static void Store(uint8_t* at, Vector value) { _mm_storeu_si128(reinterpret_cast<__m128i*>(at), value); }
};

}  // namespace

void RsApplySsse3(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes) {
  ApplySweep<Ssse3>(plan, in, out, bytes);
}

}  // namespace granary
