#include "reed-solomon.h"

#include <cstring>

namespace granary {
namespace {

// Bit i of byte 7 - r of the matrix says whether bit i of the input reaches bit r of the product.
uint64_t AffineOf(uint8_t coefficient) {
  uint64_t matrix = 0;
  for (int column = 0; column < 8; column++) {
    const uint8_t product = GaloisMultiply(coefficient, static_cast<uint8_t>(1 << column));
    for (int row = 0; row < 8; row++) {
      if (product & (1 << row)) matrix |= uint64_t{1} << ((7 - row) * 8 + column);
    }
  }
  return matrix;
}

}  // namespace

void CompletePlan(RsPlan* plan) {
  for (int input = 0; input < plan->inputs; input++) {
    for (int output = 0; output < plan->outputs; output++) {
      const uint8_t coefficient = plan->coefficient[input][output];
      plan->affine[input][output] = AffineOf(coefficient);
      for (int nibble = 0; nibble < 16; nibble++) {
        plan->nibble[input][output][nibble] = GaloisMultiply(coefficient, static_cast<uint8_t>(nibble));
        plan->nibble[input][output][16 + nibble] = GaloisMultiply(coefficient, static_cast<uint8_t>(nibble << 4));
      }
    }
  }
}

void MakeEncodePlan(int k, int m, RsPlan* plan) {
  GaloisMatrix matrix;
  BuildCodeMatrix(k, m, &matrix);
  plan->inputs = k;
  plan->outputs = m;
  for (int input = 0; input < k; input++) {
    for (int output = 0; output < m; output++) plan->coefficient[input][output] = matrix.at[k + output][input];
  }
  CompletePlan(plan);
}

void MakeRebuildPlan(int k, int m, uint32_t present, uint32_t wanted, RsPlan* plan) {
  GaloisMatrix matrix;
  BuildCodeMatrix(k, m, &matrix);
  GaloisMatrix survivors;
  std::memset(&survivors, 0, sizeof(survivors));
  int taken = 0;
  for (int shard = 0; shard < k + m && taken < k; shard++) {
    if (present >> shard & 1) std::memcpy(survivors.at[taken++], matrix.at[shard], kDataShardsMax);
  }
  GaloisMatrix toData;
  // Any k rows of the code matrix are independent.
  InvertMatrix(survivors, k, &toData);
  plan->inputs = k;
  plan->outputs = 0;
  for (int shard = 0; shard < k + m; shard++) {
    if (!(wanted >> shard & 1)) continue;
    for (int input = 0; input < k; input++) {
      uint8_t sum = 0;
      for (int i = 0; i < k; i++) sum ^= GaloisMultiply(matrix.at[shard][i], toData.at[i][input]);
      plan->coefficient[input][plan->outputs] = sum;
    }
    plan->outputs++;
  }
  CompletePlan(plan);
}

}  // namespace granary
