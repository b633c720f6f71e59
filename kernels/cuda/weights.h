// The tensor layouts of package shader (tensor.go), as a warp reads them. A tile is 16
// rows: TILE_HEAD uints, then units one after the other. A unit is STEPS steps of 64
// columns, STEP uints each, and then HEAD uints that belong to all its steps.
//
//	typedef Weights<T_Q4_K> W;
//	W::Head h = W::load_head<FromGlobal>(unit + W::STEPS * W::STEP, lane);
//	W::Step s = W::load_step<FromGlobal>(unit + i * W::STEP, lane);
//	W::Factors f = W::factors(h);    // once a unit
//	W::fragment(a, s, j);            // fragment A of the columns 16 j to 16 j + 15
//	W::scales(two, s, f, b);         // of rows g, g + 8 in block b of the step
//	Minimums m = W::minimums(s, h);  // once a unit, of its last step; if SUMS
//
// with g = lane / 4, t = lane % 4; j and b are known when compiled. Every warp adds a
// step to sum, as mma has d, in this way:
//
//	BLOCK == 0  mma(sum, a, x) for j = 0 to 3; of F32 for the values and then for what
//	            they lack, fragment's parts 0 and 1 of PARTS. With TILE_HEAD, a slice's
//	            sum is in the end multiplied by row_factors.
//	otherwise   for each block of BLOCK columns: z = 0; mma(z, a, x) for its one or two
//	            j; sum[i] = FMA(two[i / 2], z[i], sum[i]). With SUMS, after the last
//	            block of a unit: add_minimums.
//
// Fragments are whole numbers, but those of types with minimums are quants times 2^-24
// (a float16 that is subnormal: no instruction but a mask makes it), 2^-20 and so on:
// the scales make up for that.
#pragma once
#include "device.h"

#ifdef LEDGE_HOST
#define METHOD static inline // a static function of a struct
#else
#define METHOD static DEVICE
#endif

enum : u32 { // types, as shader.Layout numbers them from TensorF32 on
  T_F32, T_F16, T_BF16, T_Q4_0, T_Q4_1, T_Q5_0, T_Q5_1, T_Q8_0, T_IQ4_NL, T_MXFP4,
  T_Q4_K, T_Q5_K, T_Q6_K, T_IQ4_XS, T_Q2_K, T_Q3_K,
};

// Where weights are read from.
struct FromGlobal {
  METHOD u32x4 load4(const u32 *p) { return stream4(p); }
  METHOD u32x2 load2(const u32 *p) { return stream2(p); }
  METHOD u32 load1(const u32 *p) { return stream1(p); }
};
struct FromRing { // shared memory
  METHOD u32x4 load4(const u32 *p) { return shared4(p); }
  METHOD u32x2 load2(const u32 *p) { return shared2(p); }
  METHOD u32 load1(const u32 *p) { return shared1(p); }
};
struct FromShared { // or global memory that is read more than once
  METHOD u32x4 load4(const u32 *p) { return *(const u32x4 *)p; }
  METHOD u32x2 load2(const u32 *p) { return *(const u32x2 *)p; }
  METHOD u32 load1(const u32 *p) { return *p; }
};

template <u32 KIND> struct Weights;

// Minimums are the fragments A of a unit's minimums, for the sums of x of the first and
// third 16 columns of a step, and of the second and fourth; f is for rows g, g + 8.
struct Minimums { u32 a[2][2]; float f[2]; };

// What x has of sums, for each step of 64 columns: of 16 columns each (of x as it is
// in float16; eight in order and eight in order, added), divided by 16 and rounded, and
// what that lacks, rounded: words (s0, s2), (what s0, s2 lack), (s1, s3), (what ...).
DEVICE u32x2 split_sums(float x, float y) {
  x *= 0.0625f;
  y *= 0.0625f;
  u32 high = halves(x, y);
  return {high, halves(x - half_low(high), y - half_high(high))};
}

