#include "argon2.h"

#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>

namespace granary {
namespace {

constexpr size_t kBlockWords = 128;
constexpr size_t kBlockBytes = kBlockWords * 8;
constexpr uint32_t kSlices = 4;
constexpr uint32_t kVersion = 0x13;
constexpr uint32_t kTypeId = 2;
constexpr size_t kSeedBytes = 64;

constexpr uint64_t kBlakeIv[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
                                  0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

constexpr uint8_t kSigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

inline uint64_t RotateRight(uint64_t value, int bits) { return value >> bits | value << (64 - bits); }

inline uint64_t Load64(const uint8_t* bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; i--) value = value << 8 | bytes[i];
  return value;
}

inline void Store64(uint8_t* bytes, uint64_t value) {
  for (int i = 0; i < 8; i++) bytes[i] = static_cast<uint8_t>(value >> 8 * i);
}

inline void Store32(uint8_t* bytes, uint32_t value) {
  for (int i = 0; i < 4; i++) bytes[i] = static_cast<uint8_t>(value >> 8 * i);
}

inline void BlakeMix(uint64_t* v, int a, int b, int c, int d, uint64_t x, uint64_t y) {
  v[a] = v[a] + v[b] + x;
  v[d] = RotateRight(v[d] ^ v[a], 32);
  v[c] = v[c] + v[d];
  v[b] = RotateRight(v[b] ^ v[c], 24);
  v[a] = v[a] + v[b] + y;
  v[d] = RotateRight(v[d] ^ v[a], 16);
  v[c] = v[c] + v[d];
  v[b] = RotateRight(v[b] ^ v[c], 63);
}

class Blake {
 public:
  explicit Blake(size_t digestBytes) : digestBytes_(digestBytes) {
    for (int i = 0; i < 8; i++) h_[i] = kBlakeIv[i];
    h_[0] ^= 0x01010000 ^ digestBytes;
  }

  void Update(const uint8_t* data, size_t bytes) {
    while (bytes != 0) {
      // The last block waits: it is compressed with its own flag.
      if (held_ == sizeof(buffer_)) Compress(false);
      const size_t taken = bytes < sizeof(buffer_) - held_ ? bytes : sizeof(buffer_) - held_;
      std::memcpy(buffer_ + held_, data, taken);
      held_ += taken;
      data += taken;
      bytes -= taken;
    }
  }

  void Update32(uint32_t value) {
    uint8_t bytes[4];
    Store32(bytes, value);
    Update(bytes, sizeof(bytes));
  }

  void Finish(uint8_t* digest) {
    std::memset(buffer_ + held_, 0, sizeof(buffer_) - held_);
    Compress(true);
    uint8_t whole[64];
    for (int i = 0; i < 8; i++) Store64(whole + 8 * i, h_[i]);
    std::memcpy(digest, whole, digestBytes_);
  }

