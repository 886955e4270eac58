// Faults for a real server: stands between a process and the C library (LD_PRELOAD), so that the addon and everything
// else run exactly as they are shipped. Counts the calls that change files below given folders, and lets the n-th of
// them fail, wait, or be the last one that this process makes, torn at a boundary of 512 bytes.
//
// GRANARY_FAULT_ROOTS: the folders, separated by colons. GRANARY_FAULT_CONTROL: a file of 64-bit numbers that both
// sides map: 0 calls so far, 1 mode, 2 the call it is about, 3 errno or milliseconds, 4 seed, 5 calls that were hit,
// 6 kinds of calls (bits), 7 only the root of this number, counted from 1; 0: any.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum Mode { kNone = 0, kStop = 1, kFailOnce = 2, kFailFrom = 3, kDelay = 4, kHang = 5 };
enum Call { kWrite = 1, kSync = 2, kRename = 4, kUnlink = 8, kCreate = 16, kMakeFolder = 32, kRead = 64 };
enum { kCount, kMode, kAt, kValue, kSeed, kHits, kKinds, kRoot, kNumbers };
enum { kDescriptorsMax = 65536, kRootsMax = 32, kSectorBytes = 512 };

static _Atomic int64_t* control;
static char rootText[16384];
static const char* roots[kRootsMax];
static int rootCount;
// The root of each descriptor, counted from 1.
static atomic_uchar rootOf[kDescriptorsMax];

