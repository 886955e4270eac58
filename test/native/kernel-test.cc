// Every path this CPU has against the scalar one, on blocks that end where the sanitizer watches;
// and the stripe pass, streams and signatures against straightforward re-computations.
// Built with -fsanitize=address,undefined by test/unit/native/kernels-native.test.ts.
#include <cstring>
#include <vector>

#include "../../native/kernel/argon2.h"
#include "../../native/kernel/copy.h"
#include "../../native/kernel/dispatch.h"
#include "../../native/kernel/pass.h"
#include "../../native/kernel/stream.h"
#include "check.h"
#include "index-test.h"

using namespace granary;
using test::Block;
using test::Random;

namespace {

std::vector<Block> MakeRows(Random* random, int count, size_t bytes) {
  std::vector<Block> rows;
  for (int i = 0; i < count; i++) {
    rows.emplace_back(bytes, random->Below(70));
    random->Fill(rows.back().data(), bytes);
  }
  return rows;
}

size_t SomeLength(Random* random) { return random->Below(4) == 0 ? random->Below(5000) : random->Below(300); }

void TestGalois() {
  for (int a = 0; a < 256; a++) {
    for (int b = 0; b < 256; b++) {
      // Multiplication by hand, one bit at a time.
      int product = 0;
      for (int bit = 0; bit < 8; bit++) {
        if (b >> bit & 1) product ^= a << bit;
      }
      for (int bit = 14; bit >= 8; bit--) {
        if (product >> bit & 1) product ^= 0x11D << (bit - 8);
      }
      EXPECT(GaloisMultiply(static_cast<uint8_t>(a), static_cast<uint8_t>(b)) == product, "%d * %d", a, b);
    }
  }
}

void TestMatrix() {
  for (int k = 1; k <= kDataShardsMax; k++) {
    for (int m = 0; m <= kParityShardsMax; m++) {
      GaloisMatrix matrix;
      BuildCodeMatrix(k, m, &matrix);
      for (int row = 0; row < k; row++) {
        for (int column = 0; column < k; column++) {
          EXPECT(matrix.at[row][column] == (row == column ? 1 : 0), "k %d m %d row %d", k, m, row);
        }
      }
    }
  }
}

void TestReedSolomonPaths(Random* random) {
  const PathTable& table = Paths();
  for (int round = 0; round < 400; round++) {
    const int k = 1 + static_cast<int>(random->Below(kDataShardsMax));
    const int m = 1 + static_cast<int>(random->Below(kParityShardsMax));
    const size_t bytes = SomeLength(random);
    auto plan = std::make_unique<RsPlan>();
    MakeEncodePlan(k, m, plan.get());
    const std::vector<Block> data = MakeRows(random, k, bytes);
    const std::vector<Block> expected = MakeRows(random, m, bytes);
    const uint8_t* in[kDataShardsMax];
    uint8_t* out[kOutputsMax];
    for (int i = 0; i < k; i++) in[i] = data[static_cast<size_t>(i)].data();
    for (int j = 0; j < m; j++) out[j] = expected[static_cast<size_t>(j)].data();
    RsApplyScalar(*plan, in, out, bytes);
    for (size_t i = 0; i < bytes; i++) {
      for (int j = 0; j < m; j++) {
        uint8_t sum = 0;
        for (int c = 0; c < k; c++) sum ^= GaloisMultiply(plan->coefficient[c][j], in[c][i]);
        EXPECT(sum == out[j][i], "scalar %d+%d byte %zu", k, m, i);
      }
    }
    for (int p = 0; p < table.rsPathCount; p++) {
      const std::vector<Block> actual = MakeRows(random, m, bytes);
      uint8_t* target[kOutputsMax];
      for (int j = 0; j < m; j++) target[j] = actual[static_cast<size_t>(j)].data();
      table.rsPaths[p].apply(*plan, in, target, bytes);
      for (int j = 0; j < m; j++) {
        EXPECT(std::memcmp(target[j], out[j], bytes) == 0, "%s %d+%d bytes %zu parity %d", table.rsPaths[p].name, k, m,
               bytes, j);
      }
    }
  }
}

void TestRebuild(Random* random) {
  for (int round = 0; round < 300; round++) {
    const int k = 1 + static_cast<int>(random->Below(kDataShardsMax));
    const int m = 1 + static_cast<int>(random->Below(kParityShardsMax));
    const size_t bytes = SomeLength(random);
    const std::vector<Block> shards = MakeRows(random, k + m, bytes);
    auto plan = std::make_unique<RsPlan>();
    MakeEncodePlan(k, m, plan.get());
    const uint8_t* in[kDataShardsMax];
    uint8_t* out[kOutputsMax];
    for (int i = 0; i < k; i++) in[i] = shards[static_cast<size_t>(i)].data();
    for (int j = 0; j < m; j++) out[j] = shards[static_cast<size_t>(k + j)].data();
    Paths().rs(*plan, in, out, bytes);
    // Lose up to m shards, any of them.
    uint32_t present = (uint32_t{1} << (k + m)) - 1;
    const int losses = 1 + static_cast<int>(random->Below(static_cast<size_t>(m)));
    for (int i = 0; i < losses; i++) present &= ~(uint32_t{1} << random->Below(static_cast<size_t>(k + m)));
    const uint32_t wanted = ~present & ((uint32_t{1} << (k + m)) - 1);
    MakeRebuildPlan(k, m, present, wanted, plan.get());
    int inputs = 0;
    int outputs = 0;
    const std::vector<Block> rebuilt = MakeRows(random, kOutputsMax, bytes);
    uint8_t* target[kOutputsMax];
    int lost[kOutputsMax];
    for (int s = 0; s < k + m; s++) {
      if (present >> s & 1 && inputs < k) in[inputs++] = shards[static_cast<size_t>(s)].data();
      if (wanted >> s & 1) {
        lost[outputs] = s;
        target[outputs] = rebuilt[static_cast<size_t>(outputs)].data();
        outputs++;
      }
    }
    Paths().rs(*plan, in, target, bytes);
    for (int i = 0; i < outputs; i++) {
      EXPECT(std::memcmp(target[i], shards[static_cast<size_t>(lost[i])].data(), bytes) == 0,
             "%d+%d present %x shard %d", k, m, present, lost[i]);
    }
  }
}

void TestHashPaths(Random* random) {
  const PathTable& table = Paths();
  for (int round = 0; round < 600; round++) {
    const int count = 1 + static_cast<int>(random->Below(kHashLanes));
    const size_t bytes = SomeLength(random);
    const std::vector<Block> data = MakeRows(random, count, bytes);
    uint8_t expected[kHashLanes][kHashBytes];
    HashKey keys[kHashLanes];
    for (int p = table.hashPathCount - 1; p >= 0; p--) {
      const bool isScalar = p == table.hashPathCount - 1;
      HashState states[kHashLanes];
      HashState* pointers[kHashLanes];
      const uint8_t* at[kHashLanes];
      uint8_t hashes[kHashLanes][kHashBytes];
      uint8_t* results[kHashLanes];
      for (int i = 0; i < count; i++) {
        if (isScalar) keys[i] = HashKey{{random->Next(), random->Next(), random->Next(), random->Next()}};
        HashBegin(keys[i], &states[i]);
        pointers[i] = &states[i];
        at[i] = data[static_cast<size_t>(i)].data();
        results[i] = hashes[i];
      }
      // In two runs, as the stripe pass does.
      const size_t packets = bytes / kPacketBytes;
      const size_t first = packets == 0 ? 0 : random->Below(packets + 1);
      for (const size_t run : {first, packets - first}) {
        if (run == 0) continue;
        table.hashPaths[p].path->update(pointers, at, count, run);
        for (int i = 0; i < count; i++) at[i] += run * kPacketBytes;
      }
      table.hashPaths[p].path->finish(pointers, at, count, bytes % kPacketBytes, results);
      const size_t total = static_cast<size_t>(count) * kHashBytes;
      if (isScalar) {
        std::memcpy(expected, hashes, total);
      } else {
        EXPECT(std::memcmp(expected, hashes, total) == 0, "%s count %d bytes %zu", table.hashPaths[p].name, count,
               bytes);
      }
    }
  }
}

void TestCrcPaths(Random* random) {
  const PathTable& table = Paths();
  for (int round = 0; round < 600; round++) {
    const CrcKind kind = static_cast<CrcKind>(random->Below(kCrcKinds));
    const size_t bytes = SomeLength(random);
    const Block block(bytes, random->Below(70));
    random->Fill(block.data(), bytes);
    const uint64_t start = random->Next() & CrcMask(kind);
    const uint64_t expected = CrcUpdateTable(kind, start, block.data(), bytes);
    for (int p = 0; p < table.crcPathCount; p++) {
      EXPECT(table.crcPaths[p].update(kind, start, block.data(), bytes) == expected, "%s kind %d bytes %zu",
             table.crcPaths[p].name, static_cast<int>(kind), bytes);
    }
    // The same in two pieces, and combined from two finished values.
    const size_t cut = random->Below(bytes + 1);
    const uint64_t mask = CrcMask(kind);
    const uint64_t whole = table.crc(kind, mask, block.data(), bytes) ^ mask;
    const uint64_t a = table.crc(kind, mask, block.data(), cut) ^ mask;
    const uint64_t b = table.crc(kind, mask, block.data() + cut, bytes - cut) ^ mask;
    EXPECT((table.crc(kind, a ^ mask, block.data() + cut, bytes - cut) ^ mask) == whole, "cut %zu", cut);
    EXPECT(CrcCombine(kind, a, b, bytes - cut) == whole, "combine, cut %zu of %zu", cut, bytes);
  }
}

void TestMd5Paths(Random* random) {
  const PathTable& table = Paths();
  for (int p = 0; p < table.md5PathCount; p++) {
    for (int round = 0; round < 100; round++) {
      const int count = 1 + static_cast<int>(random->Below(2 * kMd5LanesMax + 1));
      std::vector<MD5_CTX> contexts(static_cast<size_t>(count));
      std::vector<MD5_CTX> expected(static_cast<size_t>(count));
      for (int i = 0; i < count; i++) {
        MD5_Init(&contexts[static_cast<size_t>(i)]);
        MD5_Init(&expected[static_cast<size_t>(i)]);
      }
      for (int update = 0; update < 3; update++) {
        std::vector<Md5Job> jobs;
        std::vector<Block> blocks;
        for (int i = 0; i < count; i++) {
          const size_t bytes = SomeLength(random);
          blocks.emplace_back(bytes, random->Below(70));
          random->Fill(blocks.back().data(), bytes);
          jobs.push_back({&contexts[static_cast<size_t>(i)], blocks.back().data(), bytes});
          MD5_Update(&expected[static_cast<size_t>(i)], blocks.back().data(), bytes);
        }
        Md5UpdateMany(table.md5Paths[p].path, jobs.data(), count);
      }
      for (int i = 0; i < count; i++) {
        uint8_t digests[2][MD5_DIGEST_LENGTH];
        MD5_Final(digests[0], &contexts[static_cast<size_t>(i)]);
        MD5_Final(digests[1], &expected[static_cast<size_t>(i)]);
        EXPECT(std::memcmp(digests[0], digests[1], MD5_DIGEST_LENGTH) == 0, "%s stream %d of %d",
               table.md5Paths[p].name, i, count);
      }
    }
    // The length in bits carries into its second word at 512 MiB.
    MD5_CTX context;
    MD5_Init(&context);
    MD5_CTX reference;
    MD5_Init(&reference);
    context.Nl = reference.Nl = 0xffffff00;
    context.Nh = reference.Nh = 5;
    const Block block(640, 0);
    random->Fill(block.data(), 640);
    Md5Job job = {&context, block.data(), 640};
    Md5UpdateMany(table.md5Paths[p].path, &job, 1);
    MD5_Update(&reference, block.data(), 640);
    EXPECT(context.Nl == reference.Nl && context.Nh == reference.Nh, "%s length", table.md5Paths[p].name);
  }
}

void TestSha256Paths(Random* random) {
  const PathTable& table = Paths();
  for (int p = 0; p < table.sha256PathCount; p++) {
    const Sha256Path& path = table.sha256Paths[p];
    for (int round = 0; round < 200; round++) {
      const size_t count = 1 + random->Below(9);
      std::vector<SHA256_CTX> contexts(count);
      std::vector<SHA256_CTX> expected(count);
      for (size_t i = 0; i < count; i++) {
        SHA256_Init(&contexts[i]);
        SHA256_Init(&expected[i]);
      }
      for (int update = 0; update < 3; update++) {
        std::vector<Sha256Job> jobs;
        std::vector<Block> blocks;
        for (size_t i = 0; i < count; i++) {
          const size_t bytes = SomeLength(random);
          blocks.emplace_back(bytes, random->Below(70));
          random->Fill(blocks.back().data(), bytes);
          jobs.push_back({&contexts[i], blocks.back().data(), bytes});
          SHA256_Update(&expected[i], blocks.back().data(), bytes);
        }
        Sha256UpdateMany(path.blocks, jobs.data(), static_cast<int>(count));
      }
      for (size_t i = 0; i < count; i++) {
        uint8_t digests[2][SHA256_DIGEST_LENGTH];
        SHA256_Final(digests[0], &contexts[i]);
        SHA256_Final(digests[1], &expected[i]);
        EXPECT(std::memcmp(digests[0], digests[1], SHA256_DIGEST_LENGTH) == 0, "%s message %zu of %zu", path.name, i,
               count);
      }
    }
    // The length in bits carries into its second word at 512 MiB.
    SHA256_CTX contexts[kSha256Lanes];
    Sha256Job jobs[kSha256Lanes];
    const Block block(640, 0);
    random->Fill(block.data(), 640);
    for (int i = 0; i < kSha256Lanes; i++) {
      SHA256_Init(&contexts[i]);
      contexts[i].Nl = 0xffffff00;
      contexts[i].Nh = 5;
      jobs[i] = {&contexts[i], block.data(), 640};
    }
    Sha256UpdateMany(path.blocks, jobs, kSha256Lanes);
    for (const SHA256_CTX& context : contexts) {
      EXPECT(context.Nl == 0xffffff00 + 640u * 8 && context.Nh == 6, "%s length", path.name);
    }
  }
}

void TestStripe(Random* random) {
  for (int round = 0; round < 150; round++) {
    const int k = 1 + static_cast<int>(random->Below(kDataShardsMax));
    const int m = static_cast<int>(random->Below(kParityShardsMax + 1));
    const size_t bytes = 1 + (random->Below(3) == 0 ? random->Below(40000) : random->Below(2000));
    const size_t blockBytes = 1 + (random->Below(2) == 0 ? random->Below(9000) : random->Below(200));
    const size_t blockCount = (bytes + blockBytes - 1) / blockBytes;
    const std::vector<Block> shards = MakeRows(random, k + m, bytes);
    const Block hashes(static_cast<size_t>(k + m) * blockCount * kHashBytes, 0);
    const HashKey key = {{random->Next(), random->Next(), random->Next(), random->Next()}};
    StripeLayout layout;
    layout.k = k;
    layout.m = m;
    layout.shardBytes = bytes;
    layout.checksumBlockBytes = blockBytes;
    for (int s = 0; s < k + m; s++) layout.shards[s] = shards[static_cast<size_t>(s)].data();
    layout.hashes = hashes.data();
    layout.idHigh = random->Next();
    layout.idLow = random->Next();
    layout.firstBlock = random->Next();
    auto plan = std::make_unique<RsPlan>();
    MakeEncodePlan(k, m, plan.get());
    CodeAndHash(*plan, key, layout);
    const std::vector<Block> expected = MakeRows(random, m, bytes);
    const uint8_t* in[kDataShardsMax];
    uint8_t* out[kOutputsMax];
    for (int i = 0; i < k; i++) in[i] = layout.shards[i];
    for (int j = 0; j < m; j++) out[j] = expected[static_cast<size_t>(j)].data();
    if (m != 0) RsApplyScalar(*plan, in, out, bytes);
    for (int j = 0; j < m; j++) EXPECT(std::memcmp(out[j], layout.shards[k + j], bytes) == 0, "parity %d", j);
    for (int s = 0; s < k + m; s++) {
      for (size_t b = 0; b < blockCount; b++) {
        const HashKey placed = {{key.lane[0] ^ layout.idHigh, key.lane[1] ^ layout.idLow,
                                 key.lane[2] ^ static_cast<uint64_t>(s), key.lane[3] ^ (layout.firstBlock + b)}};
        HashState state;
        HashState* states = &state;
        const size_t start = b * blockBytes;
        const size_t length = std::min(blockBytes, bytes - start);
        const uint8_t* at = layout.shards[s] + start;
        HashBegin(placed, &state);
        kHashScalar.update(&states, &at, 1, length / kPacketBytes);
        at += length / kPacketBytes * kPacketBytes;
        uint8_t hash[kHashBytes];
        uint8_t* results = hash;
        kHashScalar.finish(&states, &at, 1, length % kPacketBytes, &results);
        EXPECT(
            std::memcmp(hash, layout.hashes + (static_cast<size_t>(s) * blockCount + b) * kHashBytes, kHashBytes) == 0,
            "%d+%d shard %d block %zu of %zu bytes", k, m, s, b, blockBytes);
      }
      HashRun run = {layout.shards[s],
                     bytes,
                     blockBytes,
                     {layout.idHigh, layout.idLow, static_cast<uint64_t>(s), layout.firstBlock}};
      const uint8_t* stored = layout.hashes + static_cast<size_t>(s) * blockCount * kHashBytes;
      EXPECT(VerifyBlocks(key, run, stored), "shard %d", s);
      layout.shards[s][random->Below(bytes)] ^= static_cast<uint8_t>(1 << random->Below(8));
      EXPECT(!VerifyBlocks(key, run, stored), "flipped bit in shard %d", s);
    }
  }
}

void TestStream(Random* random) {
  for (int round = 0; round < 100; round++) {
    const size_t bytes = random->Below(60000);
    const Block block(bytes, random->Below(64));
    random->Fill(block.data(), bytes);
    auto state = std::make_unique<StreamState>();
    const auto digests = static_cast<uint32_t>(random->Below(kDigestAll + 1));
    StreamBegin(state.get(), digests, nullptr);
    size_t done = 0;
    while (done < bytes) {
      const size_t piece = 1 + random->Below(bytes - done);
      EXPECT(StreamUpdate(state.get(), block.data() + done, piece, {nullptr, nullptr, 0}), "unsigned stream");
      done += piece;
    }
    for (uint32_t bit = 1; bit <= kDigestAll; bit <<= 1) {
      if (!(digests & bit)) continue;
      DigestState whole;
      DigestBegin(&whole, bit);
      DigestUpdate(&whole, block.data(), bytes);
      uint8_t expected[kDigestBytesMax];
      uint8_t actual[kDigestBytesMax];
      const size_t length = DigestPeek(whole, bit, expected);
      EXPECT(DigestPeek(state->digest, bit, actual) == length, "digest %u", bit);
      EXPECT(std::memcmp(expected, actual, length) == 0, "digest %u of %zu bytes", bit, bytes);
    }
  }
}

void TestConstantTimeEqual(Random* random) {
  uint8_t a[64];
  random->Fill(a, sizeof(a));
  for (size_t length = 0; length <= sizeof(a); length++) {
    uint8_t b[64];
    std::memcpy(b, a, sizeof(a));
    EXPECT(ConstantTimeEqual(a, b, length), "length %zu", length);
    for (size_t i = 0; i < length; i++) {
      b[i] ^= 0x80;
      EXPECT(!ConstantTimeEqual(a, b, length), "difference at %zu of %zu", i, length);
      b[i] ^= 0x80;
    }
  }
}

bool IsHex(const uint8_t* bytes, size_t count, const char* hex) {
  for (size_t i = 0; i < count; i++) {
    char text[3];
    std::snprintf(text, sizeof(text), "%02x", bytes[i]);
    if (std::memcmp(text, hex + 2 * i, 2) != 0) return false;
  }
  return hex[2 * count] == '\0';
}

void TestCopy(Random* random) {
  for (int round = 0; round < 60; round++) {
    // Around the length from which lines go past the cache, and far beyond.
    const size_t bytes = round % 3 == 0 ? 64 * 1024 - 70 + random->Below(140) : random->Below(600'000);
    Block source(bytes, random->Below(70));
    Block target(bytes, random->Below(70));
    random->Fill(source.data(), bytes);
    CopyBytes(target.data(), source.data(), bytes);
    EXPECT(bytes == 0 || std::memcmp(target.data(), source.data(), bytes) == 0, "copy of %zu bytes", bytes);
  }
  // Onto itself, a little further on and a little before.
  for (const int shift : {0, 1, 64, 1000, -1, -64, -1000}) {
    constexpr size_t kBytes = 200'000;
    constexpr int kRoom = 1000;
    std::vector<uint8_t> memory(kBytes + 2 * kRoom);
    random->Fill(memory.data(), memory.size());
    const std::vector<uint8_t> before = memory;
    CopyBytes(memory.data() + kRoom + shift, memory.data() + kRoom, kBytes);
    EXPECT(std::memcmp(memory.data() + kRoom + shift, before.data() + kRoom, kBytes) == 0, "copy by %d", shift);
  }
}

void TestBlake2b() {
  // RFC 7693, appendix A.
  uint8_t digest[64];
  const uint8_t abc[] = {'a', 'b', 'c'};
  const Argon2Bytes pieces[] = {{abc, 1}, {nullptr, 0}, {abc + 1, 2}};
  Blake2b(pieces, 3, digest, 64);
  EXPECT(IsHex(digest, 64,
               "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
               "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"),
         "abc");
  // Any cut of the input gives the same digest, also at the ends of blocks.
  std::vector<uint8_t> message(300);
  for (size_t i = 0; i < message.size(); i++) message[i] = static_cast<uint8_t>(i);
  for (const size_t bytes : {0, 127, 128, 129, 255, 256, 257, 300}) {
    const Argon2Bytes whole = {message.data(), static_cast<size_t>(bytes)};
    Blake2b(&whole, 1, digest, 64);
    for (size_t cut = 0; cut <= static_cast<size_t>(bytes); cut += 16) {
      uint8_t other[64];
      const Argon2Bytes parts[] = {{message.data(), cut}, {message.data() + cut, bytes - cut}};
      Blake2b(parts, 2, other, 64);
      EXPECT(std::memcmp(digest, other, 64) == 0, "%zu bytes cut at %zu", static_cast<size_t>(bytes), cut);
    }
  }
}

void TestArgon2id() {
  // RFC 9106, section 5.3.
  uint8_t password[32], salt[16], secret[8], associated[12], tag[32];
  std::memset(password, 1, sizeof(password));
  std::memset(salt, 2, sizeof(salt));
  std::memset(secret, 3, sizeof(secret));
  std::memset(associated, 4, sizeof(associated));
  const Argon2Input rfc = {{password, 32}, {salt, 16}, {secret, 8}, {associated, 12}, 3, 32, 4};
  EXPECT(Argon2id(rfc, tag, 32), "memory");
  EXPECT(IsHex(tag, 32, "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"), "RFC 9106");
  // Least and odd amounts of memory, several lanes and lengths: inside their bounds, and never the same.
  std::vector<std::vector<uint8_t>> tags;
  for (const uint32_t lanes : {1u, 3u, 16u}) {
    for (const uint32_t memoryKiB : {8 * lanes, 8 * lanes + 5, 64 * lanes}) {
      for (const size_t bytes : {4, 64}) {
        const Block out(bytes, 0);
        const Argon2Input input = {{password, 32}, {salt, 16}, {nullptr, 0}, {nullptr, 0}, 2, memoryKiB, lanes};
        EXPECT(Argon2id(input, out.data(), bytes), "memory");
        tags.emplace_back(out.data(), out.data() + bytes);
      }
    }
  }
  for (size_t a = 0; a < tags.size(); a++) {
    for (size_t b = 0; b < a; b++) EXPECT(tags[a] != tags[b], "%zu and %zu", a, b);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Random random(test::SeedFrom(argc, argv));
  std::printf("paths %s %s %s\n", Paths().rsPaths[0].name, Paths().hashPaths[0].name, Paths().crcPaths[0].name);
  TestGalois();
  TestBlake2b();
  TestArgon2id();
  TestMatrix();
  TestReedSolomonPaths(&random);
  TestRebuild(&random);
  TestHashPaths(&random);
  TestCrcPaths(&random);
  TestMd5Paths(&random);
  TestSha256Paths(&random);
  TestStripe(&random);
  TestStream(&random);
  TestConstantTimeEqual(&random);
  TestCopy(&random);
  TestIndexStore(&random);
  TestEmptyStretches();
  TestManyStretches(&random);
  TestTidying();
  TestHangingClose();
  TestLeftStore();
  return test::Report("kernels");
}