 private:
  void Compress(bool isLast) {
    // No input of ours comes near 2^64 bytes.
    total_ += held_;
    uint64_t m[16];
    uint64_t v[16];
    for (int i = 0; i < 16; i++) m[i] = Load64(buffer_ + 8 * i);
    for (int i = 0; i < 8; i++) {
      v[i] = h_[i];
      v[i + 8] = kBlakeIv[i];
    }
    v[12] ^= total_;
    if (isLast) v[14] = ~v[14];
    for (int round = 0; round < 12; round++) {
      const uint8_t* s = kSigma[round % 10];
      BlakeMix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
      BlakeMix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
      BlakeMix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
      BlakeMix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
      BlakeMix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
      BlakeMix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
      BlakeMix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
      BlakeMix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (int i = 0; i < 8; i++) h_[i] ^= v[i] ^ v[i + 8];
    held_ = 0;
  }

  uint64_t h_[8];
  uint64_t total_ = 0;
  uint8_t buffer_[128];
  size_t held_ = 0;
  size_t digestBytes_;
};

// H' of RFC 9106 §3.3: a digest of any length.
void LongHash(const Argon2Bytes* pieces, size_t pieceCount, uint8_t* out, size_t outBytes) {
  const size_t first = outBytes <= 64 ? outBytes : 64;
  Blake blake(first);
  blake.Update32(static_cast<uint32_t>(outBytes));
  for (size_t i = 0; i < pieceCount; i++) blake.Update(pieces[i].data, pieces[i].bytes);
  if (outBytes <= 64) {
    blake.Finish(out);
    return;
  }
  uint8_t value[64];
  blake.Finish(value);
  size_t left = outBytes;
  // Half of each digest is output, the whole of it goes on, until what is left is one digest.
  for (;;) {
    std::memcpy(out, value, 32);
    out += 32;
    left -= 32;
    const size_t next = left <= 64 ? left : 64;
    Blake again(next);
    again.Update(value, sizeof(value));
    if (left <= 64) {
      again.Finish(out);
      return;
    }
    again.Finish(value);
  }
}

inline uint64_t MultiplyAdd(uint64_t a, uint64_t b) {
  return a + b + 2 * static_cast<uint64_t>(static_cast<uint32_t>(a)) * static_cast<uint32_t>(b);
}

inline void Mix(uint64_t& a, uint64_t& b, uint64_t& c, uint64_t& d) {
  a = MultiplyAdd(a, b);
  d = RotateRight(d ^ a, 32);
  c = MultiplyAdd(c, d);
  b = RotateRight(b ^ c, 24);
  a = MultiplyAdd(a, b);
  d = RotateRight(d ^ a, 16);
  c = MultiplyAdd(c, d);
  b = RotateRight(b ^ c, 63);
}

// P of RFC 9106 §3.6 on sixteen words, which lie in pairs `stride` words apart.
inline void Permute(uint64_t* words, size_t stride) {
  uint64_t v[16];
  for (size_t i = 0; i < 8; i++) {
    v[2 * i] = words[i * stride];
    v[2 * i + 1] = words[i * stride + 1];
  }
  Mix(v[0], v[4], v[8], v[12]);
  Mix(v[1], v[5], v[9], v[13]);
  Mix(v[2], v[6], v[10], v[14]);
  Mix(v[3], v[7], v[11], v[15]);
  Mix(v[0], v[5], v[10], v[15]);
  Mix(v[1], v[6], v[11], v[12]);
  Mix(v[2], v[7], v[8], v[13]);
  Mix(v[3], v[4], v[9], v[14]);
  for (size_t i = 0; i < 8; i++) {
    words[i * stride] = v[2 * i];
    words[i * stride + 1] = v[2 * i + 1];
  }
}

// G of RFC 9106 §3.5; from the second pass on the old content of the block stays in by XOR.
void Compress(const uint64_t* x, const uint64_t* y, uint64_t* out, bool keepsOld) {
  uint64_t mixed[kBlockWords];
  uint64_t work[kBlockWords];
  for (size_t i = 0; i < kBlockWords; i++) work[i] = mixed[i] = x[i] ^ y[i];
  for (size_t row = 0; row < 8; row++) Permute(work + 16 * row, 2);
  for (size_t column = 0; column < 8; column++) Permute(work + 2 * column, 16);
  if (keepsOld) {
    for (size_t i = 0; i < kBlockWords; i++) out[i] ^= mixed[i] ^ work[i];
  } else {
    for (size_t i = 0; i < kBlockWords; i++) out[i] = mixed[i] ^ work[i];
  }
}

class Filler {
 public:
  Filler(uint64_t* memory, uint32_t passes, uint32_t lanes, uint32_t laneBlocks)
      : memory_(memory), passes_(passes), lanes_(lanes), laneBlocks_(laneBlocks), segment_(laneBlocks / kSlices) {}

  uint64_t* Block(uint32_t lane, uint32_t column) const {
    return memory_ + (static_cast<size_t>(lane) * laneBlocks_ + column) * kBlockWords;
  }

  void FillSegment(uint32_t pass, uint32_t slice, uint32_t lane) {
    // Argon2id: the first half of the first pass does not look at the data.
    const bool isIndependent = pass == 0 && slice < kSlices / 2;
    uint64_t input[kBlockWords] = {pass, lane, slice, static_cast<uint64_t>(lanes_) * laneBlocks_, passes_, kTypeId};
    uint64_t addresses[kBlockWords];
    const uint32_t first = pass == 0 && slice == 0 ? 2 : 0;
    if (isIndependent && first != 0) NextAddresses(input, addresses);
    for (uint32_t index = first; index < segment_; index++) {
      if (isIndependent && index % kBlockWords == 0) NextAddresses(input, addresses);
      const uint32_t column = slice * segment_ + index;
      const uint64_t* previous = Block(lane, column == 0 ? laneBlocks_ - 1 : column - 1);
      const uint64_t chosen = isIndependent ? addresses[index % kBlockWords] : previous[0];
      const uint32_t otherLane = pass == 0 && slice == 0 ? lane : static_cast<uint32_t>((chosen >> 32) % lanes_);
      const uint64_t* other =
          Block(otherLane, Reference(pass, slice, index, static_cast<uint32_t>(chosen), otherLane == lane));
      Compress(previous, other, Block(lane, column), pass != 0);
    }
  }

