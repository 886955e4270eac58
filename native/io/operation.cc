#include "operation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 12, 0)
#include <linux/openat2.h>
#endif

#include <algorithm>
#include <memory>

#include "../kernel/highway-hash.h"
#include "errno-of.h"

namespace granary::io {
namespace {

constexpr size_t kZeroPieceBytes = size_t{1} << 20;
// Of memory, file position and length, for any drive.
constexpr size_t kDirectAlignment = 4096;
// A shorter write is not worth the wait for the drive, when the sync at the end of the file waits for it with all
// others.
constexpr uint64_t kDirectBytesMin = 64 << 10;
// A write from memory that is not aligned goes through so much that is.
constexpr size_t kGatherBytes = size_t{1} << 20;
constexpr size_t kVectorCountMax = IOV_MAX < 1024 ? IOV_MAX : 1024;

int DescriptorOf(const Directory* directory) { return directory == nullptr ? AT_FDCWD : directory->fd(); }

int OpenFile(int directory, const char* path, int flags, int* fd) {
  return ErrnoOf([&] { return *fd = ::openat(directory, path, flags | O_CLOEXEC, 0600); });
}

int OpenFor(const Operation& operation, int* fd) {
  int flags = (operation.flags & Flag::kWrite) != 0 ? O_RDWR : O_RDONLY;
  if ((operation.flags & Flag::kCreate) != 0) flags |= O_CREAT | O_EXCL;
  return OpenFile(DescriptorOf(operation.directory.get()), operation.path.c_str(), flags, fd);
}

// close() is never repeated: on Linux the descriptor is gone even after EINTR.
int CloseFile(int fd) {
  if (::close(fd) == 0 || errno == EINTR) return 0;
  return errno;
}

// No descriptor to be had, or no memory in the kernel for one: that says nothing of the drive.
bool IsOfProcess(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM; }

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The folder of a change, opened before it and synced behind it: a process that has run out of descriptors learns so
// while nothing has been done yet, and the whole call can be repeated.
class FolderToSync {
 public:
  FolderToSync() = default;
  ~FolderToSync() {
    if (fd_ >= 0) CloseFile(fd_);
  }
  FolderToSync(const FolderToSync&) = delete;
  FolderToSync& operator=(const FolderToSync&) = delete;

  // The one that holds `path`.
  int Open(int directory, const std::string& path) {
    return OpenFile(directory, DirectoryOf(path).c_str(), O_RDONLY | O_DIRECTORY, &fd_);
  }

  int Sync() {
    if (fd_ < 0) return 0;
    const int error = ErrnoOf([&] { return ::fsync(fd_); });
    const int closeError = CloseFile(fd_);
    fd_ = -1;
    return error != 0 ? error : closeError;
  }

 private:
  int fd_ = -1;
};

// A file that was removed still takes writes through an old descriptor: they would be lost unnoticed. Nothing is asked
// about its times: Linux gives a file whose times were looked at finer ones from then on, so that each write changes
// them, and on some file systems each sync then writes the inode too (bench: `path.put.4KiB.c64`).
int CheckNamed(int fd) {
  struct statx found;
  const int error = ErrnoOf([&] { return ::statx(fd, "", AT_EMPTY_PATH, STATX_NLINK, &found); });
  if (error != 0) return error;
  return found.stx_nlink == 0 ? ENOENT : 0;
}

bool IsAligned(uint64_t value) { return value % kDirectAlignment == 0; }

bool AreAligned(const std::vector<iovec>& vectors) {
  return std::all_of(vectors.begin(), vectors.end(), [](const iovec& vector) {
    return IsAligned(reinterpret_cast<uintptr_t>(vector.iov_base)) && IsAligned(vector.iov_len);
  });
}

// Whether a write may go past the page cache: as a whole, or not at all.
bool IsForDirect(const Operation& operation, const std::vector<iovec>& vectors) {
  if (operation.kind != Kind::kWrite || (operation.flags & Flag::kDirect) == 0) return false;
  uint64_t bytes = 0;
  for (const iovec& vector : vectors) bytes += vector.iov_len;
  const bool isLong = bytes >= kDirectBytesMin || (operation.flags & Flag::kSync) != 0;
  return isLong && IsAligned(operation.fileOffset) && IsAligned(bytes);
}

// Past the page cache, as long as this lives: nobody else uses the descriptor meanwhile. Where the file system has no
// such way, writes go as they always do.
class DirectMode {
 public:
  DirectMode(int fd, bool isWanted) : fd_(fd) {
    if (!isWanted) return;
    flags_ = ::fcntl(fd, F_GETFL);
    isOn_ = flags_ >= 0 && ::fcntl(fd, F_SETFL, flags_ | O_DIRECT) == 0;
  }
  ~DirectMode() { End(); }
  DirectMode(const DirectMode&) = delete;
  DirectMode& operator=(const DirectMode&) = delete;

