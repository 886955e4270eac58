#include "index-test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "../../native/index/store.h"

using granary::index::EmptyStretches;
using granary::index::LiveRange;
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

// Everything before, or from, a key; a pause of the range is passed over.
std::vector<std::pair<std::string, std::string>> Read(Store* store, Slice start, Slice end, bool isReverse) {
  LiveRange range = store->RangeOf(start, end, isReverse);
  std::vector<std::pair<std::string, std::string>> found;
  for (;;) {
    size_t left = 1000;
    const LiveRange::Step step = range.Find(&left);
    if (step == LiveRange::Step::kPause) continue;
    EXPECT(range.failure().empty(), "%s", range.failure().c_str());
    if (step == LiveRange::Step::kEnd) return found;
    found.emplace_back(StringOf(range.key()), StringOf(range.value()));
    range.Leave();
  }
}

void ExpectSame(Store* store, const Model& model, test::Random* random) {
  const std::string from = KeyFrom(random);
  const std::vector<std::pair<std::string, std::string>> behind(model.lower_bound(from), model.end());
  EXPECT(Read(store, SliceOf(from), SliceOf("l"), false) == behind, "entries from %s", from.c_str());
  std::vector<std::pair<std::string, std::string>> before(model.begin(), model.lower_bound(from));
  std::reverse(before.begin(), before.end());
  EXPECT(Read(store, Slice(), SliceOf(from), true) == before, "entries before %s", from.c_str());
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

// How many deletions are passed on the way to the first entry of a range.
size_t Passed(Store* store, const std::string& start, const std::string& end) {
  LiveRange range = store->RangeOf(SliceOf(start), SliceOf(end), false);
  size_t left = 1000000;
  EXPECT(range.Find(&left) != LiveRange::Step::kPause, "it gets there");
  return 1000000 - left;
}

std::string Numbered(int number) { return "k" + std::to_string(1000000 + number); }

void TestEmptyStretches() {
  char folder[] = "/tmp/granary-index-XXXXXX";
  EXPECT(mkdtemp(folder) != nullptr, "a folder");
  Reason failure;
  const StoreHandle store = Store::Open({folder, 24 << 10, 64 << 10, 60000}, &failure);
  EXPECT(store != nullptr, "%s", failure.c_str());
  if (!store) return;
  constexpr int kKeys = 5000;
  for (int number = 0; number < kKeys; number++) store->Put(SliceOf(Numbered(number)), Slice());
  store->EndBatch();
  LiveRange older = store->RangeOf(Slice(), SliceOf("l"), false);
  for (int number = 0; number < kKeys - 1; number++) {
    store->Delete(SliceOf(Numbered(number)));
    store->EndBatch();
    // What waits at the front of a queue is found at once.
    if (number % 100 == 99) EXPECT(Passed(store.get(), "k", "l") <= 102, "after %d", number);
  }
  EXPECT(Passed(store.get(), "k", "l") <= 102 && Passed(store.get(), "k", "l") <= 1, "all of them are behind");
  EXPECT(Passed(store.get(), Numbered(2500), "l") <= 1, "from the middle");
  EXPECT(Passed(store.get(), "k", Numbered(2500)) <= 1, "up to the middle");
  // A range of before shows what was there then, and adds nothing of it.
  size_t left = 10;
  EXPECT(older.Find(&left) == LiveRange::Step::kEntry && StringOf(older.key()) == Numbered(0), "as it was");
  // What is put among them is found, and the rest is still known.
  store->Put(SliceOf(Numbered(3000)), SliceOf("again"));
  const auto found = Read(store.get(), Slice(), SliceOf("l"), false);
  EXPECT(found.size() == 2 && found[0].first == Numbered(3000), "what was put again");
  EXPECT(Passed(store.get(), "k", "l") <= 1 && Passed(store.get(), Numbered(3001), "l") <= 1, "both sides of it");
  store->Delete(SliceOf(Numbered(3000)));
  EXPECT(Read(store.get(), Slice(), SliceOf("l"), false).size() == 1, "it goes again");
  // A range ends a look that is too long, and goes on where that ended.
  for (int number = 0; number < kKeys; number++) store->Put(SliceOf(Numbered(number)), Slice());
  for (int number = 0; number < kKeys; number++) store->Delete(SliceOf(Numbered(number)));
  LiveRange range = store->RangeOf(Slice(), SliceOf("l"), false);
  left = 1000;
  EXPECT(range.Find(&left) == LiveRange::Step::kPause && left == 0, "a pause");
  EXPECT(Passed(store.get(), "k", "l") == kKeys - 1000 + 1, "what was passed is behind already");
  EXPECT(store->Clear().empty(), "clear");
  store->Put(SliceOf(Numbered(1)), Slice());
  EXPECT(Read(store.get(), Slice(), SliceOf("l"), false).size() == 1, "nothing is known of what was cleared");
  EXPECT(store->Close().empty(), "close");
  RemoveFolder(folder);
}

// What is deleted takes no room for long, although no level is full.
void TestTidying() {
  char folder[] = "/tmp/granary-index-XXXXXX";
  EXPECT(mkdtemp(folder) != nullptr, "a folder");
  const StoreOptions options{folder, size_t{4} << 20, 64 << 10, 60000};
  Reason failure;
  StoreHandle store = Store::Open(options, &failure);
  EXPECT(store != nullptr, "%s", failure.c_str());
  if (!store) return;
  constexpr int kKeys = 140000;
  const auto flush = [&] {
    const uint64_t ticket = store->Flush();
    while (!store->IsFlushed(ticket)) std::this_thread::yield();
  };
  for (int number = 0; number < kKeys; number++) store->Put(SliceOf(Numbered(number)), Slice());
  flush();
  const uint64_t bytesBefore = store->Figures().runBytes;
  auto older = std::make_unique<LiveRange>(store->RangeOf(SliceOf("k"), SliceOf("l"), false));
  for (int number = 0; number < 60000; number++) store->Delete(SliceOf(Numbered(number)));
  flush();
  EXPECT(store->Figures().merges == 0, "too few of them");
  for (int number = 60000; number < kKeys - 10; number++) store->Delete(SliceOf(Numbered(number)));
  flush();
  for (int wait = 0; wait < 1000 && store->Figures().runEntries != 10; wait++) usleep(10000);
  const auto figures = store->Figures();
  EXPECT(figures.runEntries == 10 && figures.runCount == 1, "what is there is left");
  EXPECT(figures.runBytes * 100 < bytesBefore, "the room is free");
  size_t left = 1;
  EXPECT(older->Find(&left) == LiveRange::Step::kEntry && StringOf(older->key()) == Numbered(0),
         "whoever reads, goes on");
  older.reset();
  // Keys come again, above the one run.
  store->Put(SliceOf(Numbered(5)), SliceOf("again"));
  EXPECT(store->Close().empty(), "close");
  store = Store::Open(options, &failure);
  EXPECT(store != nullptr, "%s", failure.c_str());
  if (!store) return;
  const auto found = Read(store.get(), Slice(), SliceOf("l"), false);
  EXPECT(found.size() == 11 && found[0].first == Numbered(5) && found[1].first == Numbered(kKeys - 10), "and stay");
  EXPECT(store->Close().empty(), "close");
  RemoveFolder(folder);
}

// Keys that are put and deleted in rows and one by one, with more stretches than are kept.
void TestManyStretches(test::Random* random) {
  EmptyStretches stretches;
  std::set<int> present;
  constexpr int kPlaces = 40000;
  const auto endOf = [&](int number) {
    const auto at = present.lower_bound(number);
    return at == present.end() ? kPlaces : *at;
  };
  for (int round = 0; round < 60000; round++) {
    const int number = static_cast<int>(random->Below(kPlaces));
    if (random->Below(3) == 0) {
      stretches.NotePut(SliceOf(Numbered(number)));
      present.insert(number);
    } else if (present.count(number) == 0) {
      const int to = std::min(endOf(number), number + 1 + static_cast<int>(random->Below(20)));
      stretches.Add(Numbered(number), Numbered(to));
    } else if (random->Below(2) == 0) {
      stretches.NoteDelete();
      present.erase(number);
    }
    EXPECT(stretches.count() <= 4096, "they are bounded");
    const int other = static_cast<int>(random->Below(kPlaces));
    const std::string* const end = stretches.EndOf(SliceOf(Numbered(other)));
    if (end == nullptr) continue;
    EXPECT(present.count(other) == 0 && *end <= Numbered(endOf(other)), "nothing is in a stretch");
    EXPECT(*end > Numbered(other), "it ends behind");
  }
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
