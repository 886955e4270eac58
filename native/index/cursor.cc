#include "cursor.h"

namespace granary::index {

void MergingCursor::Seek(Slice key) {
  isForward_ = true;
  for (const auto& source : sources_) source->Seek(key);
  Choose();
}

void MergingCursor::SeekBefore(Slice key) {
  isForward_ = false;
  for (const auto& source : sources_) source->SeekBefore(key);
  Choose();
}

// Every source that stands on the key that was current leaves it.
void MergingCursor::Advance() {
  key_.assign(reinterpret_cast<const char*>(current_->key().data), current_->key().bytes);
  for (const auto& source : sources_) {
    if (!source->IsValid() || Compare(source->key(), SliceOf(key_)) != 0) continue;
    if (isForward_) {
      source->Next();
    } else {
      source->Previous();
    }
  }
  Choose();
}

void MergingCursor::Choose() {
  current_ = nullptr;
  for (const auto& source : sources_) {
    if (!source->failure().empty()) {
      // What it lacks may be anywhere: nothing behind it can be trusted.
      failure_ = source->failure();
      current_ = nullptr;
      return;
    }
    if (!source->IsValid()) continue;
    // An equal key of an older source never wins.
    const int order = current_ == nullptr ? 0 : Compare(source->key(), current_->key());
    if (current_ == nullptr || (isForward_ ? order < 0 : order > 0)) current_ = source.get();
  }
}

}  // namespace granary::index
