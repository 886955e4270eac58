// Where nothing is: stretches of keys whose entries were all deleted, as those who walked over the deletions have
// found. Deletions stay in runs until these are merged; who comes after goes past them in one step. Only in memory, and
// only of the present: a cursor from before a change neither adds to them nor may use them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "bytes.h"

namespace granary::index {

class EmptyStretches {
 public:
  void NotePut(Slice key);
  void NoteDelete() { changes_++; }
  // The number of changes so far.
  uint64_t changes() const { return changes_; }

  // There is nothing from `from` up to `to`, which is not part of it.
  void Add(std::string from, std::string to);
  // Where the stretch ends that the key is in; null when it is in none. Borrowed until the next call.
  const std::string* EndOf(Slice key);
  void Clear() { stretches_.clear(); }
  size_t count() const { return stretches_.size(); }

 private:
  struct Stretch {
    std::string end;
    // The number of the look that found it last.
    uint64_t usedAt;
  };
  struct IsBefore {
    using is_transparent = void;
    bool operator()(const std::string& one, const std::string& other) const { return one < other; }
    bool operator()(Slice one, const std::string& other) const { return Compare(one, SliceOf(other)) < 0; }
    bool operator()(const std::string& one, Slice other) const { return Compare(SliceOf(one), other) < 0; }
  };
  using ByStart = std::map<std::string, Stretch, IsBefore>;

  ByStart::iterator Holding(Slice key);
  void DropUnused();

  // They neither touch nor overlap.
  ByStart stretches_;
  uint64_t changes_ = 0;
  uint64_t looks_ = 0;
};

}  // namespace granary::index
