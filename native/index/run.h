// A sorted run: an immutable file of entries in key order, written whole and synced before it is named.
// docs/format/index.md describes its bytes.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "bytes.h"
#include "cursor.h"
#include "disk-reader.h"
#include "file.h"

namespace granary::index {

// One block in memory, whole and verified.
class Block {
 public:
  // False unless the bytes are those that were written.
  bool Take(std::vector<uint8_t> bytes);
  uint32_t count() const { return count_; }
  Slice KeyAt(uint32_t index) const;
  Slice ValueAt(uint32_t index) const;
  bool IsDeletionAt(uint32_t index) const;
  // Index of the first entry at or after the key.
  uint32_t LowerBound(Slice key) const;
  size_t bytes() const { return bytes_.size(); }

 private:
  const uint8_t* EntryAt(uint32_t index) const { return bytes_.data() + ReadNumber<uint32_t>(table_ + 4 * index); }

  std::vector<uint8_t> bytes_;
  const uint8_t* table_ = nullptr;
  uint32_t count_ = 0;
};

// Blocks that were read lately, by run and number. For one thread.
class BlockCache {
 public:
  explicit BlockCache(size_t bytesMax) : bytesMax_(bytesMax) {}
  std::shared_ptr<const Block> Find(uint64_t run, uint32_t block);
  void Keep(uint64_t run, uint32_t block, std::shared_ptr<const Block> bytes);
  void Clear();
  size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    uint64_t run;
    uint32_t block;
    std::shared_ptr<const Block> kept;
  };
  struct Key {
    uint64_t run;
    uint32_t block;
    bool operator==(const Key& other) const { return run == other.run && block == other.block; }
  };
  struct HashOfKey {
    size_t operator()(const Key& key) const { return key.run * 0x9e3779b97f4a7c15 + key.block; }
  };

  const size_t bytesMax_;
  size_t bytes_ = 0;
  // Most recently used first.
  std::list<Entry> entries_;
  std::unordered_map<Key, std::list<Entry>::iterator, HashOfKey> byKey_;
};

// How the owner's thread of a store reads runs.
struct Reading {
  BlockCache* cache;
  DiskReader* disk;
};

class Run {
 public:
  // Null with `failure` set when the file is not what was written.
  static std::shared_ptr<Run> Open(const Folder& folder, const std::string& name, uint64_t id, uint32_t level,
                                   Reason* failure);

  uint64_t id() const { return id_; }
  uint32_t level() const { return level_; }
  // Deletions among them.
  uint64_t entryCount() const { return entryCount_; }
  uint64_t deletionCount() const { return deletionCount_; }
  uint64_t bytes() const { return fileBytes_; }
  uint32_t blockCount() const { return static_cast<uint32_t>(blocks_.size()); }

  // What the filters of all runs ask of a key.
  static uint64_t FilterHashOf(Slice key);
  // False: the key of this hash is certainly not here.
  bool MayHave(uint64_t filterHash) const;
  // The first block that may hold the key or one after it; blockCount() when none does.
  uint32_t BlockFor(Slice key) const;
  // Null with `failure` set when it cannot be read whole. `reading` is null on a thread that may wait for the disk,
  // which keeps nothing.
  std::shared_ptr<const Block> ReadBlock(uint32_t block, const Reading* reading, Reason* failure) const;
  // `reading` must outlive it.
  static std::unique_ptr<Cursor> CursorOf(std::shared_ptr<const Run> run, const Reading* reading);

 private:
  struct BlockPlace {
    uint64_t offset;
    uint32_t bytes;
    uint32_t lastKeyAt;
    uint32_t lastKeyBytes;
  };

  bool ReadTail(Reason* failure);
  int Read(const BlockPlace& place, uint8_t* bytes, const Reading* reading) const;
  Slice LastKeyOf(const BlockPlace& place) const {
    return {reinterpret_cast<const uint8_t*>(tail_.data()) + place.lastKeyAt, place.lastKeyBytes};
  }

  std::string path_;
  uint64_t id_ = 0;
  uint32_t level_ = 0;
  uint64_t fileBytes_ = 0;
  uint64_t entryCount_ = 0;
  uint64_t deletionCount_ = 0;
  // A call that hangs needs it longer than the run lives.
  const std::shared_ptr<File> file_ = std::make_shared<File>();
  // The block table with its keys, then the filter.
  std::string tail_;
  std::vector<BlockPlace> blocks_;
  const uint8_t* filter_ = nullptr;
  uint64_t filterBits_ = 0;
};

// Writes a run: entries in ascending order, each key once, then Finish.
class RunWriter {
 public:
  // 0 or an errno.
  int Begin(const Folder& folder, const std::string& name);
  int Add(Slice key, Slice value, bool isDeletion);
  // Writes what describes the blocks, and syncs.
  int Finish();
  uint64_t entryCount() const { return hashes_.size(); }
  uint64_t bytes() const { return offset_; }

 private:
  int EndBlock();
  int Write(const std::string& bytes);

  File file_;
  uint64_t offset_ = 0;
  std::string block_;
  std::string offsets_;
  std::string lastKey_;
  std::string table_;
  uint32_t blockCount_ = 0;
  std::vector<uint64_t> hashes_;
  uint64_t deletionCount_ = 0;
};

}  // namespace granary::index
