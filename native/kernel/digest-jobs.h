// What MD5 and SHA-256 of several streams at once have in common. A job is a context of OpenSSL, and bytes for it. Not
// for the files of an instruction set: what is compiled there must not be taken for everybody's.
#pragma once

#include <algorithm>

#include "md5.h"
#include "sha256.h"

namespace granary {
namespace {

// Of both.
constexpr size_t kDigestBlockBytes = 64;
static_assert(kMd5BlockBytes == kDigestBlockBytes && kSha256BlockBytes == kDigestBlockBytes, "both have such blocks");

inline void Begin(MD5_CTX* context) { MD5_Init(context); }
inline void Begin(SHA256_CTX* context) { SHA256_Init(context); }
inline void Update(MD5_CTX* context, const uint8_t* data, size_t bytes) { MD5_Update(context, data, bytes); }
inline void Update(SHA256_CTX* context, const uint8_t* data, size_t bytes) { SHA256_Update(context, data, bytes); }
// Returns the length of the digest.
inline size_t End(MD5_CTX* context, uint8_t* digest) {
  MD5_Final(digest, context);
  return MD5_DIGEST_LENGTH;
}
inline size_t End(SHA256_CTX* context, uint8_t* digest) {
  SHA256_Final(digest, context);
  return SHA256_DIGEST_LENGTH;
}

template <typename Job>
void Advance(Job* job, size_t bytes) {
  job->data += bytes;
  job->bytes -= bytes;
}

// By OpenSSL.
template <typename Job>
void Feed(Job* job, size_t bytes) {
  if (bytes == 0) return;
  Update(job->context, job->data, bytes);
  Advance(job, bytes);
}

// A block begun earlier is filled up.
template <typename Job>
void FillBegun(Job* job) {
  const size_t begun = job->context->num;
  if (begun != 0) Feed(job, std::min(job->bytes, kDigestBlockBytes - begun));
}

// Whole blocks have gone into the registers of the context by another way. The stream's length in bits lies in two
// 32-bit words.
template <typename Job>
void TakeBlocks(Job* job, size_t blocks) {
  const size_t bytes = blocks * kDigestBlockBytes;
  auto* context = job->context;
  const uint64_t bits = (static_cast<uint64_t>(context->Nh) << 32 | context->Nl) + (static_cast<uint64_t>(bytes) << 3);
  context->Nl = static_cast<uint32_t>(bits);
  context->Nh = static_cast<uint32_t>(bits >> 32);
  Advance(job, bytes);
}

}  // namespace
}  // namespace granary
