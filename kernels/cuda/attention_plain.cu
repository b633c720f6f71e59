// Attention in float32 over caches and heads of any kind: a block for a row and a head,
// and for few rows a split. b[0] is the arena, b[1] the run, b[2] the keys, b[3] the
// values.
#include "attention_row.h"

KERNEL_OF(ENTRY, THREADS, 1) {
  SHARED_ARRAY(RowRoom, room, 1);
  let_next_start();
  wait_for_inputs();
  const u32 *run = a.b[1];
  u32 row = block_x();
  if (row >= run[0]) { return; }
  bool many = a.c[5] != 0;
  u32 first = many ? 0 : low_of(run[ROW_TABLE + 4 * row], WINDOW) / SPLIT + block_z();
  attend_row(a, room[0], {row, block_y(), first, many ? 0xffffffffu : first + 1, many || splits_of(run, WINDOW, REACH) <= 1},
      a.c[1], a.c[2], a.c[3] == 0);
}
