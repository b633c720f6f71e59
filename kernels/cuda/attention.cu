// Attention over a float16 cache, by tensor cores. KEY_DIM and VALUE_DIM are multiples of
// 16 up to 256 that the variant knows, or 0: the call's constants say. A warp's tile of
// 16 rows are the heads of a key-value head (HEADS_OF of them) of one token or of several
// that follow each other: row r is head r % HEADS_OF of token r / HEADS_OF.
//
// A row's result has the same bits in both kernels and beside whatever rows. Positions
// are taken 256 at a time, from multiples of that: a split.
//
//   - Scores: the query times its factor, rounded to float16, times the keys by mma, 16
//     dims after the other; then the cap, in float32.
//   - Weights: 2^(score - the largest of the split), rounded to float16; 0 for what the
//     row does not see. Their sum is that of the rounded ones, and is made as the values'
//     are, by mma with ones.
//   - Values: by mma, 16 positions after the other. Step i of 32 positions (i is 0 or 1)
//     takes 8 t + 4 i + {0, 1, 2, 3} for t = 0 to 3: a0 and b0 have the first two of
//     these, a2 and b1 the others. So lanes have the weights that they made of scores.
//     Steps without weights are left out: they would add zeros.
//   - Splits are added in order, by merge.
//
// GPUs before sm_80 do the same work in float32 (attention_older.h).
//
// What a block's rows see nothing of is zero instead of a value, and no score: it may
// hold anything. A value that is not finite makes all rows of a tile NaN that come with
// those that see it.
#include "attention.h"

#define HEADS_OF a.c[3]
#define TOKENS_OF a.c[4]

#if defined(LEDGE_SM72) || (!defined(LEDGE_HOST) && __CUDA_ARCH__ < 800)
#define OLDER 1
#endif
#if OLDER
#include "attention_older.h"
#else

#ifndef KEY_DIM
#define KEY_DIM 0
#define VALUE_DIM 0
#endif
#define KEY_MOST (KEY_DIM == 0 ? 256 : KEY_DIM)
#define VALUE_MOST (VALUE_DIM == 0 ? 256 : VALUE_DIM)
#define KEYS (KEY_DIM == 0 ? a.c[1] : (u32)KEY_DIM)
#define VALUES (VALUE_DIM == 0 ? a.c[2] : (u32)VALUE_DIM)
#define ONES 0x3c003c00u // two float16 of 1
#define QUERY_PAD 8      // float16 after each row of queries: other banks

// What a lane knows of its rows g and g + 8. A row that is none sees what others see.
struct LaneRows {
  u32 low[2], high[2]; // what they see
  u32 place[2];        // row of the batch * heads + head; NOBODY if there is no such row
};
#define NOBODY 0xffffffffu

DEVICE LaneRows lane_rows(const Args &a, const Rows &rows, u32 kv, u32 part) {
  LaneRows r;
  u32 g = (thread_id() & 31u) / 4;
  UNROLLED for (u32 i = 0; i < 2; i++) {
    u32 token = quotient(g + 8 * i, INVERSE), head = part * HEADS_OF + g + 8 * i - token * HEADS_OF;
    u32 slot = rows.slot + min_of(token, max_of(rows.n, 1u) - 1);
    r.low[i] = low_of(slot, WINDOW);
    r.high[i] = high_of(slot, rows.last, CAUSAL, WINDOW);
    r.place[i] = token < rows.n && head < GROUP ? (rows.first + token) * HEADS + kv * GROUP + head : NOBODY;
  }
  return r;
}

// finite keeps a query within float16.
DEVICE float finite(float x) { return x > 65504.0f ? 65504.0f : x < -65504.0f ? -65504.0f : x; }

// store_queries puts a tile's queries into shared memory, [16][dims + QUERY_PAD] float16,
// by so many threads of which this is one: four dims at a time.
DEVICE void store_queries(const Args &a, const Rows &rows, u32 kv, u32 part, u16 *queries, u32 thread, u32 threads) {
  const u32 fours = KEYS / 4;
  const bool aligned = QUERY_AT % 4 == 0;
  const float factor = query_factor(SCALE, CAP);
  for (u32 i = thread; i < 16 * fours; i += threads) {
    const u32 r = i / fours, four = i % fours, token = quotient(r, INVERSE), head = part * HEADS_OF + r - token * HEADS_OF;
    u32x2 word = {0, 0};
    if (token < rows.n && head < GROUP) {
      const float *q = (const float *)a.b[0] + QUERY_AT + (u64)((rows.first + token) * HEADS + kv * GROUP + head) * KEYS + 4 * four;
      const f32x4 x = aligned ? load4(q) : f32x4{q[0], q[1], q[2], q[3]};
      word = {halves(finite(x.x * factor), finite(x.y * factor)), halves(finite(x.z * factor), finite(x.w * factor))};
    }
    shared_put2((u32 *)(queries + r * (KEYS + QUERY_PAD) + 4 * four), word);
  }
}

// query_place is where the lane's part of fragments A of queries is: 16 dims further for
// each step.
DEVICE u32 query_place(u32 dims) {
  u32 lane = thread_id() & 31u;
  return fresh((lane & 15u) * (dims + QUERY_PAD) + 8 * (lane >> 4));
}

// finish_scores caps the scores of 32 positions, has NONE where a row sees nothing, and
// raises top to the rows' largest. Lanes have the positions from 8 t on: the i-th of the
// four fragments has 8 t + i in elements 0 and 2, 8 t + 4 + i in the others.
DEVICE void finish_scores(float score[4][4], float top[2], const LaneRows &r, float cap, u32 at) {
  if (cap != 0.0f) {
    UNROLLED for (u32 i = 0; i < 16; i++) { score[i / 4][i % 4] = capped(cap, score[i / 4][i % 4]); }
  }
  at += 8 * (thread_id() & 3u);
  if (max_of(r.low[0], r.low[1]) > at || min_of(r.high[0], r.high[1]) < at + 8) {
    UNROLLED for (u32 i = 0; i < 16; i++) {
      u32 p = at + 4 * (i & 1u) + i / 4, row = i / 2 % 2;
      if (p < r.low[row] || p >= r.high[row]) { score[i / 4][i % 4] = NONE; }
    }
  }
  UNROLLED for (u32 i = 0; i < 16; i++) { top[i / 2 % 2] = max_of(top[i / 2 % 2], score[i / 4][i % 4]); }
}

// row_top is the largest of a row over its four lanes.
DEVICE float row_top(float x) {
  x = max_of(x, shuffle_xor(x, 1));
  return max_of(x, shuffle_xor(x, 2));
}

// weights_of makes the two fragments A of 32 positions from their scores; top is the
// rows' largest, or anything finite where a row sees nothing.
DEVICE void weights_of(u32 weights[2][4], const float score[4][4], const float top[2]) {
  UNROLLED for (u32 i = 0; i < 2; i++) {
    UNROLLED for (u32 j = 0; j < 4; j++) { // rows g, g + 8 of the first two positions, then of the others
      u32 d = i + 2 * (j & 1u), n = j & 2u;
      weights[i][j] = halves(ex2(score[n][d] - top[j & 1u]), ex2(score[n + 1][d] - top[j & 1u]));
    }
  }
}

#if MANY
#include "attention_many.h"
#else
#include "attention_few.h"
#endif
#endif
