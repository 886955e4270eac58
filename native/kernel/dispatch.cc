#include "dispatch.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <type_traits>
#include <utility>

#include "digest-jobs.h"
#include "digest.h"

namespace granary {
namespace {

// Ranks of the names that GRANARY_KERNEL takes: it caps what may be selected.
struct Rank {
  const char* name;
  int rank;
};
enum RankOf { kScalar, kSsse3, kAvx2, kAvx2Gfni, kAvx512, kAvx512Gfni, kRankCount };
constexpr int kRankBest = kRankCount - 1;
constexpr Rank kRanks[] = {{"scalar", kScalar},      {"ssse3", kSsse3},   {"avx2", kAvx2},
                           {"avx2-gfni", kAvx2Gfni}, {"avx512", kAvx512}, {"avx512-gfni", kAvx512Gfni},
                           {"gfni", kAvx512Gfni}};

struct CpuRank {
  bool has[kRankCount];
  bool hasVpclmul;
  bool hasSha;
};

#if defined(__x86_64__)
// CPUID leaf 7, EBX bit 29; __builtin_cpu_supports does not know the name in all compilers.
bool HasShaExtensions() {
  unsigned int eax = 0;
  unsigned int ebx = 0;
  unsigned int ecx = 0;
  unsigned int edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx >> 29 & 1) != 0;
}
#endif

// __builtin_cpu_supports also asks the operating system (XGETBV) for the wide registers.
CpuRank DetectCpu() {
  CpuRank cpu{};
  cpu.has[kScalar] = true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  cpu.has[kSsse3] =
      __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("pclmul");
  cpu.has[kAvx2] = cpu.has[kSsse3] && __builtin_cpu_supports("avx2");
  cpu.has[kAvx2Gfni] = cpu.has[kAvx2] && __builtin_cpu_supports("gfni");
  cpu.has[kAvx512] = cpu.has[kAvx2] && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  cpu.has[kAvx512Gfni] = cpu.has[kAvx512] && __builtin_cpu_supports("gfni");
  cpu.hasVpclmul = cpu.has[kAvx512] && __builtin_cpu_supports("vpclmulqdq");
  cpu.hasSha = cpu.has[kSsse3] && HasShaExtensions();
#endif
  return cpu;
}

struct Cap {
  int rank;
  bool known;
};

Cap ReadCap() {
  const char* name = std::getenv("GRANARY_KERNEL");
  if (name == nullptr || *name == '\0') return {kRankBest, true};
  for (const Rank& entry : kRanks) {
    if (std::strcmp(entry.name, name) == 0) return {entry.rank, true};
  }
  return {kRankBest, false};
}

// Small, but longer than the widest strip of every path, and with odd ends.
constexpr size_t kTestBytes = 1357;

// A fixed sequence of bytes without a pattern of its own (a 64-bit linear congruential generator).
void FillTest(uint8_t* bytes, size_t count, uint64_t seed) {
  for (size_t i = 0; i < count; i++) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    bytes[i] = static_cast<uint8_t>(seed >> 56);
  }
}

bool AgreesRs(RsApply apply) {
  static const int kGeometries[][2] = {{1, 1}, {2, 2}, {4, 2}, {5, 3}, {12, 4}, {16, 8}};
  constexpr size_t kRow = kTestBytes + 3;
  auto rows = std::make_unique<uint8_t[]>(kDataShardsMax * kRow);
  auto outputs = std::make_unique<uint8_t[]>(2 * kOutputsMax * kRow);
  auto plan = std::make_unique<RsPlan>();
  FillTest(rows.get(), kDataShardsMax * kRow, 1);
  for (const auto& geometry : kGeometries) {
    MakeEncodePlan(geometry[0], geometry[1], plan.get());
    for (const size_t bytes : {size_t{0}, size_t{1}, size_t{31}, size_t{64}, size_t{200}, kTestBytes}) {
      const uint8_t* in[kDataShardsMax];
      uint8_t* expected[kOutputsMax];
      uint8_t* actual[kOutputsMax];
      for (int i = 0; i < geometry[0]; i++) in[i] = rows.get() + static_cast<size_t>(i) * kRow + i % 3;
      for (int j = 0; j < geometry[1]; j++) {
        expected[j] = outputs.get() + static_cast<size_t>(2 * j) * kRow;
        actual[j] = expected[j] + kRow;
      }
      std::memset(outputs.get(), 0, 2 * kOutputsMax * kRow);
      RsApplyScalar(*plan, in, expected, bytes);
      apply(*plan, in, actual, bytes);
      // To the end of the row: nothing may be written past the length.
      for (int j = 0; j < geometry[1]; j++) {
        if (std::memcmp(expected[j], actual[j], kRow) != 0) return false;
      }
    }
  }
  return true;
}

