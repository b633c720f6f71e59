// Reads a buffer and nothing else: how fast the decode kernels could be at best. No
// part of a run. b[0] is the buffer, b[1] a result that is hardly ever written; p[0]
// the buffer's length in 16 bytes, a multiple of 8 * THREADS.
#include "device.h"

KERNEL_OF(ENTRY, THREADS, 2) {
  let_next_start();
  wait_for_inputs();
  const u32 *data = a.b[0];
  u32 blocks = a.p[0] / (8 * THREADS);
  u32 sum = 0;
  for (u32 block = block_x(); block < blocks; block += blocks_x()) {
    const u32 *from = data + ((u64)block * (8 * THREADS) + thread_id()) * 4;
    u32x4 v[8];
    UNROLLED for (u32 i = 0; i < 8; i++) { v[i] = stream4(from + i * (4 * THREADS)); }
    UNROLLED for (u32 i = 0; i < 8; i++) { sum = sum ^ v[i].x ^ v[i].y ^ v[i].z ^ v[i].w; }
  }
  if (sum == 0x12345678u) { a.b[1][0] = sum; }
}
