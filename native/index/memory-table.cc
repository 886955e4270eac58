#include "memory-table.h"

#include <new>

namespace granary::index {
namespace {

constexpr size_t kPieceBytes = size_t{256} << 10;
constexpr size_t kAlignment = alignof(void*);

}  // namespace

MemoryTable::MemoryTable() {
  const size_t bytes = sizeof(Node) + (kHeightMax - 1) * sizeof(Node*);
  head_ = new (Allocate(bytes)) Node();
  head_->height = kHeightMax;
  for (int level = 0; level < kHeightMax; level++) head_->next[level] = nullptr;
}

uint8_t* MemoryTable::Allocate(size_t bytes) {
  bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  bytes_ += bytes;
  if (bytes > kPieceBytes / 4) {
    pieces_.emplace_back(new uint8_t[bytes]);
    return pieces_.back().get();
  }
  if (bytes > freeBytes_) {
    pieces_.emplace_back(new uint8_t[kPieceBytes]);
    free_ = pieces_.back().get();
    freeBytes_ = kPieceBytes;
  }
  uint8_t* memory = free_;
  free_ += bytes;
  freeBytes_ -= bytes;
  return memory;
}

int MemoryTable::RandomHeight() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  int height = 1;
  // One node in four goes a level higher.
  for (uint64_t bits = random_; height < kHeightMax && (bits & 3) == 0; bits >>= 2) height++;
  return height;
}

MemoryTable::Node* MemoryTable::FindFrom(Slice key, uint64_t version, Node** before) const {
  Node* node = head_;
  for (int level = height_ - 1; level >= 0; level--) {
    for (Node* next = node->next[level]; next != nullptr; next = node->next[level]) {
      const int order = Compare(KeyOf(next), key);
      if (order > 0 || (order == 0 && next->version <= version)) break;
      node = next;
    }
    if (before != nullptr) before[level] = node;
  }
  return node->next[0];
}

MemoryTable::Node* MemoryTable::FindBefore(Slice key) const {
  Node* node = head_;
  for (int level = height_ - 1; level >= 0; level--) {
    for (Node* next = node->next[level]; next != nullptr && Compare(KeyOf(next), key) < 0; next = node->next[level]) {
      node = next;
    }
  }
  return node == head_ ? nullptr : node;
}

void MemoryTable::Add(Slice key, Slice value, bool isDeletion) {
  Node* before[kHeightMax];
  const int height = RandomHeight();
  for (; height_ < height; height_++) before[height_] = head_;
  const uint64_t version = ++version_;
  FindFrom(key, version, before);
  auto* node =
      new (Allocate(sizeof(Node) + static_cast<size_t>(height - 1) * sizeof(Node*) + key.bytes + value.bytes)) Node();
  uint8_t* bytes = reinterpret_cast<uint8_t*>(&node->next[height]);
  if (key.bytes > 0) memcpy(bytes, key.data, key.bytes);
  if (value.bytes > 0) memcpy(bytes + key.bytes, value.data, value.bytes);
  node->key = bytes;
  node->keyBytes = static_cast<uint32_t>(key.bytes);
  node->value = bytes + key.bytes;
  node->valueBytes = static_cast<uint32_t>(value.bytes);
  node->version = version;
  node->isDeletion = isDeletion;
  node->height = static_cast<uint8_t>(height);
  for (int level = 0; level < height; level++) {
    node->next[level] = before[level]->next[level];
    before[level]->next[level] = node;
  }
}

MemoryTable::Found MemoryTable::Get(Slice key, Slice* value) const {
  const Node* node = FindFrom(key, version_, nullptr);
  if (node == nullptr || Compare(KeyOf(node), key) != 0) return Found::kNothing;
  if (node->isDeletion) return Found::kDeletion;
  *value = {node->value, node->valueBytes};
  return Found::kValue;
}

class MemoryCursor : public Cursor {
 public:
  explicit MemoryCursor(std::shared_ptr<const MemoryTable> table)
      : table_(std::move(table)), version_(table_->version()) {}

  void Seek(Slice key) override { node_ = VisibleFrom(table_->FindFrom(key, version_, nullptr)); }
  void SeekBefore(Slice key) override { node_ = VisibleBefore(table_->FindBefore(key)); }
  void Next() override {
    const Slice left = key();
    const MemoryTable::Node* node = node_->next[0];
    while (node != nullptr && Compare(MemoryTable::KeyOf(node), left) == 0) node = node->next[0];
    node_ = VisibleFrom(node);
  }
  void Previous() override { node_ = VisibleBefore(table_->FindBefore(key())); }
  bool IsValid() const override { return node_ != nullptr; }
  Slice key() const override { return MemoryTable::KeyOf(node_); }
  Slice value() const override { return {node_->value, node_->valueBytes}; }
  bool IsDeletion() const override { return node_->isDeletion; }
  const Reason& failure() const override { return noFailure_; }

 private:
  // From a node on, the first that was there already when the cursor was made. Versions of a key lie
  // newest first, so that one is the key's newest.
  const MemoryTable::Node* VisibleFrom(const MemoryTable::Node* node) const {
    while (node != nullptr && node->version > version_) node = node->next[0];
    return node;
  }
  // The newest visible version of the node's key, or of one before it.
  const MemoryTable::Node* VisibleBefore(const MemoryTable::Node* node) const {
    while (node != nullptr) {
      const MemoryTable::Node* found = table_->FindFrom(MemoryTable::KeyOf(node), version_, nullptr);
      if (found != nullptr && Compare(MemoryTable::KeyOf(found), MemoryTable::KeyOf(node)) == 0) return found;
      node = table_->FindBefore(MemoryTable::KeyOf(node));
    }
    return nullptr;
  }

  const std::shared_ptr<const MemoryTable> table_;
  const uint64_t version_;
  const MemoryTable::Node* node_ = nullptr;
  const Reason noFailure_;
};

std::unique_ptr<Cursor> MemoryTable::CursorOf(std::shared_ptr<const MemoryTable> table) {
  return std::make_unique<MemoryCursor>(std::move(table));
}

}  // namespace granary::index
