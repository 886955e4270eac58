// SHA-256 of two messages at once. Each step of one waits for the step before; the instructions of a
// second message fit in between.
#pragma once

#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#endif
#include <openssl/sha.h>

#include <cstddef>
#include <cstdint>

namespace granary {

constexpr int kSha256Lanes = 2;
constexpr size_t kSha256BlockBytes = 64;

struct Sha256Lane {
  uint32_t words[8];
  const uint8_t* data;
};

// Takes `blocks` blocks of 64 bytes into each of the two lanes, and moves their data pointers on.
using Sha256Blocks = void (*)(Sha256Lane lanes[kSha256Lanes], size_t blocks);

#if defined(__x86_64__)
void Sha256BlocksShaNi(Sha256Lane lanes[kSha256Lanes], size_t blocks);
#endif

struct Sha256Job {
  SHA256_CTX* context;
  const uint8_t* data;
  size_t bytes;
};

// Feeds every context its bytes, like SHA256_Update on each. `blocks` null: by SHA256_Update. The jobs
// are used up. Contexts differ from each other.
void Sha256UpdateMany(Sha256Blocks blocks, Sha256Job* jobs, int count);

}  // namespace granary
