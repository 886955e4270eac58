#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <set>

#include "../io/start-thread.h"
#include "checksum.h"

namespace granary::index {
namespace {

constexpr char kManifest[] = "manifest";
constexpr char kManifestNew[] = "manifest.new";
constexpr char kManifestTitle[] = "granary index 1\n";
constexpr size_t kManifestBytesMax = size_t{1} << 20;
constexpr char kRunSuffix[] = ".run";
constexpr char kNewSuffix[] = ".new";
// So many runs of one level become one of the next: each byte is written once per level, and a look-up
// asks the filters of at most seven runs of each.
constexpr size_t kRunsPerMerge = 8;
constexpr uint32_t kLevelMax = 20;
// From this share of all entries on deletions, and what they hide, are cleared away at once: levels alone would keep
// both until as much has been written again. So the index has at most three entries for one that is there; it is
// written anew for this when half as many were deleted as there were.
constexpr uint64_t kEntriesPerDeletion = 3;
// Fewer take neither room nor time.
constexpr uint64_t kTidyDeletionsMin = uint64_t{1} << 16;
constexpr auto kTidyRetry = std::chrono::seconds(60);
// A merge looks whether a table waits to be written after so many entries.
constexpr uint64_t kEntriesBetweenLooks = 4096;
// A disk that refused a run is asked again after this.
constexpr int kRetryMs = 1000;
// The end looks so often whether the disk answers.
constexpr int kStuckLookMs = 50;
// Frozen tables beyond which writers have to wait.
constexpr size_t kFrozenMax = 2;
// Merging is for later; requests are for now.
constexpr int kNiceness = 5;

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string RunName(uint64_t id) {
  char name[32];
  snprintf(name, sizeof(name), "%012llu%s", static_cast<unsigned long long>(id), kRunSuffix);
  return name;
}

std::string ChecksumLine(const std::string& text) {
  char line[32];
  snprintf(line, sizeof(line), "crc32c %08x\n", Crc32c(text.data(), text.size()));
  return line;
}

}  // namespace

// --- start and end ---

StoreHandle Store::Open(const StoreOptions& options, Reason* failure) {
  StoreHandle store(new Store(options));
  store->active_ = std::make_shared<MemoryTable>();
  *failure = store->disk_.Start() ? store->StartThread(First::kLoad) : store->NoThread();
  if (!failure->empty()) return nullptr;
  return store;
}

void StoreEnd::operator()(Store* store) const {
  if (store->StopThread(false)) {
    delete store;
  } else {
    store->LeaveToThread();
  }
}

// Reads the manifest and opens its runs; removes what it does not name.
Reason Store::Load() {
  const int opened = folder_.Open(options_.directory);
  if (opened != 0) return ReasonOf("open", options_.directory, opened);
  std::string text;
  const int error = ReadWhole(folder_, kManifest, kManifestBytesMax, &text);
  if (error != 0 && error != ENOENT) return ReasonOf("read", folder_.PathOf(kManifest), error);
  std::set<std::string> named;
  if (error == 0) {
    const Reason damaged = {folder_.PathOf(kManifest) + " is damaged"};
    const size_t end = text.rfind("crc32c ");
    if (end == std::string::npos || ChecksumLine(text.substr(0, end)) != text.substr(end)) return damaged;
    if (text.compare(0, sizeof(kManifestTitle) - 1, kManifestTitle) != 0) return damaged;
    size_t at = sizeof(kManifestTitle) - 1;
    while (at < end) {
      unsigned long long id = 0;
      unsigned level = 0;
      const size_t lineEnd = text.find('\n', at);
      if (sscanf(text.c_str() + at, "run %llu level %u\n", &id, &level) != 2 || level > kLevelMax) return damaged;
      Reason failure;
      std::shared_ptr<const Run> run = disk_.Guard(Run::Open(folder_, RunName(id), id, level, &failure));
      if (!run) return failure;
      NoteProgress();
      runs_.push_back(run);
      named.insert(RunName(id));
      if (id >= nextRun_) nextRun_ = id + 1;
      at = lineEnd + 1;
    }
  }
  std::vector<std::string> names;
  const int listed = folder_.Names(&names);
  if (listed != 0) return ReasonOf("list", options_.directory, listed);
  {
    // It was left while the disk hung: what is there by now may be another's.
    const std::lock_guard<std::mutex> lock(mutex_);
    if (isStopping_) return NoAnswer();
  }
  for (const std::string& name : names) {
    const bool isOurs = EndsWith(name, kRunSuffix) || EndsWith(name, kNewSuffix);
    if (isOurs && named.count(name) == 0) folder_.Remove(name);
  }
  return {};
}

Reason Store::StartThread(First first) {
  first_ = first;
  isFirstDone_ = false;
  isStopping_ = false;
  NoteProgress();
  hasThread_ = granary::StartThread(&thread_, "index", &ThreadMain, this);
  if (!hasThread_) return NoThread();
  std::unique_lock<std::mutex> lock(mutex_);
  const auto isDone = [&] { return isFirstDone_; };
  while (!threadCame_.wait_for(lock, std::chrono::milliseconds(kStuckLookMs), isDone)) {
    if (IsStuck()) return NoAnswer();
  }
  return firstFailure_;
}

bool Store::StopThread(bool isRestWritten) {
  if (!hasThread_) return true;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    isStopping_ = true;
    isRestWritten_ = isRestWritten;
    hasWork_.notify_all();
    const auto hasEnded = [&] { return hasThreadEnded_; };
    while (!threadCame_.wait_for(lock, std::chrono::milliseconds(kStuckLookMs), hasEnded)) {
      if (IsStuck()) return false;
    }
  }
  pthread_join(thread_, nullptr);
  hasThread_ = false;
  hasThreadEnded_ = false;
  return true;
}

