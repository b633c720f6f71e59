// Kernels that use each word of device.h, for words.cpp.
#include "device.h"

namespace sm72 { // what GPUs before sm_80 have instead, of the same words
#include "device72.h"
}

// p[0] says which; b[0] is what goes in, b[1] what comes out, a word a thread.
KERNEL_OF(words_one, 32, 1) {
  wait_for_inputs();
  u32 i = thread_id(), x = a.b[0][3 * i], y = a.b[0][3 * i + 1], z = a.b[0][3 * i + 2], r = 0;
  float f = float_of(x), g = float_of(y), h = float_of(z);
  switch (a.p[0]) {
  case 0: r = h2_add(x, y); break;
  case 1: r = h2_sub(x, y); break;
  case 2: r = h2_mul(x, y); break;
  case 3: r = h2_fma(x, y, z); break;
  case 4: r = halves(f, g); break;
  case 5: r = bits_of(half_low(x)); break;
  case 6: r = bits_of(half_high(x)); break;
  case 7: r = prmt(x, y, z); break;
  case 8: r = lop3<0xe8>(x, y, z); break; // the majority
  case 9: r = lop3<0x1a>(x, y, z); break; // (x and y or z) xor x
  case 10: r = and_or(x, y, z); break;
  case 11: r = bits_of(fma(f, g, h)); break;
  case 12: r = bits_of(max_of(f, g)); break;
  case 13: r = bits_of(min_of(f, g)); break;
  case 14: r = bits_of(abs_of(f)); break;
  case 15: r = bits_of(sqrt_of(f)); break;
  case 16: r = bits_of(ex2(f)); break;
  case 17: r = max_of(x, y); break;
  case 18: r = min_of(x, y); break;
  case 19: r = shuffle(x, y); break;
  case 20: r = shuffle_xor(x, a.p[1]); break;
  case 21: r = bits_of(shuffle(f, y)); break;
  case 22: r = bits_of(shuffle_xor(f, a.p[1])); break;
  }
  a.b[1][i] = r;
}

// Fragments of a, b and d as PTX has them: 4, 2 and 4 words a lane.
KERNEL_OF(words_mma, 64, 1) {
  wait_for_inputs();
  u32 i = thread_id();
  float d[4];
  for (u32 j = 0; j < 4; j++) { d[j] = float_of(a.b[2][4 * i + j]); }
  if (a.p[0] == 72) {
    sm72::mma(d, a.b[0] + 4 * i, a.b[1] + 2 * i);
  } else {
    mma(d, a.b[0] + 4 * i, a.b[1] + 2 * i);
  }
  for (u32 j = 0; j < 4; j++) { a.b[3][4 * i + j] = bits_of(d[j]); }
}

// Four matrices of 8 x 8, whose rows lie p[1] bytes apart.
KERNEL_OF(words_ldmatrix, 32, 1) {
  DYNAMIC_SHARED(memory);
  wait_for_inputs();
  u32 i = thread_id(), r[4];
  for (u32 j = 0; j < 4; j++) { *(u32 *)(memory + a.p[1] * i + 4 * j) = a.b[0][4 * i + j]; }
  sync_warp();
  const u8 *row = memory + a.p[1] * i;
  switch (a.p[0]) {
  case 0: ldmatrix4(r, row); break;
  case 1: ldmatrix4_transposed(r, row); break;
  case 2: sm72::ldmatrix4(r, row); break;
  case 3: sm72::ldmatrix4_transposed(r, row); break;
  }
  for (u32 j = 0; j < 4; j++) { a.b[1][4 * i + j] = r[j]; }
}

KERNEL_OF(words_stream, 32, 1) {
  wait_for_inputs();
  u32 i = thread_id();
  u32x4 x = stream4(a.b[0] + 4 * i);
  u32x2 y = stream2(a.b[0] + 2 * i + a.p[0]);
  u32 z = stream1(a.b[0] + i);
  f32x4 w = load4((const float *)a.b[0] + 4 * i);
  a.b[1][i] = x.x + x.y + x.z + x.w + y.x + y.y + z + (bits_of(w.x) ^ bits_of(w.y)) + bits_of(w.z) - bits_of(w.w);
}

