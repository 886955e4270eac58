#include <cstring>

#include "highway-hash.h"

namespace granary {
namespace {

// One half of the byte shuffle: two neighbouring lanes are mixed and added to two others.
void ZipperMergeAdd(uint64_t high, uint64_t low, uint64_t* addHigh, uint64_t* addLow) {
  *addLow += ((low & 0xff000000) | (high & 0xff00000000)) >> 24 |
             ((low & 0xff0000000000) | (high & 0xff000000000000)) >> 16 | (low & 0xff0000) | (low & 0xff00) << 32 |
             (high & 0xff00000000000000) >> 8 | low << 56;
  *addHigh += ((high & 0xff000000) | (low & 0xff00000000)) >> 24 | (high & 0xff0000) | (high & 0xff0000000000) >> 16 |
              (high & 0xff00) << 24 | (low & 0xff000000000000) >> 8 | (high & 0xff) << 48 | (low & 0xff00000000000000);
}

void Round(HashState* s, const uint64_t lanes[4]) {
  for (int i = 0; i < 4; i++) {
    s->v1[i] += s->mul0[i] + lanes[i];
    s->mul0[i] ^= (s->v1[i] & 0xffffffff) * (s->v0[i] >> 32);
    s->v0[i] += s->mul1[i];
    s->mul1[i] ^= (s->v0[i] & 0xffffffff) * (s->v1[i] >> 32);
  }
  ZipperMergeAdd(s->v1[1], s->v1[0], &s->v0[1], &s->v0[0]);
  ZipperMergeAdd(s->v1[3], s->v1[2], &s->v0[3], &s->v0[2]);
  ZipperMergeAdd(s->v0[1], s->v0[0], &s->v1[1], &s->v1[0]);
  ZipperMergeAdd(s->v0[3], s->v0[2], &s->v1[3], &s->v1[2]);
}

void RoundOf(HashState* state, const uint8_t* packet) {
  uint64_t lanes[4];
  std::memcpy(lanes, packet, kPacketBytes);
  Round(state, lanes);
}

uint64_t SwapHalves(uint64_t value) { return value >> 32 | value << 32; }

void Update(HashState* const* states, const uint8_t* const* data, int count, size_t packets) {
  for (int i = 0; i < count; i++) {
    HashState local = *states[i];
    const uint8_t* packet = data[i];
    for (size_t p = 0; p < packets; p++, packet += kPacketBytes) RoundOf(&local, packet);
    *states[i] = local;
  }
}

void FinishOne(HashState* s, const uint8_t* tail, size_t tailBytes, uint8_t* hash) {
  if (tailBytes != 0) {
    const uint32_t turn = static_cast<uint32_t>(tailBytes);
    for (int i = 0; i < 4; i++) {
      s->v0[i] += (uint64_t{turn} << 32) + turn;
      const uint32_t low = static_cast<uint32_t>(s->v1[i]);
      const uint32_t high = static_cast<uint32_t>(s->v1[i] >> 32);
      s->v1[i] = uint64_t{low << turn | low >> (32 - turn)} | uint64_t{high << turn | high >> (32 - turn)} << 32;
    }
    uint8_t packet[kPacketBytes];
    HashTailPacket(tail, tailBytes, packet);
    RoundOf(s, packet);
  }
  for (int round = 0; round < 10; round++) {
    const uint64_t lanes[4] = {SwapHalves(s->v0[2]), SwapHalves(s->v0[3]), SwapHalves(s->v0[0]), SwapHalves(s->v0[1])};
    Round(s, lanes);
  }
  HashReduce(*s, hash);
}

void Finish(HashState* const* states, const uint8_t* const* tails, int count, size_t tailBytes,
            uint8_t* const* hashes) {
  for (int i = 0; i < count; i++) FinishOne(states[i], tails[i], tailBytes, hashes[i]);
}

}  // namespace

const HashPath kHashScalar = {Update, Finish};

}  // namespace granary
