// A test harness of one page: named checks, a seeded generator, exit code 1 when one fails.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace test {

inline int& Failures() {
  static int count = 0;
  return count;
}

#define EXPECT(condition, ...)                                           \
  do {                                                                   \
    if (!(condition)) {                                                  \
      std::printf("FAILED %s:%d: %s: ", __FILE__, __LINE__, #condition); \
      std::printf(__VA_ARGS__);                                          \
      std::printf("\n");                                                 \
      test::Failures()++;                                                \
    }                                                                    \
  } while (0)

// splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  // Uniform enough in 0...limit - 1.
  size_t Below(size_t limit) { return static_cast<size_t>(Next() % limit); }
  void Fill(uint8_t* bytes, size_t count) {
    for (size_t i = 0; i < count; i++) bytes[i] = static_cast<uint8_t>(Next());
  }

 private:
  uint64_t state_;
};

// A heap block of exactly `bytes` bytes behind `shift` bytes of slack: a read or write past its end
// meets the sanitizer's red zone, at any alignment.
class Block {
 public:
  Block(size_t bytes, size_t shift) : store_(new uint8_t[bytes + shift]), shift_(shift) {}
  uint8_t* data() const { return store_.get() + shift_; }

 private:
  std::unique_ptr<uint8_t[]> store_;
  size_t shift_;
};

inline uint64_t SeedFrom(int argc, char** argv) {
  const uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20240607;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

inline int Report(const char* what) {
  if (Failures() == 0) std::printf("ok %s\n", what);
  return Failures() == 0 ? 0 : 1;
}

}  // namespace test