void Store::LeaveToThread() {
  bool hasEnded;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    hasEnded = !hasThread_ || hasThreadEnded_;
    isStopping_ = true;
    isRestWritten_ = false;
    isThreads_ = !hasEnded;
    hasWork_.notify_all();
    // After the mutex nothing of the store is ours.
    if (isThreads_) pthread_detach(thread_);
  }
  if (!hasEnded) return;
  if (hasThread_) pthread_join(thread_, nullptr);
  delete this;
}

Reason Store::Close() {
  if (!active_->IsEmpty()) Freeze();
  if (!StopThread(true)) return NoAnswer();
  const std::lock_guard<std::mutex> lock(mutex_);
  return {frozen_.empty() ? "" : trouble_};
}

void Store::Leave(StoreHandle store) { store.release()->LeaveToThread(); }

Reason Store::Clear() {
  if (!StopThread(false)) return NoAnswer();
  frozen_.clear();
  found_.reset();
  cache_.Clear();
  stretches_.Clear();
  active_ = std::make_shared<MemoryTable>();
  flushedCount_ = frozenCount_;
  trouble_.clear();
  damage_.clear();
  return StartThread(First::kClear);
}

// --- on the owner's thread ---

Store::Found Store::Get(Slice key, Slice* value, Reason* failure) {
  const auto in = [&](const MemoryTable& table) { return table.Get(key, value); };
  MemoryTable::Found inMemory = in(*active_);
  Runs runs;
  if (inMemory == MemoryTable::Found::kNothing) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& table : frozen_) {
      inMemory = in(*table);
      if (inMemory != MemoryTable::Found::kNothing) break;
    }
    if (inMemory == MemoryTable::Found::kNothing) {
      const uint64_t hash = Run::FilterHashOf(key);
      for (const auto& run : runs_) {
        if (run->MayHave(hash)) runs.push_back(run);
      }
    }
  }
  if (inMemory == MemoryTable::Found::kValue) return Found::kValue;
  if (inMemory == MemoryTable::Found::kDeletion) return Found::kNothing;
  for (const auto& run : runs) {
    const uint32_t number = run->BlockFor(key);
    if (number == run->blockCount()) continue;
    found_ = run->ReadBlock(number, &reading_, failure);
    if (!found_) return Found::kFailed;
    const uint32_t at = found_->LowerBound(key);
    if (at == found_->count() || Compare(found_->KeyAt(at), key) != 0) continue;
    if (found_->IsDeletionAt(at)) return Found::kNothing;
    *value = found_->ValueAt(at);
    return Found::kValue;
  }
  return Found::kNothing;
}

