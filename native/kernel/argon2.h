// Argon2id (RFC 9106, version 0x13), the key derivation of the administration clients' payloads.
// No Node headers, no global state; lanes are filled one after the other on the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace granary {

struct Argon2Bytes {
  const uint8_t* data;
  size_t bytes;
};

struct Argon2Input {
  Argon2Bytes password;
  Argon2Bytes salt;
  Argon2Bytes secret;
  Argon2Bytes associated;
  uint32_t passes;
  uint32_t memoryKiB;
  uint32_t lanes;
};

// The bounds of RFC 9106 that callers have to keep; the kernel does not check.
constexpr uint32_t kArgon2LanesMax = 16;
constexpr uint32_t kArgon2MemoryKiBMax = 1u << 20;
constexpr size_t kArgon2TagBytesMin = 4;
constexpr size_t kArgon2TagBytesMax = 64;

// Requires: passes >= 1, 1 <= lanes <= kArgon2LanesMax, memoryKiB >= 8 * lanes, tagBytes in its bounds.
// False when there is no memory.
bool Argon2id(const Argon2Input& input, uint8_t* tag, size_t tagBytes);

// BLAKE2b without a key (RFC 7693), 1 to 64 bytes of digest.
void Blake2b(const Argon2Bytes* pieces, size_t pieceCount, uint8_t* digest, size_t digestBytes);

}  // namespace granary
