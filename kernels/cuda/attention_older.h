// Attention as attention.cu has it for GPUs without its instructions: the rows of a block
// one after the other, in float32. b[0] is the arena, b[1] the run, b[2] the keys, b[3]
// the values.
#include "attention_row.h"

KERNEL_OF(ENTRY, THREADS, 1) {
  SHARED_ARRAY(RowRoom, room, 1);
  let_next_start();
  wait_for_inputs();
  const u32 *run = a.b[1];
  u32 kv = block_y() / PARTS, part = block_y() % PARTS;
  Rows rows = MANY ? rows_of(run, ROW_TABLE, blocks_x() - 1 - block_x(), THREADS / 32 * TOKENS_OF)
                   : rows_of(run, ROW_TABLE, block_x(), TOKENS_OF);
  if (rows.n == 0) { return; }
  u32 first = low_of(rows.slot, WINDOW) / SPLIT + block_z(); // of the block: rows begin there or later
  for (u32 i = 0; i < rows.n; i++) {
    for (u32 head = part * HEADS_OF; head < min_of((part + 1) * HEADS_OF, GROUP); head++) {
      attend_row(a, room[0], {rows.first + i, kv * GROUP + head, first, MANY ? 0xffffffffu : first + 1,
          MANY || splits_of(run, WINDOW, REACH) <= 1}, a.c[1], a.c[2], true);
    }
  }
}