// add_minimums: x_sums are the 4 STEPS words of this lane's row g of x for the unit.
template <class W> DEVICE void add_minimums(float sum[4], const Minimums &m, const u32 *x_sums, u32 t) {
  float z[4] = {0, 0, 0, 0};
  u32 first[4] = {m.a[0][0], m.a[0][1], m.a[0][0], m.a[0][1]};
  if (W::STEPS == 4) { // lane t has the blocks of step t
    u32x4 v = *(const u32x4 *)(x_sums + 4 * t);
    u32 second[4] = {m.a[1][0], m.a[1][1], m.a[1][0], m.a[1][1]};
    u32 b[2] = {v.x, v.y}, c[2] = {v.z, v.w};
    mma(z, first, b);
    mma(z, second, c);
  } else { // every lane has the same two blocks: lanes 0 and 1 bring their halves' sums
    u32x2 v = *(const u32x2 *)(x_sums + 2 * (t & 1));
    u32 b[2] = {t < 2 ? v.x : 0, t < 2 ? v.y : 0};
    mma(z, first, b);
  }
  UNROLLED for (u32 i = 0; i < 4; i++) { sum[i] = fma(m.f[i / 2], z[i], sum[i]); }
}

namespace weights {

struct Nothing {};

DEVICE u32 word(u32x4 q, u32 j) { return j == 0 ? q.x : j == 1 ? q.y : j == 2 ? q.z : q.w; }
DEVICE u32 word(u32x2 q, u32 j) { return j == 0 ? q.x : q.y; }
DEVICE u32 rotated(u32 x, u32 right) { return right == 0 ? x : x >> right | x << (32 - right); }
DEVICE float half_of(u32 pair, u32 second) { return second ? half_high(pair) : half_low(pair); }
constexpr u32 twice(u32 half) { return half | half << 16; }

// Nibble p of w is the first element of register p, nibble p + 4 the second. Their bits
// from the fourth on are in h, at 4 of rotated(h, right + 8 (p / 2)) for even p and at 8
// for odd: HIGH is a mask of as many ones. Less ZERO.
template <u32 ZERO, u32 HIGH> DEVICE void nibbles(u32 a[4], u32 w, u32 h, u32 right) {
  UNROLLED for (u32 p = 0; p < 4; p++) {
    u32 v = p < 2 ? w : w >> 8, even = p % 2 == 0, base = twice(0x6400); // 1024
    if (HIGH != 0) { base = and_or(rotated(h, right + p / 2 * 8), twice(even ? HIGH << 4 : HIGH << 8), base); }
    v = and_or(v, twice(even ? 0x000f : 0x00f0), base);
    a[p] = even ? h2_sub(v, twice(0x6400 + ZERO)) : h2_fma(v, twice(0x2c00), twice(0xd400 + 16 * ZERO)); // v/16 - (64 + ZERO)
  }
}

// The same times 2^-24, for odd p times 2^-20, and nothing taken off.
template <u32 HIGH> DEVICE void small_nibbles(u32 a[4], u32 w, u32 h, u32 right) {
  UNROLLED for (u32 p = 0; p < 4; p++) {
    u32 v = p < 2 ? w : w >> 8, even = p % 2 == 0;
    a[p] = v & twice(even ? 0x000f : 0x00f0);
    if (HIGH != 0) { a[p] = and_or(rotated(h, right + p / 2 * 8), twice(even ? HIGH << 4 : HIGH << 8), a[p]); }
  }
}

// Bytes 0 and 2 of x are register 0, bytes 1 and 3 register 1; y has registers 2 and 3.
// Less ZERO.
template <u32 ZERO> DEVICE void bytes(u32 a[4], u32 x, u32 y) {
  UNROLLED for (u32 p = 0; p < 4; p++) {
    a[p] = h2_sub(prmt(p < 2 ? x : y, twice(0x6464), p % 2 == 0 ? 0x4240 : 0x4341), twice(0x6400 + ZERO));
  }
}

// curve looks eight codes up in a table of 16 bytes: those of nibbles 0 to 3 are the
// bytes of x, the others those of y.
DEVICE void curve(u32 &x, u32 &y, u32 w, u32 t0, u32 t1, u32 t2, u32 t3) {
  u32 at = w & 0x77777777, which = and_or(w >> 1, 0x44444444, 0x32103210); // byte i, or 4 + i for codes from 8 on
  x = prmt(prmt(t0, t1, at), prmt(t2, t3, at), which);
  y = prmt(prmt(t0, t1, at >> 16), prmt(t2, t3, at >> 16), which >> 16);
}
DEVICE void iq4(u32 a[4], u32 w) { // the curve, plus 128
  u32 x, y;
  curve(x, y, w, 0x3f2d1801, 0x766a5d4f, 0xa6998d81, 0xf1d9c5b5);
  bytes<128>(a, x, y);
}

// Two scales, bytes 0 and 1 (second: 2 and 3) of w: less 128, or times 2^-24.
DEVICE u32 signed_scales(u32 w, u32 second) { return h2_sub(prmt(w, twice(0x6464), second ? 0x4342 : 0x4140), twice(0x6480)); }
DEVICE u32 small_scales(u32 w, u32 second) { return prmt(w, 0, second ? 0x4342 : 0x4140); }

// Powers of two.
constexpr float P20 = 1048576.0f, P24 = 16777216.0f, P28 = 268435456.0f;

// ---- Types of blocks of 32 columns, a unit of 64.

struct One {
  static constexpr u32 STEPS = 1, HEAD = 0, TILE_HEAD = 0, BLOCK = 32, PARTS = 1, SUMS = 0;
  typedef Nothing Head;
  typedef Nothing Factors;
  template <class M> METHOD Nothing load_head(const u32 *, u32) { return {}; }
  METHOD Nothing factors(Nothing) { return {}; }
  template <class S> METHOD Minimums minimums(const S &, Nothing) { return {}; }
};

// Scales of float16: of blocks 0 and 1 of row g, of row g + 8.
DEVICE void two_scales(float two[2], u32x2 d, u32 b) {
  two[0] = half_of(d.x, b);
  two[1] = half_of(d.y, b);
}
struct Step4 { u32x4 q; u32x2 d; };
struct Step5 { u32x4 q; u32x2 d; u32 h; };
struct Step4M { u32x4 q, d; }; // d: scales, scales of row g + 8, minimums of both
struct Step5M { u32x4 q, d; u32 h; };

struct Scaled : One {
  template <class S, class F> METHOD void scales(float two[2], const S &s, F, u32 b) { two_scales(two, s.d, b); }
};
struct Lifted : One { // with minimums
  static constexpr u32 SUMS = 1;
  template <class S, class F> METHOD void scales(float two[2], const S &s, F, u32 b) {
    two[0] = half_of(s.d.x, b) * P24;
    two[1] = half_of(s.d.y, b) * P20;
  }
  template <class S> METHOD Minimums minimums(const S &s, Nothing) { return {{{s.d.z, s.d.w}, {0, 0}}, {16.0f, 16.0f}}; }
};

} // namespace weights

