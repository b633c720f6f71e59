// What argmax.cu and top.cu share: rows of logits, and candidates of them as numbers in
// whose order the best is the largest.
#pragma once
#include "device.h"

// candidate is a float of a row and its id: the float's bits made into a number in the
// order of floats, 0 for NaN and one for both zeros, above the id's complement. So the
// larger float comes first, and of equal ones the lower id. 0 is none at all.
DEVICE u64 candidate(float x, u32 id) {
  u32 u = bits_of(x), size = u & 0x7fffffffu;
  if (size > 0x7f800000u) { return 0; }
  u32 key = size == 0 ? 0x80000000u : u == size ? u | 0x80000000u : 0xffffffffu - u;
  return (u64)key << 32 | (0xffffffffu - id);
}
DEVICE u32 key_of(u64 c) { return (u32)(c >> 32); }
DEVICE u32 id_of(u64 c) { return 0xffffffffu - (u32)c; } // the highest number for none
DEVICE u32 value_of(u64 c) { // bits of the float
  u32 key = key_of(c);
  if (key == 0) { return 0x7fc00000u; }
  return key >= 0x80000000u ? key & 0x7fffffffu : 0xffffffffu - key;
}
DEVICE u64 best_of(u64 a, u64 b) { return a > b ? a : b; }
// from_lane is that of lane ^ mask.
DEVICE u64 from_lane(u64 c, u32 mask) { return (u64)shuffle_xor(key_of(c), mask) << 32 | shuffle_xor((u32)c, mask); }

// next4 are elements i to i + 3 of a row of n, NaN from n on; i is a multiple of 4. A
// row may begin anywhere.
DEVICE f32x4 next4(const float *row, u32 i, u32 n) {
  const float none = float_of(0x7fc00000u);
  if ((u64)row % 16 == 0 && i + 4 <= n) { return load4(row + i); }
  return {i < n ? row[i] : none, i + 1 < n ? row[i + 1] : none, i + 2 < n ? row[i + 2] : none, i + 3 < n ? row[i + 3] : none};
}

// rows_of is the number of rows of the run: parameters 4 and 5 are an extent of package
// shader.
DEVICE u32 rows_of(const Args &a) {
  u32 rows = a.p[4];
  for (u32 code = a.p[5]; code != 0; code >>= 8) {
    if ((code & 255) != 0) { rows *= a.b[1][(code & 255) - 1]; }
  }
  return rows;
}
