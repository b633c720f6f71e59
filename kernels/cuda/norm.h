// The RMS norm before a product, of a row of K floats, by a block of 256 threads: by
// the same operations in product.cu and prepare.cu.
//
// Thread i adds the squares of elements 1024 m + 4 i + c (m = 0, 1, ...) for each c of
// 0 to 3 by s = FMA(x, x, s), then (s0 + s1) + (s2 + s3). A warp adds its threads by
// distances 16, 8, 4, 2 and 1; the warps' sums are added as a tree, first neighbours.
// The factor is 1 / sqrt(sum / K + eps), and a normed element (x * factor) * weight.
//
// With something to add before: x' = FMA(x * factor, weight, y), which is then normed.
#pragma once
#include "device.h"

// Row is K floats that begin anywhere. vectors: by 16 bytes at a time.
struct Row { const float *p; bool vectors; };

DEVICE Row row_at(const u32 *buffer, u64 at, u32 k) { return {(const float *)(buffer + at), at % 4 == 0 && k % 4 == 0}; }

// four are elements i to i + 3, zeros from K on; i is a multiple of 4.
DEVICE f32x4 four(const Row &r, u32 i, u32 k) {
  f32x4 v;
  if (r.vectors) {
    v = load4(r.p + min_of(i, k - 4));
  } else {
    v = {r.p[min_of(i, k - 1)], r.p[min_of(i + 1, k - 1)], r.p[min_of(i + 2, k - 1)], r.p[min_of(i + 3, k - 1)]};
  }
  return {i < k ? v.x : 0, i + 1 < k ? v.y : 0, i + 2 < k ? v.z : 0, i + 3 < k ? v.w : 0};
}

// Input is a row of a product's x, and what comes before it: stages is 0 for nothing, 1
// for a norm, 2 for the norm of x'. Without a weight, its row has no memory.
struct Input {
  u32 k, stages;
  Row x, y, add_weight, weight;
  float add_factor, factor;
};

// added4 are elements of x' (or of x), normed4 makes of them what is multiplied.
DEVICE f32x4 added4(const Input &in, u32 i) {
  f32x4 x = four(in.x, i, in.k);
  if (in.stages == 2) {
    f32x4 y = four(in.y, i, in.k), w = {1, 1, 1, 1};
    if (in.add_weight.p) { w = four(in.add_weight, i, in.k); }
    x = {fma(x.x * in.add_factor, w.x, y.x), fma(x.y * in.add_factor, w.y, y.y), fma(x.z * in.add_factor, w.z, y.z),
        fma(x.w * in.add_factor, w.w, y.w)};
  }
  return x;
}
DEVICE f32x4 normed4(const Input &in, f32x4 x, u32 i) {
  if (in.stages == 0) { return x; }
  x = {x.x * in.factor, x.y * in.factor, x.z * in.factor, x.w * in.factor};
  if (in.weight.p) {
    f32x4 w = four(in.weight, i, in.k);
    x = {x.x * w.x, x.y * w.y, x.z * w.z, x.w * w.w};
  }
  return x;
}

// block_sum adds over the 256 threads of a block; warps is shared memory for 8 floats.
// write_sum and read_sum are its parts before and after the block's threads meet.
DEVICE void write_sum(float x, float *warps) {
  UNROLLED for (u32 distance = 16; distance > 0; distance /= 2) { x += shuffle_xor(x, distance); }
  if (thread_id() % 32 == 0) { warps[thread_id() / 32] = x; }
}
DEVICE float read_sum(const float *warps) {
  return ((warps[0] + warps[1]) + (warps[2] + warps[3])) + ((warps[4] + warps[5]) + (warps[6] + warps[7]));
}
DEVICE float block_sum(float x, float *warps) {
  write_sum(x, warps);
  sync_block();
  const float sum = read_sum(warps);
  sync_block();
  return sum;
}

DEVICE float rms_factor(float sum, u32 k, float eps) { return 1.0f / sqrt_of(sum / (float)k + eps); }

DEVICE f32x4 add_squares(f32x4 x, f32x4 s) { return {fma(x.x, x.x, s.x), fma(x.y, x.y, s.y), fma(x.z, x.z, s.z), fma(x.w, x.w, s.w)}; }

DEVICE void put4(float *to, f32x4 x, u32 i, u32 k) {
  if (i < k) { to[i] = x.x; }
  if (i + 1 < k) { to[i + 1] = x.y; }
  if (i + 2 < k) { to[i + 2] = x.z; }
  if (i + 3 < k) { to[i + 3] = x.w; }
}

// find_factors is for the whole block. x' goes to store, if that is not null.
DEVICE void find_factors(Input &in, float add_eps, float eps, float *store, float *warps) {
  in.add_factor = in.factor = 1;
  if (in.stages == 2) {
    f32x4 s = {0, 0, 0, 0};
    LOOPED for (u32 i = 4 * thread_id(); i < in.k; i += 2048) { // two loads together; zeros behind the end
      f32x4 x = four(in.x, i, in.k), y = four(in.x, i + 1024, in.k);
      s = add_squares(y, add_squares(x, s));
    }
    in.add_factor = rms_factor(block_sum((s.x + s.y) + (s.z + s.w), warps), in.k, add_eps);
  }
  if (in.stages > 0) {
    f32x4 s = {0, 0, 0, 0};
    LOOPED for (u32 i = 4 * thread_id(); i < in.k; i += 2048) {
      f32x4 x = added4(in, i), y = added4(in, i + 1024);
      s = add_squares(y, add_squares(x, s));
      if (in.stages == 2 && store) {
        put4(store, x, i, in.k);
        put4(store, y, i + 1024, in.k);
      }
    }
    in.factor = rms_factor(block_sum((s.x + s.y) + (s.z + s.w), warps), in.k, eps);
  }
}

DEVICE float largest_of(f32x4 x) { return max_of(max_of(abs_of(x.x), abs_of(x.y)), max_of(abs_of(x.z), abs_of(x.w))); }

// largest_in is the largest magnitude of x in columns from begin to end, in all lanes of
// a warp.
DEVICE float largest_in(const Input &in, u32 begin, u32 end) {
  float largest = 0;
  LOOPED for (u32 i = begin + 4 * (thread_id() & 31); i < end; i += 256) {
    f32x4 x = four(in.x, i, in.k), y = four(in.x, i + 128, in.k);
    largest = max_of(largest, largest_of(x));
    if (i + 128 < end) { largest = max_of(largest, largest_of(y)); }
  }
  LOOPED for (u32 distance = 16; distance > 0; distance /= 2) { largest = max_of(largest, shuffle_xor(largest, distance)); }
  return largest;
}

// slice_power is the power of two that brings a slice of x, whose largest magnitude is
// largest, into [2^13, 2^14): the slice's columns are multiplied with it before they
// are rounded to float16, and its sum with 1 / power.
DEVICE float slice_power(float largest) {
  u32 exponent = bits_of(largest) >> 23; // 0 for zero and subnormals, 255 for what is not finite
  if (exponent == 0 || exponent == 255) { return 1; }
  return float_of(min_of(127 + 127 + 13 - exponent, 252u) << 23);
}
