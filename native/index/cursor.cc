#include "cursor.h"

#include <algorithm>

namespace granary::index {

void MergingCursor::Seek(Slice key) {
  isForward_ = true;
  for (const auto& source : sources_) source->Seek(key);
  Gather();
}

void MergingCursor::SeekBefore(Slice key) {
  isForward_ = false;
  for (const auto& source : sources_) source->SeekBefore(key);
  Gather();
}

bool MergingCursor::GoesBefore(const Head& one, const Head& other) const {
  const int order = Compare(one.key, other.key);
  if (order != 0) return isForward_ ? order < 0 : order > 0;
  return one.age < other.age;
}

// What a source lacks that failed may be anywhere: nothing behind it can be trusted.
bool MergingCursor::HasFailed(const Cursor& source) {
  if (source.failure().empty()) return false;
  failure_ = source.failure();
  heads_.clear();
  return true;
}

void MergingCursor::Gather() {
  failure_ = {};
  heads_.clear();
  for (size_t age = 0; age < sources_.size(); age++) {
    Cursor* const source = sources_[age].get();
    if (HasFailed(*source)) return;
    if (source->IsValid()) heads_.push_back({source, source->key(), age});
  }
  std::sort(heads_.begin(), heads_.end(),
            [this](const Head& one, const Head& other) { return GoesBefore(one, other); });
}

// Every source that stands on the current key leaves it.
void MergingCursor::Advance() {
  size_t leaving = 1;
  while (leaving < heads_.size() && Compare(heads_[leaving].key, heads_.front().key) == 0) leaving++;
  // The last of them first: those in front of it keep their places.
  while (leaving-- > 0) {
    Head head = heads_[leaving];
    if (isForward_) {
      head.source->Next();
    } else {
      head.source->Previous();
    }
    if (HasFailed(*head.source)) return;
    const auto place = heads_.begin() + static_cast<ptrdiff_t>(leaving);
    if (!head.source->IsValid()) {
      heads_.erase(place);
      continue;
    }
    head.key = head.source->key();
    const auto behind = place + 1;
    auto to = behind;
    if (behind != heads_.end() && GoesBefore(*behind, head)) {
      to = std::upper_bound(behind + 1, heads_.end(), head,
                            [this](const Head& one, const Head& other) { return GoesBefore(one, other); });
      std::move(behind, to, place);
    }
    *(to - 1) = head;
  }
}

}  // namespace granary::index