template <> struct Weights<T_Q4_0> : weights::Scaled {
  static constexpr u32 STEP = 128 + 16;
  typedef weights::Step4 Step;
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) { return {M::load4(p + 4 * lane), M::load2(p + 128 + lane / 4 * 2)}; }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) { weights::nibbles<8, 0>(a, weights::word(s.q, j), 0, 0); }
};

template <> struct Weights<T_IQ4_NL> : weights::Scaled {
  static constexpr u32 STEP = 128 + 16;
  typedef weights::Step4 Step;
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) { return {M::load4(p + 4 * lane), M::load2(p + 128 + lane / 4 * 2)}; }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) { weights::iq4(a, weights::word(s.q, j)); }
};

template <> struct Weights<T_Q5_0> : weights::Scaled {
  static constexpr u32 STEP = 128 + 32 + 16;
  typedef weights::Step5 Step;
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) {
    return {M::load4(p + 4 * lane), M::load2(p + 160 + lane / 4 * 2), M::load1(p + 128 + lane)};
  }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) { weights::nibbles<16, 1>(a, weights::word(s.q, j), s.h, j); }
};

template <> struct Weights<T_Q8_0> : weights::Scaled {
  static constexpr u32 STEP = 256 + 16;
  struct Step { u32x4 q[2]; u32x2 d; };
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) {
    return {{M::load4(p + 4 * lane), M::load4(p + 128 + 4 * lane)}, M::load2(p + 256 + lane / 4 * 2)};
  }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) {
    weights::bytes<128>(a, weights::word(s.q[j / 2], j % 2 * 2), weights::word(s.q[j / 2], j % 2 * 2 + 1));
  }
};

