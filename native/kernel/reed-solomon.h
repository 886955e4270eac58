// Reed-Solomon as a product of a small matrix with long rows of bytes. A plan is the matrix in the
// forms the instruction sets want; a path is the code that applies a plan. Encoding and rebuilding
// are the same operation with different plans. Nothing here checks ranges: the binding does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "galois.h"

namespace granary {

constexpr int kOutputsMax = kParityShardsMax;

struct RsPlan {
  int inputs;
  int outputs;
  // coefficient[i][r]: what input i contributes to output r.
  uint8_t coefficient[kDataShardsMax][kOutputsMax];
  // The same as 8 x 8 bit matrices, as GF2P8AFFINEQB takes them.
  uint64_t affine[kDataShardsMax][kOutputsMax];
  // The same as two tables of 16 products: of the low and of the high half of a byte.
  alignas(64) uint8_t nibble[kDataShardsMax][kOutputsMax][32];
};

// Fills the derived forms from inputs, outputs and coefficient.
void CompletePlan(RsPlan* plan);

// outputs 0...m-1 are the parity shards of inputs 0...k-1.
void MakeEncodePlan(int k, int m, RsPlan* plan);

// Inputs: the lowest k shards of the bit mask `present`; outputs: the shards of `wanted` in order.
// Requires: present has at least k bits, wanted at most kOutputsMax bits.
void MakeRebuildPlan(int k, int m, uint32_t present, uint32_t wanted, RsPlan* plan);

// Applies a plan to `bytes` bytes of each row. Rows have any alignment; outputs overlap nothing.
using RsApply = void (*)(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes);

void RsApplyScalar(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes);
#if defined(__x86_64__)
void RsApplySsse3(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes);
void RsApplyAvx2(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes);
void RsApplyAvx2Gfni(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes);
void RsApplyAvx512(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes);
void RsApplyAvx512Gfni(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes);
#endif

}  // namespace granary
