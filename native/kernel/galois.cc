#include "galois.h"

#include <cstring>
#include <utility>

namespace granary {
namespace {

struct Tables {
  uint8_t exp[510];
  uint8_t log[256];
};

constexpr Tables MakeTables() {
  Tables tables{};
  int value = 1;
  for (int power = 0; power < 255; power++) {
    tables.exp[power] = static_cast<uint8_t>(value);
    // Twice, so that a sum of two logarithms needs no modulo.
    tables.exp[power + 255] = static_cast<uint8_t>(value);
    tables.log[value] = static_cast<uint8_t>(power);
    value <<= 1;
    if (value & 0x100) value ^= 0x11D;
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

uint8_t Power(uint8_t base, int exponent) {
  if (exponent == 0) return 1;
  if (base == 0) return 0;
  return kTables.exp[(kTables.log[base] * exponent) % 255];
}

uint8_t Inverse(uint8_t a) { return kTables.exp[255 - kTables.log[a]]; }

}  // namespace

uint8_t GaloisMultiply(uint8_t a, uint8_t b) {
  if (a == 0 || b == 0) return 0;
  return kTables.exp[kTables.log[a] + kTables.log[b]];
}

bool InvertMatrix(const GaloisMatrix& matrix, int n, GaloisMatrix* inverse) {
  GaloisMatrix work = matrix;
  std::memset(inverse, 0, sizeof(*inverse));
  for (int i = 0; i < n; i++) inverse->at[i][i] = 1;
  for (int column = 0; column < n; column++) {
    int pivot = column;
    while (pivot < n && work.at[pivot][column] == 0) pivot++;
    if (pivot == n) return false;
    if (pivot != column) {
      for (int c = 0; c < n; c++) {
        std::swap(work.at[pivot][c], work.at[column][c]);
        std::swap(inverse->at[pivot][c], inverse->at[column][c]);
      }
    }
    const uint8_t scale = Inverse(work.at[column][column]);
    for (int c = 0; c < n; c++) {
      work.at[column][c] = GaloisMultiply(work.at[column][c], scale);
      inverse->at[column][c] = GaloisMultiply(inverse->at[column][c], scale);
    }
    for (int row = 0; row < n; row++) {
      const uint8_t factor = work.at[row][column];
      if (row == column || factor == 0) continue;
      for (int c = 0; c < n; c++) {
        work.at[row][c] ^= GaloisMultiply(factor, work.at[column][c]);
        inverse->at[row][c] ^= GaloisMultiply(factor, inverse->at[column][c]);
      }
    }
  }
  return true;
}

void BuildCodeMatrix(int k, int m, GaloisMatrix* matrix) {
  GaloisMatrix vandermonde;
  std::memset(&vandermonde, 0, sizeof(vandermonde));
  for (int row = 0; row < k + m; row++) {
    for (int column = 0; column < k; column++) vandermonde.at[row][column] = Power(static_cast<uint8_t>(row), column);
  }
  GaloisMatrix inverse;
  // A Vandermonde square of distinct rows is never singular.
  InvertMatrix(vandermonde, k, &inverse);
  std::memset(matrix, 0, sizeof(*matrix));
  for (int row = 0; row < k + m; row++) {
    for (int column = 0; column < k; column++) {
      uint8_t sum = 0;
      for (int i = 0; i < k; i++) sum ^= GaloisMultiply(vandermonde.at[row][i], inverse.at[i][column]);
      matrix->at[row][column] = sum;
    }
  }
}

}  // namespace granary
