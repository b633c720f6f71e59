// Adds up the splits that attention of few rows left, in order: a block for a row and
// head. b[0] is the arena, b[1] the run.
#include "attention.h"

#define OWN 4 // dims of a thread, at most

KERNEL_OF(ENTRY, THREADS, 1) {
  let_next_start();
  wait_for_inputs();
  float *arena = (float *)a.b[0];
  const u32 *run = a.b[1];
  u32 out = a.p[0], scratch = a.p[1], heads = a.p[3], window = a.p[4];
  u32 dims = a.c[1], causal = a.c[2];
  u32 row = block_x(), id = thread_id();
  if (row >= run[0]) { return; }
  u32 splits = splits_of(run, window, a.p[5]);
  const u32 *info = run + a.p[2] + 4 * row;
  u32 low = low_of(info[0], window), high = high_of(info[0], info[2], causal, window);
  u32 n = (high + SPLIT - 1) / SPLIT - low / SPLIT;
  u32 place = row * heads + block_y();
  const float *values = arena + values_at(scratch, place, splits, 0, dims);
  const float *sums = arena + sums_at(scratch, run[0] * heads, place, splits, 0, dims);
  float top = NONE, sum = 0.0f, total[OWN] = {0.0f, 0.0f, 0.0f, 0.0f};
  UNROLLED_BY(4)
  for (u32 i = 0; i < n; i++) {
    float keep, take;
    merge(top, sum, sums[2 * i], sums[2 * i + 1], keep, take);
    UNROLLED for (u32 o = 0; o < OWN; o++) {
      u32 d = id + o * THREADS;
      if (d < dims) { total[o] = fma(total[o], keep, values[i * dims + d] * take); }
    }
  }
  float inverse = inverse_of(sum);
  UNROLLED for (u32 o = 0; o < OWN; o++) {
    u32 d = id + o * THREADS;
    if (d < dims) { arena[out + (u64)place * dims + d] = finish(total[o], inverse); }
  }
}