// Each thread counts in a place of its own: the grid, the threads, the arrays.
KERNEL_OF(words_grid, 1024, 1) {
  SHARED_ARRAY(u32, first, 1024);
  SHARED_ARRAY(u32x2, second, 1024);
  DYNAMIC_SHARED(third);
  wait_for_inputs();
  u32 i = thread_id(), block = block_x() + blocks_x() * (block_y() + a.p[0] * block_z());
  bool fresh = first[i] == 0x7fff7fff && second[i].x == 0x7fff7fff && *(u32 *)(third + 4 * i) == 0x7fff7fff;
  sync_block();
  first[i] = i;
  second[i].x = second[i].y = 2 * i;
  ((u32 *)third)[i] = 3 * i;
  sync_block();
  u32 j = 1023 - i;
  bool right = first[j] == j && second[j].y == 2 * j && ((u32 *)third)[j] == 3 * j;
  a.b[1][1024 * block + i] += fresh && right ? 1 : 1000;
}

// A pipeline of copies; p[0] leaves out: 1 the barrier, 2 the wait, 3 both are there
// but for too few groups.
KERNEL_OF(words_copy, 128, 1) {
  SHARED_ARRAY(u32x4, two, 256);
  wait_for_inputs();
  u32 i = thread_id(), j = 127 - i, sum = 0;
  const u32x4 *from = (const u32x4 *)a.b[0];
  copy16(&two[i], from + i, true);
  copy_commit();
  for (u32 step = 0; step < 4; step++) {
    copy16(&two[128 * ((step + 1) & 1) + i], from + 128 * (step + 1) + i, step < 3);
    copy_commit();
    if (a.p[0] == 3) {
      copy_wait<2>();
    } else if (a.p[0] != 2) {
      copy_wait<1>();
    }
    if (a.p[0] != 1) { sync_block(); }
    u32x4 x = two[128 * (step & 1) + j];
    sum += x.x + x.y + x.z + x.w;
    if (a.p[0] != 1) { sync_block(); }
  }
  copy_wait<0>();
  u32x4 zero = two[i]; // that was not live
  a.b[1][i] = sum + zero.x + zero.w;
}

// What goes wrong: p[0] says how.
KERNEL_OF(words_wrong, 128, 1) {
  SHARED_ARRAY(u32, x, 128);
  DYNAMIC_SHARED(y);
  if (a.p[0] < 11 || (a.p[0] == 11 && thread_id() != 5)) { wait_for_inputs(); }
  u32 i = thread_id();
  switch (a.p[0]) {
  case 0: if (i != 7) { sync_block(); } break;
  case 1: if (i < 32) { sync_block(); } else { shuffle(i, 0); } break;
  case 2: if (i & 1) { shuffle(i, 0); } else { sync_warp(); } break;
  case 3: x[i + a.p[1]] = 1; break;
  case 4: ((u32 *)y)[i + a.p[1]] = 1; break;
  case 5: a.b[1][i + a.p[1]] = 1; break;
  case 6: copy16(a.b[1], a.b[0], true); break;
  case 7: copy16(x + 1, a.b[0], true); break;
  case 8: copy16(x, a.b[0] + a.p[1], true); break;
  case 9: { SHARED_ARRAY(u32, large, 13000); large[i] = 0; break; }
  case 10: a.b[1][0] = block_x(); break; // who comes last
  // What a kernel before may still write, as b[2], or anything by what is for that.
  case 12: x[i] = bits_of(constant4((const float *)a.b[2]).x); break;
  case 13: x[i] = stream1(a.b[2] + 1); break;
  case 14: x[i] = handed1(a.b[2]); break;
  case 15: copy16(x, a.b[2] + 4, true); break;
  case 16: x[i] = cached1(a.b[0]); break;
  case 17: x[i] = bits_of(load4((const float *)a.b[0]).x); break;
  case 18: copy16_in_place(x, a.b[0] + a.p[1], true); break;
  }
}
