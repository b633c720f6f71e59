// Rows of a piece of a matrix, by id: 0 columns, 1 the piece's place, 2 its first row,
// 3 its rows, 4 ids (in the run), 5 out, 6 and 7 rows (linear.h). A thread copies four
// columns. Values are those of dtype.Dequantize, by the same operations, but for what
// the layouts lose (package shader, TensorF32). b[0] weights, b[2] arena, b[3] run.
#include "linear.h"
#include "weights.h"

namespace {

// part_of is register p of fragment A of columns 16 j, neither known when compiled.
template <class W> DEVICE u32 part_of(const typename W::Step &s, u32 j, u32 p, u32 part) {
  u32 found = 0;
  UNROLLED for (u32 i = 0; i < 4; i++) {
    u32 a[4];
    W::fragment(a, s, i, part);
    UNROLLED for (u32 r = 0; r < 4; r++) { found = i == j && r == p ? a[r] : found; }
  }
  return found;
}

DEVICE f32x4 floats(u32 low, u32 high) { return {half_low(low), half_high(low), half_low(high), half_high(high)}; }

// values are columns i to i + 3 of a row of a tile.
template <class W> DEVICE f32x4 values(const u32 *tile, u32 row, u32 i) {
  const u32 second = row / 8, j = i % 64 / 16, step = i / 64, lane = row % 8 * 4 + i % 16 / 4;
  const u32 *unit = tile + W::TILE_HEAD + (u64)(step / W::STEPS) * (W::STEPS * W::STEP + W::HEAD);
  const typename W::Step s = W::template load_step<FromShared>(unit + step % W::STEPS * W::STEP, lane);
  f32x4 v = floats(part_of<W>(s, j, second, 0), part_of<W>(s, j, second + 2, 0));
  if constexpr (W::BLOCK == 0) {
    if constexpr (W::PARTS > 1) {
      f32x4 w = floats(part_of<W>(s, j, second, 1), part_of<W>(s, j, second + 2, 1));
      v = {v.x + w.x, v.y + w.y, v.z + w.z, v.w + w.w};
    }
    if (W::TILE_HEAD > 0) {
      float f = float_of(tile[row]);
      v = {v.x * f, v.y * f, v.z * f, v.w * f};
    }
    return v;
  } else {
    // Lane t has the minimums of step t.
    const typename W::Head h = W::template load_head<FromShared>(unit + W::STEPS * W::STEP, row % 8 * 4 + step % 4);
    const typename W::Factors f = W::factors(h);
    float scale = 0;
    UNROLLED for (u32 b = 0; b < 64 / W::BLOCK; b++) {
      float two[2];
      W::scales(two, s, f, b);
      if (i % 64 / W::BLOCK == b) { scale = second ? two[1] : two[0]; }
    }
    v = {scale * v.x, scale * v.y, scale * v.z, scale * v.w};
    if (W::SUMS) {
      const Minimums m = W::minimums(s, h);
      // Those of 16 columns j: of 0 and 2, or of 1 and 3 (which one of 32 has, too).
      u32 pair = second ? m.a[0][1] : m.a[0][0];
      if (W::STEPS > 1 && j % 2 == 1) { pair = second ? m.a[1][1] : m.a[1][0]; }
      float minimum = (j < 2 ? half_low(pair) : half_high(pair)) * ((second ? m.f[1] : m.f[0]) * 0.0625f);
      v = {v.x + minimum, v.y + minimum, v.z + minimum, v.w + minimum};
    }
    return v;
  }
}

} // namespace

KERNEL_OF(ENTRY, THREADS, 1) {
  let_next_start();
  wait_for_inputs();
  typedef Weights<TYPE> W;
  const u32 k = a.p[0], i = 4 * (block_x() * THREADS + thread_id());
  const u32 token = block_y() + block_z() * 32768u;
  if (token >= rows_of(a) || i >= k) { return; }
  const u32 row = a.b[3][a.p[4] + token] - a.p[2];
  if (row >= a.p[3]) { return; }
  const u64 units = (k + 64 * W::STEPS - 1) / (64 * W::STEPS), tile = W::TILE_HEAD + units * (W::STEPS * W::STEP + W::HEAD);
  const f32x4 v = values<W>(a.b[0] + a.p[1] + row / 16 * tile, row % 16, i);
  float *to = (float *)a.b[2] + a.p[5] + (u64)token * k + i;
  to[0] = v.x;
  if (i + 1 < k) { to[1] = v.y; }
  if (i + 2 < k) { to[2] = v.z; }
  if (i + 3 < k) { to[3] = v.w; }
}
