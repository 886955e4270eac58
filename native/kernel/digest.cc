#include "digest.h"

#include <cstring>

#include "crc.h"
#include "dispatch.h"

namespace granary {
namespace {

constexpr size_t kBlockBytes = 64;
constexpr CrcKind kCrcOrder[kCrcKinds] = {CrcKind::kCrc32, CrcKind::kCrc32c, CrcKind::kCrc64nvme};

CrcKind CrcKindOf(uint32_t digest) {
  if (digest == kDigestCrc32) return CrcKind::kCrc32;
  return digest == kDigestCrc32c ? CrcKind::kCrc32c : CrcKind::kCrc64nvme;
}

uint32_t CrcBit(int index) { return static_cast<uint32_t>(kDigestCrc32) << index; }

void PutBigEndian(uint64_t value, size_t bytes, uint8_t* out) {
  for (size_t i = 0; i < bytes; i++) out[i] = static_cast<uint8_t>(value >> (8 * (bytes - 1 - i)));
}

uint64_t GetBigEndian(const uint8_t* in, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; i++) value = value << 8 | in[i];
  return value;
}

// A context that has taken in exactly one block.
void ResumeSha256(const uint32_t words[8], SHA256_CTX* context) {
  SHA256_Init(context);
  for (int i = 0; i < 8; i++) context->h[i] = words[i];
  context->Nl = kBlockBytes * 8;
}

}  // namespace

void DigestBegin(DigestState* state, uint32_t digests) {
  std::memset(state, 0, sizeof(*state));
  state->digests = digests;
  if (digests & kDigestMd5) MD5_Init(&state->md5);
  if (digests & kDigestSha256) SHA256_Init(&state->sha256);
  if (digests & kDigestSha1) SHA1_Init(&state->sha1);
  for (int i = 0; i < kCrcKinds; i++) state->crc[i] = CrcMask(kCrcOrder[i]);
}

void DigestUpdate(DigestState* state, const uint8_t* data, size_t bytes, uint32_t skipped) {
  if (bytes == 0) return;
  const uint32_t digests = state->digests & ~skipped;
  if (digests & kDigestMd5) {
    Md5Job job = {&state->md5, data, bytes};
    Md5UpdateMany(Paths().md5, &job, 1);
  }
  if (digests & kDigestSha256) SHA256_Update(&state->sha256, data, bytes);
  if (digests & kDigestSha1) SHA1_Update(&state->sha1, data, bytes);
  for (int i = 0; i < kCrcKinds; i++) {
    if (digests & CrcBit(i)) state->crc[i] = Paths().crc(kCrcOrder[i], state->crc[i], data, bytes);
  }
}

size_t DigestPeek(const DigestState& state, uint32_t digest, uint8_t out[kDigestBytesMax]) {
  if (digest == kDigestMd5) {
    MD5_CTX context = state.md5;
    MD5_Final(out, &context);
  } else if (digest == kDigestSha256) {
    SHA256_CTX context = state.sha256;
    SHA256_Final(out, &context);
  } else if (digest == kDigestSha1) {
    SHA_CTX context = state.sha1;
    SHA1_Final(out, &context);
  } else {
    const CrcKind kind = CrcKindOf(digest);
    PutBigEndian(state.crc[static_cast<int>(kind)] ^ CrcMask(kind), CrcBytes(kind), out);
  }
  return DigestBytes(digest);
}

bool IsCrc(uint32_t digest) { return digest == kDigestCrc32 || digest == kDigestCrc32c || digest == kDigestCrc64nvme; }

size_t DigestBytes(uint32_t digest) {
  if (digest == kDigestMd5) return 16;
  if (digest == kDigestSha256) return 32;
  if (digest == kDigestSha1) return 20;
  return CrcBytes(CrcKindOf(digest));
}

void DigestCombineCrc(uint32_t digest, const uint8_t* a, const uint8_t* b, uint64_t bBytes, uint8_t* out) {
  const CrcKind kind = CrcKindOf(digest);
  const size_t bytes = CrcBytes(kind);
  PutBigEndian(CrcCombine(kind, GetBigEndian(a, bytes), GetBigEndian(b, bytes), bBytes), bytes, out);
}

void HmacPadsOf(const uint8_t* key, size_t keyBytes, HmacPads* pads) {
  uint8_t block[kBlockBytes] = {0};
  if (keyBytes > kBlockBytes) {
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, key, keyBytes);
    SHA256_Final(block, &context);
  } else if (keyBytes != 0) {
    std::memcpy(block, key, keyBytes);
  }
  for (uint8_t& byte : block) byte ^= 0x36;
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Transform(&context, block);
  for (int i = 0; i < 8; i++) pads->inner[i] = context.h[i];
  for (uint8_t& byte : block) byte ^= 0x36 ^ 0x5c;
  SHA256_Init(&context);
  SHA256_Transform(&context, block);
  for (int i = 0; i < 8; i++) pads->outer[i] = context.h[i];
}

void HmacBegin(const HmacPads& pads, SHA256_CTX* context) { ResumeSha256(pads.inner, context); }

void HmacFinish(const HmacPads& pads, SHA256_CTX* context, uint8_t mac[32]) {
  uint8_t inner[32];
  SHA256_Final(inner, context);
  ResumeSha256(pads.outer, context);
  SHA256_Update(context, inner, sizeof(inner));
  SHA256_Final(mac, context);
}

void HmacSha256(const HmacPads& pads, const uint8_t* message, size_t bytes, uint8_t mac[32]) {
  SHA256_CTX context;
  HmacBegin(pads, &context);
  SHA256_Update(&context, message, bytes);
  HmacFinish(pads, &context, mac);
}

void HmacSha1(const uint8_t* key, size_t keyBytes, const uint8_t* message, size_t bytes, uint8_t mac[20]) {
  uint8_t block[kBlockBytes] = {0};
  SHA_CTX context;
  if (keyBytes > kBlockBytes) {
    SHA1_Init(&context);
    SHA1_Update(&context, key, keyBytes);
    SHA1_Final(block, &context);
  } else if (keyBytes != 0) {
    std::memcpy(block, key, keyBytes);
  }
  for (uint8_t& byte : block) byte ^= 0x36;
  SHA1_Init(&context);
  SHA1_Update(&context, block, sizeof(block));
  SHA1_Update(&context, message, bytes);
  SHA1_Final(mac, &context);
  for (uint8_t& byte : block) byte ^= 0x36 ^ 0x5c;
  SHA1_Init(&context);
  SHA1_Update(&context, block, sizeof(block));
  SHA1_Update(&context, mac, 20);
  SHA1_Final(mac, &context);
}

void HexOf(const uint8_t* bytes, size_t count, char* hex) {
  static const char kDigits[] = "0123456789abcdef";
  for (size_t i = 0; i < count; i++) {
    hex[2 * i] = kDigits[bytes[i] >> 4];
    hex[2 * i + 1] = kDigits[bytes[i] & 15];
  }
}

bool ConstantTimeEqual(const uint8_t* a, const uint8_t* b, size_t bytes) {
  uint8_t difference = 0;
  for (size_t i = 0; i < bytes; i++) difference = static_cast<uint8_t>(difference | (a[i] ^ b[i]));
  // Keeps the compiler from leaving the loop at the first difference.
  __asm__ volatile("" : "+r"(difference));
  return difference == 0;
}

}  // namespace granary