bool AgreesHash(const HashPath& path) {
  auto data = std::make_unique<uint8_t[]>(kHashLanes * kTestBytes);
  FillTest(data.get(), kHashLanes * kTestBytes, 2);
  for (int count = 1; count <= kHashLanes; count++) {
    for (size_t tail = 0; tail < kPacketBytes; tail++) {
      const size_t packets = tail * 5 / 4;
      HashState states[2][kHashLanes];
      uint8_t hashes[2][kHashLanes][kHashBytes];
      for (int which = 0; which < 2; which++) {
        const HashPath& used = which == 0 ? kHashScalar : path;
        HashState* pointers[kHashLanes];
        const uint8_t* at[kHashLanes];
        uint8_t* results[kHashLanes];
        for (int i = 0; i < count; i++) {
          HashBegin(HashKey{{static_cast<uint64_t>(i), tail, 3, 4}}, &states[which][i]);
          pointers[i] = &states[which][i];
          at[i] = data.get() + static_cast<size_t>(i) * kTestBytes + i % 3;
          results[i] = hashes[which][i];
        }
        used.update(pointers, at, count, packets);
        for (int i = 0; i < count; i++) at[i] += packets * kPacketBytes;
        used.finish(pointers, at, count, tail, results);
      }
      if (std::memcmp(hashes[0], hashes[1], static_cast<size_t>(count) * kHashBytes) != 0) return false;
    }
  }
  return true;
}

bool AgreesCrc(CrcUpdate update) {
  auto data = std::make_unique<uint8_t[]>(kTestBytes);
  FillTest(data.get(), kTestBytes, 3);
  for (const CrcKind kind : {CrcKind::kCrc32, CrcKind::kCrc32c, CrcKind::kCrc64nvme}) {
    for (size_t bytes = 0; bytes < kTestBytes; bytes += 1 + bytes / 7) {
      const uint8_t* at = data.get() + bytes % 5;
      const size_t length = bytes < 5 ? bytes : bytes - 5;
      if (update(kind, CrcMask(kind), at, length) != CrcUpdateTable(kind, CrcMask(kind), at, length)) return false;
    }
  }
  return true;
}

// `run` feeds jobs by the path in question, and by OpenSSL when it is told to.
template <int kStreams, typename Job, typename Run>
bool AgreesJobs(uint64_t seed, Run run) {
  using Context = std::remove_pointer_t<decltype(Job::context)>;
  auto data = std::make_unique<uint8_t[]>(kStreams * kTestBytes);
  FillTest(data.get(), kStreams * kTestBytes, seed);
  for (int count = 1; count <= kStreams; count++) {
    Context contexts[2][kStreams];
    for (int which = 0; which < 2; which++) {
      for (int i = 0; i < count; i++) Begin(&contexts[which][i]);
      // Twice, with odd lengths, so that the second time starts within a block.
      for (int round = 0; round < 2; round++) {
        Job jobs[kStreams];
        for (int i = 0; i < count; i++) {
          const size_t bytes = (static_cast<size_t>(i) * 211 + static_cast<size_t>(count) * 67) % (kTestBytes / 2);
          jobs[i] = {&contexts[which][i], data.get() + static_cast<size_t>(i) * kTestBytes + round, bytes};
        }
        run(which == 0, jobs, count);
      }
    }
    for (int i = 0; i < count; i++) {
      uint8_t digests[2][kDigestBytesMax];
      const size_t bytes = End(&contexts[0][i], digests[0]);
      End(&contexts[1][i], digests[1]);
      if (std::memcmp(digests[0], digests[1], bytes) != 0) return false;
    }
  }
  return true;
}

bool AgreesMd5(const Md5Path* path) {
  return AgreesJobs<kMd5LanesMax + 3, Md5Job>(
      4, [&](bool isReference, Md5Job* jobs, int count) { Md5UpdateMany(isReference ? nullptr : path, jobs, count); });
}

bool AgreesSha256(Sha256Blocks blocks) {
  return AgreesJobs<2 * kSha256Lanes + 1, Sha256Job>(5, [&](bool isReference, Sha256Job* jobs, int count) {
    Sha256UpdateMany(isReference ? nullptr : blocks, jobs, count);
  });
}

