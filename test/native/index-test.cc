#include "index-test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../../native/index/store.h"

using granary::index::Cursor;
using granary::index::Reason;
using granary::index::Slice;
using granary::index::SliceOf;
using granary::index::Store;
using granary::index::StoreHandle;
using granary::index::StoreOptions;
using granary::index::StringOf;

namespace {

// A call that a thread of the store makes to the disk, and that does not come back until it is let go: the calls below
// stand in front of those of the C library.
class HangingCall {
 public:
  void Await(const std::string& end) {
    const std::lock_guard<std::mutex> lock(mutex_);
    end_ = end;
    isReached_ = false;
  }
  void Meet(const std::string& call) {
    std::unique_lock<std::mutex> lock(mutex_);
    char thread[16] = {};
    pthread_getname_np(pthread_self(), thread, sizeof(thread));
    if (end_.empty() || std::string(thread).rfind("index", 0) != 0 || call.size() < end_.size()) return;
    if (call.compare(call.size() - end_.size(), end_.size(), end_) != 0) return;
    end_.clear();
    isReached_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !isReached_; });
  }
  bool IsReached() {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return isReached_; });
  }
  void LetGo() {
    const std::lock_guard<std::mutex> lock(mutex_);
    isReached_ = false;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string end_;
  bool isReached_ = false;
};
HangingCall hangingCall;

}  // namespace

extern "C" int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  hangingCall.Meet(std::string("open ") + path);
  return static_cast<int>(syscall(SYS_openat, folder, path, flags, mode));
}

extern "C" int close(int fd) {
  char path[512] = {};
  // The name of a file that was removed ends with "(deleted)".
  if (readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof(path) - 1) > 0) {
    hangingCall.Meet(std::string("close ") + path);
  }
  return static_cast<int>(syscall(SYS_close, fd));
}

namespace {

using Model = std::map<std::string, std::string>;

std::string KeyFrom(test::Random* random) {
  return "key" + std::to_string(random->Below(300)) + std::string(random->Below(40), 'k');
}

void ExpectSame(Store* store, const Model& model, test::Random* random) {
  const std::string from = KeyFrom(random);
  std::unique_ptr<Cursor> cursor = store->CursorOf();
  auto expected = model.lower_bound(from);
  for (cursor->Seek(SliceOf(from)); cursor->IsValid(); cursor->Next()) {
    if (cursor->IsDeletion()) continue;
    EXPECT(expected != model.end(), "one entry too many");
    if (expected == model.end()) return;
    EXPECT(StringOf(cursor->key()) == expected->first, "key %s", expected->first.c_str());
    EXPECT(StringOf(cursor->value()) == expected->second, "value of %s", expected->first.c_str());
    ++expected;
  }
  EXPECT(cursor->failure().empty(), "%s", cursor->failure().c_str());
  EXPECT(expected == model.end(), "entries are missing");
  auto before = model.lower_bound(from);
  for (cursor->SeekBefore(SliceOf(from)); cursor->IsValid(); cursor->Previous()) {
    if (cursor->IsDeletion()) continue;
    EXPECT(before != model.begin(), "one entry too many before");
    if (before == model.begin()) return;
    --before;
    EXPECT(StringOf(cursor->key()) == before->first, "key %s", before->first.c_str());
  }
  EXPECT(before == model.begin(), "entries before are missing");
  const std::string one = KeyFrom(random);
  Slice value;
  Reason failure;
  const bool isThere = store->Get(SliceOf(one), &value, &failure) == Store::Found::kValue;
  const auto found = model.find(one);
  EXPECT(isThere == (found != model.end()), "look-up of %s", one.c_str());
  if (isThere && found != model.end()) EXPECT(StringOf(value) == found->second, "value of %s", one.c_str());
}

void RemoveFolder(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return;
  for (const dirent* entry = readdir(directory); entry != nullptr; entry = readdir(directory)) {
    unlink((path + "/" + entry->d_name).c_str());
  }
  closedir(directory);
  rmdir(path.c_str());
}

// It writes, and reads what is not in memory.
constexpr size_t kThreadsOfStore = 2;

// This one and those of the stores.
size_t ThreadCount() {
  size_t count = 0;
  DIR* tasks = opendir("/proc/self/task");
  for (const dirent* entry = readdir(tasks); entry != nullptr; entry = readdir(tasks)) count += entry->d_name[0] != '.';
  closedir(tasks);
  return count;
}

void PutAndFlush(Store* store, const std::string& key) {
  store->Put(SliceOf(key), SliceOf(key));
  store->EndBatch();
  const uint64_t ticket = store->Flush();
  while (!store->IsFlushed(ticket)) std::this_thread::yield();
}

}  // namespace

