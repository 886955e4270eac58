#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "../io/errno-of.h"

namespace granary::index {
namespace {

// A call of gigabytes could not be interrupted, and Linux cuts it anyway.
constexpr size_t kTransferBytesMax = size_t{1} << 20;

}  // namespace

int File::Create(const std::string& path) {
  return ErrnoOf([&] { return fd_ = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600); });
}

int File::OpenForReading(const std::string& path) {
  return ErrnoOf([&] { return fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
}

int File::Append(const void* data, size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t got = ::write(fd_, from, std::min(bytes, kTransferBytesMax));
    if (got < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (got == 0) return EIO;
    from += got;
    bytes -= static_cast<size_t>(got);
  }
  return 0;
}

int File::ReadAt(uint64_t offset, void* data, size_t bytes) const {
  char* to = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = ::pread(fd_, to, std::min(bytes, kTransferBytesMax), static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (got == 0) return EIO;
    to += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
  return 0;
}

bool File::ReadIfInMemory(uint64_t offset, void* data, size_t bytes) const {
  const iovec whole{data, bytes};
  return ::preadv2(fd_, &whole, 1, static_cast<off_t>(offset), RWF_NOWAIT) == static_cast<ssize_t>(bytes);
}

int File::Bytes(uint64_t* bytes) const {
  struct stat found;
  const int error = ErrnoOf([&] { return ::fstat(fd_, &found); });
  if (error == 0) *bytes = static_cast<uint64_t>(found.st_size);
  return error;
}

int File::Sync() {
  return ErrnoOf([&] { return ::fdatasync(fd_); });
}

int File::Close() {
  if (fd_ < 0) return 0;
  const int fd = fd_;
  fd_ = -1;
  // Never repeated: on Linux the descriptor is gone even after EINTR.
  return ::close(fd) == 0 || errno == EINTR ? 0 : errno;
}

int ReadWhole(const std::string& path, size_t bytesMax, std::string* text) {
  File file;
  uint64_t bytes = 0;
  int error = file.OpenForReading(path);
  if (error == 0) error = file.Bytes(&bytes);
  if (error == 0 && bytes > bytesMax) error = EFBIG;
  if (error != 0) return error;
  text->resize(static_cast<size_t>(bytes));
  return file.ReadAt(0, &(*text)[0], text->size());
}

int Rename(const std::string& from, const std::string& to) {
  return ErrnoOf([&] { return ::rename(from.c_str(), to.c_str()); });
}

int Remove(const std::string& path) {
  const int error = ErrnoOf([&] { return ::unlink(path.c_str()); });
  return error == ENOENT ? 0 : error;
}

int SyncDirectory(const std::string& path) {
  int fd = -1;
  int error = ErrnoOf([&] { return fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (error != 0) return error;
  error = ErrnoOf([&] { return ::fsync(fd); });
  ::close(fd);
  return error;
}

int MakeDirectory(const std::string& path) {
  const int error = ErrnoOf([&] { return ::mkdir(path.c_str(), 0700); });
  return error == EEXIST ? 0 : error;
}

int NamesIn(const std::string& path, std::vector<std::string>* names) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return errno;
  errno = 0;
  for (const dirent* entry = ::readdir(directory); entry != nullptr; entry = ::readdir(directory)) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) names->emplace_back(entry->d_name);
  }
  const int error = errno;
  ::closedir(directory);
  return error;
}

std::string Failure(const char* what, const std::string& path, int error) {
  char text[128];
  // The GNU form: the text may lie elsewhere.
  const char* reason = ::strerror_r(error, text, sizeof(text));
  return std::string(what) + " " + path + ": " + reason;
}

}  // namespace granary::index
