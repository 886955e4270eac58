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

Folder::~Folder() {
  if (fd_ >= 0) ::close(fd_);
}

int Folder::Open(const std::string& path) {
  path_ = path;
  const int made = ErrnoOf([&] { return ::mkdir(path.c_str(), 0700); });
  if (made != 0 && made != EEXIST) return made;
  return ErrnoOf([&] { return fd_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
}

int Folder::IsInPlace() const {
  struct stat own;
  struct stat named;
  int error = ErrnoOf([&] { return ::fstat(fd_, &own); });
  if (error == 0) error = ErrnoOf([&] { return ::stat(path_.c_str(), &named); });
  if (error == 0 && (own.st_dev != named.st_dev || own.st_ino != named.st_ino)) error = ESTALE;
  return error;
}

int Folder::Rename(const std::string& from, const std::string& to) const {
  return ErrnoOf([&] { return ::renameat(fd_, from.c_str(), fd_, to.c_str()); });
}

int Folder::Remove(const std::string& name) const {
  const int error = ErrnoOf([&] { return ::unlinkat(fd_, name.c_str(), 0); });
  return error == ENOENT ? 0 : error;
}

int Folder::Sync() const {
  return ErrnoOf([&] { return ::fsync(fd_); });
}

int Folder::Names(std::vector<std::string>* names) const {
  // A descriptor of its own: reading moves it, and the end closes it.
  const int fd = ::openat(fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  DIR* directory = ::fdopendir(fd);
  if (directory == nullptr) {
    const int error = errno;
    ::close(fd);
    return error;
  }
  errno = 0;
  for (const dirent* entry = ::readdir(directory); entry != nullptr; entry = ::readdir(directory)) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) names->emplace_back(entry->d_name);
  }
  const int error = errno;
  ::closedir(directory);
  return error;
}

int File::Create(const Folder& folder, const std::string& name) {
  return ErrnoOf(
      [&] { return fd_ = ::openat(folder.fd(), name.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600); });
}

int File::OpenForReading(const Folder& folder, const std::string& name) {
  return ErrnoOf([&] { return fd_ = ::openat(folder.fd(), name.c_str(), O_RDONLY | O_CLOEXEC); });
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

int ReadWhole(const Folder& folder, const std::string& name, size_t bytesMax, std::string* text) {
  File file;
  uint64_t bytes = 0;
  int error = file.OpenForReading(folder, name);
  if (error == 0) error = file.Bytes(&bytes);
  if (error == 0 && bytes > bytesMax) error = EFBIG;
  if (error != 0) return error;
  text->resize(static_cast<size_t>(bytes));
  return file.ReadAt(0, &(*text)[0], text->size());
}

std::string Failure(const char* what, const std::string& path, int error) {
  char text[128];
  // The GNU form: the text may lie elsewhere.
  const char* reason = ::strerror_r(error, text, sizeof(text));
  return std::string(what) + " " + path + ": " + reason;
}

Reason ReasonOf(const char* what, const std::string& path, int error) {
  const bool isShortage = error == EMFILE || error == ENFILE || error == ENOMEM;
  return {Failure(what, path, error), false, isShortage};
}

}  // namespace granary::index