void TestHangingClose() {
  char folder[] = "/tmp/granary-index-XXXXXX";
  EXPECT(mkdtemp(folder) != nullptr, "a folder");
  Reason failure;
  const StoreHandle store = Store::Open({folder, 24 << 10, 64 << 10, 60000}, &failure);
  hangingCall.Await(".run (deleted)");
  for (int run = 0; run < 8; run++) PutAndFlush(store.get(), "key" + std::to_string(run));
  EXPECT(hangingCall.IsReached(), "runs that were merged are closed");
  std::promise<void> answered;
  std::thread asking([&] {
    store->IsBehind();
    answered.set_value();
  });
  const auto isAnswered = answered.get_future().wait_for(std::chrono::seconds(30));
  EXPECT(isAnswered == std::future_status::ready, "nobody waits for a file that is being closed");
  hangingCall.LetGo();
  asking.join();
  EXPECT(store->Close().empty(), "close");
  RemoveFolder(folder);
}

void TestLeftStore() {
  char folder[] = "/tmp/granary-index-XXXXXX";
  EXPECT(mkdtemp(folder) != nullptr, "a folder");
  const StoreOptions options{folder, 24 << 10, 64 << 10, 60000};
  const size_t threadsBefore = ThreadCount();
  Reason failure;
  StoreHandle left = Store::Open(options, &failure);
  hangingCall.Await("open manifest.new");
  left->Put(SliceOf("left"), SliceOf("left"));
  left->Flush();
  EXPECT(hangingCall.IsReached(), "its manifest is written");
  Store::Leave(std::move(left));
  RemoveFolder(folder);
  StoreHandle store = Store::Open(options, &failure);
  EXPECT(store != nullptr, "%s", failure.c_str());
  if (!store) return;
  PutAndFlush(store.get(), "a");
  PutAndFlush(store.get(), "b");
  hangingCall.LetGo();
  // It comes back, and ends with its memory and its descriptors.
  while (ThreadCount() > threadsBefore + kThreadsOfStore) std::this_thread::yield();
  EXPECT(store->Close().empty(), "close");
  store = Store::Open(options, &failure);
  EXPECT(store != nullptr, "%s", failure.c_str());
  if (!store) return;
  Slice value;
  for (const char* key : {"a", "b"}) {
    EXPECT(store->Get(SliceOf(key), &value, &failure) == Store::Found::kValue, "%s is there", key);
  }
  EXPECT(store->Get(SliceOf("left"), &value, &failure) == Store::Found::kNothing, "of the store that was left");
  store.reset();
  RemoveFolder(folder);
}

void TestIndexStore(test::Random* random) {
  char folder[] = "/tmp/granary-index-XXXXXX";
  EXPECT(mkdtemp(folder) != nullptr, "a folder");
  // Small enough that a run is written every few batches, and merged a few times.
  const StoreOptions options{folder, 24 << 10, 64 << 10, 60000};
  Model model;
  for (int opening = 0; opening < 4; opening++) {
    Reason failure;
    const StoreHandle store = Store::Open(options, &failure);
    EXPECT(store != nullptr, "%s", failure.c_str());
    if (!store) break;
    ExpectSame(store.get(), model, random);
    for (int batch = 0; batch < 300; batch++) {
      const size_t changes = 1 + random->Below(30);
      for (size_t change = 0; change < changes; change++) {
        const std::string key = KeyFrom(random);
        if (random->Below(4) == 0) {
          store->Delete(SliceOf(key));
          model.erase(key);
        } else {
          const std::string value(random->Below(random->Below(20) == 0 ? 40000 : 200), 'a' + random->Below(26));
          store->Put(SliceOf(key), SliceOf(value));
          model[key] = value;
        }
      }
      store->EndBatch();
      if (batch % 10 == 0) ExpectSame(store.get(), model, random);
    }
    const auto figures = store->Figures();
    EXPECT(figures.runCount > 0 || figures.flushes == 0, "runs are written");
    if (opening == 2) {
      EXPECT(store->Clear().empty(), "clear");
      model.clear();
      ExpectSame(store.get(), model, random);
    }
    EXPECT(store->Close().empty(), "close");
  }
  RemoveFolder(folder);
}
