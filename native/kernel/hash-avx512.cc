#include <immintrin.h>

#include "hash-lanes.h"

namespace granary {
namespace {

// One message in the lower half of a register.
struct Narrow {
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
  static Vector RotateHalves(Vector v, int count) { return _mm256_rolv_epi32(v, _mm256_set1_epi32(count)); }
};

// Two messages, one in each half.
struct Wide {
  static constexpr int kStreams = 2;
  using Vector = __m512i;
  static __m512i Load(const void* first, const void* second) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(Narrow::Load(first)), Narrow::Load(second), 1);
  }
  static Vector LoadLanes(const uint64_t* const* at, int word) { return Load(at[0] + word, at[1] + word); }
  static void StoreLanes(uint64_t* const* at, int word, Vector v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at[0] + word), _mm512_castsi512_si256(v));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at[1] + word), _mm512_extracti64x4_epi64(v, 1));
  }
  static Vector LoadPackets(const uint8_t* const* sources, size_t offset) {
    return Load(sources[0] + offset, sources[1] + offset);
  }
  static Vector Broadcast(uint64_t word) { return _mm512_set1_epi64(static_cast<long long>(word)); }
  static Vector Add(Vector a, Vector b) { return _mm512_add_epi64(a, b); }
  static Vector Xor(Vector a, Vector b) { return _mm512_xor_si512(a, b); }
  static Vector Multiply(Vector a, Vector b) { return _mm512_mul_epu32(a, b); }
  static Vector HighHalves(Vector v) { return _mm512_srli_epi64(v, 32); }
  static Vector Zipper(Vector v) {
    const __m512i order =
        _mm512_set_epi64(0x070806090D0A040B, 0x000F010E05020C03, 0x070806090D0A040B, 0x000F010E05020C03,
                         0x070806090D0A040B, 0x000F010E05020C03, 0x070806090D0A040B, 0x000F010E05020C03);
    return _mm512_shuffle_epi8(v, order);
  }
  static Vector SwapRotate(Vector v) {
    const __m512i order = _mm512_set_epi32(10, 11, 8, 9, 14, 15, 12, 13, 2, 3, 0, 1, 6, 7, 4, 5);
    return _mm512_permutexvar_epi32(order, v);
  }
  static Vector RotateHalves(Vector v, int count) { return _mm512_rolv_epi32(v, _mm512_set1_epi32(count)); }
};

// 8, 4, 2 and 1 messages at a time.
void Update(HashState* const* states, const uint8_t* const* data, int count, size_t packets) {
  int i = 0;
  if (i + 8 <= count) {
    UpdateGroups<Wide, 4>(states + i, data + i, packets);
    i += 8;
  }
  if (i + 4 <= count) {
    UpdateGroups<Wide, 2>(states + i, data + i, packets);
    i += 4;
  }
  if (i + 2 <= count) {
    UpdateGroups<Wide, 1>(states + i, data + i, packets);
    i += 2;
  }
  if (i < count) UpdateGroups<Narrow, 1>(states + i, data + i, packets);
}

void Finish(HashState* const* states, const uint8_t* const* tails, int count, size_t tailBytes,
            uint8_t* const* hashes) {
  int i = 0;
  for (; i + 4 <= count; i += 4) FinishGroups<Wide, 2>(states + i, tails + i, tailBytes, hashes + i);
  for (; i + 2 <= count; i += 2) FinishGroups<Wide, 1>(states + i, tails + i, tailBytes, hashes + i);
  if (i < count) FinishGroups<Narrow, 1>(states + i, tails + i, tailBytes, hashes + i);
}

}  // namespace

const HashPath kHashAvx512 = {Update, Finish};

}  // namespace granary
