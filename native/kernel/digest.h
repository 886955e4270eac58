// Message digests and HMAC on the OpenSSL that is inside the node binary. The low-level contexts are
// used on purpose: they are plain data, so a running digest can lie in shared memory and be
// continued by any thread.
#pragma once

#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#endif
#include <openssl/md5.h>
#include <openssl/sha.h>

#include <cstddef>
#include <cstdint>

namespace granary {

// The bits of `Digest` in src/native/kernels.ts.
enum DigestBit : uint32_t {
  kDigestMd5 = 1,
  kDigestSha256 = 2,
  kDigestSha1 = 4,
  kDigestCrc32 = 8,
  kDigestCrc32c = 16,
  kDigestCrc64nvme = 32,
};
constexpr uint32_t kDigestAll = 63;
constexpr size_t kDigestBytesMax = 32;

// Running state of any union of digests of one byte stream. Plain data.
struct DigestState {
  uint32_t digests;
  MD5_CTX md5;
  SHA256_CTX sha256;
  SHA_CTX sha1;
  // Raw registers, without the final inversion, by CrcKind.
  uint64_t crc[3];
};

void DigestBegin(DigestState* state, uint32_t digests);
// Feeds all digests but those of `skipped`.
void DigestUpdate(DigestState* state, const uint8_t* data, size_t bytes, uint32_t skipped = 0);
// The digest so far; the state goes on. Returns its length.
size_t DigestPeek(const DigestState& state, uint32_t digest, uint8_t out[kDigestBytesMax]);

bool IsCrc(uint32_t digest);
size_t DigestBytes(uint32_t digest);
// crc(a then b), values big-endian.
void DigestCombineCrc(uint32_t digest, const uint8_t* a, const uint8_t* b, uint64_t bBytes, uint8_t* out);

// An HMAC-SHA256 key as the two registers after its padded blocks. Secret.
struct HmacPads {
  uint32_t inner[8];
  uint32_t outer[8];
};

void HmacPadsOf(const uint8_t* key, size_t keyBytes, HmacPads* pads);

// HMAC-SHA256 in pieces: begin, SHA256_Update on the context, finish.
void HmacBegin(const HmacPads& pads, SHA256_CTX* context);
void HmacFinish(const HmacPads& pads, SHA256_CTX* context, uint8_t mac[32]);

void HmacSha256(const HmacPads& pads, const uint8_t* message, size_t bytes, uint8_t mac[32]);
void HmacSha1(const uint8_t* key, size_t keyBytes, const uint8_t* message, size_t bytes, uint8_t mac[20]);

void HexOf(const uint8_t* bytes, size_t count, char* hex);

// Time depends on the length alone.
bool ConstantTimeEqual(const uint8_t* a, const uint8_t* b, size_t bytes);

}  // namespace granary
