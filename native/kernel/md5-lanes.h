// The steps of MD5 (RFC 1321) over vectors of 32-bit words, one stream in each lane. Included once by
// each md5-*.cc with its own instruction set; everything here has internal linkage.
//
// Isa gives: Vector, Load, Store, Transpose, Broadcast, Add, Settle (compute it now), Rotate<bits>, and the four round
// functions F, G, H, I.
#pragma once

#include "md5.h"

namespace granary {
namespace {

// 2^32 times the absolute value of the sine of 1, 2, 3, …
constexpr uint32_t kSines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
constexpr int kRotations[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

// Which word of the block a step takes.
constexpr int WordOf(int step) {
  const int factors[4] = {1, 5, 3, 7};
  const int offsets[4] = {0, 1, 5, 0};
  return (factors[step / 16] * step + offsets[step / 16]) % 16;
}

template <typename Isa, int kRound>
inline __attribute__((always_inline)) typename Isa::Vector Mix(typename Isa::Vector b, typename Isa::Vector c,
                                                               typename Isa::Vector d) {
  if constexpr (kRound == 0) return Isa::F(b, c, d);
  if constexpr (kRound == 1) return Isa::G(b, c, d);
  if constexpr (kRound == 2) return Isa::H(b, c, d);
  if constexpr (kRound == 3) return Isa::I(b, c, d);
}

// Steps kStep…63 of kSets sets of lanes, in turn: a step waits for the one before it, another set's does not.
template <typename Isa, int kSets, int kStep>
inline __attribute__((always_inline)) void StepsFrom(typename Isa::Vector (&state)[kSets][4],
                                                     const typename Isa::Vector (*words)[16], const uint32_t* sines) {
  if constexpr (kStep < 64) {
    constexpr int kRound = kStep / 16;
    for (int set = 0; set < kSets; set++) {
      // The four registers change roles instead of places.
      auto& a = state[set][(64 - kStep) % 4];
      const auto b = state[set][(65 - kStep) % 4];
      const auto c = state[set][(66 - kStep) % 4];
      const auto d = state[set][(67 - kStep) % 4];
      auto known = Isa::Add(a, Isa::Add(words[set][WordOf(kStep)], Isa::Broadcast(sines[kStep])));
      // Else the compiler adds the late round function first, one more step in the chain of 64.
      Isa::Settle(&known);
      const auto sum = Isa::Add(known, Mix<Isa, kRound>(b, c, d));
      a = Isa::Add(b, Isa::template Rotate<kRotations[kRound][kStep % 4]>(sum));
    }
    StepsFrom<Isa, kSets, kStep + 1>(state, words, sines);
  }
}

template <typename Isa, int kSets>
inline __attribute__((always_inline)) void Block(typename Isa::Vector (&state)[kSets][4],
                                                 const typename Isa::Vector (*words)[16]) {
  typename Isa::Vector before[kSets][4];
  for (int set = 0; set < kSets; set++) {
    for (int i = 0; i < 4; i++) before[set][i] = state[set][i];
  }
  // Where the compiler sees them it brings each through a general register, which costs a step its place.
  const uint32_t* sines = kSines;
  __asm__("" : "+r"(sines));
  StepsFrom<Isa, kSets, 0>(state, words, sines);
  for (int set = 0; set < kSets; set++) {
    for (int i = 0; i < 4; i++) state[set][i] = Isa::Add(state[set][i], before[set][i]);
  }
}

// kSets sets of Isa::kLanes streams; lanes beyond `count` repeat the first one and are dropped.
template <typename Isa, int kSets>
void RunSets(Md5Lane* lanes, int count, size_t blocks) {
  using Vector = typename Isa::Vector;
  constexpr int kTotal = kSets * Isa::kLanes;
  alignas(64) uint32_t words[4][kTotal];
  const uint8_t* data[kTotal];
  for (int i = 0; i < kTotal; i++) {
    const Md5Lane& lane = lanes[i < count ? i : 0];
    for (int word = 0; word < 4; word++) words[word][i] = lane.words[word];
    data[i] = lane.data;
  }
  Vector state[kSets][4];
  for (int set = 0; set < kSets; set++) {
    for (int word = 0; word < 4; word++) state[set][word] = Isa::Load(&words[word][set * Isa::kLanes]);
  }
  for (size_t block = 0; block < blocks; block++) {
    alignas(64) Vector transposed[kSets][16];
    for (int set = 0; set < kSets; set++) {
      Isa::Transpose(data + set * Isa::kLanes, block * kMd5BlockBytes, transposed[set]);
    }
    Block<Isa, kSets>(state, transposed);
  }
  for (int set = 0; set < kSets; set++) {
    for (int word = 0; word < 4; word++) Isa::Store(&words[word][set * Isa::kLanes], state[set][word]);
  }
  for (int i = 0; i < count; i++) {
    for (int word = 0; word < 4; word++) lanes[i].words[word] = words[word][i];
    lanes[i].data += blocks * kMd5BlockBytes;
  }
}

}  // namespace
}  // namespace granary
