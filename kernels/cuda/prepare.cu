// What tile.cu multiplies: rows of x, normed, in float16. A block has a row, a warp a
// slice of its columns. Buffers and parameters are those of linear.h: 3 is x; 2 is the
// distance of what rows have in 18 and 19; 12 to 17 are the norm's weight and epsilon,
// the added norm's, its y and where x' goes; 18, 19 and 20 are where the powers, the
// sums and x in float16 go, and 21 is the steps of a unit. c[1] is what comes before the
// product, as Input.stages; c[2] is 1 if sums of x are wanted.
//
// A row of x in float16 is steps of 64 columns, zeros from K on. In every 16 columns
// stand first 4 t and 4 t + 1, for t = 0 to 3, and then 4 t + 2 and 4 t + 3: what
// ldmatrix gives lane t is what the fragment B of these columns wants. The powers are
// one float for each slice and row, slice by slice: what brings the slice's sum back.
// The sums are 4 words (split_sums) for each step and row, step by step.
#include "linear.h"
#include "norm.h"
#include "weights.h"

namespace {

// input is a row of x as it is read, but for the factors of its norms.
DEVICE Input input(const Args &a, u32 row) {
  const u32 k = a.p[0];
  Input in = {};
  in.k = k;
  in.stages = a.c[1];
  in.x = row_at(a.b[2], a.p[3] + (u64)row * k, k);
  if (in.stages > 0 && has(a, F_NORM_WEIGHT)) { in.weight = row_at(a.b[1], a.p[12], k); }
  if (in.stages == 2) {
    in.y = row_at(a.b[2], a.p[16] + (u64)row * k, k);
    if (has(a, F_ADD_WEIGHT)) { in.add_weight = row_at(a.b[1], a.p[14], k); }
  }
  return in;
}

} // namespace

KERNEL_OF(ENTRY, THREADS, 2) {
  SHARED_ARRAY(float, warps, 8);
  let_next_start();
  wait_for_inputs();
  const u32 lane = thread_id() & 31, warp = thread_id() >> 5;
  const u32 row = block_z() * 32768 + block_y();
  if (row >= rows_of(a)) { return; } // all of the block
  const u32 k = a.p[0], unit = 64 * a.p[21], units = (k + unit - 1) / unit, stride = units * unit;
  Input in = input(a, row);
  find_factors(in, float_of(a.p[15]), float_of(a.p[13]), in.stages == 2 ? (float *)a.b[2] + a.p[17] + (u64)row * k : nullptr, warps);

  const u32 slices = min_of(8u, units);
  if (warp >= slices) { return; }
  const u32 begin = warp * units / slices * unit, end = (warp + 1) * units / slices * unit;
  float power = 1;
  if (in.stages == 0) {
    float largest = 0;
    for (u32 i = begin + 4 * lane; i < end; i += 128) { largest = max_of(largest, largest_of(four(in.x, i, k))); }
    for (u32 distance = 16; distance > 0; distance /= 2) { largest = max_of(largest, shuffle_xor(largest, distance)); }
    power = slice_power(largest);
  }
  if (lane == 0) { a.b[2][a.p[18] + (u64)warp * a.p[2] + row] = bits_of(1.0f / power); }

  u32 *const out = a.b[2] + a.p[20] + (u64)row * (stride / 2);
  for (u32 first = begin; first < end; first += 256) { // 8 columns a lane
    const u32 i = first + 8 * lane;
    u32 h[4] = {0, 0, 0, 0};
    if (i < end) {
      f32x4 x = normed4(in, added4(in, i), i), y = normed4(in, added4(in, i + 4), i + 4);
      h[0] = halves(x.x * power, x.y * power);
      h[1] = halves(x.z * power, x.w * power);
      h[2] = halves(y.x * power, y.y * power);
      h[3] = halves(y.z * power, y.w * power);
      u32 *to = out + i / 16 * 8 + i % 16 / 4; // columns 0 to 7 or 8 to 15
      *(u32x2 *)to = {h[0], h[2]};
      *(u32x2 *)(to + 4) = {h[1], h[3]};
    }
    if (a.c[2] != 0) {
      float sum = half_low(h[0]);
      UNROLLED for (u32 c = 1; c < 8; c++) { sum += c % 2 == 0 ? half_low(h[c / 2]) : half_high(h[c / 2]); }
      sum += shuffle_xor(sum, 1);
      float third = shuffle_xor(sum, 4); // 32 columns on
      if ((lane & 5) == 0 && i < end) {
        *(u32x2 *)(a.b[2] + a.p[19] + ((u64)(i / 64) * a.p[2] + row) * 4 + (lane & 2)) = split_sums(sum, third);
      }
    }
  }
}
