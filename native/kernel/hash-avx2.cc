#include <immintrin.h>

#include "hash-lanes.h"

namespace granary {
namespace {

struct Avx2 {
  static constexpr int kStreams = 1;
  using Vector = __m256i;
  static __m256i Load(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }
  static Vector LoadLanes(const uint64_t* const* at, int word) { return Load(at[0] + word); }
  static void StoreLanes(uint64_t* const* at, int word, Vector v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at[0] + word), v);
  }
  static Vector LoadPackets(const uint8_t* const* sources, size_t offset) { return Load(sources[0] + offset); }
  static Vector Broadcast(uint64_t word) { return _mm256_set1_epi64x(static_cast<long long>(word)); }
  static Vector Add(Vector a, Vector b) { return _mm256_add_epi64(a, b); }
  static Vector Xor(Vector a, Vector b) { return _mm256_xor_si256(a, b); }
  static Vector Multiply(Vector a, Vector b) { return _mm256_mul_epu32(a, b); }
  static Vector HighHalves(Vector v) { return _mm256_srli_epi64(v, 32); }
  static Vector Zipper(Vector v) {
    const __m256i order =
        _mm256_set_epi64x(0x070806090D0A040B, 0x000F010E05020C03, 0x070806090D0A040B, 0x000F010E05020C03);
    return _mm256_shuffle_epi8(v, order);
  }
  static Vector SwapRotate(Vector v) {
    return _mm256_permutevar8x32_epi32(v, _mm256_set_epi32(2, 3, 0, 1, 6, 7, 4, 5));
  }
  static Vector RotateHalves(Vector v, int count) {
    return _mm256_or_si256(_mm256_sll_epi32(v, _mm_cvtsi32_si128(count)),
                           _mm256_srl_epi32(v, _mm_cvtsi32_si128(32 - count)));
  }
};

// Two messages at a time: their registers and the temporaries fit the sixteen there are.
void Update(HashState* const* states, const uint8_t* const* data, int count, size_t packets) {
  int i = 0;
  for (; i + 2 <= count; i += 2) UpdateGroups<Avx2, 2>(states + i, data + i, packets);
  if (i < count) UpdateGroups<Avx2, 1>(states + i, data + i, packets);
}

void Finish(HashState* const* states, const uint8_t* const* tails, int count, size_t tailBytes,
            uint8_t* const* hashes) {
  int i = 0;
  for (; i + 2 <= count; i += 2) FinishGroups<Avx2, 2>(states + i, tails + i, tailBytes, hashes + i);
  if (i < count) FinishGroups<Avx2, 1>(states + i, tails + i, tailBytes, hashes + i);
}

}  // namespace

const HashPath kHashAvx2 = {Update, Finish};

}  // namespace granary
