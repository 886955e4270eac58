// The anchors of the kernel bench: ISA-L, libhighwayhash and OpenSSL on the buffers that the addon
// is measured on. Compiled and started by anchor.ts; speaks the protocol of measure.cjs: one
// command a line, `WHAT ARGUMENTS… MILLISECONDS`, answered by GB/s of object bytes.
#include <highwayhash/highwayhash_target.h>
#include <highwayhash/instruction_sets.h>
#include <isa-l.h>
#include <sys/mman.h>
#include <time.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

// One-shot digests of libcrypto, so that no headers are needed.
extern "C" unsigned char* MD5(const unsigned char* data, size_t bytes, unsigned char* digest);
extern "C" unsigned char* SHA256(const unsigned char* data, size_t bytes, unsigned char* digest);

namespace {

constexpr size_t kArenaBytes = size_t{64} << 20;
constexpr size_t kChecksumBlockBytes = 65536;

using Work = std::function<void()>;
struct Task {
  Work work;
  // Object bytes of one round.
  double bytes;
};

uint8_t* arena;

// CPU time of this thread: what neighbours on a busy machine take does not count.
double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// GB/s over about `milliseconds`.
double RateOf(const Task& task, double milliseconds) {
  task.work();
  const double start = CpuSeconds();
  double rounds = 0;
  double elapsed;
  do {
    task.work();
    rounds++;
    elapsed = CpuSeconds() - start;
  } while (elapsed * 1000 < milliseconds);
  return task.bytes * rounds / elapsed / 1e9;
}

struct Coding {
  std::vector<unsigned char> tables;
  std::vector<unsigned char*> in;
  std::vector<unsigned char*> out;
  int shardBytes;

  void Run() {
    ec_encode_data(shardBytes, static_cast<int>(in.size()), static_cast<int>(out.size()), tables.data(), in.data(),
                   out.data());
  }
};

// ISA-L's own systematic matrix: only the speed matters here.
Coding MakeEncoding(int k, int m, int shardBytes) {
  std::vector<unsigned char> matrix(static_cast<size_t>((k + m) * k));
  gf_gen_cauchy1_matrix(matrix.data(), k + m, k);
  Coding coding;
  coding.tables.resize(static_cast<size_t>(32 * k * m));
  ec_init_tables(k, m, &matrix[static_cast<size_t>(k * k)], coding.tables.data());
  for (int s = 0; s < k + m; s++) {
    (s < k ? coding.in : coding.out).push_back(arena + static_cast<size_t>(s) * static_cast<size_t>(shardBytes));
  }
  coding.shardBytes = shardBytes;
  return coding;
}

// The first min(k, m) data shards are lost.
Coding MakeRebuilding(int k, int m, int shardBytes) {
  const int lost = k < m ? k : m;
  std::vector<unsigned char> matrix(static_cast<size_t>((k + m) * k));
  std::vector<unsigned char> inverse(static_cast<size_t>(k * k));
  gf_gen_cauchy1_matrix(matrix.data(), k + m, k);
  std::vector<unsigned char> survivors(matrix.begin() + lost * k, matrix.begin() + (lost + k) * k);
  gf_invert_matrix(survivors.data(), inverse.data(), k);
  Coding coding;
  coding.tables.resize(static_cast<size_t>(32 * k * lost));
  ec_init_tables(k, lost, inverse.data(), coding.tables.data());
  for (int s = 0; s < lost + k; s++) {
    (s < lost ? coding.out : coding.in).push_back(arena + static_cast<size_t>(s) * static_cast<size_t>(shardBytes));
  }
  coding.shardBytes = shardBytes;
  return coding;
}

void HighwayHash(const uint8_t* data, size_t bytes) {
  const highwayhash::HHKey key = {1, 2, 3, 4};
  highwayhash::HHResult256 result;
  highwayhash::InstructionSets::Run<highwayhash::HighwayHash>(key, reinterpret_cast<const char*>(data), bytes, &result);
}

void HighwayHashBlocks(const uint8_t* data, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kChecksumBlockBytes) {
    HighwayHash(data + at, bytes - at < kChecksumBlockBytes ? bytes - at : kChecksumBlockBytes);
  }
}

Task OfBytes(size_t bytes, Work work) { return {std::move(work), static_cast<double>(bytes)}; }

Task OfCoding(Coding coding) {
  const double bytes = static_cast<double>(coding.in.size()) * coding.shardBytes;
  return {[coding]() mutable { coding.Run(); }, bytes};
}

// What a PUT computes for each of `stripes` stripes, one reference library after the other.
Task OfPass(int k, int m, int shardBytes, bool isSigned, int stripes) {
  const size_t shard = static_cast<size_t>(shardBytes);
  const size_t dataBytes = static_cast<size_t>(k) * shard;
  const Coding first = MakeEncoding(k, m, shardBytes);
  return OfBytes(dataBytes * static_cast<size_t>(stripes), [=] {
    for (int i = 0; i < stripes; i++) {
      uint8_t* at = arena + static_cast<size_t>(i) * static_cast<size_t>(k + m) * shard;
      unsigned char digest[32];
      MD5(at, dataBytes, digest);
      if (isSigned) SHA256(at, dataBytes, digest);
      Coding coding = first;
      for (auto& row : coding.in) row += at - arena;
      for (auto& row : coding.out) row += at - arena;
      coding.Run();
      for (int s = 0; s < k + m; s++) HighwayHashBlocks(at + static_cast<size_t>(s) * shard, shard);
    }
  });
}

Task TaskOf(const std::string& what, std::istream& arguments) {
  int a = 0;
  int b = 0;
  int c = 0;
  arguments >> a;
  const auto bytes = static_cast<size_t>(a);
  if (what == "highwayhash256") return OfBytes(bytes, [=] { HighwayHashBlocks(arena, bytes); });
  if (what == "highwayhash256.single") return OfBytes(bytes, [=] { HighwayHash(arena, bytes); });
  if (what == "crc32") return OfBytes(bytes, [=] { crc32_gzip_refl(0, arena, bytes); });
  if (what == "crc32c") return OfBytes(bytes, [=] { crc32_iscsi(arena, static_cast<int>(bytes), 0); });
  if (what == "crc64nvme") return OfBytes(bytes, [=] { crc64_ecma_refl(0, arena, bytes); });
  arguments >> b >> c;
  if (what == "rs.encode") return OfCoding(MakeEncoding(a, b, c));
  if (what == "rs.reconstruct") return OfCoding(MakeRebuilding(a, b, c));
  if (what == "pass.unsigned") return OfPass(a, b, c, false, 1);
  if (what == "pass.signed") return OfPass(a, b, c, true, 1);
  if (what == "pass.unsigned.x16") return OfPass(a, b, c, false, 16);
  if (what == "pass.signed.x16") return OfPass(a, b, c, true, 16);
  return {};
}

}  // namespace

int main() {
  // The same kind of memory as the addon's arena: aligned to huge pages, and on them where possible.
  arena = static_cast<uint8_t*>(std::aligned_alloc(size_t{2} << 20, kArenaBytes));
  if (arena == nullptr) return 1;
  (void)madvise(arena, kArenaBytes, MADV_HUGEPAGE);
  for (size_t i = 0; i < kArenaBytes; i++) arena[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream arguments(line);
    std::string what;
    arguments >> what;
    const Task task = TaskOf(what, arguments);
    double milliseconds = 0;
    arguments >> milliseconds;
    std::cout << (task.work ? RateOf(task, milliseconds) : -1) << std::endl;
  }
  return 0;
}