void Store::EndBatch() {
  if (active_->bytes() >= options_.memoryBytes) Freeze();
}

void Store::Freeze() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    frozen_.insert(frozen_.begin(), std::move(active_));
    frozenCount_++;
  }
  active_ = std::make_shared<MemoryTable>();
  hasWork_.notify_one();
}

bool Store::IsBehind() {
  const std::lock_guard<std::mutex> lock(mutex_);
  // A disk that takes nothing would hold up even what frees space: then memory has to do.
  return frozen_.size() > kFrozenMax && trouble_.empty() && !IsStuck();
}

bool Store::IsStuck() const {
  const auto progressAt = progressAt_.load();
  if (progressAt == std::chrono::steady_clock::duration::zero()) return false;
  const auto waited = std::chrono::steady_clock::now().time_since_epoch() - progressAt;
  return waited > std::chrono::milliseconds(options_.stuckMs);
}

std::unique_ptr<Cursor> Store::CursorOf() {
  std::vector<std::unique_ptr<Cursor>> sources;
  sources.push_back(MemoryTable::CursorOf(active_));
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& table : frozen_) sources.push_back(MemoryTable::CursorOf(table));
  for (const auto& run : runs_) sources.push_back(Run::CursorOf(run, &reading_));
  return std::make_unique<MergingCursor>(std::move(sources));
}

LiveRange Store::RangeOf(Slice start, Slice end, bool isReverse) {
  return LiveRange(CursorOf(), &stretches_, start, end, isReverse);
}

uint64_t Store::Flush() {
  if (!active_->IsEmpty()) Freeze();
  const std::lock_guard<std::mutex> lock(mutex_);
  return frozenCount_;
}

bool Store::IsFlushed(uint64_t ticket) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return flushedCount_ >= ticket;
}

std::string Store::Trouble() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return trouble_.empty() && IsStuck() ? NoAnswer().text : trouble_;
}

std::string Store::Damage() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return damage_;
}

StoreFigures Store::Figures() {
  const std::lock_guard<std::mutex> lock(mutex_);
  StoreFigures figures{active_->bytes(), runs_.size(), 0, 0, flushedCount_, merges_, mergedBytes_};
  for (const auto& table : frozen_) figures.memoryBytes += table->bytes();
  for (const auto& run : runs_) {
    figures.runBytes += run->bytes();
    figures.runEntries += run->entryCount();
  }
  return figures;
}

// --- on the store's thread ---

void* Store::ThreadMain(void* argument) {
  // Of this thread alone, on Linux.
  static_cast<void>(setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness));
  Store* const store = static_cast<Store*>(argument);
  if (store->Serve()) delete store;
  return nullptr;
}

std::string Store::RemoveRuns() {
  const Runs before = std::move(runs_);
  runs_.clear();
  // One that names nothing would say the same, and a full disk has no room for it.
  int error = folder_.Remove(kManifest);
  if (error == 0) error = folder_.Sync();
  for (const auto& run : before) folder_.Remove(RunName(run->id()));
  return error == 0 ? "" : Failure("remove", folder_.PathOf(kManifest), error);
}

