#include "stream.h"

#include <algorithm>
#include <cstring>

#include "dispatch.h"

namespace granary {
namespace {

constexpr uint64_t kMagic = 0x4772616e61727953;
constexpr char kPayloadTitle[] = "AWS4-HMAC-SHA256-PAYLOAD\n";
constexpr char kTrailerTitle[] = "AWS4-HMAC-SHA256-TRAILER\n";
constexpr char kEmptySha256[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";
constexpr size_t kSha256HexBytes = 64;
// Chunks of one update that are hashed side by side.
constexpr size_t kChunksAtOnce = 16;

size_t Append(char* text, size_t at, const char* part, size_t bytes) {
  std::memcpy(text + at, part, bytes);
  return at + bytes;
}

// The signature over `title`, the request's scope, the previous signature and a hash; compares it
// and makes it the previous one.
bool CheckLink(StreamState* state, const char* title, bool namesEmptyHash, SHA256_CTX* hashed,
               const uint8_t signature[kSignatureBytes]) {
  uint8_t hash[SHA256_DIGEST_LENGTH];
  SHA256_Final(hash, hashed);
  char text[sizeof(kPayloadTitle) + kAmzDateBytes + kScopeBytesMax + kSignatureHexBytes + sizeof(kEmptySha256) +
            kSha256HexBytes + 8];
  size_t length = Append(text, 0, title, std::strlen(title));
  length = Append(text, length, state->amzDate, kAmzDateBytes);
  text[length++] = '\n';
  length = Append(text, length, state->scope, std::min<size_t>(state->scopeBytes, kScopeBytesMax));
  text[length++] = '\n';
  length = Append(text, length, state->previousSignature, kSignatureHexBytes);
  text[length++] = '\n';
  if (namesEmptyHash) length = Append(text, length, kEmptySha256, sizeof(kEmptySha256) - 1);
  HexOf(hash, sizeof(hash), text + length);
  length += kSha256HexBytes;
  uint8_t mac[kSignatureBytes];
  HmacSha256(state->signingKey, reinterpret_cast<const uint8_t*>(text), length, mac);
  HexOf(mac, sizeof(mac), state->previousSignature);
  if (!ConstantTimeEqual(mac, signature, sizeof(mac))) state->isRefused = 1;
  return state->isRefused == 0;
}

}  // namespace

void StreamBegin(StreamState* state, uint32_t digests, const StreamSigning* signing) {
  std::memset(static_cast<void*>(state), 0, sizeof(*state));
  state->magic = kMagic;
  DigestBegin(&state->digest, digests);
  if (signing == nullptr) return;
  state->isSigned = 1;
  SHA256_Init(&state->chunk);
  state->signingKey = signing->key;
  std::memcpy(state->amzDate, signing->amzDate, kAmzDateBytes);
  std::memcpy(state->scope, signing->scope, signing->scopeBytes);
  state->scopeBytes = static_cast<uint32_t>(signing->scopeBytes);
  std::memcpy(state->previousSignature, signing->seedSignature, kSignatureHexBytes);
}

bool StreamIsValid(const StreamState& state) {
  if (state.magic != kMagic) return false;
  // The arena is everybody's: what lies over a state must not lead OpenSSL past its own buffers.
  const DigestState& digest = state.digest;
  const auto holds = [&](uint32_t one) { return (digest.digests & one) != 0; };
  const auto isSound = [](const SHA256_CTX& context) {
    return context.num < SHA256_CBLOCK && context.md_len == SHA256_DIGEST_LENGTH;
  };
  return digest.digests <= kDigestAll && state.scopeBytes <= kScopeBytesMax &&
         (!holds(kDigestMd5) || digest.md5.num < MD5_CBLOCK) && (!holds(kDigestSha256) || isSound(digest.sha256)) &&
         (!holds(kDigestSha1) || digest.sha1.num < SHA_CBLOCK) && (state.isSigned == 0 || isSound(state.chunk));
}

bool StreamUpdate(StreamState* state, const uint8_t* data, size_t bytes, const ChunkList& chunks, uint32_t skipped) {
  if (state->isRefused) return false;
  if (!state->isSigned) {
    DigestUpdate(&state->digest, data, bytes, skipped);
    return true;
  }
  size_t chunk = 0;
  size_t done = 0;
  // Each chunk has a hash of its own, so several go side by side; the last one may go on in the next update.
  do {
    SHA256_CTX hashes[kChunksAtOnce];
    Sha256Job jobs[kChunksAtOnce];
    const size_t first = chunk;
    const size_t start = done;
    int count = 0;
    for (; count < static_cast<int>(kChunksAtOnce) && chunk <= chunks.count; count++, chunk++) {
      // Checked by the binding; held again here, since the list may lie in shared memory.
      const size_t end =
          chunk == chunks.count ? bytes : std::max(done, std::min(bytes, static_cast<size_t>(chunks.ends[chunk])));
      if (chunk == 0)
        hashes[count] = state->chunk;
      else
        SHA256_Init(&hashes[count]);
      jobs[count] = {&hashes[count], data + done, end - done};
      done = end;
    }
    Sha256UpdateMany(Paths().sha256, jobs, count);
    DigestUpdate(&state->digest, data + start, done - start, skipped);
    for (int i = 0; i < count; i++) {
      const size_t ended = first + static_cast<size_t>(i);
      if (ended == chunks.count) {
        state->chunk = hashes[i];
      } else if (!CheckLink(state, kPayloadTitle, true, &hashes[i], chunks.signatures + ended * kSignatureBytes)) {
        return false;
      }
    }
  } while (chunk <= chunks.count);
  return true;
}

bool StreamCheckTrailer(StreamState* state, const uint8_t* block, size_t bytes, const uint8_t signature[32]) {
  if (state->isRefused) return false;
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, block, bytes);
  return CheckLink(state, kTrailerTitle, false, &context, signature);
}

}  // namespace granary
