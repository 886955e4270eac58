// The three reflected CRCs that S3 knows. A value is the finished one (after the last inversion);
// updates invert on the way in and out, so values chain.
#pragma once

#include <cstddef>
#include <cstdint>

namespace granary {

enum class CrcKind { kCrc32, kCrc32c, kCrc64nvme };
constexpr int kCrcKinds = 3;

// 4 for the 32-bit ones, 8 for CRC64NVME.
size_t CrcBytes(CrcKind kind);

// The raw register (without inversions) after `bytes` more bytes.
using CrcUpdate = uint64_t (*)(CrcKind kind, uint64_t raw, const uint8_t* data, size_t bytes);

uint64_t CrcUpdateTable(CrcKind kind, uint64_t raw, const uint8_t* data, size_t bytes);
#if defined(__x86_64__)
uint64_t CrcUpdatePclmul(CrcKind kind, uint64_t raw, const uint8_t* data, size_t bytes);
uint64_t CrcUpdateVpclmul(CrcKind kind, uint64_t raw, const uint8_t* data, size_t bytes);
#endif

// What 16 bytes are multiplied with to stand `distance` bytes further on: the first 8 and the last 8.
struct CrcFold {
  uint64_t low;
  uint64_t high;
};
struct CrcFolds {
  CrcFold by16;
  CrcFold by64;
  CrcFold by256;
};
extern const CrcFolds kCrcFolds[kCrcKinds];

// The finished value of a followed by b, from both finished values.
uint64_t CrcCombine(CrcKind kind, uint64_t a, uint64_t b, uint64_t bBytes);

inline uint64_t CrcMask(CrcKind kind) { return kind == CrcKind::kCrc64nvme ? ~uint64_t{0} : 0xffffffff; }

}  // namespace granary
