// HighwayHash rounds for the vector paths: Isa::kStreams messages lie side by side in one vector, and
// kGroups such vectors are worked on in turn, since a round is a chain of dependent steps. Included
// once by each hash-*.cc with its own instruction set; everything here has internal linkage.
//
// Isa gives: Vector, kStreams, LoadLanes, StoreLanes, LoadPackets, Broadcast, Add, Xor, Multiply (of
// the low halves), HighHalves, Zipper, SwapRotate (the permutation of the last rounds), RotateHalves.
#pragma once

#include "highway-hash.h"

namespace granary {
namespace {

template <typename Isa>
struct Lanes {
  typename Isa::Vector v0, v1, mul0, mul1;
};

template <typename Isa>
inline __attribute__((always_inline)) void Round(Lanes<Isa>* s, typename Isa::Vector packet) {
  s->v1 = Isa::Add(s->v1, Isa::Add(s->mul0, packet));
  s->mul0 = Isa::Xor(s->mul0, Isa::Multiply(s->v1, Isa::HighHalves(s->v0)));
  s->v0 = Isa::Add(s->v0, s->mul1);
  s->mul1 = Isa::Xor(s->mul1, Isa::Multiply(s->v0, Isa::HighHalves(s->v1)));
  s->v0 = Isa::Add(s->v0, Isa::Zipper(s->v1));
  s->v1 = Isa::Add(s->v1, Isa::Zipper(s->v0));
}

template <typename Isa>
inline __attribute__((always_inline)) Lanes<Isa> LoadGroup(HashState* const* states) {
  const uint64_t* at[Isa::kStreams];
  for (int i = 0; i < Isa::kStreams; i++) at[i] = states[i]->v0;
  // The four members lie one after another, four words each.
  return {Isa::LoadLanes(at, 0), Isa::LoadLanes(at, 4), Isa::LoadLanes(at, 8), Isa::LoadLanes(at, 12)};
}

template <typename Isa>
inline __attribute__((always_inline)) void StoreGroup(HashState* const* states, const Lanes<Isa>& s) {
  uint64_t* at[Isa::kStreams];
  for (int i = 0; i < Isa::kStreams; i++) at[i] = states[i]->v0;
  Isa::StoreLanes(at, 0, s.v0);
  Isa::StoreLanes(at, 4, s.v1);
  Isa::StoreLanes(at, 8, s.mul0);
  Isa::StoreLanes(at, 12, s.mul1);
}

template <typename Isa, int kGroups>
void UpdateGroups(HashState* const* states, const uint8_t* const* data, size_t packets) {
  Lanes<Isa> groups[kGroups];
  const uint8_t* sources[kGroups * Isa::kStreams];
  for (int g = 0; g < kGroups; g++) groups[g] = LoadGroup<Isa>(states + g * Isa::kStreams);
  for (int i = 0; i < kGroups * Isa::kStreams; i++) sources[i] = data[i];
  for (size_t offset = 0; offset < packets * kPacketBytes; offset += kPacketBytes) {
    for (int g = 0; g < kGroups; g++) Round<Isa>(&groups[g], Isa::LoadPackets(sources + g * Isa::kStreams, offset));
  }
  for (int g = 0; g < kGroups; g++) StoreGroup<Isa>(states + g * Isa::kStreams, groups[g]);
}

template <typename Isa, int kGroups>
void FinishGroups(HashState* const* states, const uint8_t* const* tails, size_t tailBytes, uint8_t* const* hashes) {
  Lanes<Isa> groups[kGroups];
  for (int g = 0; g < kGroups; g++) groups[g] = LoadGroup<Isa>(states + g * Isa::kStreams);
  if (tailBytes != 0) {
    uint8_t packets[kGroups * Isa::kStreams][kPacketBytes];
    const uint8_t* sources[kGroups * Isa::kStreams];
    for (int i = 0; i < kGroups * Isa::kStreams; i++) {
      HashTailPacket(tails[i], tailBytes, packets[i]);
      sources[i] = packets[i];
    }
    const auto count = static_cast<uint64_t>(tailBytes);
    for (int g = 0; g < kGroups; g++) {
      groups[g].v0 = Isa::Add(groups[g].v0, Isa::Broadcast(count << 32 | count));
      groups[g].v1 = Isa::RotateHalves(groups[g].v1, static_cast<int>(tailBytes));
      Round<Isa>(&groups[g], Isa::LoadPackets(sources + g * Isa::kStreams, 0));
    }
  }
  for (int round = 0; round < 10; round++) {
    for (int g = 0; g < kGroups; g++) Round<Isa>(&groups[g], Isa::SwapRotate(groups[g].v0));
  }
  for (int g = 0; g < kGroups; g++) StoreGroup<Isa>(states + g * Isa::kStreams, groups[g]);
  for (int i = 0; i < kGroups * Isa::kStreams; i++) HashReduce(*states[i], hashes[i]);
}

}  // namespace
}  // namespace granary
