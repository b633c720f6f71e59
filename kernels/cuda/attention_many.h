// Attention of many rows (attention.cu): a block of four warps for four tiles that
// follow each other, and a part of a key-value head. A warp walks the splits of its rows;
// their scores are in registers, and what splits add up to is in the result. Keys and
// values come page by page through shared memory, one on its way while another is used:
//
//   queries [warp][16][dims + QUERY_PAD] float16
//   two rooms, each for a page's keys [word][64 positions], 16 bytes in other places for
//   each word, or for up to 128 dims of its values [position][dims + 8] float16, positions
//   as steps take them
//
// b[0] is the arena, b[1] the run, b[2] the keys, b[3] the values.

#define WARPS (THREADS / 32)
#define PAGES (SPLIT / 64)
#define STEPS (SPLIT / 16)
#define KEY_STEPS (KEY_MOST / 16)
// Dims of values that are added up at once, and what they take: more of them do not fit
// the registers beside the weights.
#define DIMS (VALUE_MOST > 128 ? min_of(VALUES, 128u) : VALUES)
#define VALUE_PAIRS ((VALUE_MOST > 128 ? 128 : VALUE_MOST) / 16) // of fragments of 8 dims
#define VALUE_ROW (2 * DIMS + 16)                                // bytes of a position

// What a block reads, and who of it this is.
struct Walk {
  const u32 *pages;  // the sequence's page table
  u32 begin, end;    // the positions that any row sees
  u32 kv;
  u8 *rooms[2];
};

// sees says whether positions from at to before at + n have one that is seen.
DEVICE bool sees(u32 begin, u32 end, u32 at, u32 n) { return at < end && at + n > begin; }

// copy_keys and copy_values begin to copy the page that a position is in, if it is seen.
DEVICE void copy_keys(const Args &a, const Walk &w, u32 at, u8 *room) {
  if (!sees(w.begin, w.end, at, 64)) { return; }
  u32 id = fresh(thread_id()) % THREADS, word = id / 16, place = id % 16;
  const u32 *from = a.b[2] + ((u64)w.pages[at / 64] * KV_HEADS + w.kv) * (32 * KEYS) + 4 * id;
  u8 *to = room + 256 * word + 16 * (place ^ (2 * (word & 3u)));
  UNROLLED for (u32 j = 0; j < KEY_STEPS; j++) {
    if (16 * j < KEYS) { copy16(to + 256 * 8 * j, from + 64 * 8 * j, true); }
  }
}

DEVICE void copy_values(const Args &a, const Walk &w, u32 at, u32 first, u8 *room) {
  if (!sees(w.begin, w.end, at, 64)) { return; }
  u32 id = fresh(thread_id()) % THREADS, pieces = min_of(DIMS, VALUES - first) / 8;
  const u32 *from = a.b[3] + ((u64)w.pages[at / 64] * KV_HEADS + w.kv) * (32 * VALUES) + first / 2;
  UNROLLED for (u32 j = 0; j < VALUE_PAIRS; j++) {
    if (2 * j >= pieces) { continue; }
    u32 i = THREADS * j + id, p = i / pieces, place = i % pieces;
    u32 row = (p & 0x21u) | (p & 4u) << 2 | (p & 2u) << 2 | (p & 0x18u) >> 2; // 8 t + 4 i + 2 b + e at 16 i + 8 b + 2 t + e
    copy16(room + VALUE_ROW * row + 16 * place, from + VALUES / 2 * p + 4 * place, sees(w.begin, w.end, at + p, 1));
  }
}

// add_scores multiplies a tile's queries with a page's keys.
DEVICE void add_scores(const Args &a, float score[2][4][4], const u16 *queries, const u8 *room) {
  u32 lane = thread_id() & 31u, g = lane / 4, t = lane & 3u;
  queries += query_place(KEYS);
  u32 first = fresh(256 * t + 16 * (g ^ (2 * t))); // of the page's first half
  UNROLLED for (u32 j = 0; j < KEY_STEPS; j++) {
    if (16 * j >= KEYS) { continue; }
    u32 q[4];
    ldmatrix4(q, queries + 16 * j);
    UNROLLED for (u32 h = 0; h < 2; h++) {
      const u8 *at = room + first + 8 * 256 * j + 128 * h;
      u32x4 x = *(const u32x4 *)at, y = *(const u32x4 *)(at + 4 * 256);
      const u32 b[4][2] = {{x.x, y.x}, {x.y, y.y}, {x.z, y.z}, {x.w, y.w}};
      UNROLLED for (u32 i = 0; i < 4; i++) { mma(score[h][i], q, b[i]); }
    }
  }
}

// add_values adds up a page's values by their weights, and those.
DEVICE void add_values(const Args &a, float value[VALUE_PAIRS][2][4], float sum[4], const u32 weights[4][4], u32 dims, const u8 *room) {
  u32 lane = thread_id() & 31u;
  const u8 *at = room + fresh(VALUE_ROW * (lane & 15u) + 16 * (lane >> 4));
  UNROLLED for (u32 i = 0; i < 4; i++) {
    const u32 ones[2] = {ONES, ONES};
    mma(sum, weights[i], ones);
    UNROLLED for (u32 n = 0; n < VALUE_PAIRS; n++) {
      if (16 * n >= dims) { continue; }
      u32 b[4];
      ldmatrix4_transposed(b, at + VALUE_ROW * 16 * i + 32 * n);
      mma(value[n][0], weights[i], b);
      mma(value[n][1], weights[i], b + 2);
    }
  }
}

