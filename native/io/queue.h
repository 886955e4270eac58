// A bounded first-in-first-out queue of file operations and the native threads that serve it.
//
// Threads are detached from birth: one that hangs in a system call must not keep the process from
// ending, so nobody ever joins them. What they touch (this object, the arena, the sink) is kept
// alive by the shared pointer that each thread holds.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "operation.h"

namespace granary::io {

// Memory that operations move bytes to and from, and whatever keeps it alive.
struct Arena {
  std::shared_ptr<void> owner;
  uint8_t* data = nullptr;
  size_t bytes = 0;
};

class Queue;

// Called on the queue's threads, one call for each operation, in the order in which they end.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void Done(const std::shared_ptr<Queue>& queue, uint64_t ticket, Outcome&& outcome) = 0;
};

class Queue : public std::enable_shared_from_this<Queue> {
 public:
  // Null when not even one thread could be started.
  static std::shared_ptr<Queue> Create(Arena arena, std::shared_ptr<Sink> sink, const std::string& name, int threads,
                                       size_t depthMax);

  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // 0, EAGAIN when the queue is full, ECANCELED once it is stopping. Closing a descriptor is always
  // accepted before that: it holds no memory, and refusing it would leak.
  int Push(uint64_t ticket, Operation&& operation);
  // Waiting or running.
  size_t Depth() const;
  // True when the operation was still waiting: it will not be done, and nobody hears of it again.
  bool Cancel(uint64_t ticket);
  // No more operations are taken; threads end when what is queued is done.
  void Stop();
  // True when all threads have ended before the time is up.
  bool WaitEnded(int64_t graceMs);
  // Keeps the open file of this descriptor open, and locked, until the last thread has ended: 0 or errno.
  int Hold(int fd);
  // After Stop: what has not been started never will be (its tickets are returned) but for closes, which
  // the thread that hangs does when it comes back. Outcomes that still come are dropped, with the
  // descriptors they opened.
  std::vector<uint64_t> Abandon();
  // After Stop or Abandon: lets go of the arena once all threads have ended, on the calling thread, which
  // may belong to the runtime that frees the memory. False when they have not ended in time.
  bool ReleaseArena(int64_t graceMs);

  const Arena& arena() const { return arena_; }

 private:
  struct Request {
    uint64_t ticket;
    Operation operation;
  };

  Queue(Arena arena, std::shared_ptr<Sink> sink, size_t depthMax);
  static void* ThreadMain(void* argument);
  void Serve();
  bool Take(Request* request);
  void Finish(uint64_t ticket, Outcome&& outcome);
  void LetGo(std::unique_lock<std::mutex>* lock);

  Arena arena_;
  const std::shared_ptr<Sink> sink_;
  const size_t depthMax_;

  mutable std::mutex mutex_;
  std::condition_variable hasWork_;
  std::condition_variable hasEnded_;
  std::deque<Request> waiting_;
  std::vector<int> held_;
  size_t running_ = 0;
  int liveThreads_ = 0;
  bool isStopping_ = false;
  bool isAbandoned_ = false;
};

}  // namespace granary::io
