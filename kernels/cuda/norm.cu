// A norm of each row (package shader's Norm), a block of 128 threads for a row: in place
// of the dialect's kernel, whose order of sums is another than that of products' norms
// (norm.h). A value that one batch norms here and another as part of a product has the
// same bits. b[0] is the arena, b[1] the run, b[2] the vectors; parameters and constants
// are those of norm.comp.
#include "norm.h"

namespace {

enum : u32 { KIND = 1, WEIGHT = 2, BIAS = 3, ADD = 4 }; // places in Args.c

DEVICE u32 extent_part(const Args &a, u32 shift) {
  u32 code = a.p[4] >> shift & 255;
  return code == 0 ? 1 : a.b[1][code - 1];
}

// pair_sum adds what 256 threads of norm.h's block_sum would: x is that of thread i, y
// that of thread i + 128.
DEVICE float pair_sum(float x, float y, float *warps) {
  LOOPED for (u32 distance = 16; distance > 0; distance /= 2) {
    x += shuffle_xor(x, distance);
    y += shuffle_xor(y, distance);
  }
  if (thread_id() % 32 == 0) {
    warps[thread_id() / 32] = x;
    warps[thread_id() / 32 + 4] = y;
  }
  sync_block();
  float sum = ((warps[0] + warps[1]) + (warps[2] + warps[3])) + ((warps[4] + warps[5]) + (warps[6] + warps[7]));
  sync_block();
  return sum;
}

DEVICE float sum4(f32x4 s) { return (s.x + s.y) + (s.z + s.w); }
DEVICE f32x4 less(f32x4 x, float mean, u32 i, u32 k) {
  return {i < k ? x.x - mean : 0, i + 1 < k ? x.y - mean : 0, i + 2 < k ? x.z - mean : 0, i + 3 < k ? x.w - mean : 0};
}

} // namespace

KERNEL_OF(ENTRY, THREADS, 4) {
  SHARED_ARRAY(float, warps, 8);
  let_next_start();
  wait_for_inputs();
  const u32 row = block_y() * 32768 + block_x(), k = a.p[2];
  if (row >= a.p[3] * extent_part(a, 0) * extent_part(a, 8) * extent_part(a, 16) * extent_part(a, 24)) { return; } // all of the block
  const Row x = row_at(a.b[0], a.p[0] + (u64)row * k, k), y = row_at(a.b[0], a.p[8] + (u64)row * k, k);
  const Row weight = row_at(a.b[2], a.p[6], k), bias = row_at(a.b[2], a.p[7], k);
  float *const out = (float *)a.b[0] + a.p[1] + (u64)row * k;
  const u32 first = 4 * thread_id();
  float mean = 0;
  if (a.c[KIND] == 1) {
    f32x4 s = {0, 0, 0, 0}, t = s;
    LOOPED for (u32 i = first; i < k; i += 1024) {
      f32x4 v = four(x, i, k), w = four(x, i + 512, k);
      s = {s.x + v.x, s.y + v.y, s.z + v.z, s.w + v.w};
      t = {t.x + w.x, t.y + w.y, t.z + w.z, t.w + w.w};
    }
    mean = pair_sum(sum4(s), sum4(t), warps) / (float)k;
  }
  f32x4 s = {0, 0, 0, 0}, t = s;
  LOOPED for (u32 i = first; i < k; i += 1024) {
    s = add_squares(less(four(x, i, k), mean, i, k), s);
    t = add_squares(less(four(x, i + 512, k), mean, i + 512, k), t);
  }
  const float factor = rms_factor(pair_sum(sum4(s), sum4(t), warps), k, float_of(a.p[5]));
  LOOPED for (u32 i = first; i < k; i += 512) {
    f32x4 v = four(x, i, k), w = {1, 1, 1, 1}, z = {0, 0, 0, 0};
    v = {(v.x - mean) * factor, (v.y - mean) * factor, (v.z - mean) * factor, (v.w - mean) * factor};
    if (a.c[WEIGHT] == 1) { w = four(weight, i, k); }
    if (a.c[BIAS] == 1) {
      z = four(bias, i, k);
    } else if (a.c[ADD] == 1) {
      z = four(y, i, k);
    }
    if (a.c[BIAS] == 1 || a.c[ADD] == 1) {
      v = {fma(v.x, w.x, z.x), fma(v.y, w.y, z.y), fma(v.z, w.z, z.z), fma(v.w, w.w, z.w)};
    } else {
      v = {v.x * w.x, v.y * w.y, v.z * w.z, v.w * w.w};
    }
    if (a.c[BIAS] == 1 && a.c[ADD] == 1) {
      z = four(y, i, k);
      v = {v.x + z.x, v.y + z.y, v.z + z.z, v.w + z.w};
    }
    put4(out, v, i, k);
  }
}
