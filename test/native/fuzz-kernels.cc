// libFuzzer targets: each kernel on every path this CPU has against its scalar form or OpenSSL. GRANARY_FUZZ names the
// kernel. `pass`, `stream` and `digest` take the selected paths: they run under GRANARY_KERNEL=scalar too. What is
// decided (counts, sizes, keys) comes from the first bytes of the input, the rest is the data. Built with
// -fsanitize=fuzzer,address,undefined by test/fuzz/sanitized.test.ts.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../../native/kernel/argon2.h"
#include "../../native/kernel/copy.h"
#include "../../native/kernel/dispatch.h"
#include "../../native/kernel/pass.h"
#include "../../native/kernel/stream.h"
#include "check.h"

// After digest.h, which asks these headers for the old calls too.
#include <openssl/evp.h>
#include <openssl/hmac.h>

using namespace granary;
using test::Block;

namespace {

class Input {
 public:
  Input(const uint8_t* data, size_t bytes) : data_(data), bytes_(bytes) {}

  uint8_t Byte() {
    if (bytes_ == 0) return 0;
    bytes_--;
    return *data_++;
  }
  // 1...max.
  int UpTo(int max) { return 1 + Byte() % max; }
  size_t rest() const { return bytes_; }
  // A block of exactly this length, behind some bytes of slack.
  Block Take(size_t bytes) {
    Block block(bytes, Byte() % 70u);
    const size_t count = bytes < bytes_ ? bytes : bytes_;
    if (bytes > 0) std::memset(block.data(), 0x5a, bytes);
    if (count > 0) std::memcpy(block.data(), data_, count);
    data_ += count;
    bytes_ -= count;
    return block;
  }

