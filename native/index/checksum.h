// The checksum of everything that the index has on disk.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../kernel/dispatch.h"

namespace granary::index {

inline uint32_t Crc32c(const void* data, size_t bytes) {
  const uint64_t mask = CrcMask(CrcKind::kCrc32c);
  return static_cast<uint32_t>(Paths().crc(CrcKind::kCrc32c, mask, static_cast<const uint8_t*>(data), bytes) ^ mask);
}

}  // namespace granary::index
