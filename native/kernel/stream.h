// A running byte stream: digests of everything, and for aws-chunked bodies the chain of chunk
// signatures. Lies in shared memory as plain data; one thread at a time works on it.
#pragma once

#include "digest.h"

namespace granary {

constexpr size_t kStreamStateBytes = 2048;
constexpr size_t kStreamStateAlignment = 64;
constexpr size_t kScopeBytesMax = 256;
constexpr size_t kAmzDateBytes = 16;
constexpr size_t kSignatureHexBytes = 64;
constexpr size_t kSignatureBytes = 32;

struct StreamState {
  // Set by StreamBegin, so that a stray offset is refused and not computed with.
  uint64_t magic;
  uint32_t isSigned;
  uint32_t isRefused;
  DigestState digest;
  SHA256_CTX chunk;
  HmacPads signingKey;
  char amzDate[kAmzDateBytes];
  char scope[kScopeBytesMax];
  uint32_t scopeBytes;
  char previousSignature[kSignatureHexBytes];
};
static_assert(sizeof(StreamState) <= kStreamStateBytes, "the state fits the room the TypeScript side reserves");

struct StreamSigning {
  HmacPads key;
  const char* amzDate;
  const char* scope;
  size_t scopeBytes;
  const char* seedSignature;
};

void StreamBegin(StreamState* state, uint32_t digests, const StreamSigning* signing);
bool StreamIsValid(const StreamState& state);

// Chunks that end within the bytes of one update: ends ascend, relative to the first byte.
struct ChunkList {
  const double* ends;
  const uint8_t* signatures;
  size_t count;
};

// False when a chunk's signature was wrong, now or before. Digests of `skipped` are left to the caller.
bool StreamUpdate(StreamState* state, const uint8_t* data, size_t bytes, const ChunkList& chunks, uint32_t skipped = 0);
bool StreamCheckTrailer(StreamState* state, const uint8_t* block, size_t bytes, const uint8_t signature[32]);

}  // namespace granary
