#include "crc.h"

#include <cstring>

namespace granary {
namespace {

// Polynomials reflected: x^(width - 1) in bit 0.
constexpr uint64_t kPolynomial[kCrcKinds] = {0xEDB88320, 0x82F63B78, 0x9A6C9329AC4BC9B5};
constexpr int kWidth[kCrcKinds] = {32, 32, 64};

// at[j][b]: the register after byte b and j zero bytes, for eight bytes a step.
struct SliceTables {
  uint64_t at[8][256];
};

constexpr SliceTables MakeTables(uint64_t polynomial) {
  SliceTables tables{};
  for (int value = 0; value < 256; value++) {
    uint64_t raw = static_cast<uint64_t>(value);
    for (int bit = 0; bit < 8; bit++) raw = (raw >> 1) ^ ((raw & 1) ? polynomial : 0);
    tables.at[0][value] = raw;
  }
  for (int slice = 1; slice < 8; slice++) {
    for (int value = 0; value < 256; value++) {
      const uint64_t before = tables.at[slice - 1][value];
      tables.at[slice][value] = (before >> 8) ^ tables.at[0][before & 255];
    }
  }
  return tables;
}

constexpr SliceTables kTables[kCrcKinds] = {MakeTables(kPolynomial[0]), MakeTables(kPolynomial[1]),
                                            MakeTables(kPolynomial[2])};

// Product of two residues modulo the polynomial, both reflected with `width` bits.
constexpr uint64_t MultiplyModulo(CrcKind kind, uint64_t a, uint64_t b) {
  const int index = static_cast<int>(kind);
  const uint64_t one = uint64_t{1} << (kWidth[index] - 1);
  uint64_t sum = 0;
  for (uint64_t bit = one; bit != 0; bit >>= 1) {
    if (a & bit) sum ^= b;
    b = (b >> 1) ^ ((b & 1) ? kPolynomial[index] : 0);
  }
  return sum;
}

constexpr uint64_t PowerOfX(CrcKind kind, uint64_t n) {
  const int index = static_cast<int>(kind);
  uint64_t result = uint64_t{1} << (kWidth[index] - 1);
  uint64_t square = result >> 1;
  for (; n != 0; n >>= 1) {
    if (n & 1) result = MultiplyModulo(kind, result, square);
    square = MultiplyModulo(kind, square, square);
  }
  return result;
}

// Reflected 64-bit operands: bit i of a word is x^(63 - i), and a carry-less product of two comes out
// one power of x too high, which the exponents make up for.
constexpr CrcFold FoldBy(CrcKind kind, uint64_t distanceBytes) {
  const uint64_t bits = distanceBytes * 8;
  const int shift = 64 - kWidth[static_cast<int>(kind)];
  return {PowerOfX(kind, bits + 63) << shift, PowerOfX(kind, bits - 1) << shift};
}

constexpr CrcFolds FoldsOf(CrcKind kind) { return {FoldBy(kind, 16), FoldBy(kind, 64), FoldBy(kind, 256)}; }

constexpr CrcFolds kFolds[kCrcKinds] = {FoldsOf(CrcKind::kCrc32), FoldsOf(CrcKind::kCrc32c),
                                        FoldsOf(CrcKind::kCrc64nvme)};

}  // namespace

const CrcFolds kCrcFolds[kCrcKinds] = {kFolds[0], kFolds[1], kFolds[2]};

size_t CrcBytes(CrcKind kind) { return static_cast<size_t>(kWidth[static_cast<int>(kind)] / 8); }

uint64_t CrcUpdateTable(CrcKind kind, uint64_t raw, const uint8_t* data, size_t bytes) {
  const SliceTables& tables = kTables[static_cast<int>(kind)];
  for (; bytes >= 8; bytes -= 8, data += 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    word ^= raw;
    raw = 0;
    for (int slice = 0; slice < 8; slice++) raw ^= tables.at[7 - slice][word >> (8 * slice) & 255];
  }
  for (; bytes != 0; bytes--, data++) raw = (raw >> 8) ^ tables.at[0][(raw ^ *data) & 255];
  return raw;
}

uint64_t CrcCombine(CrcKind kind, uint64_t a, uint64_t b, uint64_t bBytes) {
  // bBytes stays below 2^53, so the bit count fits.
  return MultiplyModulo(kind, a, PowerOfX(kind, bBytes * 8)) ^ b;
}

}  // namespace granary
