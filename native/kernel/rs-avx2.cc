#include <immintrin.h>

#include "rs-sweep.h"

namespace granary {
namespace {

struct Avx2 {
  static constexpr size_t kBytes = 32;
  static constexpr int VectorsFor(int outputs) { return outputs <= 4 ? 2 : 1; }
  using Vector = __m256i;
  struct Operand {
    __m256i low;
    __m256i high;
  };
  struct Factor {
    __m256i low;
    __m256i high;
  };
  static Vector Zero() { return _mm256_setzero_si256(); }
  static Operand Prepare(const uint8_t* at) {
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i value = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    return {_mm256_and_si256(value, mask), _mm256_and_si256(_mm256_srli_epi64(value, 4), mask)};
  }
  static Factor FactorOf(const RsPlan& plan, int input, int output) {
    const auto* table = reinterpret_cast<const __m128i*>(plan.nibble[input][output]);
    return {_mm256_broadcastsi128_si256(_mm_load_si128(table)), _mm256_broadcastsi128_si256(_mm_load_si128(table + 1))};
  }
  static Vector AddProduct(Vector sum, Operand operand, Factor factor) {
    const __m256i product =
        _mm256_xor_si256(_mm256_shuffle_epi8(factor.low, operand.low), _mm256_shuffle_epi8(factor.high, operand.high));
    return _mm256_xor_si256(sum, product);
  }
  static void Store(uint8_t* at, Vector value) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), value); }
};

}  // namespace

void RsApplyAvx2(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes) {
  ApplySweep<Avx2>(plan, in, out, bytes);
}

}  // namespace granary
