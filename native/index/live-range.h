// What is there in a range of keys: a cursor that passes deletions. Of many in a row it tells the store, so that the
// next one need not pass them.
#pragma once

#include <memory>
#include <string>

#include "cursor.h"
#include "empty-stretches.h"

namespace granary::index {

// So many deletions are passed before others may have their turn: 0.05 ms.
constexpr size_t kDeletionsPerPause = 512;

class LiveRange {
 public:
  // Of keys in [start, end), from the end downwards when `isReverse`. `stretches` are those of the cursor's store,
  // which has not changed since the cursor was made.
  LiveRange(std::unique_ptr<Cursor> cursor, EmptyStretches* stretches, Slice start, Slice end, bool isReverse);

  enum class Step { kEntry, kEnd, kPause };
  // Goes on to an entry, unless it stands on one, and passes at most `*left` deletions, which it takes off. After a
  // pause it can be called again. At the end there may be a failure.
  Step Find(size_t* left);
  // Requires that Find has answered an entry: leaves it.
  void Leave() { Move(); }
  Slice key() const { return cursor_->key(); }
  Slice value() const { return cursor_->value(); }
  const Reason& failure() const { return cursor_->failure(); }

 private:
  bool IsPresent() const { return changes_ == stretches_->changes(); }
  bool IsOver() const;
  // Where a stretch that is known holds the key: behind it. False: none does.
  bool SeekPast(Slice key);
  // Nothing is in front of where the cursor is now.
  void EndPassing();
  void Move();

  std::unique_ptr<Cursor> cursor_;
  EmptyStretches* stretches_;
  // Copies: the caller's bytes may change.
  std::string bound_;
  bool isReverse_;
  uint64_t changes_;
  // Deletions that were passed since the last entry, and the first of them.
  size_t passed_ = 0;
  std::string passedFrom_;
};

}  // namespace granary::index
