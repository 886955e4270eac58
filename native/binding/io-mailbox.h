// Outcomes on their way from the queues' threads to the main thread.
#pragma once

#include <node_api.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "../io/operation.h"
#include "../io/queue.h"

namespace granary {

struct Completion {
  std::shared_ptr<io::Queue> queue;
  uint64_t ticket;
  io::Outcome outcome;
};

// Ticket 0 says that closing the queue has come to its end, well or not.
constexpr uint64_t kClosedTicket = 0;

// Where the threads put what is done. Outlives the environment if a thread does.
class Mailbox : public io::Sink {
 public:
  void Open(napi_threadsafe_function wake) {
    const std::lock_guard<std::mutex> lock(mutex_);
    wake_ = wake;
  }

  // After this nothing calls into the environment any more.
  void Shut() {
    const std::lock_guard<std::mutex> lock(mutex_);
    wake_ = nullptr;
    completions_.clear();
  }

  void Done(const std::shared_ptr<io::Queue>& queue, uint64_t ticket, io::Outcome&& outcome) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (wake_ == nullptr) return;
    completions_.push_back({queue, ticket, std::move(outcome)});
    if (completions_.size() == 1) napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
  }

  void Take(std::vector<Completion>* completions) {
    const std::lock_guard<std::mutex> lock(mutex_);
    completions->swap(completions_);
  }

 private:
  std::mutex mutex_;
  std::vector<Completion> completions_;
  napi_threadsafe_function wake_ = nullptr;
};

}  // namespace granary
