#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "start-thread.h"

namespace granary::io {
Queue::Queue(Arena arena, std::shared_ptr<Sink> sink, size_t depthMax)
    : arena_(std::move(arena)), sink_(std::move(sink)), depthMax_(depthMax) {}

std::shared_ptr<Queue> Queue::Create(Arena arena, std::shared_ptr<Sink> sink, const std::string& name, int threads,
                                     size_t depthMax) {
  std::shared_ptr<Queue> queue(new Queue(std::move(arena), std::move(sink), depthMax));
  for (int index = 0; index < threads; ++index) {
    auto argument = std::make_unique<std::shared_ptr<Queue>>(queue);
    {
      const std::lock_guard<std::mutex> lock(queue->mutex_);
      ++queue->liveThreads_;
    }
    pthread_t thread;
    if (!StartThread(&thread, name, &Queue::ThreadMain, argument.get())) {
      const std::lock_guard<std::mutex> lock(queue->mutex_);
      --queue->liveThreads_;
      break;
    }
    argument.release();
    pthread_detach(thread);
  }
  const std::lock_guard<std::mutex> lock(queue->mutex_);
  return queue->liveThreads_ > 0 ? queue : nullptr;
}

int Queue::Push(uint64_t ticket, Operation&& operation) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (isStopping_) return ECANCELED;
    if (waiting_.size() >= depthMax_ && operation.kind != Kind::kClose) return EAGAIN;
    waiting_.push_back({ticket, std::move(operation)});
  }
  hasWork_.notify_one();
  return 0;
}

size_t Queue::Depth() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return waiting_.size() + running_;
}

bool Queue::Cancel(uint64_t ticket) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [ticket](const Request& request) { return request.ticket == ticket; });
  if (found == waiting_.end()) return false;
  waiting_.erase(found);
  return true;
}

void Queue::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    isStopping_ = true;
  }
  hasWork_.notify_all();
}

bool Queue::WaitEnded(int64_t graceMs) {
  std::unique_lock<std::mutex> lock(mutex_);
  return hasEnded_.wait_for(lock, std::chrono::milliseconds(graceMs), [this] { return liveThreads_ == 0; });
}

int Queue::Hold(int fd) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (liveThreads_ == 0) return ECANCELED;
  const int held = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (held < 0) return errno;
  held_.push_back(held);
  return 0;
}

std::vector<uint64_t> Queue::Abandon() {
  std::vector<uint64_t> tickets;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    isStopping_ = true;
    isAbandoned_ = true;
    std::deque<Request> closes;
    for (Request& request : waiting_) {
      if (request.operation.kind == Kind::kClose) {
        closes.push_back(std::move(request));
      } else {
        tickets.push_back(request.ticket);
      }
    }
    waiting_ = std::move(closes);
  }
  hasWork_.notify_all();
  return tickets;
}

bool Queue::ReleaseArena(int64_t graceMs) {
  if (!WaitEnded(graceMs)) return false;
  arena_ = Arena();
  return true;
}

void* Queue::ThreadMain(void* argument) {
  const std::unique_ptr<std::shared_ptr<Queue>> queue(static_cast<std::shared_ptr<Queue>*>(argument));
  (*queue)->Serve();
  return nullptr;
}

void Queue::Serve() {
  Request request;
  while (Take(&request)) {
    Outcome outcome = Perform(request.operation, arena_.data);
    Finish(request.ticket, std::move(outcome));
    request.operation = Operation();
  }
}

bool Queue::Take(Request* request) {
  std::unique_lock<std::mutex> lock(mutex_);
  hasWork_.wait(lock, [this] { return !waiting_.empty() || isStopping_; });
  if (waiting_.empty()) {
    if (liveThreads_ == 1) LetGo(&lock);
    --liveThreads_;
    // Under the lock: a waiter may be the last to know this object.
    hasEnded_.notify_all();
    return false;
  }
  *request = std::move(waiting_.front());
  waiting_.pop_front();
  ++running_;
  return true;
}

// By the last thread: no call is under way, and none will be. The lock is not held while the kernel is asked.
void Queue::LetGo(std::unique_lock<std::mutex>* lock) {
  while (!held_.empty()) {
    std::vector<int> held;
    held.swap(held_);
    lock->unlock();
    for (const int fd : held) ::close(fd);
    lock->lock();
  }
}

void Queue::Finish(uint64_t ticket, Outcome&& outcome) {
  bool isAbandoned;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    --running_;
    isAbandoned = isAbandoned_;
  }
  if (!isAbandoned) {
    sink_->Done(shared_from_this(), ticket, std::move(outcome));
  } else if (outcome.isOpened) {
    ::close(outcome.fd);
  }
}

}  // namespace granary::io
