// What the kernels of attention share: which rows a block takes, what a row sees, and
// how splits add up. See package shader's Attention for the parameters and attention.cu
// for the order of sums.
#pragma once
#include "device.h"

// Parameters and constants of a call; the runs's header and row table are package shader's.
#define QUERY_AT a.p[0]
#define OUT_AT a.p[1]
#define SCRATCH_AT a.p[2]
#define ROW_TABLE a.p[3]
#define HEADS a.p[4]
#define KV_HEADS a.p[5]
#define PARTS a.p[6]
#define WINDOW a.p[7]
#define SCALE float_of(a.p[8])
#define CAP float_of(a.p[9])
#define REACH a.p[10]
#define GROUP a.p[11]   // heads of a key-value head
#define INVERSE a.p[12] // of the heads of a tile: see quotient
#define CAUSAL a.c[6]

// Positions that are added up by themselves, from multiples of it on.
#define SPLIT 256u
// The largest score of nothing. Scores are in units of log2(e): weights are powers of 2.
#define NONE (-3.402823466e38f)
#define LOG2E 1.442695041f

// quotient is x / n of x up to 16, by inverse = 65536 / n, rounded up.
DEVICE u32 quotient(u32 x, u32 inverse) { return x * inverse >> 16; }

// Rows that follow each other in a segment; none if there is nothing for a block to do.
struct Rows {
  u32 first, n; // in the batch
  u32 slot;     // of the first one
  u32 pages;    // where the sequence's page table begins
  u32 last;     // the last slot of the segment
};

// rows_of cuts the rows of each segment into tiles of size rows and gives the index-th.
// There are at least as many rows as blocks, so that the index-th row can be read while
// its tile is not known: where every segment has one row, as in decoding, they agree.
DEVICE Rows rows_of(const u32 *run, u32 table, u32 index, u32 size) {
  auto at = [&](u32 i) { return handed1(run + i); }; // the host wrote it: it may be read before the kernel before has ended
  const u32 info = table + 4 * index, total = at(0);
  Rows r = {index, 1, at(info), at(info + 1), at(info + 2)};
  if (size == 1 || total == 1) { return r; }
  if (at(table + 4 * (total - 1) + 3) + 1 == total) { return r; }
  r.n = 0;
  u32 tile = index;
  for (u32 row = 0; row < total;) {
    const u32 info = table + 4 * row;
    const u32 slot = at(info), last = at(info + 2), left = last - slot + 1; // of the segment
    u32 tiles = (left + size - 1) / size;
    if (tile < tiles) {
      r.first = row + tile * size;
      r.n = min_of(size, left - tile * size);
      r.slot = slot + tile * size;
      r.pages = at(info + 1);
      r.last = last;
      break;
    }
    tile -= tiles;
    row += left;
  }
  return r;
}

// A row at a slot sees the slots from low_of to before high_of.
DEVICE u32 low_of(u32 slot, u32 window) { return window != 0 && slot >= window ? slot + 1 - window : 0; }
DEVICE u32 high_of(u32 slot, u32 last, u32 causal, u32 window) {
  if (causal != 0) { return slot + 1; }
  return window != 0 ? min_of(last + 1, slot + window) : last + 1;
}

// splits_of is the most splits that a row of the run touches.
DEVICE u32 splits_of(const u32 *run, u32 window, u32 reach) {
  u32 n = (handed1(run + 4) + SPLIT - 1) / SPLIT;
  return window != 0 ? min_of(n, (reach + SPLIT - 2) / SPLIT + 1) : n;
}

// query_factor turns a query so that its products with keys are what score_of takes.
DEVICE float query_factor(float scale, float cap) { return cap == 0.0f ? scale * LOG2E : scale; }

// reciprocal is 1 / x within a unit. fresh is x, but compilers do not know: what is made
// of it stays where it is, instead of taking registers all along a loop.
#ifdef LEDGE_HOST
DEVICE float reciprocal(float x) { return 1.0f / x; }
DEVICE u32 fresh(u32 x) { return x; }
#else
DEVICE float reciprocal(float x) { float d; asm("rcp.approx.f32 %0, %1;" : "=f"(d) : "f"(x)); return d; }
DEVICE u32 fresh(u32 x) { asm volatile("" : "+r"(x)); return x; }
#endif

// capped is the score in units of log2(e): cap * tanh(x / cap), as exact as the largest
// score needs.
DEVICE float capped(float cap, float x) {
  float e = ex2(abs_of(x) * (-2.0f * LOG2E / cap));
  float y = (1.0f - e) * reciprocal(1.0f + e) * (cap * LOG2E);
  return x < 0.0f ? 0.0f - y : y;
}

// merge adds a split with the largest score here and the sum of weights l to what
// there is: keep and take are the factors of the one's values and of the other's. What
// is not rescaled keeps its bits, and so does what a split without weights comes to.
DEVICE void merge(float &top, float &sum, float here, float l, float &keep, float &take) {
  float all = max_of(top, here);
  take = here == all ? 1.0f : ex2(here - all);
  keep = top == all ? 1.0f : ex2(top - all);
  top = all;
  sum = fma(sum, keep, l * take);
}

// finish is a value of the result; adding 0 leaves zeros one sign, which would else
// depend on splits that a row sees nothing of.
DEVICE float finish(float value, float inverse) { return value * inverse + 0.0f; }
DEVICE float inverse_of(float sum) { return sum == 0.0f ? 1.0f : 1.0f / sum; }

// Results of splits, for attention_merge: values [row, head, split, dim], after them the
// largest score and the sum of weights [row, head, split, 2]. place is row * heads + head.
DEVICE u64 values_at(u32 scratch, u32 place, u32 splits, u32 split, u32 dims) {
  return scratch + ((u64)place * splits + split) * dims;
}
DEVICE u64 sums_at(u32 scratch, u32 places, u32 place, u32 splits, u32 split, u32 dims) {
  return scratch + (u64)places * splits * dims + ((u64)place * splits + split) * 2;
}