 private:
  const uint8_t* data_;
  size_t bytes_;
};

void Require(bool isRight, const char* what, const char* path) {
  if (isRight) return;
  std::printf("%s differs on path %s\n", what, path);
  std::abort();
}

bool Same(const uint8_t* a, const uint8_t* b, size_t bytes) { return bytes == 0 || std::memcmp(a, b, bytes) == 0; }

void FuzzReedSolomon(Input input) {
  const int k = input.UpTo(kDataShardsMax);
  const int m = input.UpTo(kParityShardsMax);
  const uint32_t lost =
      input.Byte() | static_cast<uint32_t>(input.Byte()) << 8 | static_cast<uint32_t>(input.Byte()) << 16;
  const size_t bytes = input.rest() / static_cast<size_t>(k);
  std::vector<Block> rows;
  for (int i = 0; i < k; i++) rows.push_back(input.Take(bytes));
  for (int j = 0; j < m; j++) rows.emplace_back(bytes, 0);
  std::vector<uint8_t*> shards;
  for (const Block& row : rows) shards.push_back(row.data());
  RsPlan plan;
  MakeEncodePlan(k, m, &plan);
  RsApplyScalar(plan, shards.data(), shards.data() + k, bytes);
  // At most m of them are lost, and rebuilt from the lowest k of the rest.
  uint32_t wanted = 0;
  int count = 0;
  for (int s = 0; s < k + m && count < m; s++) {
    if ((lost >> s & 1) == 0) continue;
    wanted |= 1u << s;
    count++;
  }
  const uint32_t present = ((1u << (k + m)) - 1) & ~wanted;
  RsPlan rebuild;
  if (count > 0) MakeRebuildPlan(k, m, present, wanted, &rebuild);
  std::vector<const uint8_t*> sources;
  for (int s = 0; s < k + m && static_cast<int>(sources.size()) < k; s++) {
    if (present >> s & 1) sources.push_back(shards[static_cast<size_t>(s)]);
  }
  const PathTable& table = Paths();
  for (int p = 0; p < table.rsPathCount; p++) {
    std::vector<Block> made;
    std::vector<uint8_t*> out;
    for (int j = 0; j < m; j++) made.emplace_back(bytes, static_cast<size_t>(j));
    for (const Block& block : made) out.push_back(block.data());
    table.rsPaths[p].apply(plan, shards.data(), out.data(), bytes);
    for (int j = 0; j < m; j++) {
      Require(Same(out[static_cast<size_t>(j)], shards[static_cast<size_t>(k + j)], bytes), "parity",
              table.rsPaths[p].name);
    }
    if (count == 0) continue;
    table.rsPaths[p].apply(rebuild, sources.data(), out.data(), bytes);
    int at = 0;
    for (int s = 0; s < k + m; s++) {
      if ((wanted >> s & 1) == 0) continue;
      Require(Same(out[static_cast<size_t>(at++)], shards[static_cast<size_t>(s)], bytes), "a rebuilt shard",
              table.rsPaths[p].name);
    }
  }
}

void FuzzHighwayHash(Input input) {
  const int count = input.UpTo(kHashLanes);
  const size_t bytes = input.rest() / static_cast<size_t>(count);
  const size_t packets = bytes / kPacketBytes;
  HashKey key;
  for (uint64_t& lane : key.lane) lane = input.Byte() * uint64_t{0x9e3779b97f4a7c15};
  std::vector<Block> blocks;
  for (int i = 0; i < count; i++) blocks.push_back(input.Take(bytes));
  const auto hash = [&](const HashPath& path, uint8_t(*hashes)[kHashBytes]) {
    HashState states[kHashLanes];
    HashState* pointers[kHashLanes];
    const uint8_t* at[kHashLanes];
    uint8_t* results[kHashLanes];
    for (int i = 0; i < count; i++) {
      HashBegin(key, &states[i]);
      pointers[i] = &states[i];
      at[i] = blocks[static_cast<size_t>(i)].data();
      results[i] = hashes[i];
    }
    if (packets > 0) path.update(pointers, at, count, packets);
    for (int i = 0; i < count; i++) at[i] = blocks[static_cast<size_t>(i)].data() + packets * kPacketBytes;
    path.finish(pointers, at, count, bytes % kPacketBytes, results);
  };
  uint8_t expected[kHashLanes][kHashBytes];
  hash(kHashScalar, expected);
  const PathTable& table = Paths();
  for (int p = 0; p < table.hashPathCount; p++) {
    uint8_t actual[kHashLanes][kHashBytes];
    hash(*table.hashPaths[p].path, actual);
    Require(Same(actual[0], expected[0], static_cast<size_t>(count) * kHashBytes), "a hash", table.hashPaths[p].name);
  }
}

void FuzzCrc(Input input) {
  const CrcKind kind = static_cast<CrcKind>(input.Byte() % kCrcKinds);
  const uint64_t start = (input.Byte() * uint64_t{0x9e3779b97f4a7c15}) & CrcMask(kind);
  const size_t bytes = input.rest();
  const Block block = input.Take(bytes);
  const uint64_t expected = CrcUpdateTable(kind, start, block.data(), bytes);
  const PathTable& table = Paths();
  for (int p = 0; p < table.crcPathCount; p++) {
    Require(table.crcPaths[p].update(kind, start, block.data(), bytes) == expected, "a CRC", table.crcPaths[p].name);
  }
  const uint64_t mask = CrcMask(kind);
  const size_t cut = bytes / 3;
  const uint64_t a = CrcUpdateTable(kind, mask, block.data(), cut) ^ mask;
  const uint64_t b = CrcUpdateTable(kind, mask, block.data() + cut, bytes - cut) ^ mask;
  const uint64_t whole = CrcUpdateTable(kind, mask, block.data(), bytes) ^ mask;
  Require(CrcCombine(kind, a, b, bytes - cut) == whole, "a combined CRC", "all");
}

void FuzzMd5(Input input) {
  const int count = input.UpTo(2 * kMd5LanesMax);
  std::vector<Block> blocks;
  std::vector<size_t> lengths;
  for (int i = 0; i < count; i++) {
    lengths.push_back(static_cast<size_t>(input.Byte()) * (input.Byte() % 4u));
    blocks.push_back(input.Take(lengths.back()));
  }
  const PathTable& table = Paths();
  for (int p = 0; p < table.md5PathCount; p++) {
    std::vector<MD5_CTX> contexts(static_cast<size_t>(count));
    std::vector<Md5Job> jobs;
    for (size_t i = 0; i < contexts.size(); i++) {
      MD5_Init(&contexts[i]);
      // Something of a block is there already.
      MD5_Update(&contexts[i], "abc", i % 4);
      jobs.push_back({&contexts[i], blocks[i].data(), lengths[i]});
    }
    Md5UpdateMany(table.md5Paths[p].path, jobs.data(), count);
    for (size_t i = 0; i < contexts.size(); i++) {
      MD5_CTX plain;
      uint8_t digests[2][MD5_DIGEST_LENGTH];
      MD5_Init(&plain);
      MD5_Update(&plain, "abc", i % 4);
      MD5_Update(&plain, blocks[i].data(), lengths[i]);
      MD5_Final(digests[0], &plain);
      MD5_Final(digests[1], &contexts[i]);
      Require(Same(digests[0], digests[1], MD5_DIGEST_LENGTH), "an MD5", table.md5Paths[p].name);
    }
  }
}

void FuzzSha256(Input input) {
  const size_t count = static_cast<size_t>(input.UpTo(6));
  std::vector<Block> blocks;
  std::vector<size_t> lengths;
  for (size_t i = 0; i < count; i++) {
    lengths.push_back(static_cast<size_t>(input.Byte()) * (input.Byte() % 4u));
    blocks.push_back(input.Take(lengths.back()));
  }
  const PathTable& table = Paths();
  for (int p = 0; p < table.sha256PathCount; p++) {
    std::vector<SHA256_CTX> contexts(count);
    std::vector<Sha256Job> jobs;
    for (size_t i = 0; i < count; i++) {
      SHA256_Init(&contexts[i]);
      // Something of a block is there already.
      SHA256_Update(&contexts[i], "abc", i % 4);
      jobs.push_back({&contexts[i], blocks[i].data(), lengths[i]});
    }
    Sha256UpdateMany(table.sha256Paths[p].blocks, jobs.data(), static_cast<int>(count));
    for (size_t i = 0; i < count; i++) {
      SHA256_CTX plain;
      uint8_t digests[2][SHA256_DIGEST_LENGTH];
      SHA256_Init(&plain);
      SHA256_Update(&plain, "abc", i % 4);
      SHA256_Update(&plain, blocks[i].data(), lengths[i]);
      SHA256_Final(digests[0], &plain);
      SHA256_Final(digests[1], &contexts[i]);
      Require(Same(digests[0], digests[1], SHA256_DIGEST_LENGTH), "a SHA-256", table.sha256Paths[p].name);
    }
  }
}

void FuzzPass(Input input) {
  const int k = input.UpTo(kDataShardsMax);
  const int m = input.Byte() % (kParityShardsMax + 1);
  const size_t blockBytes = 1 + input.Byte() % 200u;
  const size_t bytes = 1 + input.rest() / static_cast<size_t>(k);
  const size_t blockCount = (bytes + blockBytes - 1) / blockBytes;
  std::vector<Block> rows;
  for (int i = 0; i < k; i++) rows.push_back(input.Take(bytes));
  for (int j = 0; j < m; j++) rows.emplace_back(bytes, 3);
  const size_t shards = rows.size();
  const Block hashes(shards * blockCount * kHashBytes, 1);
  StripeLayout layout{};
  layout.k = k;
  layout.m = m;
  layout.shardBytes = bytes;
  layout.checksumBlockBytes = blockBytes;
  for (size_t s = 0; s < shards; s++) layout.shards[s] = rows[s].data();
  layout.hashes = hashes.data();
  layout.idHigh = 7;
  layout.idLow = 9;
  layout.firstBlock = 3;
  const HashKey key{{1, 2, 3, 4}};
  RsPlan plan;
  MakeEncodePlan(k, m, &plan);
  CodeAndHash(plan, key, layout);
  for (size_t s = 0; s < shards; s++) {
    const HashRun run = {rows[s].data(), bytes, blockBytes, {7, 9, s, 3}};
    uint8_t* mine = hashes.data() + s * blockCount * kHashBytes;
    Require(VerifyBlocks(key, run, mine), "a hash of the pass", "selected");
    rows[s].data()[bytes - 1] ^= 1;
    Require(!VerifyBlocks(key, run, mine), "a flipped bit", "selected");
    rows[s].data()[bytes - 1] ^= 1;
  }
}

void FuzzArgon2(Input input) {
  const uint32_t lanes = static_cast<uint32_t>(input.UpTo(4));
  const uint32_t passes = static_cast<uint32_t>(input.UpTo(3));
  const uint32_t memory = 8 * lanes + input.Byte() % 32u;
  const size_t tagBytes = kArgon2TagBytesMin + input.Byte() % (kArgon2TagBytesMax - kArgon2TagBytesMin + 1);
  const size_t saltBytes = 8 + input.Byte() % 32u;
  const Block salt = input.Take(saltBytes);
  const size_t passwordBytes = input.rest();
  const Block password = input.Take(passwordBytes);
  const Argon2Input what = {
      {password.data(), passwordBytes}, {salt.data(), saltBytes}, {nullptr, 0}, {nullptr, 0}, passes, memory, lanes};
  const Block tags(2 * tagBytes, 0);
  // There is one path: the same twice, whatever lay in its memory before.
  Require(Argon2id(what, tags.data(), tagBytes) && Argon2id(what, tags.data() + tagBytes, tagBytes), "memory",
          "scalar");
  Require(Same(tags.data(), tags.data() + tagBytes, tagBytes), "a repeated tag", "scalar");
}

// The digest of one message, by OpenSSL or, for a CRC, by its table.
std::vector<uint8_t> ReferenceDigest(uint32_t digest, const uint8_t* data, size_t bytes) {
  if (!IsCrc(digest)) {
    const EVP_MD* md = digest == kDigestMd5 ? EVP_md5() : digest == kDigestSha1 ? EVP_sha1() : EVP_sha256();
    std::vector<uint8_t> out(EVP_MAX_MD_SIZE);
    unsigned int length = 0;
    Require(EVP_Digest(data, bytes, out.data(), &length, md, nullptr) == 1, "OpenSSL", "all");
    out.resize(length);
    return out;
  }
  const CrcKind kind = digest == kDigestCrc32    ? CrcKind::kCrc32
                       : digest == kDigestCrc32c ? CrcKind::kCrc32c
                                                 : CrcKind::kCrc64nvme;
  const uint64_t value = CrcUpdateTable(kind, CrcMask(kind), data, bytes) ^ CrcMask(kind);
  std::vector<uint8_t> out;
  for (size_t i = CrcBytes(kind); i > 0; i--) out.push_back(static_cast<uint8_t>(value >> (8 * (i - 1))));
  return out;
}

void RequireDigests(const DigestState& state, const uint8_t* data, size_t bytes) {
  for (uint32_t digest = 1; digest <= kDigestAll; digest <<= 1) {
    if ((state.digests & digest) == 0) continue;
    const std::vector<uint8_t> expected = ReferenceDigest(digest, data, bytes);
    uint8_t actual[kDigestBytesMax];
    Require(DigestPeek(state, digest, actual) == expected.size() && DigestBytes(digest) == expected.size(),
            "the length of a digest", "selected");
    Require(Same(actual, expected.data(), expected.size()), "a digest", "selected");
  }
}

std::vector<uint8_t> ReferenceHmac(const EVP_MD* md, const uint8_t* key, size_t keyBytes, const uint8_t* message,
                                   size_t bytes) {
  std::vector<uint8_t> mac(EVP_MAX_MD_SIZE);
  unsigned int length = 0;
  Require(HMAC(md, key, static_cast<int>(keyBytes), message, bytes, mac.data(), &length) != nullptr, "OpenSSL", "all");
  mac.resize(length);
  return mac;
}

std::string Hex(const std::vector<uint8_t>& bytes) {
  std::string text(2 * bytes.size(), ' ');
  HexOf(bytes.data(), bytes.size(), &text[0]);
  return text;
}

void FuzzDigest(Input input) {
  const uint32_t digests = input.Byte() % (kDigestAll + 1);
  const size_t keyBytes = input.Byte();
  const size_t step = 1 + input.Byte() * static_cast<size_t>(input.UpTo(8));
  const Block key = input.Take(keyBytes);
  const size_t bytes = input.rest();
  const Block block = input.Take(bytes);
  const uint8_t* data = block.data();
  DigestState state;
  DigestBegin(&state, digests);
  for (size_t at = 0; at < bytes; at += step) DigestUpdate(&state, data + at, step < bytes - at ? step : bytes - at);
  RequireDigests(state, data, bytes);

  HmacPads pads;
  uint8_t mac[32];
  HmacPadsOf(key.data(), keyBytes, &pads);
  HmacSha256(pads, data, bytes, mac);
  const std::vector<uint8_t> expected = ReferenceHmac(EVP_sha256(), key.data(), keyBytes, data, bytes);
  Require(Same(mac, expected.data(), sizeof(mac)), "an HMAC-SHA256", "selected");
  HmacSha1(key.data(), keyBytes, data, bytes, mac);
  Require(Same(mac, ReferenceHmac(EVP_sha1(), key.data(), keyBytes, data, bytes).data(), 20), "an HMAC-SHA1",
          "selected");

  const size_t cut = step < bytes ? step : bytes;
  for (uint32_t digest = kDigestCrc32; digest <= kDigestCrc64nvme; digest <<= 1) {
    uint8_t joined[kDigestBytesMax];
    DigestCombineCrc(digest, ReferenceDigest(digest, data, cut).data(),
                     ReferenceDigest(digest, data + cut, bytes - cut).data(), bytes - cut, joined);
    Require(Same(joined, ReferenceDigest(digest, data, bytes).data(), DigestBytes(digest)), "a joined CRC", "selected");
  }
  // The key and as many bytes of the message: the same only where OpenSSL's plain comparison says so.
  const size_t common = keyBytes < bytes ? keyBytes : bytes;
  Require(ConstantTimeEqual(key.data(), data, common) == Same(key.data(), data, common), "a comparison", "all");
}

// The chain of signatures as the protocol has it, made from strings.
class ReferenceChain {
 public:
  ReferenceChain(const Block& key, size_t keyBytes, std::string scope, std::string seed)
      : key_(key), keyBytes_(keyBytes), scope_(std::move(scope)), previous_(std::move(seed)) {}

