// The best of parts of rows (package shader's ArgMax): a block for 2,048 floats, or for
// all that such blocks left, of each a candidate's key and its id's complement. b[0] is
// the arena, b[1] the run, b[2] what is read back; parameters are those of argmax.comp.
#include "order.h"

namespace {
enum : u32 { FIRST = 1, LAST = 2 }; // places in Args.c
}

KERNEL_OF(ENTRY, THREADS, 2) {
  let_next_start();
  wait_for_inputs();
  enum : u32 { PART = 8 * THREADS };
  SHARED_ARRAY(u64, warps, THREADS / 32);
  const u32 n = a.p[2], parts = a.p[3], g = block_y() * 32768 + block_x(), row = g / parts;
  if (row >= rows_of(a)) { return; } // all of the block
  u64 best = 0;
  if (a.c[FIRST] == 1) {
    const float *const x = (const float *)a.b[0] + a.p[0] + (u64)row * n;
    const u32 i = g % parts * PART + 4 * thread_id();
    const f32x4 v = next4(x, i, n), w = next4(x, i + PART / 2, n);
    best = best_of(best_of(candidate(v.x, i), candidate(v.y, i + 1)), best_of(candidate(v.z, i + 2), candidate(v.w, i + 3)));
    const u32 j = i + PART / 2;
    best = best_of(best, best_of(best_of(candidate(w.x, j), candidate(w.y, j + 1)), best_of(candidate(w.z, j + 2), candidate(w.w, j + 3))));
  } else {
    const u32 *const left = a.b[0] + a.p[0] + (u64)row * n * 2;
    LOOPED for (u32 i = thread_id(); i < n; i += THREADS) { best = best_of(best, (u64)left[2 * i] << 32 | left[2 * i + 1]); }
  }
  LOOPED for (u32 distance = 16; distance > 0; distance /= 2) { best = best_of(best, from_lane(best, distance)); }
  if (thread_id() % 32 == 0) { warps[thread_id() / 32] = best; }
  sync_block();
  if (thread_id() != 0) { return; }
  UNROLLED for (u32 i = 1; i < THREADS / 32; i++) { best = best_of(best, warps[i]); }
  if (a.c[LAST] == 1) {
    u32 *const to = a.b[2] + a.p[1] + (u64)row * 2;
    to[0] = id_of(best);
    to[1] = value_of(best);
  } else {
    u32 *const to = a.b[0] + a.p[1] + (u64)g * 2;
    to[0] = key_of(best);
    to[1] = (u32)best;
  }
}