template <> struct Weights<T_Q4_1> : weights::Lifted {
  static constexpr u32 STEP = 128 + 32;
  typedef weights::Step4M Step;
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) { return {M::load4(p + 4 * lane), M::load4(p + 128 + lane / 4 * 4)}; }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) { weights::small_nibbles<0>(a, weights::word(s.q, j), 0, 0); }
};

template <> struct Weights<T_Q5_1> : weights::Lifted {
  static constexpr u32 STEP = 128 + 32 + 32;
  typedef weights::Step5M Step;
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) {
    return {M::load4(p + 4 * lane), M::load4(p + 160 + lane / 4 * 4), M::load1(p + 128 + lane)};
  }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) { weights::small_nibbles<1>(a, weights::word(s.q, j), s.h, j); }
};

template <> struct Weights<T_MXFP4> : weights::One {
  static constexpr u32 STEP = 128 + 8;
  struct Step { u32x4 q; u32 e; }; // e: one less than the exponents of blocks 0 and 1 of row g, of row g + 8
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) { return {M::load4(p + 4 * lane), M::load1(p + 128 + lane / 4)}; }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) {
    u32 x, y; // the upper bytes of float16
    weights::curve(x, y, weights::word(s.q, j), 0x42403c00, 0x4a484644, 0xc2c0bc00, 0xcac8c6c4);
    UNROLLED for (u32 p = 0; p < 4; p++) { a[p] = prmt(p < 2 ? x : y, 0, p % 2 == 0 ? 0x2404 : 0x3414); }
  }
  METHOD void scales(float two[2], const Step &s, Factors, u32 b) {
    two[0] = float_of((b == 0 ? s.e << 23 : s.e << 15) & 0x7f800000);
    two[1] = float_of((b == 0 ? s.e << 7 : s.e >> 1) & 0x7f800000);
  }
};

// ---- Types of blocks of 256 columns, a unit of as many.

namespace weights {

struct Four {
  static constexpr u32 STEPS = 4, TILE_HEAD = 0, PARTS = 1, SUMS = 0;
  template <class S, class H> METHOD Minimums minimums(const S &, H) { return {}; }
};

// A scale of 256 for each row.
struct Plain : Four {
  static constexpr u32 HEAD = 8;
  struct Head { u32 d; };
  struct Factors { float d[2]; };
  template <class M> METHOD Head load_head(const u32 *p, u32 lane) { return {M::load1(p + lane / 4)}; }
  METHOD Factors factors(const Head &h) { return {{half_low(h.d), half_high(h.d)}}; }
};

// And minimums: bytes of blocks 0 and 1 of step t of row g, of row g + 8 (Q2_K: nibbles
// as fragments have them); scale and minimum of 256 of row g, of row g + 8.
struct Lowered : Four {
  static constexpr u32 SUMS = 1, HEAD = 32 + 16;
  struct Head { u32 m; u32x2 d; };
  template <class M> METHOD Head load_head(const u32 *p, u32 lane) { return {M::load1(p + lane), M::load2(p + 32 + lane / 4 * 2)}; }
};
struct Lowered32 : Lowered {
  static constexpr u32 BLOCK = 32;
  struct Factors { float d[2]; };
  METHOD Factors factors(const Head &h) { return {{half_low(h.d.x) * (P24 * P24), half_low(h.d.y) * (P24 * P20)}}; }
  template <class S> METHOD void scales(float two[2], const S &s, const Factors &f, u32 b) {
    two[0] = half_of(small_scales(s.s, 0), b) * f.d[0];
    two[1] = half_of(small_scales(s.s, 1), b) * f.d[1];
  }
  template <class S> METHOD Minimums minimums(const S &, const Head &h) {
    u32 g = small_scales(h.m, 0), g8 = small_scales(h.m, 1);
    return {{{g, g8}, {g, g8}}, {half_high(h.d.x) * -P28, half_high(h.d.y) * -P28}};
  }
};

} // namespace weights

