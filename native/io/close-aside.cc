#include "close-aside.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "start-thread.h"

namespace granary::io {
namespace {

constexpr auto kWait = std::chrono::seconds(1);

// Calls that nobody waits for any more.
std::atomic<int> hanging{0};

struct Closing {
  explicit Closing(int descriptor) : fd(descriptor) {}

  const int fd;
  std::mutex mutex;
  std::condition_variable ended;
  bool hasEnded = false;
  bool isLeft = false;
};

void* Close(void* argument) {
  const std::unique_ptr<std::shared_ptr<Closing>> own(static_cast<std::shared_ptr<Closing>*>(argument));
  Closing& closing = **own;
  ::close(closing.fd);
  const std::lock_guard<std::mutex> lock(closing.mutex);
  closing.hasEnded = true;
  if (closing.isLeft) hanging--;
  closing.ended.notify_all();
  return nullptr;
}

}  // namespace

void CloseAside(int fd) {
  const auto closing = std::make_shared<Closing>(fd);
  auto own = std::make_unique<std::shared_ptr<Closing>>(closing);
  pthread_t thread;
  if (!StartThread(&thread, "close", &Close, own.get())) {
    ::close(fd);
    return;
  }
  own.release();
  pthread_detach(thread);
  std::unique_lock<std::mutex> lock(closing->mutex);
  const auto hasEnded = [&] { return closing->hasEnded; };
  if (closing->ended.wait_for(lock, hanging == 0 ? kWait : kWait * 0, hasEnded)) return;
  closing->isLeft = true;
  hanging++;
}

}  // namespace granary::io
