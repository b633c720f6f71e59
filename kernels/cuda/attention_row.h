// Attention of a row and head in float32, by a block: over caches and heads of any kind,
// and where there are no tensor cores. A thread takes the scores of two positions of a
// split, then dims of the values, position by position. Splits are added in order.
#pragma once
#include "attention.h"

#define MOST_DIMS 512
#define OWN_DIMS (MOST_DIMS / THREADS) // of a thread, at most

// Shared memory of a block.
struct RowRoom {
  float query[MOST_DIMS], weights[SPLIT], tops[THREADS / 32], sums[THREADS / 32];
};

// A row's part: of splits those from first on to before stop, but only what it sees.
struct RowPart {
  u32 row, head, first, stop;
  bool whole; // the result is made here; else a split is left in the scratch
};

DEVICE void attend_row(const Args &a, RowRoom &room, const RowPart &part, u32 key_dim, u32 value_dim, bool halved) {
  float *arena = (float *)a.b[0];
  const u32 *run = a.b[1];
  u32 id = thread_id(), kv = part.head / GROUP, place = part.row * HEADS + part.head;
  u32 key_words = halved ? (key_dim + 1) / 2 : key_dim, value_words = halved ? (value_dim + 1) / 2 : value_dim;
  const u32 *info = run + ROW_TABLE + 4 * part.row, *pages = run + info[1];
  u32 low = low_of(info[0], WINDOW), high = high_of(info[0], info[2], CAUSAL, WINDOW);
  u32 split = max_of(part.first, low / SPLIT), stop = min_of(part.stop, (high + SPLIT - 1) / SPLIT);
  float cap = CAP, factor = query_factor(SCALE, cap);
  sync_block(); // what was there before is done with
  for (u32 d = id; d < key_dim; d += THREADS) { room.query[d] = arena[QUERY_AT + (u64)place * key_dim + d] * factor; }

  float top = NONE, sum = 0.0f, total[OWN_DIMS];
  UNROLLED for (u32 o = 0; o < OWN_DIMS; o++) { total[o] = 0.0f; }
  for (; split < stop; split++) {
    u32 base = split * SPLIT, from = max_of(low, base) - base, to = min_of(high - base, SPLIT);
    sync_block(); // the query is there, and the weights before are done with
    float score[2], here = NONE;
    UNROLLED for (u32 i = 0; i < 2; i++) {
      u32 p = id + i * THREADS;
      score[i] = NONE;
      if (p < from || p >= to) { continue; }
      const u32 *key = a.b[2] + (u64)(pages[(base + p) / 64] * KV_HEADS + kv) * key_words * 64 + p % 64;
      float x = 0.0f;
      if (halved) {
        for (u32 d = 0; d < key_dim; d += 2) {
          u32 word = key[32 * d];
          x = fma(room.query[d], half_low(word), x);
          if (d + 1 < key_dim) { x = fma(room.query[d + 1], half_high(word), x); }
        }
      } else {
        for (u32 d = 0; d < key_dim; d++) { x = fma(room.query[d], float_of(key[64 * d]), x); }
      }
      score[i] = cap == 0.0f ? x : capped(cap, x);
      here = max_of(here, score[i]);
    }
    for (u32 mask = 16; mask > 0; mask /= 2) { here = max_of(here, shuffle_xor(here, mask)); }
    if (id % 32 == 0) { room.tops[id / 32] = here; }
    sync_block();
    for (u32 i = 0; i < THREADS / 32; i++) { here = max_of(here, room.tops[i]); }
    float l = 0.0f;
    UNROLLED for (u32 i = 0; i < 2; i++) {
      u32 p = id + i * THREADS;
      float weight = p < from || p >= to ? 0.0f : ex2(score[i] - here);
      room.weights[p] = weight;
      l = l + weight;
    }
    for (u32 mask = 16; mask > 0; mask /= 2) { l = l + shuffle_xor(l, mask); }
    if (id % 32 == 0) { room.sums[id / 32] = l; }
    sync_block();
    l = room.sums[0];
    for (u32 i = 1; i < THREADS / 32; i++) { l = l + room.sums[i]; }

    float value[OWN_DIMS];
    UNROLLED for (u32 o = 0; o < OWN_DIMS; o++) { value[o] = 0.0f; }
    for (u32 p = from; p < to; p++) {
      float weight = room.weights[p];
      const u32 *words = a.b[3] + ((u64)(pages[(base + p) / 64] * KV_HEADS + kv) * 64 + p % 64) * value_words;
      UNROLLED for (u32 o = 0; o < OWN_DIMS; o++) {
        u32 d = id + o * THREADS;
        if (d >= value_dim) { continue; }
        u32 word = words[halved ? d / 2 : d];
        value[o] = fma(weight, halved ? (d % 2 == 0 ? half_low(word) : half_high(word)) : float_of(word), value[o]);
      }
    }

    if (!part.whole) {
      u32 splits = splits_of(run, WINDOW, REACH), index = split - low / SPLIT;
      UNROLLED for (u32 o = 0; o < OWN_DIMS; o++) {
        u32 d = id + o * THREADS;
        if (d < value_dim) { arena[values_at(SCRATCH_AT, place, splits, index, value_dim) + d] = value[o]; }
      }
      if (id == 0) {
        float *sums = arena + sums_at(SCRATCH_AT, run[0] * HEADS, place, splits, index, value_dim);
        sums[0] = here;
        sums[1] = l;
      }
      continue;
    }
    float keep, take;
    merge(top, sum, here, l, keep, take);
    UNROLLED for (u32 o = 0; o < OWN_DIMS; o++) { total[o] = fma(total[o], keep, value[o] * take); }
  }
  if (!part.whole || sum == 0.0f) { return; }
  float inverse = inverse_of(sum);
  UNROLLED for (u32 o = 0; o < OWN_DIMS; o++) {
    u32 d = id + o * THREADS;
    if (d < value_dim) { arena[OUT_AT + (u64)place * value_dim + d] = finish(total[o], inverse); }
  }
}
