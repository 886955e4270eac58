// Bytes that somebody else owns, and their order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace granary::index {

struct Slice {
  const uint8_t* data = nullptr;
  size_t bytes = 0;
};

inline Slice SliceOf(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }
inline std::string StringOf(Slice slice) { return std::string(reinterpret_cast<const char*>(slice.data), slice.bytes); }

// Byte order; a key comes after its own beginnings.
inline int Compare(Slice a, Slice b) {
  const size_t shared = std::min(a.bytes, b.bytes);
  const int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
  if (order != 0) return order;
  return a.bytes < b.bytes ? -1 : a.bytes > b.bytes ? 1 : 0;
}

template <typename Number>
Number ReadNumber(const uint8_t* from) {
  Number value;
  memcpy(&value, from, sizeof(value));
  return value;
}

template <typename Number>
void AppendNumber(std::string* to, Number value) {
  to->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// Keys have 16 bits for their length, values 32 less the mark of a deletion.
constexpr size_t kKeyBytesMax = 65535;
constexpr size_t kValueBytesMax = size_t{64} << 20;

}  // namespace granary::index
