// HighwayHash-256. Blocks are hashed side by side: one block's steps depend on each other, those of
// several blocks do not, so a path takes up to kHashLanes of them at once. All blocks of a call
// have the same length.
#pragma once

#include <cstddef>
#include <cstdint>

namespace granary {

constexpr int kHashLanes = 8;
constexpr size_t kHashBytes = 32;
constexpr size_t kPacketBytes = 32;

struct alignas(32) HashKey {
  uint64_t lane[4];
};

struct alignas(64) HashState {
  uint64_t v0[4];
  uint64_t v1[4];
  uint64_t mul0[4];
  uint64_t mul1[4];
};

void HashBegin(const HashKey& key, HashState* state);

struct HashPath {
  // Feeds `packets` packets of 32 bytes to each of `count` states. 1 <= count <= kHashLanes.
  void (*update)(HashState* const* states, const uint8_t* const* data, int count, size_t packets);
  // Feeds the last 0...31 bytes and writes 32 bytes of hash each.
  void (*finish)(HashState* const* states, const uint8_t* const* tails, int count, size_t tailBytes,
                 uint8_t* const* hashes);
};

extern const HashPath kHashScalar;
#if defined(__x86_64__)
extern const HashPath kHashSse41;
extern const HashPath kHashAvx2;
extern const HashPath kHashAvx512;
#endif

// Lays the last bytes of a message out as a packet. Requires: 1 <= tailBytes <= 31.
void HashTailPacket(const uint8_t* tail, size_t tailBytes, uint8_t packet[kPacketBytes]);
// The last folding of a state whose rounds are done.
void HashReduce(const HashState& state, uint8_t hash[kHashBytes]);

}  // namespace granary
