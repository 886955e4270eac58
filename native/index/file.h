// The few file operations of the index. Each answers 0 or an errno.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace granary::index {

// A folder as it was when it was opened. Its name may come to lead to another one, or to none: what a call is about
// that hangs meanwhile stays its own.
class Folder {
 public:
  Folder() = default;
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  // Made when absent.
  int Open(const std::string& path);
  // ESTALE when its name leads to another one, ENOENT when it leads nowhere.
  int IsInPlace() const;
  int Rename(const std::string& from, const std::string& to) const;
  int Remove(const std::string& name) const;
  int Sync() const;
  int Names(std::vector<std::string>* names) const;

  int fd() const { return fd_; }
  const std::string& path() const { return path_; }
  // For a message.
  std::string PathOf(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
  int fd_ = -1;
};

class File {
 public:
  File() = default;
  ~File() { Close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int Create(const Folder& folder, const std::string& name);
  int OpenForReading(const Folder& folder, const std::string& name);
  int Append(const void* data, size_t bytes);
  // EIO where the file ends before.
  int ReadAt(uint64_t offset, void* data, size_t bytes) const;
  // False when not all of it is in memory, or that cannot be told: then nothing was waited for.
  bool ReadIfInMemory(uint64_t offset, void* data, size_t bytes) const;
  int Bytes(uint64_t* bytes) const;
  int Sync();
  int Close();

 private:
  int fd_ = -1;
};

int ReadWhole(const Folder& folder, const std::string& name, size_t bytesMax, std::string* text);
// Why something failed; no text when it did not.
struct Reason {
  std::string text;
  // The disk was not waited for any longer: this says nothing of what is on it.
  bool isNoAnswer = false;
  // This process has run out of threads, descriptors or memory: that says nothing of the disk either.
  bool isShortage = false;

  bool empty() const { return text.empty(); }
  const char* c_str() const { return text.c_str(); }
};

// `what` of `path` failed with `error`.
std::string Failure(const char* what, const std::string& path, int error);
Reason ReasonOf(const char* what, const std::string& path, int error);

}  // namespace granary::index
