// The anchor of small durable PUTs: what a store does that keeps a file per shard. Each of THREADS threads
// stores objects of BYTES one after the other: four shard files, one in each of four folders standing for
// drives, half of the object's size each (2 + 2), every one created, written and synced with fdatasync.
// No HTTP, no signature, no hash, no coding, no rename, no sync of folders: less than any server must do.
//
//   four-files FOLDER THREADS BYTES SECONDS
//
// FOLDER must be new: creating a file is up to fifteen times slower where others were removed.
// Prints one line of JSON: objects, elapsedMicros, cpuMicros.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { kDrives = 4, kDataShards = 2, kSubfolders = 256 };

static const char* folder;
static size_t shardBytes;
static uint64_t stopNanos;
static atomic_ulong objects;
static char* content;

static uint64_t NowNanos(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void Die(const char* what, const char* path) {
  fprintf(stderr, "four-files: %s %s: %s\n", what, path, strerror(errno));
  exit(1);
}

static void WriteShard(const char* path) {
  const int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) Die("create", path);
  if (write(fd, content, shardBytes) != (ssize_t)shardBytes) Die("write", path);
  if (fdatasync(fd) != 0) Die("sync", path);
  close(fd);
}

static void* Store(void* argument) {
  (void)argument;
  char path[4096];
  while (NowNanos() < stopNanos) {
    const unsigned long object = atomic_fetch_add(&objects, 1);
    for (int drive = 0; drive < kDrives; drive++) {
      snprintf(path, sizeof(path), "%s/%d/%02lx/%lx", folder, drive, object % kSubfolders, object);
      WriteShard(path);
    }
  }
  return NULL;
}

static void MakeFolders(void) {
  char path[4096];
  for (int drive = 0; drive < kDrives; drive++) {
    snprintf(path, sizeof(path), "%s/%d", folder, drive);
    if (mkdir(path, 0700) != 0) Die("mkdir", path);
    for (int sub = 0; sub < kSubfolders; sub++) {
      snprintf(path, sizeof(path), "%s/%d/%02x", folder, drive, sub);
      if (mkdir(path, 0700) != 0) Die("mkdir", path);
    }
  }
}

int main(int count, char** values) {
  if (count != 5) {
    fprintf(stderr, "usage: four-files FOLDER THREADS BYTES SECONDS\n");
    return 1;
  }
  folder = values[1];
  const int threadCount = atoi(values[2]);
  shardBytes = (strtoull(values[3], NULL, 10) + kDataShards - 1) / kDataShards;
  content = malloc(shardBytes);
  pthread_t* threads = calloc((size_t)threadCount, sizeof(pthread_t));
  if (content == NULL || threads == NULL) Die("memory", "");
  for (size_t i = 0; i < shardBytes; i++) content[i] = (char)(i * 2654435761u >> 13);
  MakeFolders();
  const uint64_t start = NowNanos();
  stopNanos = start + (uint64_t)(strtod(values[4], NULL) * 1e9);
  for (int i = 0; i < threadCount; i++) {
    if (pthread_create(&threads[i], NULL, Store, NULL) != 0) Die("thread", "");
  }
  for (int i = 0; i < threadCount; i++) pthread_join(threads[i], NULL);
  const uint64_t elapsed = NowNanos() - start;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const uint64_t cpu = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  printf("{\"objects\":%lu,\"elapsedMicros\":%llu,\"cpuMicros\":%llu}\n", atomic_load(&objects),
         (unsigned long long)(elapsed / 1000), (unsigned long long)cpu);
  return 0;
}
