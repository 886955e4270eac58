#include "dispatch.h"

#include <cstdlib>
#include <cstring>

namespace granary {
namespace {

// Ranks of the names that GRANARY_KERNEL takes: it caps what may be selected.
struct Rank {
  const char* name;
  int rank;
};
constexpr Rank kRanks[] = {{"scalar", 0}, {"ssse3", 1},  {"avx2", 2},        {"avx2-gfni", 3},
                           {"avx512", 4}, {"gfni", 5},   {"avx512-gfni", 5}};
constexpr int kRankBest = 5;

struct CpuRank {
  bool has[kRankBest + 1];
};

// __builtin_cpu_supports also asks the operating system (XGETBV) for the wide registers.
CpuRank DetectCpu() {
  CpuRank cpu{};
  cpu.has[0] = true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool ssse3 = __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") &&
                     __builtin_cpu_supports("pclmul");
  const bool avx2 = ssse3 && __builtin_cpu_supports("avx2");
  const bool gfni = __builtin_cpu_supports("gfni");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  cpu.has[1] = ssse3;
  cpu.has[2] = avx2;
  cpu.has[3] = avx2 && gfni;
  cpu.has[4] = avx512;
  cpu.has[5] = avx512 && gfni;
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

PathTable MakeTable() {
  const CpuRank cpu = DetectCpu();
  const Cap cap = ReadCap();
  PathTable table{};
  table.overrideKnown = cap.known;
  (void)cpu;
  table.rsPaths[table.rsPathCount++] = {"scalar", RsApplyScalar};
  table.hashPaths[table.hashPathCount++] = {"scalar", &kHashScalar};
  table.crcPaths[table.crcPathCount++] = {"table", CrcUpdateTable};
  table.rs = table.rsPaths[0].apply;
  table.hash = *table.hashPaths[0].path;
  table.crc = table.crcPaths[0].update;
  return table;
}

}  // namespace

const PathTable& Paths() {
  static const PathTable table = MakeTable();
  return table;
}

}  // namespace granary
