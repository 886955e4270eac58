// Ways to write and read the files of a drive, side by side. Four folders below FOLDER stand for drives, with as many
// threads for each as the server has. What is written lies in memory that is aligned to pages, as the server's does.
//
//   files append FOLDER BYTES BATCHES buffered|direct
//     batches of the log: BYTES to the next place of a file of zeroes and fdatasync, on all drives, before the next;
//     direct: gathered in such memory first, because what a batch is made of is not aligned
//   files blobs FOLDER BYTES OBJECTS buffered|direct
//     OBJECTS new files of BYTES on each drive, piece by piece, fdatasync, their folder, close; then removed
//   files read FOLDER BYTES OBJECTS plain|sequential|willneed|direct
//     the same files read from the disk, one object after the other, two drives at once, 1 MiB at a time
//   files forget FOLDER…
//     throws what is clean of these folders out of the page cache
//
// The first three print one line of JSON: operations, bytes, elapsedMicros, cpuMicros (of this process, all threads).
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kDrives = 4;
constexpr int kDataShards = 2;
// src/drive/local-drive.ts
constexpr int kBlobThreads = 2;
constexpr size_t kAlignment = 4096;
// A shard of a stripe, and of a window of two.
constexpr size_t kWritePieceBytes = size_t{1} << 19;
constexpr size_t kReadPieceBytes = size_t{1} << 20;
// How far ahead `willneed` asks.
constexpr size_t kAheadBytes = size_t{4} << 20;
constexpr size_t kZeroPieceBytes = size_t{1} << 20;

[[noreturn]] void Die(const std::string& what) {
  fprintf(stderr, "files: %s: %s\n", what.c_str(), strerror(errno));
  exit(1);
}

uint64_t NowMicros() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000u + static_cast<uint64_t>(now.tv_nsec) / 1000u;
}

uint64_t CpuMicros() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto micros = [](const timeval& t) {
    return static_cast<uint64_t>(t.tv_sec) * 1000000u + static_cast<uint64_t>(t.tv_usec);
  };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

// Never freed: it lives as long as the program.
uint8_t* AlignedMemory(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, bytes) != 0) Die("memory");
  auto* start = static_cast<uint8_t*>(memory);
  for (size_t i = 0; i < bytes; i++) start[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  return start;
}

int Open(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd < 0) Die(path);
  return fd;
}

void WriteAt(int fd, const uint8_t* from, size_t bytes, size_t at) {
  if (pwrite(fd, from, bytes, static_cast<off_t>(at)) != static_cast<ssize_t>(bytes)) Die("write");
}

void Sync(int fd) {
  if (fdatasync(fd) != 0) Die("sync");
}

void SyncFolder(const std::string& folder) {
  const int fd = Open(folder, O_RDONLY | O_DIRECTORY);
  if (fsync(fd) != 0) Die("sync of a folder");
  close(fd);
}

struct Figures {
  uint64_t operations;
  uint64_t bytes;
};

int Report(const std::function<Figures()>& work) {
  const uint64_t cpu = CpuMicros();
  const uint64_t start = NowMicros();
  const Figures done = work();
  const uint64_t elapsed = NowMicros() - start;
  printf("{\"operations\":%llu,\"bytes\":%llu,\"elapsedMicros\":%llu,\"cpuMicros\":%llu}\n",
         static_cast<unsigned long long>(done.operations), static_cast<unsigned long long>(done.bytes),
         static_cast<unsigned long long>(elapsed), static_cast<unsigned long long>(CpuMicros() - cpu));
  return 0;
}

struct Task {
  std::string folder;
  size_t bytes;
  size_t count;
  std::string way;

  std::string Drive(int drive) const { return folder + "/drive" + std::to_string(drive); }
  std::string Blob(int drive, size_t object) const { return Drive(drive) + "/" + std::to_string(object); }
  int DirectFlag() const { return way == "direct" ? O_DIRECT : 0; }
};

void MakeDrives(const Task& task) {
  for (int drive = 0; drive < kDrives; drive++) {
    if (mkdir(task.Drive(drive).c_str(), 0700) != 0 && errno != EEXIST) Die(task.Drive(drive));
  }
}

// A file of zeroes with every block in its place, as src/drive/log-store.ts makes it.
int MakeLog(const std::string& path, size_t bytes, int flags) {
  std::vector<uint8_t> memory(kZeroPieceBytes + kAlignment, 0);
  const auto start = reinterpret_cast<uintptr_t>(memory.data());
  const uint8_t* zeroes = memory.data() + (kAlignment - start % kAlignment) % kAlignment;
  const int fd = Open(path, O_RDWR | O_CREAT | O_EXCL | O_DIRECT);
  for (size_t at = 0; at < bytes; at += kZeroPieceBytes) WriteAt(fd, zeroes, std::min(kZeroPieceBytes, bytes - at), at);
  if (fsync(fd) != 0) Die("sync");
  close(fd);
  return Open(path, O_RDWR | flags);
}