template <> struct Weights<T_Q4_K> : weights::Lowered32 {
  static constexpr u32 STEP = 128 + 8;
  struct Step { u32x4 q; u32 s; };
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) { return {M::load4(p + 4 * lane), M::load1(p + 128 + lane / 4)}; }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) { weights::small_nibbles<0>(a, weights::word(s.q, j), 0, 0); }
};

template <> struct Weights<T_Q5_K> : weights::Lowered32 {
  static constexpr u32 STEP = 128 + 32 + 8;
  struct Step { u32x4 q; u32 s, h; };
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) {
    return {M::load4(p + 4 * lane), M::load1(p + 160 + lane / 4), M::load1(p + 128 + lane)};
  }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) { weights::small_nibbles<1>(a, weights::word(s.q, j), s.h, j); }
};

template <> struct Weights<T_Q6_K> : weights::Plain {
  static constexpr u32 STEP = 128 + 64 + 16, BLOCK = 16;
  struct Step { u32x4 q; u32x2 h, s; }; // s: of rows g and g + 8 in blocks 0 and 1, 2 and 3
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) {
    return {M::load4(p + 4 * lane), M::load2(p + 128 + 2 * lane), M::load2(p + 192 + lane / 4 * 2)};
  }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) {
    weights::nibbles<32, 3>(a, weights::word(s.q, j), weights::word(s.h, j / 2), j % 2 * 2);
  }
  METHOD void scales(float two[2], const Step &s, const Factors &f, u32 b) {
    u32 pair = weights::signed_scales(weights::word(s.s, b / 2), b % 2);
    two[0] = half_low(pair) * f.d[0];
    two[1] = half_high(pair) * f.d[1];
  }
};

template <> struct Weights<T_IQ4_XS> : weights::Plain {
  static constexpr u32 STEP = 128 + 8, BLOCK = 32;
  struct Step { u32x4 q; u32 s; }; // s: of row g in blocks 0 and 1, of row g + 8
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) { return {M::load4(p + 4 * lane), M::load1(p + 128 + lane / 4)}; }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) { weights::iq4(a, weights::word(s.q, j)); }
  METHOD void scales(float two[2], const Step &s, const Factors &f, u32 b) {
    two[0] = weights::half_of(weights::signed_scales(s.s, 0), b) * f.d[0];
    two[1] = weights::half_of(weights::signed_scales(s.s, 1), b) * f.d[1];
  }
};

// Two bits: those of register p in the columns 16 j are at 2 (p % 2) + 4 (j % 2) of both
// halves of a word, and 8 higher for p / 2 = 1.
template <> struct Weights<T_Q3_K> : weights::Plain {
  static constexpr u32 STEP = 64 + 32 + 16, BLOCK = 16;
  struct Step { u32x2 q, s; u32 h; }; // s as Q6_K's; h: the third bits
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) {
    return {M::load2(p + 2 * lane), M::load2(p + 96 + lane / 4 * 2), M::load1(p + 64 + lane)};
  }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) {
    using namespace weights;
    UNROLLED for (u32 p = 0; p < 4; p++) {
      u32 at = p % 2 * 2 + j % 2 * 4, v = word(s.q, j / 2);
      u32 base = and_or(rotated(s.h, j / 2 + p / 2 * 8), twice(4) << at, twice(0x6400));
      v = and_or(p < 2 ? v : v >> 8, twice(3) << at, base);
      switch (at) { // (v - 1024) / 2^at - 4
      case 0: a[p] = h2_sub(v, twice(0x6404)); break;
      case 2: a[p] = h2_fma(v, twice(0x3400), twice(0xdc10)); break;
      case 4: a[p] = h2_fma(v, twice(0x2c00), twice(0xd440)); break;
      default: a[p] = h2_fma(v, twice(0x2400), twice(0xcd00));
      }
    }
  }
  METHOD void scales(float two[2], const Step &s, const Factors &f, u32 b) {
    u32 pair = weights::signed_scales(weights::word(s.s, b / 2), b % 2);
    two[0] = half_low(pair) * f.d[0];
    two[1] = half_high(pair) * f.d[1];
  }
};

