#include "empty-stretches.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace granary::index {
namespace {

// More than a page of a listing has entries and common prefixes, twice: it looks through two ranges. With the longest
// keys they take 9 MB.
constexpr size_t kStretchesMax = 4096;

}  // namespace

EmptyStretches::ByStart::iterator EmptyStretches::Holding(Slice key) {
  const auto behind = stretches_.upper_bound(key);
  if (behind == stretches_.begin()) return stretches_.end();
  const auto found = std::prev(behind);
  return Compare(key, SliceOf(found->second.end)) < 0 ? found : stretches_.end();
}

void EmptyStretches::NotePut(Slice key) {
  changes_++;
  if (stretches_.empty()) return;
  const auto held = Holding(key);
  if (held == stretches_.end()) return;
  const Stretch before = std::move(held->second);
  std::string place = StringOf(key);
  if (held->first == place) {
    stretches_.erase(held);
  } else {
    held->second = {place, before.usedAt};
  }
  // The first key behind it.
  place.push_back('\0');
  if (place < before.end) stretches_.emplace(std::move(place), Stretch{before.end, before.usedAt});
  if (stretches_.size() > kStretchesMax) DropUnused();
}

void EmptyStretches::Add(std::string from, std::string to) {
  auto at = stretches_.upper_bound(from);
  if (at != stretches_.begin() && std::prev(at)->second.end >= from) {
    at = std::prev(at);
    from = at->first;
  }
  while (at != stretches_.end() && at->first <= to) {
    to = std::max(to, at->second.end);
    at = stretches_.erase(at);
  }
  stretches_.emplace(std::move(from), Stretch{std::move(to), ++looks_});
  if (stretches_.size() > kStretchesMax) DropUnused();
}

const std::string* EmptyStretches::EndOf(Slice key) {
  if (stretches_.empty()) return nullptr;
  const auto held = Holding(key);
  if (held == stretches_.end()) return nullptr;
  held->second.usedAt = ++looks_;
  return &held->second.end;
}

// Half of them, so that it is not needed again soon.
void EmptyStretches::DropUnused() {
  std::vector<uint64_t> uses;
  for (const auto& [start, stretch] : stretches_) uses.push_back(stretch.usedAt);
  const auto middle = uses.begin() + static_cast<ptrdiff_t>(uses.size() / 2);
  std::nth_element(uses.begin(), middle, uses.end());
  for (auto at = stretches_.begin(); at != stretches_.end();) {
    at = at->second.usedAt <= *middle ? stretches_.erase(at) : std::next(at);
  }
}

}  // namespace granary::index