  // True: it was on, and may be why the call failed. The file system wants another alignment, or has no such way after
  // all, or the rest of a short write is not aligned. It is off now.
  bool EndAfter(int error) {
    if (!isOn_ || (error != EINVAL && error != EOPNOTSUPP)) return false;
    End();
    return true;
  }

 private:
  void End() {
    if (isOn_) ::fcntl(fd_, F_SETFL, flags_);
    isOn_ = false;
  }

  const int fd_;
  int flags_ = 0;
  bool isOn_ = false;
};

// Of the calling thread: the same memory for each of its writes. Null when there is none.
uint8_t* GatherMemory() {
  struct Free {
    void operator()(uint8_t* memory) const { ::free(memory); }
  };
  static thread_local std::unique_ptr<uint8_t, Free> memory;
  if (memory == nullptr) memory.reset(static_cast<uint8_t*>(::aligned_alloc(kDirectAlignment, kGatherBytes)));
  return memory.get();
}

// Writes one run of bytes whole.
int WriteRun(int fd, uint64_t fileOffset, const uint8_t* from, size_t bytes, DirectMode* direct, uint64_t* moved) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t got = ::pwrite(fd, from + done, bytes - done, static_cast<off_t>(fileOffset + done));
    if (got < 0) {
      const int error = errno;
      if (error == EINTR || direct->EndAfter(error)) continue;
      return error;
    }
    // A write that moves nothing and names no reason would otherwise be repeated for ever.
    if (got == 0) return EIO;
    done += static_cast<size_t>(got);
    *moved += static_cast<uint64_t>(got);
  }
  return 0;
}

// Writes all vectors, in aligned pieces: the drive takes them from memory that nobody else writes to meanwhile, in a
// few large runs instead of many small ones.
int WriteGathered(const Operation& operation, int fd, const std::vector<iovec>& vectors, uint8_t* memory,
                  DirectMode* direct, uint64_t* moved) {
  size_t next = 0;
  size_t taken = 0;
  while (next < vectors.size()) {
    size_t filled = 0;
    while (next < vectors.size() && filled < kGatherBytes) {
      const iovec& vector = vectors[next];
      const size_t bytes = std::min(vector.iov_len - taken, kGatherBytes - filled);
      memcpy(memory + filled, static_cast<const uint8_t*>(vector.iov_base) + taken, bytes);
      filled += bytes;
      taken += bytes;
      if (taken < vector.iov_len) continue;
      next++;
      taken = 0;
    }
    const int error = WriteRun(fd, operation.fileOffset + *moved, memory, filled, direct, moved);
    if (error != 0) return error;
  }
  return 0;
}

// Moves all segments, however short the kernel's transfers are. A read stops at the end of the file.
int Transfer(const Operation& operation, int fd, uint8_t* arena, uint64_t* moved) {
  const bool isRead = operation.kind == Kind::kRead;
  std::vector<iovec> vectors;
  vectors.reserve(operation.segments.size());
  for (const Segment& segment : operation.segments) {
    if (segment.bytes != 0) vectors.push_back({arena + segment.offset, static_cast<size_t>(segment.bytes)});
  }
  const bool isDirect = IsForDirect(operation, vectors);
  DirectMode direct(fd, isDirect);
  uint8_t* gathered = isDirect && !AreAligned(vectors) ? GatherMemory() : nullptr;
  // Without memory it is refused below as it lies, and goes through the page cache.
  if (gathered != nullptr) return WriteGathered(operation, fd, vectors, gathered, &direct, moved);
  size_t first = 0;
  while (first < vectors.size()) {
    const int count = static_cast<int>(std::min(vectors.size() - first, kVectorCountMax));
    const off_t at = static_cast<off_t>(operation.fileOffset + *moved);
    const ssize_t got = isRead ? ::preadv(fd, &vectors[first], count, at) : ::pwritev(fd, &vectors[first], count, at);
    if (got < 0) {
      const int error = errno;
      if (error == EINTR || direct.EndAfter(error)) continue;
      return error;
    }
    // A write that moves nothing and names no reason would otherwise be repeated for ever.
    if (got == 0) return isRead ? 0 : EIO;
    *moved += static_cast<uint64_t>(got);
    size_t rest = static_cast<size_t>(got);
    while (rest > 0 && rest >= vectors[first].iov_len) rest -= vectors[first++].iov_len;
    if (rest > 0) {
      vectors[first].iov_base = static_cast<uint8_t*>(vectors[first].iov_base) + rest;
      vectors[first].iov_len -= rest;
    }
  }
  return 0;
}

