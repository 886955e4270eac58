// Chooses one path per kernel, once per process: the best one that the CPU and the operating system
// support, that GRANARY_KERNEL allows, and that agrees with the scalar path on a self-test.
#pragma once

#include "crc.h"
#include "highway-hash.h"
#include "md5.h"
#include "reed-solomon.h"
#include "sha256.h"

namespace granary {

struct RsPath {
  const char* name;
  RsApply apply;
};
struct NamedHashPath {
  const char* name;
  const HashPath* path;
};
struct CrcPath {
  const char* name;
  CrcUpdate update;
};

struct NamedMd5Path {
  const char* name;
  // Null: OpenSSL, stream by stream.
  const Md5Path* path;
};

struct Sha256Path {
  const char* name;
  // Null: OpenSSL, message by message.
  Sha256Blocks blocks;
};

constexpr int kPathsMax = 6;

struct PathTable {
  // What to call.
  RsApply rs;
  HashPath hash;
  CrcUpdate crc;
  const Md5Path* md5;
  Sha256Blocks sha256;
  // What the CPU can run and passed the self-test, best first; the first is selected.
  RsPath rsPaths[kPathsMax];
  int rsPathCount;
  NamedHashPath hashPaths[kPathsMax];
  int hashPathCount;
  CrcPath crcPaths[kPathsMax];
  int crcPathCount;
  NamedMd5Path md5Paths[kPathsMax];
  int md5PathCount;
  Sha256Path sha256Paths[kPathsMax];
  int sha256PathCount;
  // False when GRANARY_KERNEL names no known path (the table is then usable all the same).
  bool overrideKnown;
};

// Immutable after the first call; that call is safe from any thread.
const PathTable& Paths();

}  // namespace granary
