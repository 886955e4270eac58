// The ranges of memory that one call reads and writes. What a kernel writes lies apart from all else that it is given:
// a digest that is fed its own state copies memory over itself, and a state that changes under another's hands leads
// OpenSSL past its buffers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "call.h"

namespace granary {

template <size_t kCountMax>
class Ranges {
 public:
  void Reads(const uint8_t* start, size_t bytes) { Add(start, bytes, false); }
  void Writes(const uint8_t* start, size_t bytes) { Add(start, bytes, true); }

  // Throws RangeError when a written range shares a byte with another one. Reading twice is allowed.
  void RequireApart() const {
    uintptr_t end = 0;
    uintptr_t writtenEnd = 0;
    for (size_t i = 0; i < count_; i++) {
      const One& one = all_[i];
      if (one.start < (one.isWritten ? end : writtenEnd)) FailRange("ranges of the arena overlap");
      end = std::max(end, one.end);
      if (one.isWritten) writtenEnd = std::max(writtenEnd, one.end);
    }
  }

 private:
  struct One {
    uintptr_t start;
    uintptr_t end;
    bool isWritten;
  };

  void Add(const uint8_t* start, size_t bytes, bool isWritten) {
    // Nothing overlaps nothing.
    if (bytes == 0) return;
    const auto from = reinterpret_cast<uintptr_t>(start);
    size_t at = count_++;
    for (; at > 0 && all_[at - 1].start > from; at--) all_[at] = all_[at - 1];
    all_[at] = {from, from + bytes, isWritten};
  }

  // By start. There are a few of them, and they come nearly in this order.
  One all_[kCountMax];
  size_t count_ = 0;
};

}  // namespace granary