// Whether a single stream is quicker through the path than through OpenSSL: it is where a step of a vector takes one
// cycle, and is not where it takes two (Zen 5). Shortest of a few turns, together a third of a millisecond.
bool IsFasterAlone(const Md5Path& path) {
  constexpr size_t kBytes = 16384;
  constexpr int kTurns = 5;
  auto data = std::make_unique<uint8_t[]>(kBytes);
  FillTest(data.get(), kBytes, 6);
  std::chrono::steady_clock::duration best[2] = {std::chrono::hours(1), std::chrono::hours(1)};
  for (int turn = 0; turn < kTurns; turn++) {
    for (int which = 0; which < 2; which++) {
      MD5_CTX context;
      MD5_Init(&context);
      Md5Job job = {&context, data.get(), kBytes};
      const auto start = std::chrono::steady_clock::now();
      Md5UpdateMany(which == 0 ? nullptr : &path, &job, 1);
      best[which] = std::min(best[which], std::chrono::steady_clock::now() - start);
    }
  }
  return best[1] <= best[0];
}

class TableBuilder {
 public:
  TableBuilder(const CpuRank& cpu, int cap) : cpu_(cpu), cap_(cap) {}

  void AddRs(int rank, const char* name, RsApply apply) {
    if (Allows(rank) && AgreesRs(apply)) table_.rsPaths[table_.rsPathCount++] = {name, apply};
  }
  void AddHash(int rank, const char* name, const HashPath& path) {
    if (Allows(rank) && AgreesHash(path)) table_.hashPaths[table_.hashPathCount++] = {name, &path};
  }
  void AddCrc(int rank, const char* name, CrcUpdate update) {
    if (Allows(rank) && AgreesCrc(update)) table_.crcPaths[table_.crcPathCount++] = {name, update};
  }
  void AddMd5(int rank, const char* name, const Md5Path* path) {
    if (Allows(rank) && AgreesMd5(path)) table_.md5Paths[table_.md5PathCount++] = {name, path};
  }
  // Of the first two, which differ for a single stream alone: the quicker one first. Only what may be selected is run.
  void OrderMd5() {
    NamedMd5Path* const paths = table_.md5Paths;
    if (table_.md5PathCount == 2 && !IsFasterAlone(*paths[0].path)) std::swap(paths[0], paths[1]);
  }
  void AddSha256(int rank, const char* name, Sha256Blocks blocks) {
    if (Allows(rank) && AgreesSha256(blocks)) table_.sha256Paths[table_.sha256PathCount++] = {name, blocks};
  }
  PathTable Finish() {
    table_.rs = table_.rsPaths[0].apply;
    table_.hash = *table_.hashPaths[0].path;
    table_.crc = table_.crcPaths[0].update;
    table_.md5 = table_.md5Paths[0].path;
    table_.sha256 = table_.sha256Paths[0].blocks;
    return table_;
  }

 private:
  bool Allows(int rank) const { return rank <= cap_ && cpu_.has[rank]; }

  const CpuRank& cpu_;
  const int cap_;
  PathTable table_{};
};

// Best first.
PathTable MakeTable() {
  const CpuRank cpu = DetectCpu();
  const Cap cap = ReadCap();
  TableBuilder builder(cpu, cap.rank);
#if defined(__x86_64__)
  builder.AddRs(kAvx512Gfni, "avx512-gfni", RsApplyAvx512Gfni);
  builder.AddRs(kAvx512, "avx512", RsApplyAvx512);
  builder.AddRs(kAvx2Gfni, "avx2-gfni", RsApplyAvx2Gfni);
  builder.AddRs(kAvx2, "avx2", RsApplyAvx2);
  builder.AddRs(kSsse3, "ssse3", RsApplySsse3);
  // Both, so that the tests reach them.
  builder.AddMd5(kAvx512, "avx512", &kMd5Avx512);
  builder.AddMd5(kAvx512, "avx512-lanes", &kMd5Avx512Lanes);
  builder.OrderMd5();
  builder.AddMd5(kAvx2, "avx2", &kMd5Avx2);
  builder.AddHash(kAvx512, "avx512", kHashAvx512);
  builder.AddHash(kAvx2, "avx2", kHashAvx2);
  builder.AddHash(kSsse3, "sse41", kHashSse41);
  if (cpu.hasVpclmul) builder.AddCrc(kAvx512, "vpclmul", CrcUpdateVpclmul);
  builder.AddCrc(kSsse3, "pclmul", CrcUpdatePclmul);
  if (cpu.hasSha) builder.AddSha256(kSsse3, "sha-ni", Sha256BlocksShaNi);
#endif
  builder.AddRs(kScalar, "scalar", RsApplyScalar);
  builder.AddMd5(kScalar, "openssl", nullptr);
  builder.AddSha256(kScalar, "openssl", nullptr);
  builder.AddHash(kScalar, "scalar", kHashScalar);
  builder.AddCrc(kScalar, "table", CrcUpdateTable);
  PathTable table = builder.Finish();
  table.overrideKnown = cap.known;
  return table;
}

}  // namespace

const PathTable& Paths() {
  static const PathTable table = MakeTable();
  return table;
}

}  // namespace granary
