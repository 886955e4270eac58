// Reads what is not in memory for a thread that must not wait for a disk for ever: on a thread of its own, which alone
// hangs when the disk does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "file.h"

namespace granary::index {

class DiskReader {
 public:
  // A call is waited for at most so long.
  explicit DiskReader(int waitMs);
  ~DiskReader();
  DiskReader(const DiskReader&) = delete;
  DiskReader& operator=(const DiskReader&) = delete;

  // False: there is no thread for it, and nothing else may be called.
  bool Start();
  // 0 or an errno. ETIMEDOUT when the disk does not answer: at once while a call of before has not come back. For the
  // owner's thread.
  int ReadAt(const std::shared_ptr<const File>& file, uint64_t offset, void* data, size_t bytes);
  // The same object, which ends on the thread, whoever lets go of it last: to close a file may hang as well.
  template <typename T>
  std::shared_ptr<T> Guard(std::shared_ptr<T> object) {
    if (!object) return nullptr;
    T* const raw = object.get();
    return std::shared_ptr<T>(raw, [shared = shared_, object](T*) mutable { Drop(*shared, std::move(object)); });
  }

 private:
  struct Shared;

  static void Drop(Shared& shared, std::shared_ptr<const void> object);

  const int waitMs_;
  // What the thread uses: it may come back when this is long gone.
  const std::shared_ptr<Shared> shared_;
};

}  // namespace granary::index