bool Store::Serve() {
  Reason firstFailure = first_ == First::kLoad ? Load() : Reason{RemoveRuns()};
  std::unique_lock<std::mutex> lock(mutex_);
  firstFailure_ = std::move(firstFailure);
  isFirstDone_ = true;
  threadCame_.notify_all();
  while (!isStopping_) {
    NoteProgress();
    const bool isFrozen = !frozen_.empty();
    const Merge due = isFrozen || !damage_.empty() ? Merge() : DueForMerge();
    if (!isFrozen && due.inputs.empty()) {
      progressAt_ = std::chrono::steady_clock::duration::zero();
      hasWork_.wait(lock);
      continue;
    }
    lock.unlock();
    std::string failure = isFrozen ? WriteFrozen() : MergeSome(due);
    lock.lock();
    if (due.isTidying && !failure.empty()) {
      tidyAt_ = std::chrono::steady_clock::now() + kTidyRetry;
      failure.clear();
    }
    trouble_ = failure;
    NoteProgress();
    if (!failure.empty() && !isStopping_) hasWork_.wait_for(lock, std::chrono::milliseconds(kRetryMs));
  }
  // It may have been between two tries.
  std::string failure;
  while (isRestWritten_ && !frozen_.empty() && failure.empty()) {
    NoteProgress();
    lock.unlock();
    failure = WriteFrozen();
    lock.lock();
  }
  trouble_ = failure;
  progressAt_ = std::chrono::steady_clock::duration::zero();
  hasThreadEnded_ = true;
  threadCame_.notify_all();
  return isThreads_;
}

std::string Store::WriteFrozen() {
  // In another folder nobody would look for it.
  const int misplaced = folder_.IsInPlace();
  if (misplaced == ESTALE) return options_.directory + " is another folder now";
  if (misplaced != 0) return Failure("find", options_.directory, misplaced);
  std::shared_ptr<const MemoryTable> table;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    table = frozen_.back();
  }
  const uint64_t id = nextRun_++;
  const std::string name = RunName(id);
  const std::string newName = name + kNewSuffix;
  RunWriter writer;
  int error = writer.Begin(folder_, newName);
  const std::unique_ptr<Cursor> cursor = MemoryTable::CursorOf(table);
  for (cursor->Seek(Slice()); error == 0 && cursor->IsValid(); cursor->Next()) {
    error = writer.Add(cursor->key(), cursor->value(), cursor->IsDeletion());
  }
  if (error == 0) error = writer.Finish();
  if (error == 0) error = folder_.Rename(newName, name);
  const std::string failure = error == 0 ? "" : Failure("write", folder_.PathOf(name), error);
  Reason unopened = {failure};
  std::shared_ptr<const Run> run;
  if (error == 0) run = disk_.Guard(Run::Open(folder_, name, id, 0, &unopened));
  if (!run) {
    folder_.Remove(error == 0 ? name : newName);
    return unopened.text;
  }
  return Install({}, run);
}

// Runs lie from the newest, of the lowest level, to the oldest.
Store::Merge Store::DueForMerge() const {
  Runs due;
  uint64_t entries = 0;
  uint64_t deletions = 0;
  for (size_t first = 0; first < runs_.size(); first += due.size()) {
    due.clear();
    for (size_t at = first; at < runs_.size() && runs_[at]->level() == runs_[first]->level(); at++) {
      due.push_back(runs_[at]);
      entries += runs_[at]->entryCount();
      deletions += runs_[at]->deletionCount();
    }
    const uint32_t level = due.front()->level();
    const bool isOldestIn = first + due.size() == runs_.size();
    if (due.size() >= kRunsPerMerge && level < kLevelMax) return {due, level + 1, isOldestIn, false};
  }
  const bool isTidy = deletions < kTidyDeletionsMin || deletions * kEntriesPerDeletion < entries;
  if (isTidy || std::chrono::steady_clock::now() < tidyAt_) return {};
  return {runs_, runs_.back()->level(), true, true};
}

