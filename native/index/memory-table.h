// The newest entries, in memory: a skip list of all versions, newest first within a key, so that a
// cursor sees the table as it was when the cursor was made. One writer; readers on its thread, and on
// any thread once nothing is written any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bytes.h"
#include "cursor.h"

namespace granary::index {

class MemoryTable {
 public:
  MemoryTable();
  MemoryTable(const MemoryTable&) = delete;
  MemoryTable& operator=(const MemoryTable&) = delete;

  void Put(Slice key, Slice value) { Add(key, value, false); }
  void Delete(Slice key) { Add(key, Slice(), true); }

  // The number of changes so far: what a cursor made with it does not look past.
  uint64_t version() const { return version_; }
  // Of keys, values and what holds them.
  size_t bytes() const { return bytes_; }
  bool IsEmpty() const { return version_ == 0; }

  enum class Found { kNothing, kDeletion, kValue };
  // Borrowed as long as the table.
  Found Get(Slice key, Slice* value) const;

  // Borrows the table: `table` keeps it alive.
  static std::unique_ptr<Cursor> CursorOf(std::shared_ptr<const MemoryTable> table);

 private:
  friend class MemoryCursor;
  static constexpr int kHeightMax = 12;

  struct Node {
    const uint8_t* key;
    const uint8_t* value;
    uint64_t version;
    uint32_t keyBytes;
    uint32_t valueBytes;
    bool isDeletion;
    uint8_t height;
    Node* next[1];
  };

  static Slice KeyOf(const Node* node) { return {node->key, node->keyBytes}; }
  void Add(Slice key, Slice value, bool isDeletion);
  // The first node at or after the key's version; with `before`, the nodes in front of it on each level.
  Node* FindFrom(Slice key, uint64_t version, Node** before) const;
  Node* FindBefore(Slice key) const;
  int RandomHeight();
  uint8_t* Allocate(size_t bytes);

  std::vector<std::unique_ptr<uint8_t[]>> pieces_;
  uint8_t* free_ = nullptr;
  size_t freeBytes_ = 0;
  size_t bytes_ = 0;
  uint64_t version_ = 0;
  uint64_t random_ = 0x9e3779b97f4a7c15;
  int height_ = 1;
  Node* head_;
};

}  // namespace granary::index