// Reads one run of bytes whole. A file that ends before it gives fewer.
int ReadRun(int fd, uint64_t fileOffset, uint8_t* to, size_t bytes, size_t* moved) {
  *moved = 0;
  while (*moved < bytes) {
    const ssize_t got = ::pread(fd, to + *moved, bytes - *moved, static_cast<off_t>(fileOffset + *moved));
    if (got < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (got == 0) return 0;
    *moved += static_cast<size_t>(got);
  }
  return 0;
}

// Reads as many blocks as are hashed side by side, and hashes them while they are in this core's cache.
template <typename Read>
int ReadChecked(const Operation& operation, uint8_t* arena, Outcome* outcome, Read read) {
  outcome->valueCount = 2;
  for (size_t index = 0; index < operation.segments.size(); index++) {
    const Segment& segment = operation.segments[index];
    const Check& check = operation.checks[index];
    const size_t pieceBytes = check.checksumBlockBytes * kHashLanes;
    bool isSound = true;
    for (size_t at = 0; at < segment.bytes; at += pieceBytes) {
      const size_t bytes = std::min<size_t>(pieceBytes, segment.bytes - at);
      uint8_t* data = arena + segment.offset + at;
      size_t moved = 0;
      const int error = read(operation.fileOffset + outcome->bytes, data, bytes, &moved);
      outcome->bytes += moved;
      if (error != 0 || moved < bytes) return error;
      HashRun run = {data, bytes, check.checksumBlockBytes, check.place};
      const size_t block = at / check.checksumBlockBytes;
      run.place.block += block;
      isSound = isSound && VerifyBlocks(operation.hashKey, run, arena + check.hashesOffset + block * kHashBytes);
    }
    if (!isSound) outcome->values[0]++;
  }
  return 0;
}

// Past the page cache where that can be had: zeroes that nobody will read would only push out what somebody does, and
// cost twice the CPU time (bench: `path.put.4KiB.c64`).
int ZeroFill(const Operation& operation, int fd, uint64_t* moved) {
  const size_t pieceBytes = static_cast<size_t>(std::min<uint64_t>(operation.bytes, kZeroPieceBytes));
  std::vector<uint8_t> memory(pieceBytes + kDirectAlignment, 0);
  const uintptr_t start = reinterpret_cast<uintptr_t>(memory.data());
  const uint8_t* zeroes = memory.data() + (kDirectAlignment - start % kDirectAlignment) % kDirectAlignment;
  DirectMode direct(fd, IsAligned(operation.fileOffset) && IsAligned(operation.bytes));
  while (*moved < operation.bytes) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(operation.bytes - *moved, pieceBytes));
    const int error = WriteRun(fd, operation.fileOffset + *moved, zeroes, wanted, &direct, moved);
    if (error != 0) return error;
  }
  return 0;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

int List(int directory, const char* path, std::vector<std::string>* names) {
  int fd = -1;
  const int error = OpenFile(directory, path, O_RDONLY | O_DIRECTORY, &fd);
  if (error != 0) return error;
  const std::unique_ptr<DIR, CloseDirectory> listed(::fdopendir(fd));
  if (!listed) {
    const int openError = errno;
    CloseFile(fd);
    return openError;
  }
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(listed.get());
    if (entry == nullptr) return errno;
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) names->emplace_back(entry->d_name);
  }
}

int Stat(int directory, const char* path, Outcome* outcome) {
  struct stat found;
  const int error = ErrnoOf([&] { return ::fstatat(directory, path, &found, 0); });
  if (error != 0) return error;
  outcome->valueCount = 5;
  outcome->values[0] = static_cast<double>(found.st_size);
  outcome->values[1] = S_ISDIR(found.st_mode) ? 1 : 0;
  outcome->values[2] = static_cast<double>(found.st_dev);
  // Some file systems use all 64 bits of it, and a double has 53.
  outcome->values[3] = static_cast<double>(static_cast<uint64_t>(found.st_ino) >> 32);
  outcome->values[4] = static_cast<double>(static_cast<uint64_t>(found.st_ino) & 0xffffffff);
  return 0;
}

