// A product of few rows: out[n, N] = epilogue(norm(x) . w), n up to NT (1 or 8). A block
// is 8 warps, each of which has one slice of the columns. It takes items, one after the
// other: R tiles of 16 rows, of a gated product half as many gates and their partners.
//
// Nothing stands between the weights of one tile and those of the next: a warp has groups
// of up to four steps on their way, beyond the end of the item, too (product_stream.h).
// The first ones come while the kernel before still runs, and while x is made ready
// (product_x.h).
//
// x lies in shared memory as float16, c[4] columns of each slice for each row of x: if
// these are all of the slice, as for one row of x they have to be, it is brought there
// once. After it are the rings of the warps' weights. Parameters are those of
// linear.h, and
//
//	2 items  12, 13 norm: weight, eps  14, 15, 16, 17 added norm: weight, eps, y, x' out
//	18 norms before the product: 0, 1, or 2 with the added one
//
// TYPE is that of all pieces.
#include "linear.h"
#include "norm.h"
#include "weights.h"

#ifndef TYPE
#error TYPE, NT and R say what is compiled, MEMORY_BYTES and STAGE_UINTS what it is held against
#endif

namespace {

enum : u32 {
  WARPS = 8,
  BUFFERS = NT == 1 ? 2 : 1, // for the slices' sums: with two, a barrier less
  SUMS = 16 * R * NT,        // of a slice
  WHOLE = NT == 1,           // shared memory holds all of x
  BASIC = NT > 1 && R == 1,  // the one for GPUs before sm_80
};

// Memory is a block's shared memory. The rings behind it begin with a line, as weights do, so
// that no copy takes 32 bytes apart (CUDA's programming guide wants 128 bytes of alignment on
// both sides of cp.async). Those of one row began 16 bytes beside, when an H200's counters
// spoke for sectors of weights that were asked for twice (docs/cuda.md).
struct alignas(SHARED_LINE) Memory {
  float factors[2 * NT]; // of the rows' norms, and the added ones'
  float powers[WARPS * NT]; // to multiply a slice's sum of a row with
  float warps[WARPS];
  float sums[BUFFERS][WARPS * SUMS];
};

// Place is where an item is.
struct Place {
  u32 piece; // of a pair, the first
  u32 tile;  // of the piece: the first
};

DEVICE u32 tiles_in(const Args &a, u32 piece) { return (end_of(a, piece) - begin_of(a, piece) + 15) / 16; }
DEVICE bool gated(const Args &a) { return R > 1 && has(a, F_GATED); }
DEVICE u32 own_tiles(const Args &a) { return gated(a) ? R / 2 : R; } // of an item, that are stored
DEVICE u32 items_in(const Args &a, u32 piece) { return (tiles_in(a, piece) + own_tiles(a) - 1) / own_tiles(a); }

DEVICE Place place_of(const Args &a, u32 item) {
  const u32 step = gated(a) ? 2 : 1;
  u32 piece = 0;
  for (; piece + step < 4; piece += step) {
    u32 items = items_in(a, piece);
    if (item < items) { break; }
    item -= items;
  }
  return {piece, item * own_tiles(a)};
}

// Slice is the part of the columns that a warp has, in steps.
struct Slice { u32 begin, steps; };

// units_of is how many units of steps a row has.
DEVICE u32 units_of(const Args &a, u32 steps) { return a.p[0] / (64 * steps) + (a.p[0] % (64 * steps) != 0); }

DEVICE Slice slice_of(const Args &a, u32 unit_steps) {
  const u32 warp = opaque(thread_id()) >> 5, units = units_of(a, unit_steps);
  if (units < WARPS) { return {warp * unit_steps, warp < units ? unit_steps : 0}; }
  const u32 begin = warp * units / WARPS * unit_steps;
  return {begin, (warp + 1) * units / WARPS * unit_steps - begin};
}

#include "product_stream.h"
#include "product_x.h"

// add adds a step's products with x, which begins at this lane's words.
template <class W> DEVICE void add(float sum[4], const typename W::Step &s, const typename W::Factors &f, const u32 *x) {
  u32x4 v = *(const u32x4 *)x, w = *(const u32x4 *)(x + 16);
  u32 b[4][2] = {{v.x, v.y}, {v.z, v.w}, {w.x, w.y}, {w.z, w.w}}, a[4];
  if constexpr (W::BLOCK == 0) {
    UNROLLED for (u32 j = 0; j < 4; j++) {
      UNROLLED for (u32 part = 0; part < W::PARTS; part++) {
        W::fragment(a, s, j, part);
        mma(sum, a, b[j]);
      }
    }
  } else {
    UNROLLED for (u32 block = 0; block < 64 / W::BLOCK; block++) {
      float z[4] = {0, 0, 0, 0}, two[2];
      UNROLLED for (u32 j = block * W::BLOCK / 16; j < (block + 1) * W::BLOCK / 16; j++) {
        W::fragment(a, s, j);
        mma(z, a, b[j]);
      }
      W::scales(two, s, f, block);
      UNROLLED for (u32 i = 0; i < 4; i++) { sum[i] = fma(two[i / 2], z[i], sum[i]); }
    }
  }
}

// Result is which of an item's results a thread stores: of row token of x, row of out,
// which is number of of the item's.
struct Result {
  bool live;
  u32 token, of, row, piece;
};

// The warps take turns at storing: whoever stores comes late to the next item. The others
// have nothing to find out.
DEVICE Result result_of(const Args &a, u32 rows, u32 item, u32 turn) {
  static_assert(16 * R * NT <= 32 * WARPS, "a thread stores one result at most");
  const u32 i = (opaque(thread_id()) - 32 * turn) & (32 * WARPS - 1), out_rows = 16 * own_tiles(a);
  Result to = {};
  if (i < out_rows * rows) {
    const Place at = place_of(a, item);
    to.token = NT == 1 ? 0 : i / out_rows;
    to.of = i - to.token * out_rows;
    to.row = begin_of(a, at.piece) + 16 * at.tile + to.of;
    to.piece = at.piece;
    to.live = to.row < end_of(a, at.piece);
  }
  return to;
}

// store adds the slices of an item's sums and stores them.
DEVICE void store(const Args &a, const Memory &memory, const float *sums, const Result &to, u32 slices, float residual) {
  const u32 out_rows = 16 * own_tiles(a);
  if (to.live) {
    const u32 token = to.token, of = to.of;
    float x = 0, y = 0;
    UNROLLED for (u32 w = 0; w < WARPS; w++) { // all are read at once; those of no slice are left out
      const float power = memory.powers[w * NT + token], *from = sums + w * SUMS + token;
      x = w < slices ? fma(power, from[of * NT], x) : x;
      if (gated(a)) { y = w < slices ? fma(power, from[(of + out_rows) * NT], y) : y; }
    }
    finish(a, token, to.row, x, y, to.piece, residual);
  }
}

// live_rows is how many rows of x there are: a call for one row runs where there is one. The
// run's header is the host's.
DEVICE u32 live_rows(const Args &a) {
  if (NT == 1) { return 1; }
  return min_of(a.p[6] == 0xffffffffu ? a.p[7] : handed1(a.b[3] + (a.p[6] & 15u)) * a.p[7], (u32)NT);
}

// A lane's sums of a tile, rows g and g + 8, are brought to shared memory and back.
DEVICE void write_sums(float *to, const float sum[4], u32 t) {
  if (NT > 1) {
    *(f32x2 *)(to + 2 * t) = {sum[0], sum[1]};
    *(f32x2 *)(to + 8 * NT + 2 * t) = {sum[2], sum[3]};
  } else if (t == 0) { // columns are all the same
    to[0] = sum[0];
    to[8] = sum[2];
  }
}
DEVICE void read_sums(float sum[4], const float *from, u32 t) {
  const f32x2 low = *(const f32x2 *)(from + 2 * t), high = *(const f32x2 *)(from + 8 * NT + 2 * t);
  sum[0] = low.x;
  sum[1] = low.y;
  sum[2] = high.x;
  sum[3] = high.y;
}

// run computes a block's items; xs and ring are this warp's.
DEVICE void run(const Args &a, Memory &memory, u32 *xs, u32 *ring) {
  typedef Weights<TYPE> W;
  typedef Stream<W> From;
  constexpr u32 N = group<W>();
  const u32 lane = opaque(thread_id()) & 31, g = lane >> 2, t = lane & 3, columns = a.c[4];
  const Slice slice = slice_of(a, W::STEPS);
  From s;
  s.ring = ring;
  begin_all(a, s.c, slice);
  From::begin(a, s);
  const Norm norm = norm_of(a);
  const u32 rows = live_rows(a);
  // From here on what kernels before have written is read.
  wait_for_inputs();
  if (rows == 0) {
    copy_wait<0>();
    return;
  }
  ready(a, memory, norm, xs, rows, slice, W::STEPS, W::SUMS);
  From::ready(s);
  // Lanes without a row of x multiply the last one's, and their sums are nobody's.
  const u32 row = NT == 1 ? 0 : min_of(g, rows - 1);
  const u32 *const x_row = xs + row * row_words(columns) + 4 * t;
  const u32 *const x_sums = xs + NT * row_words(columns) + row * sum_words(columns);

  u32 turn = 0; // items so far
  for (u32 item = block_x(); item < a.p[2]; item += blocks_x(), turn++) {
    float residual = 0;
    if (has(a, F_RESIDUAL)) { // on its way while the item is computed
      const Result to = result_of(a, rows, item, turn);
      if (to.live) { residual = residual_of(a, to.token, to.row); }
    }
    float *const sums = memory.sums[turn % BUFFERS];
    for (u32 from = 0; from < slice.steps; from += WHOLE ? slice.steps : columns / 64) {
      const u32 n = WHOLE ? slice.steps : min_of(columns / 64, slice.steps - from);
      if (!WHOLE && slice.steps * 64 > columns) {
        const u32 begin = (slice.begin + from) * 64;
        fill(a, memory, xs, columns, rows, begin, begin + n * 64, W::SUMS);
      }
      LOOPED for (u32 r = 0; r < R; r++) {
        float sum[4] = {0, 0, 0, 0}, *const to = sums + (thread_id() >> 5) * SUMS + (16 * r + g) * NT;
        if (!WHOLE && from > 0) { read_sums(sum, to, t); }
        LOOPED for (u32 step = 0; step < n; step += N) {
          From::take(a, s);
          const typename W::Factors f = W::factors(s.head);
          UNROLLED for (u32 i = 0; i < N; i++) {
            // Behind the tile's end a group is zeros, and so is x: with a branch, every step
            // would wait for itself.
            if (From::ZEROS || i == 0 || step + i < n) { // all of a unit's, but each by itself takes fewer registers
              const typename W::Step w = From::step(s, i);
              add<W>(sum, w, f, x_row + (step + i) * 32);
              if (W::SUMS && (i + 1) % W::STEPS == 0) {
                add_minimums<W>(sum, W::minimums(w, s.head), x_sums + (step + i + 1 - W::STEPS) * 4, t);
              }
            }
            From::give(s, i);
          }
        }
        if (W::TILE_HEAD > 0 && from + n == slice.steps) {
          float two[2];
          row_factors<FromShared>(two, tile_at<W>(a, item, r), g);
          UNROLLED for (u32 i = 0; i < 4; i++) { sum[i] *= two[i / 2]; }
        }
        write_sums(to, sum, t);
      }
    }
    sync_block();
    store(a, memory, sums, result_of(a, rows, item, turn), min_of(units_of(a, W::STEPS), (u32)WARPS), residual);
    if (BUFFERS == 1) { sync_block(); }
  }
}

} // namespace

KERNEL_OF(ENTRY, THREADS, 2) {
  DYNAMIC_SHARED(dynamic);
  let_next_start();
  Memory &memory = *(Memory *)dynamic;
  static_assert(THREADS == 32 * WARPS && sizeof(Memory) == MEMORY_BYTES, "package shader says how much memory there is");
  static_assert(stage_uints<Weights<TYPE>>() == STAGE_UINTS, "and how long a ring's stage is");
  typedef Weights<TYPE> W;
  static_assert(W::STEP % 8 == 0 && W::HEAD % 8 == 0 && W::TILE_HEAD % 8 == 0, "32 bytes of a ring are 32 bytes of the weights");
  const u32 warp = thread_id() >> 5, x_words = NT * (row_words(a.c[4]) + sum_words(a.c[4]));
  u32 *const all = (u32 *)(dynamic + sizeof(Memory)), *const xs = all + warp * x_words, *const ring = all + WARPS * x_words + warp * a.c[5];
  if (block_x() >= a.p[2]) {
    wait_for_inputs();
    return;
  }
  run(a, memory, xs, ring);
}
