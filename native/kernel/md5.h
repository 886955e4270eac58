// MD5 of several streams at once. MD5 is a chain of dependent steps and by far the dearest part of a
// PUT, so the streams of a batch go side by side, one in each lane of a vector.
#pragma once

#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#endif
#include <openssl/md5.h>

#include <cstddef>
#include <cstdint>

namespace granary {

constexpr int kMd5LanesMax = 16;
constexpr size_t kMd5BlockBytes = 64;

struct Md5Lane {
  uint32_t words[4];
  const uint8_t* data;
};

// Takes `blocks` blocks of 64 bytes into each of `count` lanes, and moves their data pointers on.
// 1 <= count <= kMd5LanesMax.
using Md5Blocks = void (*)(Md5Lane* lanes, int count, size_t blocks);

struct Md5Path {
  Md5Blocks blocks;
  // From this many streams on, lanes beat OpenSSL stream by stream.
  int streamsMin;
};

#if defined(__x86_64__)
extern const Md5Path kMd5Avx2;
extern const Md5Path kMd5Avx512;
// The same, but a single stream goes to OpenSSL.
extern const Md5Path kMd5Avx512Lanes;
#endif

struct Md5Job {
  MD5_CTX* context;
  const uint8_t* data;
  size_t bytes;
};

// Feeds every context its bytes, like MD5_Update on each. `path` null: by MD5_Update. The jobs are
// used up. Contexts differ from each other.
void Md5UpdateMany(const Md5Path* path, Md5Job* jobs, int count);

}  // namespace granary
