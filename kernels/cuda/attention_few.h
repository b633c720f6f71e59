// Attention of few rows (attention.cu): a block of four warps for a tile, a part of a
// key-value head and a split. A warp takes a page's scores, then a quarter of the values'
// dims. Keys and values come from global memory as the fragments want them, many loads at
// a time: what is read decides the time. b[0] is the arena, b[1] the run, b[2] the keys,
// b[3] the values.

// Dims of values that a lane reads at once, and that a warp has.
#define WIDTH (VALUE_DIM > 128 ? 8u : VALUE_DIM > 64 ? 4u : 2u)
#define OWN (8 * WIDTH)
#define STEPS (SPLIT / 16)
// Steps whose loads are on their way: 64 registers of a lane for keys, as many for values.
#define KEYS_AHEAD 4
#define VALUES_AHEAD (32 / WIDTH)
#define KEY_STEPS (KEY_MOST / 16)

// load_keys reads 16 dims of 32 positions: word t and t + 4 of positions 4 g to 4 g + 3.
DEVICE void load_keys(u32 k[2][4], const u32 *at) {
  UNROLLED for (u32 b = 0; b < 2; b++) {
    u32x4 x = cached4(at + 4 * 64 * b);
    k[b][0] = x.x, k[b][1] = x.y, k[b][2] = x.z, k[b][3] = x.w;
  }
}

// taken says whether one of a step's positions is among those from from to before to: of
// all four threads, the step's and its neighbour's.
DEVICE bool taken(u32 step, u32 from, u32 to) { return 32 * (step / 2) < to && 32 * (step / 2) + 32 > from; }

// load_words reads WIDTH dims of a position.
DEVICE void load_words(u32 v[WIDTH / 2], const u32 *at) {
  if constexpr (WIDTH == 8) {
    u32x4 x = cached4(at);
    v[0] = x.x, v[1] = x.y, v[2] = x.z, v[3] = x.w;
  } else if constexpr (WIDTH == 4) {
    u32x2 x = cached2(at);
    v[0] = x.x, v[1] = x.y;
  } else {
    v[0] = cached1(at);
  }
}

// load_values reads the four positions of a step, if they are among those that are taken;
// nobody reads those of a step of which none is.
DEVICE void load_values(u32 v[4][WIDTH / 2], const u32 *const pages[4], u32 words, u32 step, u32 from, u32 to, bool live) {
  if (!taken(step, from, to)) { return; }
  u32 p = 32 * (step / 2) + 8 * (thread_id() & 3u) + 4 * (step & 1u);
  UNROLLED for (u32 i = 0; i < 4; i++) {
    UNROLLED for (u32 w = 0; w < WIDTH / 2; w++) { v[i][w] = 0; }
    if (live && p + i - from < to - from) { load_words(v[i], pages[step / 4] + (p % 64 + i) * words); }
  }
}