template <> struct Weights<T_Q2_K> : weights::Lowered {
  static constexpr u32 STEP = 64 + 8, BLOCK = 16;
  struct Step { u32x2 q; u32 s; }; // s: nibble b of the lower half for row g, of the upper for row g + 8
  struct Factors { float d[2][2]; }; // of rows and odd columns 16 j
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) { return {M::load2(p + 2 * lane), M::load1(p + 64 + lane / 4)}; }
  METHOD Factors factors(const Head &h) {
    using namespace weights; // quants and scales are shifted by 0 or 4, those of row g + 8 by 2 more
    float g = half_low(h.d.x) * (P20 * P20 / 4), g8 = half_low(h.d.y) * (P20 * P20 / 4);
    return {{{g * 1024.0f, g * 4.0f}, {g8 * 256.0f, g8}}};
  }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) {
    using namespace weights;
    u32 v = word(s.q, j / 2);
    UNROLLED for (u32 p = 0; p < 4; p++) { a[p] = (p < 2 ? v : v >> 8) & twice(3) << (p % 2 * 2 + j % 2 * 4); }
  }
  METHOD void scales(float two[2], const Step &s, const Factors &f, u32 b) {
    u32 pair = (b < 2 ? s.s : s.s >> 8) & weights::twice(b % 2 == 0 ? 0x000f : 0x00f0);
    two[0] = half_low(pair) * f.d[0][b % 2];
    two[1] = half_high(pair) * f.d[1][b % 2];
  }
  METHOD Minimums minimums(const Step &, const Head &h) {
    using namespace weights;
    u32 v = h.m, w = v >> 8, low = twice(0x000f), high = twice(0x00f0);
    return {{{v & low, v & high}, {w & low, w & high}}, {half_high(h.d.x) * -P28, half_high(h.d.y) * -P24}};
  }
};

// ---- Floats.

namespace weights {

struct Floats : One {
  static constexpr u32 BLOCK = 0;
  template <class S, class F> METHOD void scales(float two[2], const S &, F, u32) { two[0] = two[1] = 1.0f; }
};
struct Halves : Floats {
  static constexpr u32 STEP = 512;
  struct Step { u32x4 q[4]; };
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) {
    p += 4 * lane;
    return {{M::load4(p), M::load4(p + 128), M::load4(p + 256), M::load4(p + 384)}};
  }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 = 0) { UNROLLED for (u32 p = 0; p < 4; p++) { a[p] = word(s.q[j], p); } }
};

} // namespace weights

template <> struct Weights<T_F16> : weights::Halves {};
template <> struct Weights<T_BF16> : weights::Halves { static constexpr u32 TILE_HEAD = 16; };
template <> struct Weights<T_F32> : weights::Floats {
  static constexpr u32 STEP = 1024, TILE_HEAD = 16, PARTS = 2;
  struct Step { weights::Halves::Step value, rest; };
  template <class M> METHOD Step load_step(const u32 *p, u32 lane) {
    return {weights::Halves::load_step<M>(p, lane), weights::Halves::load_step<M>(p + 512, lane)};
  }
  METHOD void fragment(u32 a[4], const Step &s, u32 j, u32 part = 0) { weights::Halves::fragment(a, part == 0 ? s.value : s.rest, j); }
};

// row_factors are what a type with TILE_HEAD multiplies its sums of rows g, g + 8 with.
template <class M> DEVICE void row_factors(float two[2], const u32 *tile, u32 g) {
  two[0] = float_of(M::load1(tile + g));
  two[1] = float_of(M::load1(tile + g + 8));
}
