// The sweep that every vector path of Reed-Solomon shares: a strip of each input row is loaded once
// and added to all outputs in registers. Included once by each rs-*.cc with its own instruction set;
// everything here has internal linkage, so no wide code can leak into another path by a merge of
// inline functions at link time.
//
// Isa gives: Vector, Operand (a loaded vector prepared for multiplying), kBytes, Zero, Prepare,
// AddProduct, Store.
#pragma once

#include "reed-solomon.h"

namespace granary {
namespace {

// Outputs [first, first + kOutputs) of one strip of kVectors vectors at `at`.
template <typename Isa, int kOutputs, int kVectors>
inline __attribute__((always_inline)) void Strip(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out,
                                                 int inputs, size_t at) {
  typename Isa::Vector sums[kOutputs][kVectors];
  for (int r = 0; r < kOutputs; r++) {
    for (int v = 0; v < kVectors; v++) sums[r][v] = Isa::Zero();
  }
  for (int i = 0; i < inputs; i++) {
    typename Isa::Operand operands[kVectors];
    const uint8_t* source = in[i] + at;
    for (int v = 0; v < kVectors; v++) operands[v] = Isa::Prepare(source + v * Isa::kBytes);
    for (int r = 0; r < kOutputs; r++) {
      const typename Isa::Factor factor = Isa::FactorOf(plan, i, r);
      for (int v = 0; v < kVectors; v++) sums[r][v] = Isa::AddProduct(sums[r][v], operands[v], factor);
    }
  }
  for (int r = 0; r < kOutputs; r++) {
    for (int v = 0; v < kVectors; v++) Isa::Store(out[r] + at + v * Isa::kBytes, sums[r][v]);
  }
}

template <typename Isa, int kOutputs>
void Sweep(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes) {
  constexpr int kVectors = Isa::VectorsFor(kOutputs);
  constexpr size_t kStrip = kVectors * Isa::kBytes;
  const int inputs = plan.inputs;
  size_t at = 0;
  for (; at + kStrip <= bytes; at += kStrip) Strip<Isa, kOutputs, kVectors>(plan, in, out, inputs, at);
  if (kVectors > 1) {
    for (; at + Isa::kBytes <= bytes; at += Isa::kBytes) Strip<Isa, kOutputs, 1>(plan, in, out, inputs, at);
  }
  // The rest again with a full vector that ends at the end: writing a sum twice does no harm.
  if (at < bytes) Strip<Isa, kOutputs, 1>(plan, in, out, inputs, bytes - Isa::kBytes);
}

template <typename Isa>
void ApplySweep(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes) {
  if (bytes < Isa::kBytes) return RsApplyScalar(plan, in, out, bytes);
  switch (plan.outputs) {
    case 1:
      return Sweep<Isa, 1>(plan, in, out, bytes);
    case 2:
      return Sweep<Isa, 2>(plan, in, out, bytes);
    case 3:
      return Sweep<Isa, 3>(plan, in, out, bytes);
    case 4:
      return Sweep<Isa, 4>(plan, in, out, bytes);
    case 5:
      return Sweep<Isa, 5>(plan, in, out, bytes);
    case 6:
      return Sweep<Isa, 6>(plan, in, out, bytes);
    case 7:
      return Sweep<Isa, 7>(plan, in, out, bytes);
    case 8:
      return Sweep<Isa, 8>(plan, in, out, bytes);
    default:
      return;
  }
}

}  // namespace
}  // namespace granary