#define REAL(name) ((__typeof__(&name))RealOf(#name))
static void* RealOf(const char* name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void Begin(void) {
  const char* file = getenv("GRANARY_FAULT_CONTROL");
  const char* folders = getenv("GRANARY_FAULT_ROOTS");
  if (file == NULL || folders == NULL || strlen(folders) >= sizeof(rootText)) return;
  strcpy(rootText, folders);
  for (char* at = strtok(rootText, ":"); at != NULL && rootCount < kRootsMax; at = strtok(NULL, ":")) {
    roots[rootCount++] = at;
  }
  const int fd = REAL(open64)(file, O_RDWR | O_CLOEXEC);
  if (fd < 0) _exit(96);
  void* mapped = mmap(NULL, kNumbers * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) _exit(97);
  REAL(close)(fd);
  control = mapped;
}

static int RootOfPath(const char* path) {
  int fd;
  if (sscanf(path, "/proc/self/fd/%d", &fd) == 1 && fd >= 0 && fd < kDescriptorsMax) return rootOf[fd];
  for (int index = 0; index < rootCount; index++) {
    const size_t length = strlen(roots[index]);
    if (strncmp(path, roots[index], length) == 0 && (path[length] == '/' || path[length] == 0)) return index + 1;
  }
  return 0;
}

static int RootOfDescriptor(int fd) { return fd >= 0 && fd < kDescriptorsMax ? rootOf[fd] : 0; }

static int RootAt(int folder, const char* path) { return path[0] == '/' ? RootOfPath(path) : RootOfDescriptor(folder); }

static uint64_t Next(uint64_t* state) {
  *state += 0x9e3779b97f4a7c15;
  uint64_t mixed = *state;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

static void End(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// What becomes of a call: 0 it goes on, an errno that it fails with, -1 it is the last one.
static int Fate(int root, enum Call kind) {
  if (control == NULL || root == 0) return 0;
  const int64_t number = atomic_fetch_add(&control[kCount], 1) + 1;
  const int64_t mode = control[kMode];
  if (mode == kNone || number < control[kAt] || (control[kKinds] & kind) == 0) return 0;
  if (control[kRoot] != 0 && control[kRoot] != root) return 0;
  const int64_t hit = atomic_fetch_add(&control[kHits], 1) + 1;
  if (mode == kStop) {
    // Another thread is at it.
    if (hit > 1)
      for (;;) pause();
    return -1;
  }
  if (mode == kDelay) {
    if (hit > 1) return 0;
    const struct timespec time = {control[kValue] / 1000, control[kValue] % 1000 * 1000000};
    nanosleep(&time, NULL);
    return 0;
  }
  if (mode == kHang) {
    // With all that come behind it, until there is another plan.
    const struct timespec time = {0, 20 * 1000000};
    while (control[kMode] == kHang) nanosleep(&time, NULL);
    return 0;
  }
  return mode == kFailFrom || hit == 1 ? (int)control[kValue] : 0;
}

// The last call happens or does not; what other threads are doing in this moment is theirs.
#define CHANGE(result, root, kind, call)         \
  do {                                           \
    const int fate = Fate(root, kind);           \
    if (fate > 0) {                              \
      errno = fate;                              \
      return -1;                                 \
    }                                            \
    if (fate < 0) {                              \
      uint64_t state = (uint64_t)control[kSeed]; \
      if (Next(&state) % 2 == 0) (void)!(call);  \
      End();                                     \
    }                                            \
    result = (call);                             \
  } while (0)

// Any of the sectors of 512 bytes, or all up to some place: a disk may take them in any order.
static void WriteTorn(int fd, const struct iovec* vectors, int count, off_t offset) {
  uint64_t state = (uint64_t)control[kSeed];
  const int isPrefix = Next(&state) % 2 == 0;
  size_t total = 0;
  for (int index = 0; index < count; index++) total += vectors[index].iov_len;
  const size_t sectors = (total + kSectorBytes - 1) / kSectorBytes;
  const size_t end = sectors == 0 ? 0 : Next(&state) % (sectors + 1);
  size_t at = 0;
  for (int index = 0; index < count; index++) {
    for (size_t from = 0; from < vectors[index].iov_len;) {
      const size_t sector = at / kSectorBytes;
      size_t bytes = kSectorBytes - at % kSectorBytes;
      if (bytes > vectors[index].iov_len - from) bytes = vectors[index].iov_len - from;
      uint64_t own = (uint64_t)control[kSeed] + sector;
      if (isPrefix ? sector < end : Next(&own) % 2 == 0) {
        (void)!REAL(pwrite64)(fd, (const char*)vectors[index].iov_base + from, bytes, offset + (off_t)at);
      }
      from += bytes;
      at += bytes;
    }
  }
}

static int WriteFate(int fd, const struct iovec* vectors, int count, off_t offset) {
  const int fate = Fate(RootOfDescriptor(fd), kWrite);
  if (fate < 0) {
    WriteTorn(fd, vectors, count, offset);
    End();
  }
  return fate;
}

ssize_t pwritev64(int fd, const struct iovec* vectors, int count, off64_t offset) {
  const int fate = WriteFate(fd, vectors, count, offset);
  if (fate == 0) return REAL(pwritev64)(fd, vectors, count, offset);
  errno = fate;
  return -1;
}

ssize_t pwrite64(int fd, const void* data, size_t bytes, off64_t offset) {
  const struct iovec vector = {(void*)data, bytes};
  const int fate = WriteFate(fd, &vector, 1, offset);
  if (fate == 0) return REAL(pwrite64)(fd, data, bytes, offset);
  errno = fate;
  return -1;
}

ssize_t write(int fd, const void* data, size_t bytes) {
  if (RootOfDescriptor(fd) == 0) return REAL(write)(fd, data, bytes);
  const struct iovec vector = {(void*)data, bytes};
  const int fate = WriteFate(fd, &vector, 1, lseek(fd, 0, SEEK_CUR));
  if (fate == 0) return REAL(write)(fd, data, bytes);
  errno = fate;
  return -1;
}

// Reads are not counted, and only wait: those that ask for what is in memory are told that it is not.
static int IsReadHit(int fd) {
  const int root = RootOfDescriptor(fd);
  if (control == NULL || root == 0 || (control[kKinds] & kRead) == 0) return 0;
  if (control[kMode] != kDelay && control[kMode] != kHang) return 0;
  return control[kRoot] == 0 || control[kRoot] == root;
}

ssize_t preadv64v2(int fd, const struct iovec* vectors, int count, off64_t offset, int flags) {
  if ((flags & RWF_NOWAIT) != 0 && IsReadHit(fd)) {
    errno = EAGAIN;
    return -1;
  }
  return REAL(preadv64v2)(fd, vectors, count, offset, flags);
}

ssize_t pread64(int fd, void* data, size_t bytes, off64_t offset) {
  if (IsReadHit(fd)) (void)Fate(RootOfDescriptor(fd), kRead);
  return REAL(pread64)(fd, data, bytes, offset);
}

int fdatasync(int fd) {
  int result;
  CHANGE(result, RootOfDescriptor(fd), kSync, REAL(fdatasync)(fd));
  return result;
}

int fsync(int fd) {
  int result;
  CHANGE(result, RootOfDescriptor(fd), kSync, REAL(fsync)(fd));
  return result;
}

int rename(const char* from, const char* to) {
  int result;
  CHANGE(result, RootOfPath(from), kRename, REAL(rename)(from, to));
  return result;
}

int unlink(const char* path) {
  int result;
  CHANGE(result, RootOfPath(path), kUnlink, REAL(unlink)(path));
  return result;
}

int mkdir(const char* path, mode_t mode) {
  int result;
  CHANGE(result, RootOfPath(path), kMakeFolder, REAL(mkdir)(path, mode));
  return result;
}

int renameat(int fromFolder, const char* from, int toFolder, const char* to) {
  int result;
  CHANGE(result, RootAt(fromFolder, from), kRename, REAL(renameat)(fromFolder, from, toFolder, to));
  return result;
}

int unlinkat(int folder, const char* path, int flags) {
  int result;
  CHANGE(result, RootAt(folder, path), kUnlink, REAL(unlinkat)(folder, path, flags));
  return result;
}

int mkdirat(int folder, const char* path, mode_t mode) {
  int result;
  CHANGE(result, RootAt(folder, path), kMakeFolder, REAL(mkdirat)(folder, path, mode));
  return result;
}

int openat64(int folder, const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  const int root = RootAt(folder, path);
  int fd;
  if ((flags & O_CREAT) != 0) {
    CHANGE(fd, root, kCreate, REAL(openat64)(folder, path, flags, mode));
  } else {
    fd = REAL(openat64)(folder, path, flags, mode);
  }
  if (fd >= 0 && fd < kDescriptorsMax) rootOf[fd] = (unsigned char)root;
  return fd;
}

// A folder that is entered is held by a descriptor of its own.
int fcntl64(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  const int result = REAL(fcntl64)(fd, command, argument);
  const int isCopy = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
  if (isCopy && result >= 0 && result < kDescriptorsMax) rootOf[result] = (unsigned char)RootOfDescriptor(fd);
  return result;
}

int open64(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  const int root = RootOfPath(path);
  int fd;
  if ((flags & O_CREAT) != 0) {
    CHANGE(fd, root, kCreate, REAL(open64)(path, flags, mode));
  } else {
    fd = REAL(open64)(path, flags, mode);
  }
  if (fd >= 0 && fd < kDescriptorsMax) rootOf[fd] = (unsigned char)root;
  return fd;
}

int close(int fd) {
  if (fd >= 0 && fd < kDescriptorsMax) rootOf[fd] = 0;
  return REAL(close)(fd);
}
