// Our kernels against programs that nobody here wrote: ISA-L's Reed-Solomon with our matrix, its
// CRCs, and libhighwayhash. Built by test/unit/native/kernels-native.test.ts.
#include <highwayhash/highwayhash_target.h>
#include <highwayhash/instruction_sets.h>
#include <isa-l.h>

#include <cstring>
#include <vector>

#include "../../native/kernel/dispatch.h"
#include "../../native/kernel/pass.h"
#include "check.h"

using namespace granary;
using test::Block;
using test::Random;

namespace {

void TestReedSolomon(Random* random) {
  for (int k = 1; k <= kDataShardsMax; k++) {
    for (int m = 1; m <= kParityShardsMax; m++) {
      const size_t bytes = 1 + random->Below(3000);
      std::vector<Block> data;
      std::vector<Block> parity;
      std::vector<Block> oracle;
      unsigned char* in[kDataShardsMax];
      uint8_t* ours[kOutputsMax];
      unsigned char* theirs[kOutputsMax];
      for (int i = 0; i < k; i++) {
        data.emplace_back(bytes, random->Below(64));
        random->Fill(data.back().data(), bytes);
        in[i] = data.back().data();
      }
      for (int j = 0; j < m; j++) {
        parity.emplace_back(bytes, random->Below(64));
        oracle.emplace_back(bytes, random->Below(64));
        ours[j] = parity.back().data();
        theirs[j] = oracle.back().data();
      }
      GaloisMatrix matrix;
      BuildCodeMatrix(k, m, &matrix);
      unsigned char rows[kParityShardsMax * kDataShardsMax];
      for (int j = 0; j < m; j++) {
        for (int i = 0; i < k; i++) rows[j * k + i] = matrix.at[k + j][i];
      }
      std::vector<unsigned char> tables(static_cast<size_t>(32 * k * m));
      ec_init_tables(k, m, rows, tables.data());
      ec_encode_data(static_cast<int>(bytes), k, m, tables.data(), in, theirs);
      auto plan = std::make_unique<RsPlan>();
      MakeEncodePlan(k, m, plan.get());
      for (int p = 0; p < Paths().rsPathCount; p++) {
        for (int j = 0; j < m; j++) std::memset(ours[j], 0, bytes);
        Paths().rsPaths[p].apply(*plan, in, ours, bytes);
        for (int j = 0; j < m; j++) {
          EXPECT(std::memcmp(ours[j], theirs[j], bytes) == 0, "%s %d+%d bytes %zu parity %d", Paths().rsPaths[p].name,
                 k, m, bytes, j);
        }
      }
      // ISA-L inverts the same matrix to the same rows: drop the first rows in favour of parity.
      const int lost = std::min(k, m);
      unsigned char survivors[kDataShardsMax * kDataShardsMax];
      unsigned char inverse[kDataShardsMax * kDataShardsMax];
      for (int row = 0; row < k; row++) {
        for (int i = 0; i < k; i++) survivors[row * k + i] = matrix.at[row + lost][i];
      }
      EXPECT(gf_invert_matrix(survivors, inverse, k) == 0, "%d+%d is invertible", k, m);
      const uint32_t all = (uint32_t{1} << (k + m)) - 1;
      const uint32_t gone = (uint32_t{1} << lost) - 1;
      MakeRebuildPlan(k, m, all & ~gone, gone, plan.get());
      for (int row = 0; row < lost; row++) {
        for (int i = 0; i < k; i++) {
          EXPECT(plan->coefficient[i][row] == inverse[row * k + i], "%d+%d rebuild row %d", k, m, row);
        }
      }
    }
  }
}

void TestHighwayHash(Random* random) {
  for (size_t bytes = 0; bytes < 400; bytes++) {
    const size_t length = bytes < 300 ? bytes : random->Below(100000);
    const Block block(length, random->Below(64));
    random->Fill(block.data(), length);
    const HashKey key = {{random->Next(), random->Next(), random->Next(), random->Next()}};
    const highwayhash::HHKey oracleKey = {key.lane[0], key.lane[1], key.lane[2], key.lane[3]};
    highwayhash::HHResult256 expected;
    highwayhash::InstructionSets::Run<highwayhash::HighwayHash>(oracleKey, reinterpret_cast<const char*>(block.data()),
                                                                length, &expected);
    for (int p = 0; p < Paths().hashPathCount; p++) {
      const HashPath& path = *Paths().hashPaths[p].path;
      // All lanes at once, the same message in each.
      HashState states[kHashLanes];
      HashState* pointers[kHashLanes];
      const uint8_t* at[kHashLanes];
      uint8_t hashes[kHashLanes][kHashBytes];
      uint8_t* results[kHashLanes];
      for (int i = 0; i < kHashLanes; i++) {
        HashBegin(key, &states[i]);
        pointers[i] = &states[i];
        at[i] = block.data();
        results[i] = hashes[i];
      }
      path.update(pointers, at, kHashLanes, length / kPacketBytes);
      for (const uint8_t*& data : at) data += length / kPacketBytes * kPacketBytes;
      path.finish(pointers, at, kHashLanes, length % kPacketBytes, results);
      for (const auto& hash : hashes) {
        EXPECT(std::memcmp(hash, expected, kHashBytes) == 0, "%s bytes %zu", Paths().hashPaths[p].name, length);
      }
    }
    uint8_t hash[kHashBytes];
    HashMessage(key, block.data(), length, hash);
    EXPECT(std::memcmp(hash, expected, kHashBytes) == 0, "message of %zu bytes", length);
  }
}

void TestCrc(Random* random) {
  for (int round = 0; round < 300; round++) {
    const size_t bytes = random->Below(5000);
    const Block block(bytes, random->Below(64));
    random->Fill(block.data(), bytes);
    const uint32_t crc32 = crc32_gzip_refl(0, block.data(), bytes);
    const uint32_t crc32c = ~crc32_iscsi(block.data(), static_cast<int>(bytes), 0xffffffff);
    for (int p = 0; p < Paths().crcPathCount; p++) {
      const CrcPath& path = Paths().crcPaths[p];
      EXPECT((path.update(CrcKind::kCrc32, 0xffffffff, block.data(), bytes) ^ 0xffffffff) == crc32, "%s CRC32 %zu",
             path.name, bytes);
      EXPECT((path.update(CrcKind::kCrc32c, 0xffffffff, block.data(), bytes) ^ 0xffffffff) == crc32c, "%s CRC32C %zu",
             path.name, bytes);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Random random(test::SeedFrom(argc, argv));
  TestReedSolomon(&random);
  TestHighwayHash(&random);
  TestCrc(&random);
  return test::Report("oracles");
}
