#include <smmintrin.h>

#include "hash-lanes.h"

namespace granary {
namespace {

struct Sse41 {
  static constexpr int kStreams = 1;
  struct Vector {
    __m128i low, high;
  };
  static __m128i Load(const void* at) { return _mm_loadu_si128(static_cast<const __m128i*>(at)); }
  static Vector LoadLanes(const uint64_t* const* at, int word) { return {Load(at[0] + word), Load(at[0] + word + 2)}; }
  static void StoreLanes(uint64_t* const* at, int word, Vector v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at[0] + word), v.low);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at[0] + word + 2), v.high);
  }
  static Vector LoadPackets(const uint8_t* const* sources, size_t offset) {
    return {Load(sources[0] + offset), Load(sources[0] + offset + 16)};
  }
  static Vector Broadcast(uint64_t word) {
    const __m128i v = _mm_set1_epi64x(static_cast<long long>(word));
    return {v, v};
  }
  static Vector Add(Vector a, Vector b) { return {_mm_add_epi64(a.low, b.low), _mm_add_epi64(a.high, b.high)}; }
  static Vector Xor(Vector a, Vector b) { return {_mm_xor_si128(a.low, b.low), _mm_xor_si128(a.high, b.high)}; }
  static Vector Multiply(Vector a, Vector b) { return {_mm_mul_epu32(a.low, b.low), _mm_mul_epu32(a.high, b.high)}; }
  static Vector HighHalves(Vector v) { return {_mm_srli_epi64(v.low, 32), _mm_srli_epi64(v.high, 32)}; }
  static Vector Zipper(Vector v) {
    const __m128i order = _mm_set_epi64x(0x070806090D0A040B, 0x000F010E05020C03);
    return {_mm_shuffle_epi8(v.low, order), _mm_shuffle_epi8(v.high, order)};
  }
  static Vector SwapRotate(Vector v) { return {_mm_shuffle_epi32(v.high, 0xB1), _mm_shuffle_epi32(v.low, 0xB1)}; }
  static Vector RotateHalves(Vector v, int count) {
    const __m128i left = _mm_cvtsi32_si128(count);
    const __m128i right = _mm_cvtsi32_si128(32 - count);
    return {_mm_or_si128(_mm_sll_epi32(v.low, left), _mm_srl_epi32(v.low, right)),
            _mm_or_si128(_mm_sll_epi32(v.high, left), _mm_srl_epi32(v.high, right))};
  }
};

void Update(HashState* const* states, const uint8_t* const* data, int count, size_t packets) {
  for (int i = 0; i < count; i++) UpdateGroups<Sse41, 1>(states + i, data + i, packets);
}

void Finish(HashState* const* states, const uint8_t* const* tails, int count, size_t tailBytes,
            uint8_t* const* hashes) {
  for (int i = 0; i < count; i++) FinishGroups<Sse41, 1>(states + i, tails + i, tailBytes, hashes + i);
}

}  // namespace

const HashPath kHashSse41 = {Update, Finish};

}  // namespace granary
