// What of the addon runs on several threads at once, without node: the index with its disk thread, the queues of file
// operations, the choice of the kernels. Compiled with the thread sanitizer, which reports what two threads touch
// without an order between them.
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../../native/index/store.h"
#include "../../native/io/queue.h"
#include "../../native/kernel/dispatch.h"
#include "../../native/kernel/pass.h"
#include "check.h"

using granary::index::LiveRange;
using granary::index::Reason;
using granary::index::Slice;
using granary::index::SliceOf;
using granary::index::Store;
using granary::index::StoreHandle;
using granary::index::StoreOptions;
using granary::index::StringOf;
namespace io = granary::io;

namespace {

using Model = std::map<std::string, std::string>;
std::mutex reporting;

#define EXPECT_HERE(...)                                   \
  do {                                                     \
    const std::lock_guard<std::mutex> reported(reporting); \
    EXPECT(__VA_ARGS__);                                   \
  } while (0)

// Also while a thread that was left still makes files in it.
void RemoveFolder(const std::string& path) {
  do {
    DIR* directory = opendir(path.c_str());
    if (directory == nullptr) return;
    for (const dirent* entry = readdir(directory); entry != nullptr; entry = readdir(directory)) {
      unlink((path + "/" + entry->d_name).c_str());
    }
    closedir(directory);
  } while (rmdir(path.c_str()) != 0 && errno == ENOTEMPTY);
}

// --- the index ---

LiveRange AllOf(Store* store) { return store->RangeOf(Slice(), SliceOf("l"), false); }

void ExpectSame(LiveRange range, const Model& model) {
  auto expected = model.begin();
  for (;;) {
    size_t left = 1000;
    if (range.Find(&left) != LiveRange::Step::kEntry) break;
    const bool isSame = expected != model.end() && StringOf(range.key()) == expected->first &&
                        StringOf(range.value()) == expected->second;
    EXPECT_HERE(isSame, "entry %s", StringOf(range.key()).c_str());
    if (!isSame) return;
    ++expected;
    range.Leave();
  }
  EXPECT_HERE(range.failure().empty(), "%s", range.failure().c_str());
  EXPECT_HERE(expected == model.end(), "entries are missing");
}

// Batches, while the store's thread writes and merges; a range that stays open sees none of them.
void Write(Store* store, Model* model, test::Random* random) {
  LiveRange range = AllOf(store);
  Model seen = *model;
  for (int batch = 0; batch < 60; batch++) {
    for (size_t change = 0; change < 40; change++) {
      const std::string key = "key" + std::to_string(random->Below(200));
      if (random->Below(4) == 0) {
        store->Delete(SliceOf(key));
        model->erase(key);
      } else {
        const std::string value(1 + random->Below(200), static_cast<char>('a' + random->Below(26)));
        store->Put(SliceOf(key), SliceOf(value));
        (*model)[key] = value;
      }
    }
    store->EndBatch();
    store->IsBehind();
    EXPECT_HERE(store->Trouble().empty(), "%s", store->Trouble().c_str());
    EXPECT_HERE(store->Damage().empty(), "%s", store->Damage().c_str());
    store->Figures();
    if (batch % 8 != 0) continue;
    ExpectSame(std::move(range), seen);
    range = AllOf(store);
    seen = *model;
    const std::string key = "key" + std::to_string(random->Below(200));
    Slice value;
    Reason failure;
    const bool isThere = store->Get(SliceOf(key), &value, &failure) == Store::Found::kValue;
    EXPECT_HERE(isThere == (model->count(key) == 1), "look-up of %s", key.c_str());
  }
}

// Each end comes while the thread is at work; the next store is another one, in the same place.
void TestStore(const std::string& folder, uint64_t seed) {
  test::Random random(seed);
  const StoreOptions options{folder, 8 << 10, 32 << 10, 60000};
  Model model;
  for (int opening = 0; opening < 8; opening++) {
    Reason failure;
    StoreHandle store = Store::Open(options, &failure);
    EXPECT_HERE(store != nullptr, "%s", failure.c_str());
    if (!store) return;
    ExpectSame(AllOf(store.get()), model);
    Write(store.get(), &model, &random);
    switch (opening % 4) {
      case 0: {
        const uint64_t ticket = store->Flush();
        while (!store->IsFlushed(ticket)) std::this_thread::yield();
        EXPECT_HERE(store->Close().empty(), "close");
        break;
      }
      case 1:
        EXPECT_HERE(store->Clear().empty(), "clear");
        model.clear();
        Write(store.get(), &model, &random);
        EXPECT_HERE(store->Close().empty(), "close");
        break;
      case 2:
        // What it still does is not done to the one that comes next.
        Store::Leave(std::move(store));
        RemoveFolder(folder);
        model.clear();
        break;
      default:
        store.reset();
        RemoveFolder(folder);
        model.clear();
    }
  }
  RemoveFolder(folder);
}

// --- queues ---

class Outcomes : public io::Sink {
 public:
  void Done(const std::shared_ptr<io::Queue>&, uint64_t ticket, io::Outcome&& outcome) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    done_.emplace(ticket, std::move(outcome));
    arrived_.notify_all();
  }