KERNEL_OF(ENTRY, THREADS, 2) {
  SHARED_ARRAY(u16, queries, 16 * (KEY_MOST + QUERY_PAD));
  SHARED_ARRAY(u32x4, weights, STEPS * 32);
  SHARED_ARRAY(float, tops, 4 * 16);
  let_next_start();
  const u32 *run = a.b[1];
  u32 warp = thread_id() / 32, lane = thread_id() & 31u, g = lane / 4, t = lane & 3u;
  u32 kv = PARTS == 1 ? block_y() : block_y() / PARTS, part = block_y() - kv * PARTS;
  Rows rows = rows_of(run, ROW_TABLE, block_x(), TOKENS_OF);
  u32 begin = low_of(rows.slot, WINDOW), end = high_of(rows.slot + rows.n - 1, rows.last, CAUSAL, WINDOW);
  u32 split = begin / SPLIT + block_z(), base = split * SPLIT;
  if (rows.n == 0 || base >= end) {
    wait_for_inputs();
    return;
  }
  u32 from = max_of(begin, base) - base, to = min_of(end - base, SPLIT), splits = splits_of(run, WINDOW, REACH);

  const u32 *keys[2] = {nullptr, nullptr}; // of each half of the warp's page, if it is live
  const u32 *values[4];                    // of each page
  UNROLLED for (u32 i = 0; i < 4; i++) {
    values[i] = a.b[3];
    if (64 * i >= to || 64 * i + 64 <= from) { continue; }
    u64 head = (u64)handed1(run + rows.pages + 4 * split + i) * KV_HEADS + kv;
    values[i] += head * (32 * VALUES);
    if (i == warp) { keys[0] = keys[1] = a.b[2] + head * (32 * KEYS) + 64 * t + 4 * g; }
  }
  bool live[2];
  UNROLLED for (u32 h = 0; h < 2; h++) {
    u32 first = 64 * warp + 32 * h;
    live[h] = first < to && first + 32 > from;
    keys[h] += 32 * h;
  }

  wait_for_inputs();
  // All loads that do not wait for others begin here: of keys, queries and values.
  u32 k[KEYS_AHEAD][2][2][4];
  UNROLLED for (u32 j = 0; j < KEYS_AHEAD && j < KEY_STEPS; j++) {
    UNROLLED for (u32 h = 0; h < 2; h++) {
      if (live[h] && 16 * j < KEYS) { load_keys(k[j][h], keys[h] + 8 * 64 * j); }
    }
  }
  store_queries(a, rows, kv, part, queries, thread_id(), THREADS);
  u32 words = VALUES / 2, dims = OWN * warp; // that the lane begins with: dims + WIDTH * g
  u32 v[VALUES_AHEAD][4][WIDTH / 2];
  UNROLLED for (u32 i = 0; i < 4; i++) { values[i] += (dims + WIDTH * g) / 2; }
  UNROLLED for (u32 i = 0; i < VALUES_AHEAD && i < STEPS; i++) {
    load_values(v[i], values, words, i, from, to, dims + WIDTH * g < VALUES);
  }
  LaneRows r = lane_rows(a, rows, kv, part);
  sync_block();

  float score[2][4][4];
  UNROLLED for (u32 i = 0; i < 32; i++) { score[i / 16][i / 4 % 4][i % 4] = 0.0f; }
  if (live[0] || live[1]) {
    const u16 *place = queries + query_place(KEYS);
    UNROLLED for (u32 j = 0; j < KEY_STEPS; j++) {
      if (16 * j >= KEYS) { continue; }
      u32 q[4];
      ldmatrix4(q, place + 16 * j);
      UNROLLED for (u32 h = 0; h < 2; h++) {
        if (!live[h]) { continue; }
        u32(&from_memory)[2][4] = k[j % KEYS_AHEAD][h];
        UNROLLED for (u32 i = 0; i < 4; i++) {
          const u32 b[2] = {from_memory[0][i], from_memory[1][i]};
          mma(score[h][i], q, b);
        }
        if (j + KEYS_AHEAD < KEY_STEPS && 16 * (j + KEYS_AHEAD) < KEYS) {
          load_keys(from_memory, keys[h] + 8 * 64 * (j + KEYS_AHEAD));
        }
      }
    }
  }
  float top[2] = {NONE, NONE};
  UNROLLED for (u32 h = 0; h < 2; h++) {
    if (live[h]) { finish_scores(score[h], top, r, CAP, base + 64 * warp + 32 * h); }
  }
  UNROLLED for (u32 i = 0; i < 2; i++) {
    top[i] = row_top(top[i]);
    if (t == 0) { tops[16 * warp + 8 * i + g] = top[i]; }
  }
  sync_block();
  float least[2]; // as top, but finite
  UNROLLED for (u32 i = 0; i < 2; i++) {
    const float *column = tops + 8 * i + g;
    top[i] = max_of(max_of(column[0], column[16]), max_of(column[32], column[48]));
    least[i] = top[i] == NONE ? 0.0f : top[i];
  }
  UNROLLED for (u32 h = 0; h < 2; h++) {
    if (!live[h]) { continue; }
    u32 w[2][4];
    weights_of(w, score[h], least);
    UNROLLED for (u32 i = 0; i < 2; i++) { weights[32 * (4 * warp + 2 * h + i) + lane] = {w[i][0], w[i][1], w[i][2], w[i][3]}; }
  }
  sync_block();

  float *arena = (float *)a.b[0];
  while (true) {
    float value[WIDTH][4], sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    UNROLLED for (u32 i = 0; i < 4 * WIDTH; i++) { value[i / 4][i % 4] = 0.0f; }
    UNROLLED for (u32 i = 0; i < STEPS; i++) {
      u32(&x)[4][WIDTH / 2] = v[i % VALUES_AHEAD];
      if (taken(i, from, to)) {
        u32x4 w = weights[32 * i + lane];
        const u32 weight[4] = {w.x, w.y, w.z, w.w}, ones[2] = {ONES, ONES};
        mma(sum, weight, ones);
        UNROLLED for (u32 n = 0; n < WIDTH; n++) { // dims dims + WIDTH * g + n
          u32 pick = n % 2 == 0 ? 0x5410 : 0x7632;
          const u32 b[2] = {prmt(x[0][n / 2], x[1][n / 2], pick), prmt(x[2][n / 2], x[3][n / 2], pick)};
          mma(value[n], weight, b);
        }
      }
      if (i + VALUES_AHEAD < STEPS) { load_values(x, values, words, i + VALUES_AHEAD, from, to, dims + WIDTH * g < VALUES); }
    }

    // Element d of fragment n is dim WIDTH * (2 t + d % 2) + n of the warp's.
    UNROLLED for (u32 i = 0; i < 2; i++) {
      if (r.place[i] == NOBODY || r.low[i] >= base + SPLIT || r.high[i] <= base) { continue; }
      float inverse = inverse_of(sum[2 * i]);
      u64 at = OUT_AT + (u64)r.place[i] * VALUES;
      if (splits > 1) {
        at = values_at(SCRATCH_AT, r.place[i], splits, split - r.low[i] / SPLIT, VALUES);
        if (dims + t == 0) {
          float *sums = arena + sums_at(SCRATCH_AT, run[0] * HEADS, r.place[i], splits, split - r.low[i] / SPLIT, VALUES);
          sums[0] = top[i];
          sums[1] = sum[2 * i];
        }
      }
      UNROLLED for (u32 d = 0; d < 2; d++) {
        u32 first = dims + WIDTH * (2 * t + d);
        if (first >= VALUES) { continue; }
        UNROLLED for (u32 n = 0; n < WIDTH; n++) {
          float x = value[n][2 * i + d];
          arena[at + first + n] = splits > 1 ? x : finish(x, inverse);
        }
      }
    }

    dims += 4 * OWN;
    if (VALUE_MOST <= 4 * OWN || dims >= VALUES) { break; }
    UNROLLED for (u32 i = 0; i < 4; i++) { values[i] += 4 * OWN / 2; }
    UNROLLED for (u32 i = 0; i < VALUES_AHEAD && i < STEPS; i++) {
      load_values(v[i], values, words, i, from, to, dims + WIDTH * g < VALUES);
    }
  }
}
