// The ordered index of a server, as one native store: a table in memory, and sorted runs on disk that a
// thread of its own writes and merges. A cache of the logs: what is only in memory is lost in a crash and
// replayed; what is on disk is always some state that the store went through, whole batches of it.
//
// Everything but the runs' making happens on the thread that made the store.
#pragma once

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bytes.h"
#include "cursor.h"
#include "live-range.h"
#include "memory-table.h"
#include "run.h"

namespace granary::index {

struct StoreOptions {
  // Created when absent.
  std::string directory;
  // A table of this size becomes a run.
  size_t memoryBytes;
  // Blocks of runs that are kept.
  size_t cacheBytes;
  // A disk that has not answered for so long takes nothing: nobody waits for it.
  int stuckMs;
};

struct StoreFigures {
  uint64_t memoryBytes;
  uint64_t runCount;
  uint64_t runBytes;
  uint64_t runEntries;
  uint64_t flushes;
  uint64_t merges;
  uint64_t mergedBytes;
};

class Store;

// Ends a store; without Close, what is in memory is lost. One whose thread hangs in a call to the disk is the thread's
// from then on, which ends it when it comes back.
struct StoreEnd {
  void operator()(Store* store) const;
};
using StoreHandle = std::unique_ptr<Store, StoreEnd>;

class Store {
 public:
  // Null with `failure` set: what is there is not an index, or not whole.
  static StoreHandle Open(const StoreOptions& options, Reason* failure);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  enum class Found { kNothing, kValue, kFailed };
  // The value is borrowed until the next call.
  Found Get(Slice key, Slice* value, Reason* failure);

  void Put(Slice key, Slice value) {
    stretches_.NotePut(key);
    active_->Put(key, value);
  }
  void Delete(Slice key) {
    stretches_.NoteDelete();
    active_->Delete(key);
  }
  // Between batches: runs begin and end here.
  void EndBatch();

  // More is in memory than should be, because the disk does not keep up.
  bool IsBehind();
  // As it is now. Lives no longer than the store, and not past Clear.
  LiveRange RangeOf(Slice start, Slice end, bool isReverse);

  // Everything written so far is on its way to disk. Answers a ticket for IsFlushed.
  uint64_t Flush();
  bool IsFlushed(uint64_t ticket);
  // Why the last run could not be written, or that the disk does not answer; empty when all is well.
  std::string Trouble();
  // What a merge could not read; empty when all is well.
  std::string Damage();

  // Removes everything. Empty, or why it could not.
  Reason Clear();
  // Flushes and ends the thread. Empty, or why not everything is durable.
  Reason Close();
  // Ends it without a wait for its disk: its folder has gone, or belongs to another. What is in memory is lost.
  static void Leave(StoreHandle store);
  StoreFigures Figures();

 private:
  friend struct StoreEnd;
  ~Store() = default;
  explicit Store(StoreOptions options)
      : options_(std::move(options)), cache_(options_.cacheBytes), disk_(options_.stuckMs) {}

  using Runs = std::vector<std::shared_ptr<const Run>>;

  // Deletions are not hidden.
  std::unique_ptr<Cursor> CursorOf();

  Reason NoThread() const { return {"no thread could be started for " + options_.directory, false, true}; }
  Reason NoAnswer() const { return {options_.directory + " does not answer", true}; }
  // What the thread does before it serves.
  enum class First { kLoad, kClear };
  // Empty, or why it could not.
  Reason StartThread(First first);
  // On the thread, while nobody else looks at the runs.
  Reason Load();
  std::string RemoveRuns();
  // False: the thread hangs in a call to the disk. It makes all calls that can hang.
  bool StopThread(bool isRestWritten);
  // The thread ends the store with itself.
  void LeaveToThread();
  void Freeze();
  // The thread goes on with its work: the disk has answered.
  void NoteProgress() { progressAt_ = std::chrono::steady_clock::now().time_since_epoch(); }
  bool IsStuck() const;

  static void* ThreadMain(void* argument);
  // True: the store is the thread's.
  bool Serve();
  // On the thread, without the mutex: whatever they let go of may take its time, or hang. Empty, or why it could not.
  std::string WriteFrozen();
  struct Merge {
    Runs inputs;
    uint32_t level = 0;
    // Below the oldest run there is nothing that a deletion could hide.
    bool isOldestIn = false;
    // Gives room back, and can wait for it.
    bool isTidying = false;
  };
  std::string MergeSome(const Merge& merge);
  // `removed` is what it was made of; nothing when that is the oldest frozen table.
  std::string Install(const Runs& removed, std::shared_ptr<const Run> made);
  // `isNamed`: what is on disk may name these runs, whatever failed.
  std::string WriteManifest(const Runs& runs, bool* isNamed);
  // Contiguous runs of one level that are due, or all of them when many entries are deletions; no inputs when none are.
  Merge DueForMerge() const;

  const StoreOptions options_;
  Folder folder_;
  BlockCache cache_;
  DiskReader disk_;
  const Reading reading_{&cache_, &disk_};
  // Of the last Get.
  std::shared_ptr<const Block> found_;
  std::shared_ptr<MemoryTable> active_;
  EmptyStretches stretches_;

  std::mutex mutex_;
  std::condition_variable hasWork_;
  // Under the mutex from here on. Frozen tables, the newest first; the thread takes the last.
  std::vector<std::shared_ptr<const MemoryTable>> frozen_;
  // The newest first.
  Runs runs_;
  uint64_t frozenCount_ = 0;
  uint64_t flushedCount_ = 0;
  uint64_t merges_ = 0;
  uint64_t mergedBytes_ = 0;
  bool isStopping_ = false;
  bool isRestWritten_ = false;
  bool hasThreadEnded_ = false;
  bool isThreads_ = false;
  First first_ = First::kLoad;
  Reason firstFailure_;
  bool isFirstDone_ = false;
  // To its first end, or to its last.
  std::condition_variable threadCame_;
  std::string trouble_;
  std::string damage_;

  // Of the owner's thread again.
  bool hasThread_ = false;
  pthread_t thread_{};
  // Of the store's thread, once it has one.
  uint64_t nextRun_ = 1;
  // Not before, after there was no room for it.
  std::chrono::steady_clock::time_point tidyAt_;

  // Since when the thread waits for the disk; nothing while it waits for work.
  std::atomic<std::chrono::steady_clock::duration> progressAt_{std::chrono::steady_clock::duration::zero()};
};

}  // namespace granary::index
