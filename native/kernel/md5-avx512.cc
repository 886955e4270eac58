#include <immintrin.h>

#include <cstring>

#include "md5-eight.h"
#include "md5-lanes.h"

namespace granary {
namespace {

// Ternary logic does each round function in one step, and rotation is one instruction. The numbers are
// truth tables with the first operand as the highest bit of the index.
constexpr int kSelect = 0xCA;
constexpr int kXor3 = 0x96;
constexpr int kXorOrNot = 0x39;

struct Wide {
  static constexpr int kLanes = 16;
  using Vector = __m512i;
  static Vector Load(const uint32_t* at) { return _mm512_load_si512(at); }
  static void Store(uint32_t* at, Vector v) { _mm512_store_si512(at, v); }
  static Vector Broadcast(uint32_t word) { return _mm512_set1_epi32(static_cast<int>(word)); }
  static Vector Add(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
  static void Settle(Vector* v) { __asm__("" : "+v"(*v)); }
  template <int kBits>
  static Vector Rotate(Vector v) {
    return _mm512_rol_epi32(v, kBits);
  }
  static Vector F(Vector b, Vector c, Vector d) { return _mm512_ternarylogic_epi32(b, c, d, kSelect); }
  static Vector G(Vector b, Vector c, Vector d) { return _mm512_ternarylogic_epi32(d, b, c, kSelect); }
  static Vector H(Vector b, Vector c, Vector d) { return _mm512_ternarylogic_epi32(b, c, d, kXor3); }
  static Vector I(Vector b, Vector c, Vector d) { return _mm512_ternarylogic_epi32(b, c, d, kXorOrNot); }

  // Sixteen rows of sixteen words become sixteen columns.
  static void Transpose(const uint8_t* const* rows, size_t offset, Vector* out) {
    Vector r[16];
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(rows[i] + offset);
    Vector pairs[16];
    for (int i = 0; i < 8; i++) {
      pairs[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
      pairs[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    // quads[4 g + w]: word w of each 128-bit lane, of rows 4 g … 4 g + 3.
    Vector quads[16];
    for (int group = 0; group < 4; group++) {
      const Vector* p = pairs + 4 * group;
      quads[4 * group] = _mm512_unpacklo_epi64(p[0], p[2]);
      quads[4 * group + 1] = _mm512_unpackhi_epi64(p[0], p[2]);
      quads[4 * group + 2] = _mm512_unpacklo_epi64(p[1], p[3]);
      quads[4 * group + 3] = _mm512_unpackhi_epi64(p[1], p[3]);
    }
    for (int w = 0; w < 4; w++) {
      const Vector even01 = _mm512_shuffle_i32x4(quads[w], quads[4 + w], 0x88);
      const Vector odd01 = _mm512_shuffle_i32x4(quads[w], quads[4 + w], 0xDD);
      const Vector even23 = _mm512_shuffle_i32x4(quads[8 + w], quads[12 + w], 0x88);
      const Vector odd23 = _mm512_shuffle_i32x4(quads[8 + w], quads[12 + w], 0xDD);
      out[w] = _mm512_shuffle_i32x4(even01, even23, 0x88);
      out[4 + w] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
      out[8 + w] = _mm512_shuffle_i32x4(even01, even23, 0xDD);
      out[12 + w] = _mm512_shuffle_i32x4(odd01, odd23, 0xDD);
    }
  }
};

// Half as wide, for up to eight streams: a processor that makes two steps of a wide one takes a quarter less time.
struct Half : Eight {
  static void Settle(Vector* v) { __asm__("" : "+v"(*v)); }
  template <int kBits>
  static Vector Rotate(Vector v) {
    return _mm256_rol_epi32(v, kBits);
  }
  static Vector F(Vector b, Vector c, Vector d) { return _mm256_ternarylogic_epi32(b, c, d, kSelect); }
  static Vector G(Vector b, Vector c, Vector d) { return _mm256_ternarylogic_epi32(d, b, c, kSelect); }
  static Vector H(Vector b, Vector c, Vector d) { return _mm256_ternarylogic_epi32(b, c, d, kXor3); }
  static Vector I(Vector b, Vector c, Vector d) { return _mm256_ternarylogic_epi32(b, c, d, kXorOrNot); }
};

// One stream in the lowest lane: the shorter steps make up for the vector unit's idle lanes.
struct Single {
  static constexpr int kLanes = 1;
  using Vector = __m128i;
  static Vector Load(const uint32_t* at) { return _mm_cvtsi32_si128(static_cast<int>(*at)); }
  static void Store(uint32_t* at, Vector v) { *at = static_cast<uint32_t>(_mm_cvtsi128_si32(v)); }
  static Vector Broadcast(uint32_t word) { return _mm_set1_epi32(static_cast<int>(word)); }
  static Vector Add(Vector a, Vector b) { return _mm_add_epi32(a, b); }
  static void Settle(Vector* v) { __asm__("" : "+v"(*v)); }
  template <int kBits>
  static Vector Rotate(Vector v) {
    return _mm_rol_epi32(v, kBits);
  }
  static Vector F(Vector b, Vector c, Vector d) { return _mm_ternarylogic_epi32(b, c, d, kSelect); }
  static Vector G(Vector b, Vector c, Vector d) { return _mm_ternarylogic_epi32(d, b, c, kSelect); }
  static Vector H(Vector b, Vector c, Vector d) { return _mm_ternarylogic_epi32(b, c, d, kXor3); }
  static Vector I(Vector b, Vector c, Vector d) { return _mm_ternarylogic_epi32(b, c, d, kXorOrNot); }
  static void Transpose(const uint8_t* const* rows, size_t offset, Vector* out) {
    uint32_t words[16];
    std::memcpy(words, rows[0] + offset, sizeof(words));
    for (int i = 0; i < 16; i++) out[i] = _mm_cvtsi32_si128(static_cast<int>(words[i]));
  }
};

void Blocks(Md5Lane* lanes, int count, size_t blocks) {
  if (count == 1) return RunSets<Single, 1>(lanes, count, blocks);
  if (count <= Half::kLanes) return RunSets<Half, 1>(lanes, count, blocks);
  RunSets<Wide, 1>(lanes, count, blocks);
}

}  // namespace

const Md5Path kMd5Avx512 = {Blocks, 1};
const Md5Path kMd5Avx512Lanes = {Blocks, 2};

}  // namespace granary