std::string Store::MergeSome(const Merge& merge) {
  const uint64_t id = nextRun_++;
  const std::string name = RunName(id);
  const std::string newName = name + kNewSuffix;
  std::vector<std::unique_ptr<Cursor>> sources;
  // Past the cache: what is merged is not what is asked for.
  for (const auto& run : merge.inputs) sources.push_back(Run::CursorOf(run, nullptr));
  MergingCursor cursor(std::move(sources));
  RunWriter writer;
  int error = writer.Begin(folder_, newName);
  uint64_t seen = 0;
  bool isGivenUp = false;
  std::string failure;
  for (cursor.Seek(Slice()); error == 0 && cursor.IsValid(); cursor.Next()) {
    if (!merge.isOldestIn || !cursor.IsDeletion())
      error = writer.Add(cursor.key(), cursor.value(), cursor.IsDeletion());
    if (++seen % kEntriesBetweenLooks != 0) continue;
    NoteProgress();
    bool isTableDue;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      isGivenUp = isStopping_;
      isTableDue = !frozen_.empty();
    }
    if (!isGivenUp && isTableDue) failure = WriteFrozen();
    isGivenUp = isGivenUp || !failure.empty();
    if (isGivenUp) break;
  }
  if (!cursor.failure().empty()) {
    // Another try would read the same: the index is of no use any more, and what is new is still written.
    isGivenUp = true;
    const std::lock_guard<std::mutex> lock(mutex_);
    damage_ = cursor.failure().text;
  }
  if (!isGivenUp && error == 0) error = writer.Finish();
  if (!isGivenUp && error == 0) error = folder_.Rename(newName, name);
  if (error != 0) failure = Failure("write", folder_.PathOf(name), error);
  Reason unopened = {failure};
  std::shared_ptr<const Run> run;
  if (!isGivenUp && failure.empty()) run = disk_.Guard(Run::Open(folder_, name, id, merge.level, &unopened));
  if (!run) {
    folder_.Remove(newName);
    folder_.Remove(name);
    return unopened.text;
  }
  return Install(merge.inputs, run);
}

// A new run in the place of what it was made of, on disk and then for readers. Only this thread changes the runs.
std::string Store::Install(const Runs& removed, std::shared_ptr<const Run> made) {
  Runs runs;
  bool isPlaced = removed.empty();
  if (isPlaced) runs.push_back(made);
  for (const auto& run : runs_) {
    bool isRemoved = false;
    for (const auto& one : removed) isRemoved = isRemoved || one == run;
    if (!isRemoved) {
      runs.push_back(run);
    } else if (!isPlaced) {
      isPlaced = true;
      if (made->entryCount() > 0) runs.push_back(made);
    }
  }
  bool isLeft;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    isLeft = isThreads_;
  }
  bool isNamed = false;
  // A start takes the manifest that was written last: not one of a store that was left.
  const std::string failure = isLeft ? options_.directory + " was left" : WriteManifest(runs, &isNamed);
  // On a full disk it would only keep the room that the next try needs. One that the manifest may name stays.
  if (!failure.empty() && !isNamed) folder_.Remove(RunName(made->id()));
  if (!failure.empty()) return failure;
  for (const auto& run : removed) folder_.Remove(RunName(run->id()));
  if (made->entryCount() == 0) folder_.Remove(RunName(made->id()));
  const std::lock_guard<std::mutex> lock(mutex_);
  runs_.swap(runs);
  if (removed.empty()) {
    frozen_.pop_back();
    flushedCount_++;
  } else {
    merges_++;
    mergedBytes_ += made->bytes();
  }
  return "";
}

std::string Store::WriteManifest(const Runs& runs, bool* isNamed) {
  std::string text = kManifestTitle;
  for (const auto& run : runs) {
    text += "run " + std::to_string(run->id()) + " level " + std::to_string(run->level()) + "\n";
  }
  text += ChecksumLine(text);
  File file;
  int error = file.Create(folder_, kManifestNew);
  if (error == 0) error = file.Append(text.data(), text.size());
  if (error == 0) error = file.Sync();
  if (error == 0) error = file.Close();
  // The runs' names have to be durable before the manifest that names them is.
  if (error == 0) error = folder_.Sync();
  if (error == 0) {
    *isNamed = true;
    error = folder_.Rename(kManifestNew, kManifest);
  }
  if (error == 0) error = folder_.Sync();
  return error == 0 ? "" : Failure("write", folder_.PathOf(kManifest), error);
}

}  // namespace granary::index
