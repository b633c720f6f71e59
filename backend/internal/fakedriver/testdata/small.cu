// Kernels for the fake driver's own tests: p[0] words from b[0], which add p[1], to b[1].
#include "device.h"

KERNEL_OF(small_add, 128, 1) {
  wait_for_inputs();
  u32 i = block_x() * 128 + thread_id();
  if (i < a.p[0]) { a.b[1][i] = a.b[0][i] + a.p[1]; }
}

KERNEL_OF(small_dead, 64, 1) {
  wait_for_inputs();
  if (thread_id() > 0) { sync_block(); }
}

KERNEL_OF(small_shared, 64, 1) {
  DYNAMIC_SHARED(room);
  wait_for_inputs();
  u32 *x = (u32 *)room, i = thread_id();
  for (u32 j = i; j < a.p[0]; j += 64) { x[j] = j; }
  sync_block();
  a.b[1][i] = x[a.p[0] - 1 - i];
}