int Space(int directory, const char* path, Outcome* outcome) {
  int fd = -1;
  const int openError = OpenFile(directory, path, O_PATH, &fd);
  if (openError != 0) return openError;
  struct statvfs found;
  const int error = ErrnoOf([&] { return ::fstatvfs(fd, &found); });
  const int closeError = CloseFile(fd);
  if (error != 0 || closeError != 0) return error != 0 ? error : closeError;
  outcome->valueCount = 2;
  outcome->values[0] = static_cast<double>(found.f_blocks) * static_cast<double>(found.f_frsize);
  outcome->values[1] = static_cast<double>(found.f_bavail) * static_cast<double>(found.f_frsize);
  return 0;
}

// tmpfs refuses RWF_NOWAIT, though it has no disk to wait for.
bool IsInMemory(int fd) {
  struct statfs found;
  if (::fstatfs(fd, &found) != 0) return false;
  return found.f_type == TMPFS_MAGIC || found.f_type == RAMFS_MAGIC;
}

// After a failed sync the page cache goes on showing what the disk has not. `isForgotten`: none of the file is there
// any more, so that what is read next is what the disk has.
int Forget(int fd, bool* isForgotten) {
  *isForgotten = IsInMemory(fd);
  struct stat found;
  if (*isForgotten) return 0;
  if (::fstat(fd, &found) != 0) return errno;
  *isForgotten = found.st_size == 0;
  if (*isForgotten) return 0;
  const int error = ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  if (error != 0) return error;
  const size_t bytes = static_cast<size_t>(found.st_size);
  void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  // Then nobody can tell.
  if (mapped == MAP_FAILED) return 0;
  const size_t pageBytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((bytes + pageBytes - 1) / pageBytes);
  const bool isTold = ::mincore(mapped, bytes, resident.data()) == 0;
  ::munmap(mapped, bytes);
  *isForgotten =
      isTold && std::none_of(resident.begin(), resident.end(), [](unsigned char page) { return (page & 1) != 0; });
  return 0;
}

// Whether nobody else is asked when a file is opened whose name the kernel remembers. Over a network, or with a process
// behind the file system, the open itself would wait.
bool OpensAlone(int fd) {
  struct statfs found;
  if (::fstatfs(fd, &found) != 0) return false;
  switch (static_cast<uint32_t>(found.f_type)) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
      return true;
    default:
      return false;
  }
}

Outcome PerformOnNames(const Operation& operation) {
  Outcome outcome;
  const int directory = DescriptorOf(operation.directory.get());
  const char* path = operation.path.c_str();
  FolderToSync folder;
  FolderToSync toFolder;
  if ((operation.flags & Flag::kSyncDirectory) != 0) {
    outcome.error = folder.Open(directory, operation.path);
    const bool isMoved =
        operation.kind == Kind::kRename && DirectoryOf(operation.toPath) != DirectoryOf(operation.path);
    if (outcome.error == 0 && isMoved) outcome.error = toFolder.Open(directory, operation.toPath);
    if (outcome.error != 0) return outcome;
  }
  switch (operation.kind) {
    case Kind::kUnlink:
      outcome.error = ErrnoOf([&] { return ::unlinkat(directory, path, 0); });
      break;
    case Kind::kRename:
      outcome.error = ErrnoOf([&] { return ::renameat(directory, path, directory, operation.toPath.c_str()); });
      break;
    case Kind::kList:
      outcome.error = List(directory, path, &outcome.names);
      outcome.hasNames = outcome.error == 0;
      break;
    case Kind::kStat:
      outcome.error = Stat(directory, path, &outcome);
      break;
    case Kind::kSpace:
      outcome.error = Space(directory, path, &outcome);
      break;
    default:
      outcome.error = ErrnoOf([&] { return ::mkdirat(directory, path, 0700); });
      break;
  }
  if (outcome.error == 0) outcome.error = folder.Sync();
  if (outcome.error == 0) outcome.error = toFolder.Sync();
  return outcome;
}

}  // namespace

std::shared_ptr<const Directory> Directory::Of(int fd) {
  const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return own < 0 ? nullptr : std::shared_ptr<const Directory>(new Directory(own));
}

Directory::~Directory() { CloseFile(fd_); }

bool IsOnNames(Kind kind) {
  switch (kind) {
    case Kind::kUnlink:
    case Kind::kRename:
    case Kind::kList:
    case Kind::kStat:
    case Kind::kSpace:
    case Kind::kMakeDirectory:
      return true;
    default:
      return false;
  }
}

