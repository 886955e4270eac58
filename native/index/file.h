// The few file operations of the index. Each answers 0 or an errno.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace granary::index {

class File {
 public:
  File() = default;
  ~File() { Close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int Create(const std::string& path);
  int OpenForReading(const std::string& path);
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

int ReadWhole(const std::string& path, size_t bytesMax, std::string* text);
int Rename(const std::string& from, const std::string& to);
int Remove(const std::string& path);
int SyncDirectory(const std::string& path);
int MakeDirectory(const std::string& path);
int NamesIn(const std::string& path, std::vector<std::string>* names);
// `what` of `path` failed with `error`.
std::string Failure(const char* what, const std::string& path, int error);

}  // namespace granary::index
