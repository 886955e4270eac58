#include "live-range.h"

#include <utility>

namespace granary::index {
namespace {

// Fewer in a row cost less than a seek past them.
constexpr size_t kStretchDeletionsMin = 64;

}  // namespace

LiveRange::LiveRange(std::unique_ptr<Cursor> cursor, EmptyStretches* stretches, Slice start, Slice end, bool isReverse)
    : cursor_(std::move(cursor)),
      stretches_(stretches),
      bound_(StringOf(isReverse ? start : end)),
      isReverse_(isReverse),
      changes_(stretches->changes()) {
  if (isReverse) {
    cursor_->SeekBefore(end);
  } else if (!SeekPast(start)) {
    cursor_->Seek(start);
  }
}

bool LiveRange::SeekPast(Slice key) {
  if (isReverse_ || !IsPresent()) return false;
  const std::string* const end = stretches_->EndOf(key);
  if (end == nullptr) return false;
  cursor_->Seek(SliceOf(*end));
  return true;
}

bool LiveRange::IsOver() const {
  if (!cursor_->IsValid()) return true;
  const int order = Compare(cursor_->key(), SliceOf(bound_));
  return isReverse_ ? order < 0 : order >= 0;
}

void LiveRange::Move() {
  if (isReverse_) {
    cursor_->Previous();
  } else {
    cursor_->Next();
  }
}

void LiveRange::EndPassing() {
  const size_t passed = passed_;
  passed_ = 0;
  if (passed < kStretchDeletionsMin || isReverse_ || !IsPresent() || !failure().empty()) return;
  stretches_->Add(std::move(passedFrom_), IsOver() ? bound_ : StringOf(cursor_->key()));
}

LiveRange::Step LiveRange::Find(size_t* left) {
  for (;;) {
    const bool isOver = IsOver();
    if (isOver || !cursor_->IsDeletion()) {
      EndPassing();
      return isOver ? Step::kEnd : Step::kEntry;
    }
    if (*left == 0) {
      EndPassing();
      return Step::kPause;
    }
    if (passed_ == 0) passedFrom_ = StringOf(cursor_->key());
    if (passed_ % kStretchDeletionsMin != 0 || !SeekPast(cursor_->key())) Move();
    passed_++;
    (*left)--;
  }
}

}  // namespace granary::index
