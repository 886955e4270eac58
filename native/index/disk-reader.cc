#include "disk-reader.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "../io/start-thread.h"

namespace granary::index {

struct DiskReader::Shared {
  pthread_t thread{};
  bool hasThread = false;
  std::mutex mutex;
  std::condition_variable hasWork;
  // A call has come back, or the thread is at its end.
  std::condition_variable hasCome;
  // Under the mutex from here on. Of the call that is asked for, and the thread's alone while it is at it.
  std::shared_ptr<const File> file;
  uint64_t offset = 0;
  std::vector<uint8_t> bytes;
  int error = 0;
  // Asked for and not answered.
  bool isReading = false;
  std::vector<std::shared_ptr<const void>> dropped;
  bool isEnding = false;
  bool hasEnded = false;

  static void* ThreadMain(void* argument) {
    const std::unique_ptr<std::shared_ptr<Shared>> own(static_cast<std::shared_ptr<Shared>*>(argument));
    (*own)->Serve();
    return nullptr;
  }

  void Serve() {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      hasWork.wait(lock, [&] { return isReading || !dropped.empty() || isEnding; });
      if (isReading) {
        lock.unlock();
        const int result = file->ReadAt(offset, bytes.data(), bytes.size());
        file.reset();
        lock.lock();
        error = result;
        isReading = false;
        hasCome.notify_all();
      } else if (!dropped.empty()) {
        std::vector<std::shared_ptr<const void>> ending;
        ending.swap(dropped);
        lock.unlock();
        ending.clear();
        lock.lock();
      } else {
        hasEnded = true;
        hasCome.notify_all();
        return;
      }
    }
  }
};

DiskReader::DiskReader(int waitMs) : waitMs_(waitMs), shared_(std::make_shared<Shared>()) {}

DiskReader::~DiskReader() {
  if (!shared_->hasThread) return;
  bool hasEnded;
  {
    std::unique_lock<std::mutex> lock(shared_->mutex);
    shared_->isEnding = true;
    shared_->hasWork.notify_all();
    // A read that was not waited for hangs: it is not waited for now either.
    const auto isOver = [&] { return shared_->hasEnded || shared_->isReading; };
    shared_->hasCome.wait_for(lock, std::chrono::milliseconds(waitMs_), isOver);
    hasEnded = shared_->hasEnded;
  }
  if (hasEnded) {
    pthread_join(shared_->thread, nullptr);
  } else {
    pthread_detach(shared_->thread);
  }
}

bool DiskReader::Start() {
  auto own = std::make_unique<std::shared_ptr<Shared>>(shared_);
  shared_->hasThread = StartThread(&shared_->thread, "index read", &Shared::ThreadMain, own.get());
  if (shared_->hasThread) own.release();
  return shared_->hasThread;
}

int DiskReader::ReadAt(const std::shared_ptr<const File>& file, uint64_t offset, void* data, size_t bytes) {
  std::unique_lock<std::mutex> lock(shared_->mutex);
  if (shared_->isReading) return ETIMEDOUT;
  shared_->file = file;
  shared_->offset = offset;
  shared_->bytes.resize(bytes);
  shared_->isReading = true;
  shared_->hasWork.notify_one();
  const auto hasAnswer = [&] { return !shared_->isReading; };
  if (!shared_->hasCome.wait_for(lock, std::chrono::milliseconds(waitMs_), hasAnswer)) return ETIMEDOUT;
  if (shared_->error == 0) memcpy(data, shared_->bytes.data(), bytes);
  return shared_->error;
}

void DiskReader::Drop(Shared& shared, std::shared_ptr<const void> object) {
  const std::lock_guard<std::mutex> lock(shared.mutex);
  // Nobody is left to do it: then it ends here.
  if (shared.hasEnded || !shared.hasThread) return;
  shared.dropped.push_back(std::move(object));
  shared.hasWork.notify_one();
}

}  // namespace granary::index
