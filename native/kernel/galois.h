// Arithmetic over GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11D), and the systematic
// matrix of the erasure code. Pure, no state: the tables are computed by the compiler.
#pragma once

#include <cstddef>
#include <cstdint>

namespace granary {

constexpr int kDataShardsMax = 16;
constexpr int kParityShardsMax = 8;
constexpr int kShardsMax = kDataShardsMax + kParityShardsMax;

uint8_t GaloisMultiply(uint8_t a, uint8_t b);

// Square matrices up to 16 x 16, rows of kDataShardsMax bytes.
struct GaloisMatrix {
  uint8_t at[kShardsMax][kDataShardsMax];
};

// Rows 0...k-1 are the identity, row k + j gives parity j from the k data shards: a Vandermonde
// matrix (row r, column c: r^c) times the inverse of its own top square.
void BuildCodeMatrix(int k, int m, GaloisMatrix* matrix);

// Inverts the top n x n square of `matrix`. False when it is singular.
bool InvertMatrix(const GaloisMatrix& matrix, int n, GaloisMatrix* inverse);

}  // namespace granary