  io::Outcome Of(uint64_t ticket) {
    std::unique_lock<std::mutex> lock(mutex_);
    arrived_.wait(lock, [&] { return done_.count(ticket) == 1; });
    return done_[ticket];
  }

  bool Has(uint64_t ticket) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return done_.count(ticket) == 1;
  }

  void WaitForAny() {
    std::unique_lock<std::mutex> lock(mutex_);
    arrived_.wait(lock, [&] { return !done_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<uint64_t, io::Outcome> done_;
};

constexpr size_t kRegionBytes = 64 << 10;
constexpr size_t kPushers = 4;

io::Operation Transfer(io::Kind kind, const std::string& path, size_t region, size_t bytes) {
  io::Operation operation;
  operation.kind = kind;
  operation.path = path;
  operation.flags = io::Flag::kClose;
  if (kind == io::Kind::kWrite) operation.flags |= io::Flag::kCreate | io::Flag::kWrite;
  operation.segments = {{region * kRegionBytes, bytes}};
  return operation;
}

// One after the other in a region of the arena that is its own.
void WriteAndRead(io::Queue* queue, Outcomes* outcomes, const std::string& folder, size_t region, uint64_t seed) {
  test::Random random(seed);
  uint8_t* const bytes = queue->arena().data + region * kRegionBytes;
  std::vector<uint8_t> expected(kRegionBytes);
  uint64_t ticket = (region + 1) << 32;
  for (int turn = 0; turn < 30; turn++) {
    const std::string path = folder + "/" + std::to_string(region) + "-" + std::to_string(turn);
    const size_t count = 1 + random.Below(kRegionBytes);
    random.Fill(expected.data(), count);
    memcpy(bytes, expected.data(), count);
    EXPECT_HERE(queue->Push(++ticket, Transfer(io::Kind::kWrite, path, region, count)) == 0, "push");
    EXPECT_HERE(outcomes->Of(ticket).error == 0, "write");
    memset(bytes, 0, count);
    EXPECT_HERE(queue->Push(++ticket, Transfer(io::Kind::kRead, path, region, count)) == 0, "push");
    const io::Outcome outcome = outcomes->Of(ticket);
    EXPECT_HERE(outcome.error == 0 && outcome.bytes == count, "read");
    EXPECT_HERE(memcmp(bytes, expected.data(), count) == 0, "bytes");
    queue->Depth();
  }
}

// Pushed, taken back and given up at the same time: each has exactly one end.
void PushMany(io::Queue* queue, Outcomes* outcomes, const std::string& folder, size_t region,
              std::vector<uint64_t>* open) {
  uint64_t ticket = (region + 1) << 32;
  for (int turn = 0; turn < 2000; turn++) {
    io::Operation operation;
    operation.kind = io::Kind::kStat;
    operation.path = folder;
    const int error = queue->Push(++ticket, std::move(operation));
    if (error == ECANCELED) return;
    if (error != 0) continue;
    if (ticket % 3 == 0 && queue->Cancel(ticket)) {
      EXPECT_HERE(!outcomes->Has(ticket), "what was taken back is not done");
    } else {
      open->push_back(ticket);
    }
  }
}

std::shared_ptr<io::Queue> MakeQueue(const std::shared_ptr<Outcomes>& outcomes, size_t depthMax) {
  const size_t bytes = kPushers * kRegionBytes;
  const auto memory = std::make_shared<std::vector<uint8_t>>(bytes);
  return io::Queue::Create({memory, memory->data(), bytes}, outcomes, "queue", 3, depthMax);
}

template <typename Work>
void OnThreads(size_t count, Work work) {
  std::vector<std::thread> threads;
  for (size_t index = 0; index < count; index++) threads.emplace_back(work, index);
  for (std::thread& thread : threads) thread.join();
}

void TestQueues(const std::string& folder, uint64_t seed) {
  mkdir(folder.c_str(), 0700);
  const auto outcomes = std::make_shared<Outcomes>();
  const std::shared_ptr<io::Queue> queue = MakeQueue(outcomes, 100);
  OnThreads(kPushers, [&](size_t region) { WriteAndRead(queue.get(), outcomes.get(), folder, region, seed + region); });
  queue->Stop();
  EXPECT_HERE(queue->ReleaseArena(60000), "its threads end");
  RemoveFolder(folder);
}

void TestGivingUp(const std::string& folder) {
  for (int round = 0; round < 10; round++) {
    const auto outcomes = std::make_shared<Outcomes>();
    const std::shared_ptr<io::Queue> queue = MakeQueue(outcomes, 8);
    std::vector<uint64_t> open[kPushers];
    std::vector<uint64_t> given;
    OnThreads(kPushers + 1, [&](size_t index) {
      if (index < kPushers) {
        PushMany(queue.get(), outcomes.get(), folder, index, &open[index]);
        return;
      }
      // Any of them: which ones a full queue refuses is open.
      outcomes->WaitForAny();
      given = queue->Abandon();
    });
    EXPECT_HERE(queue->ReleaseArena(60000), "its threads end");
    for (const uint64_t ticket : given) EXPECT_HERE(!outcomes->Has(ticket), "what was given up is not done");
    size_t lost = 0;
    for (const auto& tickets : open) {
      for (const uint64_t ticket : tickets) lost += outcomes->Has(ticket) ? 0 : 1;
    }
    // Those that were running may be done, and nobody hears of it.
    EXPECT_HERE(lost >= given.size() && lost <= given.size() + 3, "%zu without an end", lost - given.size());
  }
}

// --- kernels ---

// The first call of each thread chooses the paths; a plan is everybody's.
void TestKernels(uint64_t seed) {
  granary::RsPlan plan;
  granary::MakeEncodePlan(4, 2, &plan);
  const granary::HashKey key = {{1, 2, 3, 4}};
  constexpr size_t kShardBytes = 16 << 10;
  std::vector<uint8_t> hashes[4];
  OnThreads(4, [&](size_t index) {
    granary::Paths();
    test::Random random(seed);
    std::vector<uint8_t> shards(6 * kShardBytes);
    random.Fill(shards.data(), 4 * kShardBytes);
    hashes[index].resize(6 * 4 * granary::kHashBytes);
    granary::StripeLayout layout{};
    layout.k = 4;
    layout.m = 2;
    layout.shardBytes = kShardBytes;
    layout.checksumBlockBytes = kShardBytes / 4;
    for (size_t shard = 0; shard < 6; shard++) layout.shards[shard] = shards.data() + shard * kShardBytes;
    layout.hashes = hashes[index].data();
    granary::CodeAndHash(plan, key, layout);
    MD5_CTX contexts[8];
    granary::Md5Job jobs[8];
    for (int job = 0; job < 8; job++) {
      MD5_Init(&contexts[job]);
      jobs[job] = {&contexts[job], shards.data(), shards.size()};
    }
    granary::Md5UpdateMany(granary::Paths().md5, jobs, 8);
  });
  for (const auto& other : hashes) EXPECT(other == hashes[0], "the same bytes, the same hashes");
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t seed = test::SeedFrom(argc, argv);
  char folder[] = "/tmp/granary-threads-XXXXXX";
  EXPECT(mkdtemp(folder) != nullptr, "a folder");
  const std::string root = folder;
  TestKernels(seed);
  OnThreads(3, [&](size_t index) { TestStore(root + "/index" + std::to_string(index), seed + index); });
  TestQueues(root + "/queue", seed);
  TestGivingUp(root);
  RemoveFolder(root);
  return test::Report("threads");
}