KERNEL_OF(ENTRY, THREADS, 2) {
  DYNAMIC_SHARED(memory);
  let_next_start();
  wait_for_inputs();
  const u32 *run = a.b[1];
  u32 warp = thread_id() / 32, lane = thread_id() & 31u, t = lane & 3u;
  u32 kv = PARTS == 1 ? block_y() : block_y() / PARTS, part = block_y() - kv * PARTS;
  // The last rows have the most to do: they begin first.
  Rows rows = rows_of(run, ROW_TABLE, blocks_x() - 1 - block_x(), WARPS * TOKENS_OF);
  if (rows.n == 0) { return; }
  u32 room = max_of(128u * KEYS, 64u * VALUE_ROW), tile = 2 * 16 * (KEYS + QUERY_PAD);
  Walk walk = {run + rows.pages, low_of(rows.slot, WINDOW), high_of(rows.slot + rows.n - 1, rows.last, CAUSAL, WINDOW), kv,
      {memory + WARPS * tile, memory + WARPS * tile + room}};
  u32 stop = (walk.end + SPLIT - 1) / SPLIT, base = walk.begin / SPLIT * SPLIT;
  copy_keys(a, walk, base, walk.rooms[0]);
  copy_commit();

  // The warp's own rows, and what they see.
  u32 skip = warp * TOKENS_OF, begin = 0, end = 0;
  rows.first += skip;
  rows.slot += skip;
  rows.n = rows.n > skip ? min_of(TOKENS_OF, rows.n - skip) : 0;
  if (rows.n > 0) {
    begin = low_of(rows.slot, WINDOW);
    end = high_of(rows.slot + rows.n - 1, rows.last, CAUSAL, WINDOW);
  }
  u16 *queries = (u16 *)(memory + warp * tile);
  store_queries(a, rows, kv, part, queries, lane, 32);
  LaneRows r = lane_rows(a, rows, kv, part);
  sync_warp();
  float top[2] = {NONE, NONE}, total[2] = {0.0f, 0.0f};
  for (; base < stop * SPLIT; base += SPLIT) {
    float score[2 * PAGES][4][4]; // of 32 positions each
    UNROLLED for (u32 i = 0; i < 32 * PAGES; i++) { score[i / 16][i / 4 % 4][i % 4] = 0.0f; }
    UNROLLED for (u32 page = 0; page < PAGES; page++) {
      copy_wait<0>();
      sync_block(); // the page is there, and the one before done with
      if (page + 1 < PAGES) {
        copy_keys(a, walk, base + 64 * (page + 1), walk.rooms[(page + 1) % 2]);
      } else {
        copy_values(a, walk, base, 0, walk.rooms[(page + 1) % 2]);
      }
      copy_commit();
      // Of a page that is not there, too: its scores do not count, and a branch is dear.
      add_scores(a, score + 2 * page, queries, walk.rooms[page % 2]);
    }

    u32 weights[STEPS][4];
    float here[2] = {NONE, NONE}, least[2];
    UNROLLED for (u32 h = 0; h < 2 * PAGES; h++) { finish_scores(score[h], here, r, CAP, base + 32 * h); }
    UNROLLED for (u32 i = 0; i < 2; i++) {
      here[i] = row_top(here[i]);
      least[i] = here[i] == NONE ? 0.0f : here[i];
    }
    UNROLLED for (u32 h = 0; h < 2 * PAGES; h++) { weights_of(weights + 2 * h, score[h], least); }

    float tops[2] = {top[0], top[1]}, totals[2] = {total[0], total[1]}; // after this split
    for (u32 first = 0; first < VALUES; first += 128) {
      u32 dims = min_of(DIMS, VALUES - first);
      float value[VALUE_PAIRS][2][4], sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
      UNROLLED for (u32 i = 0; i < 8 * VALUE_PAIRS; i++) { value[i / 8][i / 4 % 2][i % 4] = 0.0f; }
      UNROLLED for (u32 page = 0; page < PAGES; page++) {
        copy_wait<0>();
        sync_block();
        u8 *next = walk.rooms[(page + 1) % 2];
        if (page + 1 < PAGES) {
          copy_values(a, walk, base + 64 * (page + 1), first, next);
        } else if (first + 128 < VALUES) {
          copy_values(a, walk, base, first + 128, next);
        } else {
          copy_keys(a, walk, base + SPLIT, next);
        }
        copy_commit();
        if (sees(walk.begin, walk.end, base + 64 * page, 64)) {
          add_values(a, value, sum, weights + 4 * page, dims, walk.rooms[page % 2]);
        }
      }
      if (!sees(begin, end, base, SPLIT)) { continue; }
      bool starts = base <= begin, ends = base + SPLIT >= end;
      UNROLLED for (u32 i = 0; i < 2; i++) {
        float keep, take;
        tops[i] = top[i];
        totals[i] = total[i];
        merge(tops[i], totals[i], here[i], sum[2 * i], keep, take);
        if (r.place[i] == NOBODY) { continue; }
        float inverse = inverse_of(totals[i]);
        float *out = (float *)a.b[0] + OUT_AT + (u64)r.place[i] * VALUES + first + 2 * t;
        UNROLLED for (u32 n = 0; n < VALUE_PAIRS; n++) {
          if (16 * n >= dims) { continue; }
          UNROLLED for (u32 d = 0; d < 4; d++) {
            float x = value[n][d / 2][2 * i + d % 2] * take;
            float &y = out[16 * n + 8 * (d / 2) + d % 2];
            if (!starts) { x = fma(y, keep, x); }
            y = ends ? finish(x, inverse) : x;
          }
        }
      }
    }
    UNROLLED for (u32 i = 0; i < 2; i++) {
      top[i] = tops[i];
      total[i] = totals[i];
    }
  }
}
