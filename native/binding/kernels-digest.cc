// One-shot digests of plain memory.
#include <cstring>

#include "../kernel/digest.h"
#include "../kernel/pass.h"
#include "instance.h"

namespace granary {
namespace {

uint32_t DigestOf(Call& call, size_t index) {
  const auto digest = static_cast<uint32_t>(call.Integer(index, "digest", 1, kDigestAll));
  if (digest & (digest - 1)) FailRange("digest must be one of Digest");
  return digest;
}

napi_value DigestEntry(Call& call) {
  const uint32_t digest = DigestOf(call, 0);
  const ByteSpan bytes = call.Bytes(1, "bytes");
  DigestState state;
  DigestBegin(&state, digest);
  DigestUpdate(&state, bytes.data, bytes.bytes);
  uint8_t out[kDigestBytesMax];
  const size_t length = DigestPeek(state, digest, out);
  return call.BytesValue(out, length);
}

napi_value HighwayHash256(Call& call) {
  const ByteSpan keyBytes = call.Bytes(0, "key");
  const ByteSpan bytes = call.Bytes(1, "bytes");
  if (keyBytes.bytes != kHashBytes) FailRange("key must be 32 bytes");
  HashKey key;
  std::memcpy(key.lane, keyBytes.data, kHashBytes);
  uint8_t hash[kHashBytes];
  HashMessage(key, bytes.data, bytes.bytes, hash);
  return call.BytesValue(hash, kHashBytes);
}

napi_value CrcCombineEntry(Call& call) {
  const uint32_t digest = DigestOf(call, 0);
  if (!IsCrc(digest)) FailRange("digest must be a CRC");
  const ByteSpan a = call.Bytes(1, "a");
  const ByteSpan b = call.Bytes(2, "b");
  const double bBytes = call.Integer(3, "bBytes", 0, kSafeIntegerMax);
  const size_t length = DigestBytes(digest);
  if (a.bytes != length || b.bytes != length) FailRange("a and b must be as long as the CRC");
  uint8_t out[kDigestBytesMax];
  DigestCombineCrc(digest, a.data, b.data, static_cast<uint64_t>(bBytes), out);
  return call.BytesValue(out, length);
}

constexpr Method kMethods[] = {
    {"digest", Entry<DigestEntry>},
    {"highwayHash256", Entry<HighwayHash256>},
    {"crcCombine", Entry<CrcCombineEntry>},
};

}  // namespace

void DefineDigestMethods(napi_env env, napi_value exports, KernelInstance* instance) {
  DefineMethods(env, exports, kMethods, sizeof(kMethods) / sizeof(kMethods[0]), instance);
}

}  // namespace granary