 private:
  static void NextAddresses(uint64_t* input, uint64_t* addresses) {
    static constexpr uint64_t kZero[kBlockWords] = {};
    input[6]++;
    uint64_t middle[kBlockWords];
    Compress(kZero, input, middle, false);
    Compress(kZero, middle, addresses, false);
  }

  // RFC 9106 §3.4.2: which of the finished blocks of that lane.
  uint32_t Reference(uint32_t pass, uint32_t slice, uint32_t index, uint32_t chosen, bool isSameLane) const {
    uint32_t count = pass == 0 ? slice * segment_ : laneBlocks_ - segment_;
    if (isSameLane) {
      count += index - 1;
    } else if (index == 0) {
      count -= 1;
    }
    uint64_t position = chosen;
    position = position * position >> 32;
    position = count - 1 - (count * position >> 32);
    const uint32_t start = pass == 0 || slice == kSlices - 1 ? 0 : (slice + 1) * segment_;
    return static_cast<uint32_t>((start + position) % laneBlocks_);
  }

  uint64_t* memory_;
  uint32_t passes_;
  uint32_t lanes_;
  uint32_t laneBlocks_;
  uint32_t segment_;
};

void HashInput(const Argon2Input& input, size_t tagBytes, uint8_t seed[kSeedBytes]) {
  Blake blake(kSeedBytes);
  blake.Update32(input.lanes);
  blake.Update32(static_cast<uint32_t>(tagBytes));
  blake.Update32(input.memoryKiB);
  blake.Update32(input.passes);
  blake.Update32(kVersion);
  blake.Update32(kTypeId);
  for (const Argon2Bytes& part : {input.password, input.salt, input.secret, input.associated}) {
    blake.Update32(static_cast<uint32_t>(part.bytes));
    blake.Update(part.data, part.bytes);
  }
  blake.Finish(seed);
}

void LoadBlock(const uint8_t* bytes, uint64_t* block) {
  for (size_t i = 0; i < kBlockWords; i++) block[i] = Load64(bytes + 8 * i);
}

}  // namespace

void Blake2b(const Argon2Bytes* pieces, size_t pieceCount, uint8_t* digest, size_t digestBytes) {
  Blake blake(digestBytes);
  for (size_t i = 0; i < pieceCount; i++) blake.Update(pieces[i].data, pieces[i].bytes);
  blake.Finish(digest);
}

bool Argon2id(const Argon2Input& input, uint8_t* tag, size_t tagBytes) {
  const uint32_t laneBlocks = input.memoryKiB / (kSlices * input.lanes) * kSlices;
  // Large enough to come from the system and go back to it, which wipes it for the next owner.
  const std::unique_ptr<uint64_t[]> memory(new (std::nothrow)
                                               uint64_t[static_cast<size_t>(input.lanes) * laneBlocks * kBlockWords]);
  if (!memory) return false;
  Filler filler(memory.get(), input.passes, input.lanes, laneBlocks);

  uint8_t seed[kSeedBytes];
  HashInput(input, tagBytes, seed);
  uint8_t bytes[kBlockBytes];
  for (uint32_t lane = 0; lane < input.lanes; lane++) {
    for (uint32_t column = 0; column < 2; column++) {
      uint8_t place[8];
      Store32(place, column);
      Store32(place + 4, lane);
      const Argon2Bytes pieces[] = {{seed, kSeedBytes}, {place, sizeof(place)}};
      LongHash(pieces, 2, bytes, kBlockBytes);
      LoadBlock(bytes, filler.Block(lane, column));
    }
  }
  for (uint32_t pass = 0; pass < input.passes; pass++) {
    for (uint32_t slice = 0; slice < kSlices; slice++) {
      for (uint32_t lane = 0; lane < input.lanes; lane++) filler.FillSegment(pass, slice, lane);
    }
  }
  uint64_t last[kBlockWords] = {};
  for (uint32_t lane = 0; lane < input.lanes; lane++) {
    const uint64_t* block = filler.Block(lane, laneBlocks - 1);
    for (size_t i = 0; i < kBlockWords; i++) last[i] ^= block[i];
  }
  for (size_t i = 0; i < kBlockWords; i++) Store64(bytes + 8 * i, last[i]);
  const Argon2Bytes whole = {bytes, kBlockBytes};
  LongHash(&whole, 1, tag, tagBytes);
  return true;
}

}  // namespace granary
