// HMAC and request signatures: short messages on the calling thread.
#include <openssl/crypto.h>

#include <cstring>
#include <string>

#include "../kernel/digest.h"
#include "instance.h"

namespace granary {
namespace {

constexpr size_t kMacBytes = 32;

napi_value HmacSha256Entry(Call& call) {
  const ByteSpan key = call.Bytes(0, "key");
  Text message;
  call.StringOrBytes(1, "message", &message);
  HmacPads pads;
  uint8_t mac[kMacBytes];
  HmacPadsOf(key.data, key.bytes, &pads);
  HmacSha256(pads, message.data(), message.bytes(), mac);
  return call.BytesValue(mac, sizeof(mac));
}

napi_value HmacSha1Entry(Call& call) {
  const ByteSpan key = call.Bytes(0, "key");
  Text message;
  call.StringOrBytes(1, "message", &message);
  uint8_t mac[20];
  HmacSha1(key.data, key.bytes, message.data(), message.bytes(), mac);
  return call.BytesValue(mac, sizeof(mac));
}

void Sha256Of(const uint8_t* data, size_t bytes, uint8_t hash[32]) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, data, bytes);
  SHA256_Final(hash, &context);
}

napi_value HexValue(Call& call, const uint8_t* bytes) {
  char hex[2 * kMacBytes];
  HexOf(bytes, kMacBytes, hex);
  return call.Latin1Value(hex, sizeof(hex));
}

napi_value Sha256Hex(Call& call) {
  Text message;
  call.StringOrBytes(0, "message", &message);
  uint8_t hash[kMacBytes];
  Sha256Of(message.data(), message.bytes(), hash);
  return HexValue(call, hash);
}

napi_value CreateSigningKey(Call& call) {
  Text secret;
  Text parts[3];
  call.String(0, "secret", &secret, true);
  call.String(1, "date", &parts[0]);
  call.String(2, "region", &parts[1]);
  call.String(3, "service", &parts[2]);
  std::string prefixed;
  prefixed.reserve(4 + secret.bytes());
  prefixed.append("AWS4").append(secret.chars(), secret.bytes());
  HmacPads pads;
  HmacPadsOf(reinterpret_cast<const uint8_t*>(prefixed.data()), prefixed.size(), &pads);
  OPENSSL_cleanse(&prefixed[0], prefixed.size());
  uint8_t key[kMacBytes];
  for (const Text& part : parts) {
    HmacSha256(pads, part.data(), part.bytes(), key);
    HmacPadsOf(key, sizeof(key), &pads);
  }
  static const char kTerminator[] = "aws4_request";
  HmacSha256(pads, reinterpret_cast<const uint8_t*>(kTerminator), sizeof(kTerminator) - 1, key);
  HmacPadsOf(key, sizeof(key), &pads);
  OPENSSL_cleanse(key, sizeof(key));
  napi_value result = call.BytesValue(reinterpret_cast<const uint8_t*>(&pads), sizeof(pads));
  OPENSSL_cleanse(&pads, sizeof(pads));
  return result;
}

HmacPads SigningKeyOf(Call& call, size_t index) {
  const ByteSpan key = call.Bytes(index, "signingKey");
  if (key.bytes != sizeof(HmacPads)) FailRange("signingKey must come from createSigningKey");
  HmacPads pads;
  std::memcpy(&pads, key.data, sizeof(pads));
  return pads;
}

napi_value Sign(Call& call) {
  const HmacPads pads = SigningKeyOf(call, 0);
  Text message;
  call.String(1, "stringToSign", &message);
  uint8_t mac[kMacBytes];
  HmacSha256(pads, message.data(), message.bytes(), mac);
  return HexValue(call, mac);
}

napi_value VerifyRequest(Call& call) {
  const HmacPads pads = SigningKeyOf(call, 0);
  Text amzDate;
  Text scope;
  Text canonical;
  Text signature;
  call.String(1, "amzDate", &amzDate);
  call.String(2, "scope", &scope);
  call.String(3, "canonicalRequest", &canonical);
  call.String(4, "signature", &signature);
  uint8_t hash[kMacBytes];
  char hex[2 * kMacBytes];
  Sha256Of(canonical.data(), canonical.bytes(), hash);
  HexOf(hash, sizeof(hash), hex);
  static const char kTitle[] = "AWS4-HMAC-SHA256\n";
  SHA256_CTX context;
  HmacBegin(pads, &context);
  SHA256_Update(&context, kTitle, sizeof(kTitle) - 1);
  SHA256_Update(&context, amzDate.data(), amzDate.bytes());
  SHA256_Update(&context, "\n", 1);
  SHA256_Update(&context, scope.data(), scope.bytes());
  SHA256_Update(&context, "\n", 1);
  SHA256_Update(&context, hex, sizeof(hex));
  uint8_t mac[kMacBytes];
  HmacFinish(pads, &context, mac);
  HexOf(mac, sizeof(mac), hex);
  const bool isSame = signature.bytes() == sizeof(hex) &&
                      ConstantTimeEqual(signature.data(), reinterpret_cast<const uint8_t*>(hex), sizeof(hex));
  return call.BooleanValue(isSame);
}

napi_value ConstantTimeEqualEntry(Call& call) {
  Text a;
  Text b;
  call.StringOrBytes(0, "a", &a);
  call.StringOrBytes(1, "b", &b);
  const bool sameLength = a.bytes() == b.bytes();
  // With unequal lengths the longer one is compared with itself, for the time it takes.
  const Text& longer = a.bytes() > b.bytes() ? a : b;
  const Text& other = sameLength ? a : longer;
  const bool equal = ConstantTimeEqual(longer.data(), other.data(), longer.bytes());
  return call.BooleanValue(sameLength && equal);
}

constexpr Method kMethods[] = {
    {"hmacSha256", Entry<HmacSha256Entry>},
    {"hmacSha1", Entry<HmacSha1Entry>},
    {"sha256Hex", Entry<Sha256Hex>},
    {"createSigningKey", Entry<CreateSigningKey>},
    {"sign", Entry<Sign>},
    {"verifyRequest", Entry<VerifyRequest>},
    {"constantTimeEqual", Entry<ConstantTimeEqualEntry>},
};

}  // namespace

void DefineSignatureMethods(napi_env env, napi_value exports, KernelInstance* instance) {
  DefineMethods(env, exports, kMethods, sizeof(kMethods) / sizeof(kMethods[0]), instance);
}

}  // namespace granary
