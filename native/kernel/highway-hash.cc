#include "highway-hash.h"

#include <cstring>

namespace granary {
namespace {

constexpr uint64_t kInit0[4] = {0xdbe6d5d5fe4cce2f, 0xa4093822299f31d0, 0x13198a2e03707344, 0x243f6a8885a308d3};
constexpr uint64_t kInit1[4] = {0x3bd39e10cb0ef593, 0xc0acf169b5f18a8c, 0xbe5466cf34e90c6c, 0x452821e638d01377};

uint64_t SwapHalves(uint64_t value) { return value >> 32 | value << 32; }

// 256 bits reduced modulo x^128 + x^2 + x.
void ReduceModulo(uint64_t a3Unmasked, uint64_t a2, uint64_t a1, uint64_t a0, uint64_t* high, uint64_t* low) {
  const uint64_t a3 = a3Unmasked & 0x3FFFFFFFFFFFFFFF;
  *high = a1 ^ (a3 << 1 | a2 >> 63) ^ (a3 << 2 | a2 >> 62);
  *low = a0 ^ a2 << 1 ^ a2 << 2;
}

}  // namespace

void HashBegin(const HashKey& key, HashState* state) {
  for (int i = 0; i < 4; i++) {
    state->mul0[i] = kInit0[i];
    state->mul1[i] = kInit1[i];
    state->v0[i] = kInit0[i] ^ key.lane[i];
    state->v1[i] = kInit1[i] ^ SwapHalves(key.lane[i]);
  }
}

void HashTailPacket(const uint8_t* tail, size_t tailBytes, uint8_t packet[kPacketBytes]) {
  const size_t whole = tailBytes & ~size_t{3};
  const size_t odd = tailBytes & 3;
  std::memset(packet, 0, kPacketBytes);
  std::memcpy(packet, tail, whole);
  if (tailBytes & 16) {
    // The last four bytes, even when they overlap the whole words.
    std::memcpy(packet + 28, tail + tailBytes - 4, 4);
  } else if (odd != 0) {
    const uint8_t* rest = tail + whole;
    packet[16] = rest[0];
    packet[17] = rest[odd >> 1];
    packet[18] = rest[odd - 1];
  }
}

void HashReduce(const HashState& state, uint8_t hash[kHashBytes]) {
  uint64_t words[4];
  for (int half = 0; half < 4; half += 2) {
    ReduceModulo(state.v1[half + 1] + state.mul1[half + 1], state.v1[half] + state.mul1[half],
                 state.v0[half + 1] + state.mul0[half + 1], state.v0[half] + state.mul0[half], &words[half + 1],
                 &words[half]);
  }
  std::memcpy(hash, words, kHashBytes);
}

}  // namespace granary
