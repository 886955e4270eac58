#include "pass.h"

#include <algorithm>
#include <cstring>

#include "dispatch.h"

namespace granary {
namespace {

// Bytes of each shard that are coded and then hashed before going on: k + m such pieces stay in a
// first-level cache at most geometries. Larger pieces were no faster at any, and up to a quarter slower at 2 + 2.
constexpr size_t kPieceBytes = 2048;

// Hashes the same run of checksum blocks of several shards side by side, as their bytes become final.
class RowHasher {
 public:
  RowHasher(const HashKey& key, const StripeLayout& layout)
      : key_(key),
        layout_(layout),
        shardCount_(layout.k + layout.m),
        blockCount_((layout.shardBytes + layout.checksumBlockBytes - 1) / layout.checksumBlockBytes) {}

  // The first `bytes` bytes of every shard are final.
  void AdvanceTo(size_t bytes) {
    while (hashed_ < bytes) {
      if (hashed_ == blockStart_) Begin();
      const size_t blockEnd = std::min(blockStart_ + layout_.checksumBlockBytes, layout_.shardBytes);
      const size_t packets = (std::min(bytes, blockEnd) - hashed_) / kPacketBytes;
      Update(packets);
      if (bytes < blockEnd) return;
      Finish(blockEnd - hashed_);
      hashed_ = blockEnd;
      blockStart_ = blockEnd;
      block_++;
    }
  }

 private:
  void Begin() {
    for (int shard = 0; shard < shardCount_; shard++) {
      const BlockPlace place = {layout_.idHigh, layout_.idLow, static_cast<uint64_t>(shard),
                                layout_.firstBlock + block_};
      HashBegin(KeyAt(key_, place), &states_[shard]);
    }
  }

  void Update(size_t packets) {
    if (packets == 0) return;
    ForLanes([&](HashState* const* states, const uint8_t* const* data, int, int count) {
      Paths().hash.update(states, data, count, packets);
    });
    hashed_ += packets * kPacketBytes;
  }

  void Finish(size_t tailBytes) {
    ForLanes([&](HashState* const* states, const uint8_t* const* data, int first, int count) {
      uint8_t* hashes[kHashLanes];
      for (int i = 0; i < count; i++) {
        hashes[i] = layout_.hashes + kHashBytes * (static_cast<size_t>(first + i) * blockCount_ + block_);
      }
      Paths().hash.finish(states, data, count, tailBytes, hashes);
    });
  }

  template <typename Act>
  void ForLanes(Act act) {
    for (int first = 0; first < shardCount_; first += kHashLanes) {
      const int count = std::min(kHashLanes, shardCount_ - first);
      HashState* states[kHashLanes];
      const uint8_t* data[kHashLanes];
      for (int i = 0; i < count; i++) {
        states[i] = &states_[first + i];
        data[i] = layout_.shards[first + i] + hashed_;
      }
      act(states, data, first, count);
    }
  }

  const HashKey& key_;
  const StripeLayout& layout_;
  const int shardCount_;
  const size_t blockCount_;
  HashState states_[kShardsMax];
  size_t hashed_ = 0;
  size_t blockStart_ = 0;
  size_t block_ = 0;
};

// Calls act(firstBlock, count, hashes) for groups of whole hashes of the run.
template <typename Act>
bool ForBlockGroups(const HashKey& key, const HashRun& run, Act act) {
  const size_t blockCount = (run.bytes + run.checksumBlockBytes - 1) / run.checksumBlockBytes;
  size_t block = 0;
  while (block < blockCount) {
    const size_t start = block * run.checksumBlockBytes;
    const size_t length = std::min(run.checksumBlockBytes, run.bytes - start);
    // Only the last block may be short; it goes alone.
    const size_t alike = length < run.checksumBlockBytes ? 1 : (run.bytes - start) / run.checksumBlockBytes;
    const int count = static_cast<int>(std::min<size_t>(alike, kHashLanes));
    HashState states[kHashLanes];
    HashState* statePointers[kHashLanes];
    const uint8_t* data[kHashLanes];
    uint8_t hashes[kHashLanes][kHashBytes];
    uint8_t* hashPointers[kHashLanes];
    for (int i = 0; i < count; i++) {
      BlockPlace place = run.place;
      place.block += block + static_cast<size_t>(i);
      HashBegin(KeyAt(key, place), &states[i]);
      statePointers[i] = &states[i];
      data[i] = run.data + start + static_cast<size_t>(i) * run.checksumBlockBytes;
      hashPointers[i] = hashes[i];
    }
    const size_t packets = length / kPacketBytes;
    if (packets != 0) Paths().hash.update(statePointers, data, count, packets);
    for (int i = 0; i < count; i++) data[i] += packets * kPacketBytes;
    Paths().hash.finish(statePointers, data, count, length % kPacketBytes, hashPointers);
    if (!act(block, static_cast<size_t>(count), hashes[0])) return false;
    block += static_cast<size_t>(count);
  }
  return true;
}

}  // namespace

HashKey KeyAt(const HashKey& key, const BlockPlace& place) {
  return HashKey{
      {key.lane[0] ^ place.idHigh, key.lane[1] ^ place.idLow, key.lane[2] ^ place.shard, key.lane[3] ^ place.block}};
}

void CodeAndHash(const RsPlan& plan, const HashKey& key, const StripeLayout& layout) {
  RowHasher hasher(key, layout);
  for (size_t start = 0; start < layout.shardBytes; start += kPieceBytes) {
    const size_t bytes = std::min(kPieceBytes, layout.shardBytes - start);
    if (layout.m != 0) {
      const uint8_t* in[kDataShardsMax];
      uint8_t* out[kOutputsMax];
      for (int i = 0; i < layout.k; i++) in[i] = layout.shards[i] + start;
      for (int j = 0; j < layout.m; j++) out[j] = layout.shards[layout.k + j] + start;
      Paths().rs(plan, in, out, bytes);
    }
    hasher.AdvanceTo(start + bytes);
  }
}

void HashBlocks(const HashKey& key, const HashRun& run, uint8_t* hashes) {
  ForBlockGroups(key, run, [&](size_t block, size_t count, const uint8_t* computed) {
    std::memcpy(hashes + block * kHashBytes, computed, count * kHashBytes);
    return true;
  });
}

bool VerifyBlocks(const HashKey& key, const HashRun& run, const uint8_t* hashes) {
  return ForBlockGroups(key, run, [&](size_t block, size_t count, const uint8_t* computed) {
    return std::memcmp(hashes + block * kHashBytes, computed, count * kHashBytes) == 0;
  });
}

void HashMessage(const HashKey& key, const uint8_t* data, size_t bytes, uint8_t hash[kHashBytes]) {
  HashState state;
  HashBegin(key, &state);
  HashState* states = &state;
  const size_t packets = bytes / kPacketBytes;
  if (packets != 0) Paths().hash.update(&states, &data, 1, packets);
  const uint8_t* tail = data + packets * kPacketBytes;
  Paths().hash.finish(&states, &tail, 1, bytes % kPacketBytes, &hash);
}

}  // namespace granary