  std::vector<uint8_t> Next(bool isTrailer, const uint8_t* data, size_t bytes) {
    std::string text = isTrailer ? "AWS4-HMAC-SHA256-TRAILER\n" : "AWS4-HMAC-SHA256-PAYLOAD\n";
    text += std::string(kDate) + "\n" + scope_ + "\n" + previous_ + "\n";
    if (!isTrailer) text += Hex(ReferenceDigest(kDigestSha256, nullptr, 0)) + "\n";
    text += Hex(ReferenceDigest(kDigestSha256, data, bytes));
    const auto* message = reinterpret_cast<const uint8_t*>(text.data());
    std::vector<uint8_t> mac = ReferenceHmac(EVP_sha256(), key_.data(), keyBytes_, message, text.size());
    previous_ = Hex(mac);
    return mac;
  }

  static constexpr char kDate[] = "20260101T000000Z";

 private:
  const Block& key_;
  const size_t keyBytes_;
  const std::string scope_;
  std::string previous_;
};

// A body of chunks, cut into updates wherever the input says, is accepted with all its digests; with one bit of one
// signature flipped it is refused there, and for good.
void FuzzStream(Input input) {
  const uint32_t digests = input.Byte() % (kDigestAll + 1);
  const size_t keyBytes = input.Byte() % 100u;
  const std::string scope(input.Byte() % (kScopeBytesMax + 1), 's');
  const size_t chunkCount = input.Byte() % 40u;
  const size_t spoiled = input.Byte();
  const size_t step = 1 + input.Byte() * static_cast<size_t>(input.UpTo(16));
  std::vector<size_t> lengths;
  for (size_t i = 0; i < chunkCount; i++) lengths.push_back(input.Byte() * (input.Byte() % 4u));
  const Block key = input.Take(keyBytes);
  size_t bytes = 0;
  for (const size_t length : lengths) bytes += length;
  const Block block = input.Take(bytes);
  const uint8_t* data = block.data();
  const std::string seed(kSignatureHexBytes, 'b');

  ReferenceChain chain(key, keyBytes, scope, seed);
  std::vector<size_t> ends;
  std::vector<uint8_t> signatures;
  size_t end = 0;
  for (const size_t length : lengths) {
    const std::vector<uint8_t> mac = chain.Next(false, data + end, length);
    signatures.insert(signatures.end(), mac.begin(), mac.end());
    ends.push_back(end += length);
  }
  const bool isSpoiled = spoiled < chunkCount;
  if (isSpoiled) signatures[spoiled * kSignatureBytes + spoiled % kSignatureBytes] ^= 1;

  StreamSigning signing;
  HmacPadsOf(key.data(), keyBytes, &signing.key);
  signing.amzDate = ReferenceChain::kDate;
  signing.scope = scope.data();
  signing.scopeBytes = scope.size();
  signing.seedSignature = seed.data();
  // Of exactly its size, so that a write past it is seen.
  const auto state = std::make_unique<StreamState>();
  StreamBegin(state.get(), digests, &signing);
  size_t chunk = 0;
  bool isRefused = false;
  size_t at = 0;
  do {
    const size_t taken = step < bytes - at ? step : bytes - at;
    const size_t first = chunk;
    std::vector<double> within;
    for (; chunk < chunkCount && ends[chunk] <= at + taken; chunk++) {
      within.push_back(static_cast<double>(ends[chunk] - at));
    }
    const std::vector<uint8_t> given(signatures.data() + first * kSignatureBytes,
                                     signatures.data() + chunk * kSignatureBytes);
    const Block piece(taken, at % 5);
    if (taken > 0) std::memcpy(piece.data(), data + at, taken);
    const bool isAccepted =
        StreamUpdate(state.get(), piece.data(), taken, {within.data(), given.data(), within.size()});
    isRefused = isRefused || (isSpoiled && spoiled < chunk);
    Require(isAccepted == !isRefused, "the answer about a chunk", "selected");
    Require(StreamIsValid(*state), "a state", "selected");
    at += taken;
  } while (at < bytes);
  if (!isRefused) RequireDigests(state->digest, data, bytes);
  const std::vector<uint8_t> trailer = chain.Next(true, key.data(), keyBytes);
  Require(StreamCheckTrailer(state.get(), key.data(), keyBytes, trailer.data()) == !isRefused, "the trailer",
          "selected");
}

// Up to a few times the length from which a copy goes past the caches, at any alignment, over itself or not.
void FuzzCopy(Input input) {
  uint64_t seed = input.rest();
  size_t bytes = input.Byte() % 4 * size_t{65536};
  bytes += static_cast<size_t>(input.Byte()) << 8;
  const bool isOverItself = input.Byte() % 2 == 0;
  while (input.rest() > 0) seed = seed * 31 + input.Byte();
  test::Random random(seed);
  // Alignments and the last bits of the length: no two inputs have the same.
  bytes += random.Below(256);
  const size_t from = random.Below(256);
  const size_t to = random.Below(256);
  // Both ends of what is written and read are ends of blocks.
  const size_t memoryBytes = bytes + (isOverItself && to > from ? to : from);
  const Block memory(memoryBytes, 0);
  random.Fill(memory.data(), memoryBytes);
  std::vector<uint8_t> expected(bytes);
  if (bytes > 0) std::memcpy(expected.data(), memory.data() + from, bytes);
  const Block apart(isOverItself ? 0 : bytes + to, to);
  uint8_t* target = isOverItself ? memory.data() + to : apart.data() + to;
  std::vector<uint8_t> before(target - to, target);
  CopyBytes(target, memory.data() + from, bytes);
  Require(Same(target, expected.data(), bytes), "a copy", "selected");
  Require(Same(target - to, before.data(), to), "what lies before a copy", "selected");
}

struct Target {
  const char* name;
  void (*run)(Input);
};
constexpr Target kTargets[] = {{"reed-solomon", FuzzReedSolomon},
                               {"highway-hash", FuzzHighwayHash},
                               {"crc", FuzzCrc},
                               {"md5", FuzzMd5},
                               {"sha256", FuzzSha256},
                               {"pass", FuzzPass},
                               {"argon2", FuzzArgon2},
                               {"digest", FuzzDigest},
                               {"stream", FuzzStream},
                               {"copy", FuzzCopy}};

const Target& Chosen() {
  const char* name = std::getenv("GRANARY_FUZZ");
  for (const Target& target : kTargets) {
    if (name != nullptr && std::strcmp(name, target.name) == 0) return target;
  }
  std::printf("GRANARY_FUZZ names no kernel\n");
  std::exit(1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  static const Target& target = Chosen();
  target.run(Input(data, bytes));
  return 0;
}
