// One compound file operation, done start to end on the thread that calls Perform. No Node headers.
//
// Steps, each only when asked for and only while nothing has failed:
//   open the path -> check its name -> move the bytes -> fdatasync -> fsync the directory -> close.
// A descriptor that the operation opened itself and that is not handed out is closed here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../kernel/pass.h"

namespace granary::io {

// The numbers are IoKind in src/native/io.ts.
enum class Kind : int {
  kWrite = 0,
  kRead = 1,
  kSync = 2,
  kUnlink = 3,
  kZeroFill = 4,
  kClose = 5,
  kOpen = 6,
  kRename = 7,
  kList = 8,
  kStat = 9,
  kSpace = 10,
  kMakeDirectory = 11,
  // Syncs, and forgets what of the file is in memory.
  kSettle = 12,
};
constexpr int kKindLast = 12;

// The bits are IoFlag in src/native/io.ts.
enum Flag : uint32_t {
  kSync = 1,
  kSyncDirectory = 2,
  kClose = 4,
  kCreate = 8,
  kWrite = 16,
  kNamed = 32,
  kDirect = 64,
};
constexpr uint32_t kFlagsAll = 127;

struct Segment {
  uint64_t offset;
  uint64_t bytes;
};

// Checksums of one segment of a read: the segment starts with a checksum block.
struct Check {
  // Where in the arena the hashes of its blocks lie.
  uint64_t hashesOffset;
  size_t checksumBlockBytes;
  BlockPlace place;
};

// An open folder. Operations in it share it: it stays open for as long as one of them may yet use it, and a call that
// hangs in the kernel may at any time.
class Directory {
 public:
  // Null, with errno set, when there is no descriptor for it. The caller's own stays the caller's.
  static std::shared_ptr<const Directory> Of(int fd);
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  int fd() const { return fd_; }

 private:
  explicit Directory(int fd) : fd_(fd) {}

  const int fd_;
};

struct Operation {
  Kind kind = Kind::kSync;
  // Where paths that do not begin with a slash begin. Null: the working directory of the process.
  std::shared_ptr<const Directory> directory;
  uint32_t flags = 0;
  int fd = -1;
  uint64_t fileOffset = 0;
  uint64_t bytes = 0;
  std::string path;
  std::string toPath;
  std::vector<Segment> segments;
  // Of a read: none, or one for each segment.
  std::vector<Check> checks;
  HashKey hashKey{};
};

constexpr size_t kValuesMax = 5;

struct Outcome {
  int error = 0;
  // The descriptor is new: nobody else closes it when this outcome reaches nobody.
  bool isOpened = false;
  int fd = -1;
  uint64_t bytes = 0;
  // kOpen: 1 where OpenNow does not wait, 0. kSettle: 1 when nothing of it is in memory any more, 0. kStat: size, 1 for
  // a directory else 0, device, inode number as its high and low 32 bits. kSpace: total bytes, bytes free to us. A
  // checked read: segments whose bytes are not what their hashes say, 0.
  size_t valueCount = 0;
  double values[kValuesMax] = {};
  // kList: the names in the directory without "." and "..".
  bool hasNames = false;
  std::vector<std::string> names;
};

// Operations on names: they need a path, and no descriptor.
bool IsOnNames(Kind kind);

// Requires: every segment, and the hashes of every check, lie inside the arena.
Outcome Perform(const Operation& operation, uint8_t* arena);

// Opens a file for reading as long as the kernel remembers every name on the way to it: the descriptor, or -1, which
// says nothing about the file. It does not wait where an earlier open said so (kOpen). `directory` may be null.
int OpenNow(const Directory* directory, const char* path);

// Reads what the page cache holds, without waiting: bytes read (fewer than asked only at the end of
// the file), -1 when some of it is not there or the file system cannot tell, -errno - 1 on an error.
int64_t ReadNow(int fd, uint64_t fileOffset, uint8_t* to, size_t bytes);

// A checked read in the same way: true when the page cache held all of it, and it is what its hashes say. Anything
// else is for a call that waits to meet and to report. Requires: as Perform, and a descriptor.
bool ReadCheckedNow(const Operation& operation, uint8_t* arena);

}  // namespace granary::io
