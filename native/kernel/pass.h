// The work on one stripe while its bytes are in cache, and the hashing of checksum blocks.
#pragma once

#include "highway-hash.h"
#include "reed-solomon.h"

namespace granary {

// Where a checksum block belongs: XORed into the key, so that a block read from elsewhere fails.
struct BlockPlace {
  uint64_t idHigh;
  uint64_t idLow;
  uint64_t shard;
  uint64_t block;
};

HashKey KeyAt(const HashKey& key, const BlockPlace& place);

struct StripeLayout {
  int k;
  int m;
  size_t shardBytes;
  size_t checksumBlockBytes;
  // Data shards then parity shards.
  uint8_t* shards[kShardsMax];
  uint8_t* hashes;
  uint64_t idHigh;
  uint64_t idLow;
  uint64_t firstBlock;
};

// Parity of all data shards and hashes of all shards.
void CodeAndHash(const RsPlan& plan, const HashKey& key, const StripeLayout& layout);

struct HashRun {
  const uint8_t* data;
  size_t bytes;
  size_t checksumBlockBytes;
  // place.block is that of the first block.
  BlockPlace place;
};

// Writes ceil(bytes / checksumBlockBytes) hashes.
void HashBlocks(const HashKey& key, const HashRun& run, uint8_t* hashes);
// Whether the hashes are the right ones.
bool VerifyBlocks(const HashKey& key, const HashRun& run, const uint8_t* hashes);

// Hashes one message without a place.
void HashMessage(const HashKey& key, const uint8_t* data, size_t bytes, uint8_t hash[kHashBytes]);

}  // namespace granary