Outcome Perform(const Operation& operation, uint8_t* arena) {
  if (IsOnNames(operation.kind)) return PerformOnNames(operation);
  Outcome outcome;
  outcome.fd = operation.fd;
  FolderToSync folder;
  if ((operation.flags & Flag::kSyncDirectory) != 0) {
    outcome.error =
        operation.path.empty() ? EINVAL : folder.Open(DescriptorOf(operation.directory.get()), operation.path);
    // It is as if nobody had asked: what was given stays open.
    if (IsOfProcess(outcome.error)) return outcome;
  }
  if (operation.fd < 0 && outcome.error == 0) {
    outcome.error = operation.path.empty() ? EBADF : OpenFor(operation, &outcome.fd);
    outcome.isOpened = outcome.error == 0;
    if (!outcome.isOpened) outcome.fd = -1;
  }
  if (outcome.error == 0 && (operation.flags & Flag::kNamed) != 0) outcome.error = CheckNamed(outcome.fd);
  if (outcome.error == 0) {
    if (operation.kind == Kind::kRead && !operation.checks.empty()) {
      outcome.error =
          ReadChecked(operation, arena, &outcome, [&](uint64_t at, uint8_t* to, size_t bytes, size_t* moved) {
            return ReadRun(outcome.fd, at, to, bytes, moved);
          });
    } else if (operation.kind == Kind::kWrite || operation.kind == Kind::kRead) {
      outcome.error = Transfer(operation, outcome.fd, arena, &outcome.bytes);
    } else if (operation.kind == Kind::kOpen) {
      outcome.values[0] = OpensAlone(outcome.fd) ? 1 : 0;
      outcome.valueCount = 2;
    } else if (operation.kind == Kind::kZeroFill) {
      outcome.error = ZeroFill(operation, outcome.fd, &outcome.bytes);
    }
  }
  const bool isSynced =
      operation.kind == Kind::kSync || operation.kind == Kind::kSettle || (operation.flags & Flag::kSync) != 0;
  if (outcome.error == 0 && isSynced) outcome.error = ErrnoOf([&] { return ::fdatasync(outcome.fd); });
  if (outcome.error == 0) outcome.error = folder.Sync();
  if (outcome.error == 0 && operation.kind == Kind::kSettle) {
    bool isForgotten = false;
    outcome.error = Forget(outcome.fd, &isForgotten);
    outcome.values[0] = isForgotten ? 1 : 0;
    outcome.valueCount = 2;
  }
  const bool isClosed = operation.kind == Kind::kClose || (operation.flags & Flag::kClose) != 0 ||
                        (outcome.isOpened && outcome.error != 0);
  if (isClosed && outcome.fd >= 0) {
    const int error = CloseFile(outcome.fd);
    if (outcome.error == 0) outcome.error = error;
    outcome.fd = -1;
    outcome.isOpened = false;
  }
  return outcome;
}

int OpenNow(const Directory* directory, const char* path) {
#if defined(RESOLVE_CACHED)
  open_how how = {};
  how.flags = O_RDONLY | O_CLOEXEC;
  how.resolve = RESOLVE_CACHED;
  return static_cast<int>(::syscall(SYS_openat2, DescriptorOf(directory), path, &how, sizeof(how)));
#else
  static_cast<void>(directory);
  static_cast<void>(path);
  return -1;
#endif
}

int64_t ReadNow(int fd, uint64_t fileOffset, uint8_t* to, size_t bytes) {
  size_t done = 0;
  int flags = RWF_NOWAIT;
  while (done < bytes) {
    const iovec vector = {to + done, bytes - done};
    const ssize_t got = ::preadv2(fd, &vector, 1, static_cast<off_t>(fileOffset + done), flags);
    if (got < 0) {
      if (errno == EOPNOTSUPP && flags != 0 && IsInMemory(fd)) {
        flags = 0;
        continue;
      }
      if (errno == EAGAIN || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR) return -1;
      return -static_cast<int64_t>(errno) - 1;
    }
    if (got == 0) break;
    // A short count is the end of the file or the end of what is cached: only the next call tells.
    done += static_cast<size_t>(got);
  }
  return static_cast<int64_t>(done);
}

bool ReadCheckedNow(const Operation& operation, uint8_t* arena) {
  Outcome outcome;
  const int error = ReadChecked(operation, arena, &outcome, [&](uint64_t at, uint8_t* to, size_t bytes, size_t* moved) {
    const int64_t got = ReadNow(operation.fd, at, to, bytes);
    *moved = got < 0 ? 0 : static_cast<size_t>(got);
    return got < 0 ? EAGAIN : 0;
  });
  uint64_t wanted = 0;
  for (const Segment& segment : operation.segments) wanted += segment.bytes;
  return error == 0 && outcome.bytes == wanted && outcome.values[0] == 0;
}

}  // namespace granary::io
