// FIPS 180-4 with the SHA extensions of x86: an instruction does two rounds and takes four cycles or more, and
// another may begin every second one.
#include <immintrin.h>

#include "sha256.h"

namespace granary {
namespace {

alignas(64) constexpr uint32_t kRoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The registers a to h as the instructions want them, and the last sixteen words of the schedule.
struct State {
  __m128i abef;
  __m128i cdgh;
  __m128i words[4];
};

inline State Load(const uint32_t words[8]) {
  const __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i*>(words));
  const __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i*>(words + 4));
  const __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1b);
  return {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0), {}};
}

inline void Store(const State& state, uint32_t words[8]) {
  const __m128i feba = _mm_shuffle_epi32(state.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(state.cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(words), _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(words + 4), _mm_alignr_epi8(dchg, feba, 8));
}

// Four rounds, the `Quad`th of sixteen.
template <int Quad>
inline __attribute__((always_inline)) void Rounds(State* state, const uint8_t* block) {
  __m128i& word = state->words[Quad & 3];
  if constexpr (Quad < 4) {
    const __m128i bigEndian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    word = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + Quad), bigEndian);
  } else {
    const __m128i second = state->words[(Quad + 1) & 3];
    const __m128i third = state->words[(Quad + 2) & 3];
    const __m128i last = state->words[(Quad + 3) & 3];
    word = _mm_add_epi32(_mm_sha256msg1_epu32(word, second), _mm_alignr_epi8(last, third, 4));
    word = _mm_sha256msg2_epu32(word, last);
  }
  const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(kRoundConstants) + Quad);
  const __m128i sum = _mm_add_epi32(word, constants);
  state->cdgh = _mm_sha256rnds2_epu32(state->cdgh, state->abef, sum);
  state->abef = _mm_sha256rnds2_epu32(state->abef, state->cdgh, _mm_shuffle_epi32(sum, 0x0e));
}

template <int Quad>
inline __attribute__((always_inline)) void AllRounds(State* a, const uint8_t* aBlock, State* b, const uint8_t* bBlock) {
  Rounds<Quad>(a, aBlock);
  Rounds<Quad>(b, bBlock);
  if constexpr (Quad < 15) AllRounds<Quad + 1>(a, aBlock, b, bBlock);
}

}  // namespace

void Sha256BlocksShaNi(Sha256Lane lanes[kSha256Lanes], size_t blocks) {
  State a = Load(lanes[0].words);
  State b = Load(lanes[1].words);
  for (size_t i = 0; i < blocks; i++) {
    const State before[kSha256Lanes] = {a, b};
    AllRounds<0>(&a, lanes[0].data + i * kSha256BlockBytes, &b, lanes[1].data + i * kSha256BlockBytes);
    a.abef = _mm_add_epi32(a.abef, before[0].abef);
    a.cdgh = _mm_add_epi32(a.cdgh, before[0].cdgh);
    b.abef = _mm_add_epi32(b.abef, before[1].abef);
    b.cdgh = _mm_add_epi32(b.cdgh, before[1].cdgh);
  }
  Store(a, lanes[0].words);
  Store(b, lanes[1].words);
  for (int i = 0; i < kSha256Lanes; i++) lanes[i].data += blocks * kSha256BlockBytes;
}

}  // namespace granary
