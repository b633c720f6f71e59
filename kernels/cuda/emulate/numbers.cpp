// Arithmetic of GPUs that hosts have no instruction for.
#include "device.h"

namespace emulate {

static inline float widen(u16 h) {
  u32 magnitude = (u32)(h & 0x7fffu) << 13, sign = (u32)(h & 0x8000u) << 16;
  if (magnitude >= 0x0f800000u) { return magnitude > 0x0f800000u ? float_of(0x7fffffffu) : float_of(sign | 0x7f800000u); }
  return float_of(sign | bits_of(float_of(magnitude) * 0x1p112f)); // subnormals, too
}

float float_of_half(u16 h) { return widen(h); }

u16 half_of(double x) {
  u64 b;
  __builtin_memcpy(&b, &x, 8);
  u16 sign = (u16)(b >> 48 & 0x8000u);
  b &= ~0ull >> 1;
  if (b > 0x7ffull << 52) { return 0x7fff; }
  int exponent = (int)(b >> 52) - 1023;
  if (exponent >= 16) { return sign | 0x7c00u; }
  if (exponent < -25) { return sign; }
  u64 mantissa = (b & ((1ull << 52) - 1)) | 1ull << 52;
  int shift = exponent >= -14 ? 42 : 28 - exponent;
  u64 h = mantissa >> shift, rest = mantissa & ((1ull << shift) - 1), tie = 1ull << (shift - 1);
  h += rest > tie || (rest == tie && (h & 1u) != 0);
  // The leading bit of a normal number counts as one of the exponent; what is rounded
  // up to the next power of two, or to infinity, comes out right.
  if (exponent >= -14) { h += (u64)(exponent + 14) << 10; }
  return sign | (u16)h;
}

// half_fma rounds once: the sum is made in double, rounded to odd, which leaves the
// next rounding what it needs to know.
u16 half_fma(u16 x, u16 y, u16 z) {
  double p = (double)widen(x) * widen(y), c = widen(z); // exact
  double s = p + c, back = s - p, rest = (p - (s - back)) + (c - back);
  u64 b;
  __builtin_memcpy(&b, &s, 8);
  if (rest != 0 && rest == rest && (b & 1u) == 0) {
    b += (rest > 0) == (s > 0) ? 1 : -1;
    __builtin_memcpy(&s, &b, 8);
  }
  return half_of(s);
}

// Not instrumented, for speed: operands are the lanes' own.
__attribute__((no_sanitize_address)) void mma_work(void *const lanes[32]) {
  double a[16][16], b[16][8]; // row, column
  for (u32 lane = 0; lane < 32; lane++) {
    const Mma *m = (const Mma *)lanes[lane];
    u32 g = lane / 4, t = lane % 4;
    for (u32 i = 0; i < 2; i++) {
      u32 shift = 16 * i, k = 2 * t + i;
      a[g][k] = widen((u16)(m->a[0] >> shift));
      a[g + 8][k] = widen((u16)(m->a[1] >> shift));
      a[g][k + 8] = widen((u16)(m->a[2] >> shift));
      a[g + 8][k + 8] = widen((u16)(m->a[3] >> shift));
      b[k][g] = widen((u16)(m->b[0] >> shift));
      b[k + 8][g] = widen((u16)(m->b[1] >> shift));
    }
  }
  double d[16][8] = {};
  for (u32 row = 0; row < 16; row++) {
    for (u32 k = 0; k < 16; k++) {
      for (u32 n = 0; n < 8; n++) { d[row][n] += a[row][k] * b[k][n]; }
    }
  }
  for (u32 lane = 0; lane < 32; lane++) {
    Mma *m = (Mma *)lanes[lane];
    u32 g = lane / 4, t = lane % 4;
    for (u32 i = 0; i < 4; i++) { m->d[i] = (float)(m->d[i] + d[g + 8 * (i / 2)][2 * t + i % 2]); }
  }
}

} // namespace emulate