int Append(const Task& task) {
  MakeDrives(task);
  int logs[kDrives];
  for (int drive = 0; drive < kDrives; drive++) {
    logs[drive] = MakeLog(task.Drive(drive) + "/log", task.bytes * task.count, task.DirectFlag());
    SyncFolder(task.Drive(drive));
  }
  const uint8_t* batch = AlignedMemory(task.bytes);
  pthread_barrier_t together;
  pthread_barrier_init(&together, nullptr, kDrives);
  const int code = Report([&]() -> Figures {
    std::vector<std::thread> threads;
    for (const int log : logs) {
      threads.emplace_back([&, log] {
        uint8_t* gathered = task.DirectFlag() == 0 ? nullptr : AlignedMemory(task.bytes);
        for (size_t index = 0; index < task.count; index++) {
          pthread_barrier_wait(&together);
          if (gathered != nullptr) memcpy(gathered, batch, task.bytes);
          WriteAt(log, gathered == nullptr ? batch : gathered, task.bytes, index * task.bytes);
          Sync(log);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return {task.count, kDrives * task.count * task.bytes};
  });
  for (int drive = 0; drive < kDrives; drive++) unlink((task.Drive(drive) + "/log").c_str());
  return code;
}

void WriteBlob(const Task& task, int drive, size_t object, const uint8_t* content) {
  const int fd = Open(task.Blob(drive, object), O_RDWR | O_CREAT | O_EXCL | task.DirectFlag());
  for (size_t at = 0; at < task.bytes; at += kWritePieceBytes) {
    WriteAt(fd, content, std::min(kWritePieceBytes, task.bytes - at), at);
  }
  Sync(fd);
  SyncFolder(task.Drive(drive));
  close(fd);
}

void WriteBlobs(const Task& task) {
  MakeDrives(task);
  const uint8_t* content = AlignedMemory(kWritePieceBytes);
  std::vector<std::thread> threads;
  std::atomic<size_t> next[kDrives] = {};
  for (int index = 0; index < kDrives * kBlobThreads; index++) {
    threads.emplace_back([&, drive = index % kDrives] {
      for (size_t object = next[drive]++; object < task.count; object = next[drive]++) {
        WriteBlob(task, drive, object, content);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void RemoveBlobs(const Task& task) {
  for (int drive = 0; drive < kDrives; drive++) {
    for (size_t object = 0; object < task.count; object++) unlink(task.Blob(drive, object).c_str());
  }
}

int Blobs(const Task& task) {
  const int code = Report([&]() -> Figures {
    WriteBlobs(task);
    return {task.count, kDrives * task.count * task.bytes};
  });
  RemoveBlobs(task);
  return code;
}

int ForgetFile(const char* path, const struct stat*, int kind, FTW*) {
  if (kind != FTW_F) return 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
  return 0;
}

void Forget(const char* folder) {
  constexpr int kDescriptors = 16;
  if (nftw(folder, &ForgetFile, kDescriptors, FTW_PHYS) != 0) Die(folder);
}

void ReadBlob(const Task& task, int drive, size_t object, uint8_t* to) {
  const int fd = Open(task.Blob(drive, object), O_RDONLY | task.DirectFlag());
  if (task.way == "sequential") posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  for (size_t at = 0; at < task.bytes; at += kReadPieceBytes) {
    if (task.way == "willneed") {
      posix_fadvise(fd, static_cast<off_t>(at + kReadPieceBytes), kAheadBytes, POSIX_FADV_WILLNEED);
    }
    const size_t bytes = std::min(kReadPieceBytes, task.bytes - at);
    if (pread(fd, to, bytes, static_cast<off_t>(at)) != static_cast<ssize_t>(bytes)) Die("read");
  }
  close(fd);
}

int Read(const Task& task) {
  WriteBlobs({task.folder, task.bytes, task.count, "buffered"});
  Forget(task.folder.c_str());
  uint8_t* memory[kDataShards];
  for (uint8_t*& one : memory) one = AlignedMemory(kReadPieceBytes);
  const int code = Report([&]() -> Figures {
    for (size_t object = 0; object < task.count; object++) {
      std::vector<std::thread> threads;
      for (int shard = 0; shard < kDataShards; shard++) {
        const int drive = static_cast<int>((object + static_cast<size_t>(shard)) % kDrives);
        threads.emplace_back([&, drive, shard] { ReadBlob(task, drive, object, memory[shard]); });
      }
      for (std::thread& thread : threads) thread.join();
    }
    return {task.count, kDataShards * task.count * task.bytes};
  });
  RemoveBlobs(task);
  return code;
}

}  // namespace

int main(int count, char** values) {
  const std::string what = count > 2 ? values[1] : "";
  if (what == "forget") {
    for (int i = 2; i < count; i++) Forget(values[i]);
    printf("{}\n");
    return 0;
  }
  if (count != 6) {
    fprintf(stderr, "usage: files append|blobs|read FOLDER BYTES COUNT WAY, files forget FOLDER...\n");
    return 1;
  }
  const Task task = {values[2], strtoull(values[3], nullptr, 10), strtoull(values[4], nullptr, 10), values[5]};
  if (what == "append") return Append(task);
  if (what == "blobs") return Blobs(task);
  if (what == "read") return Read(task);
  fprintf(stderr, "files: unknown command %s\n", what.c_str());
  return 1;
}
