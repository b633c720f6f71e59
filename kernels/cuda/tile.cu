// A product of many rows: out[T, N] = epilogue(w . x). A block has ROWS rows of w (or
// half as many gates and their partners) and TOKENS rows of x, which prepare.cu has made
// float16; a warp has 32 x 8 NT of these sums. w and x flow through shared memory in
// stages of 64 columns, w as it is stored: each warp makes the fragments that it needs
// of it in registers. The order of sums is package cuda's.
//
// Parameters and buffers are those of linear.h: 2 is the distance of what rows of x have
// in 12 and 13, 3 is x in float16, 12 and 13 are the powers and the sums of x that
// prepare.cu has made, too. The matrices are of one type, MATRIX.
#include "linear.h"
#include "weights.h"

namespace {

typedef Weights<MATRIX> W;
constexpr u32 STEPS = W::STEPS, STEP = W::STEP, HEAD = W::HEAD, TILE_HEAD = W::TILE_HEAD; // uints, but the first

// The shapes: the fewer rows and tokens, the more blocks a matrix gives work to.
#if SHAPE == 0
constexpr u32 WARP_ROWS = 4, WARP_TOKENS = 2, NT = 8, RESIDENT = 1; // 128 x 128
#elif SHAPE == 1
constexpr u32 WARP_ROWS = 2, WARP_TOKENS = 2, NT = 4, RESIDENT = 3; // 64 x 64
#else
constexpr u32 WARP_ROWS = 2, WARP_TOKENS = 2, NT = 2, RESIDENT = 4; // 64 x 32
#endif
constexpr u32 WARPS = WARP_ROWS * WARP_TOKENS;
constexpr u32 TILES = 2 * WARP_ROWS; // of 16 rows; a warp has tiles i and i + WARP_ROWS
constexpr u32 ROWS = 16 * TILES, TOKENS = 8 * NT * WARP_TOKENS;
static_assert(THREADS == 32 * WARPS && WARPS == TILES && THREADS >= TOKENS, "a warp fetches a tile of w, a thread a token's sums");

// Shared memory (tensor_tile.go knows how much). A stage is x, 128 bytes of a token,
// whose pieces of 16 are swapped so that ldmatrix meets no bank twice, and a step of
// each tile. What belongs to a unit, that of the tiles and the sums of x, has two places
// where a unit is four steps: one is read while the other is filled. In the end all of
// it is the block's sums, token by token.
constexpr u32 STAGES = W::PARTS == 2 ? 3 : 4;
constexpr u32 X = 128 * TOKENS, STAGE = X + 4 * STEP * TILES;
constexpr u32 SUMS = W::SUMS ? 16 * STEPS * TOKENS : 0, SUMS_AT = 4 * HEAD * TILES, UNIT = SUMS_AT + SUMS;
constexpr u32 UNITS = STEPS == 1 ? STAGES : 2;
constexpr u32 UNITS_AT = STAGES * STAGE, POWERS_AT = UNITS_AT + UNITS * UNIT;
constexpr u32 FACTORS_AT = POWERS_AT + 32 * TOKENS; // of rows
constexpr u32 OUT_STRIDE = ROWS + 4; // floats
constexpr u32 ALL = FACTORS_AT + 4 * TILE_HEAD * TILES, ALL_OUT = 4 * TOKENS * OUT_STRIDE;
static_assert((ALL > ALL_OUT ? ALL : ALL_OUT) == SHARED_BYTES, "package shader says how much memory there is");

// Out is what a block has of out.
struct Out {
  u32 piece;    // of the rows; their partners are the next one's
  u32 row, end; // of the piece, from there on
  u32 token;    // the first one
};

// find_out finds it, and where the tile begins that a warp fetches. Blocks that share
// rows of w, and rows of x, run near each other, so that w is read from memory once, and
// x seldom: they go through 8 times ROWS for the first tokens, then for the next ones;
// then come the next rows. It gives null to blocks beyond the last.
DEVICE const u32 *find_out(const Args &a, Out &o, u32 warp, u32 tokens, u32 tile_uints) {
  const bool gated = has(a, F_GATED);
  const u32 rows = gated ? ROWS / 2 : ROWS, step = gated ? 2 : 1;
  u32 all = 0;
  for (u32 i = 0; i < 4; i += step) { all += (end_of(a, i) - begin_of(a, i) + rows - 1) / rows; }
  const u32 id = block_y() * 32768 + block_x(), over = (tokens + TOKENS - 1) / TOKENS;
  if (id >= all * over) { return nullptr; }
  const u32 group = id / (8 * over) * 8, wide = min_of(8u, all - group), at = id - group * over;
  u32 block = group + at % wide, piece = 0;
  for (;; piece += step) {
    u32 n = (end_of(a, piece) - begin_of(a, piece) + rows - 1) / rows;
    if (block < n) { break; }
    block -= n;
  }
  o = {piece, begin_of(a, piece) + block * rows, end_of(a, piece), at / wide * TOKENS};
  // Beyond the piece's end are the last tile's rows once more.
  const u32 last = (o.end - begin_of(a, piece) - 1) / 16;
  const bool partner = gated && warp >= WARP_ROWS;
  const u32 tile = block * (rows / 16) + (partner ? warp - WARP_ROWS : warp);
  return tiles_of(a, partner ? piece + 1 : piece) + (u64)min_of(tile, last) * tile_uints;
}

// copy_uints begins to copy N (a multiple of 4), by a warp.
template <u32 N> DEVICE void copy_uints(u8 *to, const u32 *from, u32 lane) {
  UNROLLED for (u32 i = 0; i < N; i += 128) {
    if (i + 128 <= N || i + 4 * lane < N) { copy16_in_place(to + 4 * i + 16 * lane, from + i + 4 * lane, true); }
  }
}

} // namespace

KERNEL_OF(ENTRY, THREADS, RESIDENT) {
  DYNAMIC_SHARED(memory);
  let_next_start();
  wait_for_inputs();
  const u32 lane = thread_id() & 31, warp = thread_id() >> 5, g = lane >> 2, t = lane & 3;
  const u32 units = (a.p[0] + 64 * STEPS - 1) / (64 * STEPS), steps = units * STEPS;
  constexpr u32 unit_uints = STEPS * STEP + HEAD;
  const u32 tokens = rows_of(a);
  Out out;
  const u32 *const tile = find_out(a, out, warp, tokens, TILE_HEAD + units * unit_uints);
  if (tile == nullptr) { return; }
  const u32 first = out.token;

  // A thread copies of a stage 16 bytes of each THREADS / 8th token, and of a token the
  // sums; the warp a tile's step.
  const u32 x_row = thread_id() >> 3, x_uints = 32 * steps;
  const u32 *const x = a.b[2] + a.p[3] + (u64)(first + x_row) * x_uints + 4 * (thread_id() & 7);
  u8 *const x_to = memory + 128 * x_row + 16 * ((thread_id() ^ x_row) & 7);
  const int x_live = (int)(tokens - first - x_row);
  auto fetch = [&](u32 step, u32 to) { // to the stage there
    if (step < steps) {
      UNROLLED for (u32 i = 0; i < TOKENS; i += THREADS / 8) {
        copy16(x_to + to + 128 * i, x + 32 * step + (u64)i * x_uints, (int)i < x_live);
      }
      const u32 *unit = tile + TILE_HEAD + step / STEPS * unit_uints;
      copy_uints<STEP>(memory + to + X + 4 * STEP * warp, unit + step % STEPS * STEP, lane);
      u8 *unit_to = memory + UNITS_AT + step / STEPS % UNITS * UNIT;
      if (HEAD > 0 && step % STEPS == 0) { copy_uints<HEAD>(unit_to + 4 * HEAD * warp, unit + STEPS * STEP, lane); }
      if (W::SUMS && thread_id() < TOKENS) {
        u32 token = first + thread_id();
        copy16(unit_to + SUMS_AT + 16 * (STEPS * thread_id() + step % STEPS), a.b[2] + a.p[13] + ((u64)step * a.p[2] + token) * 4, token < tokens);
      }
    }
    copy_commit();
  };
  for (u32 i = thread_id(); i < 2 * TOKENS; i += THREADS) { // powers of up to 8 slices
    u32 token = first + i * 4 % TOKENS;
    copy16(memory + POWERS_AT + 16 * i, a.b[2] + a.p[12] + (u64)(i * 4 / TOKENS) * a.p[2] + token, token < tokens);
  }
  copy_uints<TILE_HEAD>(memory + FACTORS_AT + 4 * TILE_HEAD * warp, tile, lane);
  UNROLLED for (u32 i = 0; i < STAGES - 1; i++) { fetch(i, i * STAGE); }

  const u32 warp_tile = warp % WARP_ROWS, warp_token = warp / WARP_ROWS * 8 * NT;
  const u32 b_at = 128 * (warp_token + (lane & 7)) + 16 * ((lane >> 3) ^ (lane & 7));
  float total[2][NT][4] = {}, sum[2][NT][4] = {};
  u32 slice = 0, slice_end = (units < 8 ? 1 : units / 8) * STEPS;
  LOOPED for (u32 step = 0, at = 0; step < steps; step++) {
    copy_wait<STAGES - 2>();
    sync_block();
    fetch(step + STAGES - 1, at == 0 ? (STAGES - 1) * STAGE : at - STAGE); // which was read before

    const u8 *unit = memory + UNITS_AT + step / STEPS % UNITS * UNIT;
    typename W::Step w[2];
    typename W::Head head[2];
    typename W::Factors factors[2];
    UNROLLED for (u32 m = 0; m < 2; m++) {
      u32 i = warp_tile + m * WARP_ROWS;
      w[m] = W::template load_step<FromShared>((const u32 *)(memory + at + X) + STEP * i, lane);
      head[m] = W::template load_head<FromShared>((const u32 *)unit + HEAD * i, lane);
      factors[m] = W::factors(head[m]);
    }
    UNROLLED for (u32 b = 0; b < 2; b++) { // 32 columns
      u32 f[2][2][W::PARTS][4]; // fragments: tile, 16 columns, part
      float scale[2][2][2];
      UNROLLED for (u32 m = 0; m < 2; m++) {
        UNROLLED for (u32 j = 0; j < 2; j++) {
          UNROLLED for (u32 part = 0; part < W::PARTS; part++) { W::fragment(f[m][j][part], w[m], 2 * b + j, part); }
          if (W::BLOCK == 16) { W::scales(scale[m][j], w[m], factors[m], 2 * b + j); }
        }
        if (W::BLOCK == 32) { W::scales(scale[m][0], w[m], factors[m], b); }
      }
      UNROLLED for (u32 n = 0; n < NT; n++) {
        u32 v[4];
        ldmatrix4(v, memory + at + ((b_at + 1024 * n) ^ (64 * b)));
        UNROLLED for (u32 m = 0; m < 2; m++) {
          float *s = sum[m][n];
          if (W::BLOCK == 0) {
            UNROLLED for (u32 j = 0; j < 2; j++) {
              UNROLLED for (u32 part = 0; part < W::PARTS; part++) { mma(s, f[m][j][part], v + 2 * j); }
            }
            continue;
          }
          UNROLLED for (u32 j = 0; j < 2; j += W::BLOCK / 16) {
            float z[4] = {0, 0, 0, 0};
            mma(z, f[m][j][0], v + 2 * j);
            if (W::BLOCK == 32) { mma(z, f[m][1][0], v + 2); }
            UNROLLED for (u32 i = 0; i < 4; i++) { s[i] = fma(scale[m][j][i / 2], z[i], s[i]); }
          }
        }
      }
    }
    if (W::SUMS && step % STEPS == STEPS - 1) {
      UNROLLED for (u32 m = 0; m < 2; m++) {
        Minimums minimums = W::minimums(w[m], head[m]);
        UNROLLED for (u32 n = 0; n < NT; n++) {
          add_minimums<W>(sum[m][n], minimums, (const u32 *)(unit + SUMS_AT) + 4 * STEPS * (warp_token + 8 * n + g), t);
        }
      }
    }
    at = at == (STAGES - 1) * STAGE ? 0 : at + STAGE;
    if (step + 1 == slice_end) {
      float factor[2][2] = {};
      if (TILE_HEAD > 0) {
        UNROLLED for (u32 m = 0; m < 2; m++) {
          row_factors<FromShared>(factor[m], (const u32 *)(memory + FACTORS_AT) + TILE_HEAD * (warp_tile + m * WARP_ROWS), g);
        }
      }
      UNROLLED for (u32 n = 0; n < NT; n++) {
        f32x2 power = *(const f32x2 *)(memory + POWERS_AT + 4 * (slice * TOKENS + warp_token + 8 * n + 2 * t));
        UNROLLED for (u32 m = 0; m < 2; m++) {
          UNROLLED for (u32 i = 0; i < 4; i++) {
            float s = TILE_HEAD > 0 ? sum[m][n][i] * factor[m][i / 2] : sum[m][n][i];
            total[m][n][i] = fma(i % 2 == 0 ? power.x : power.y, s, total[m][n][i]);
            sum[m][n][i] = 0;
          }
        }
      }
      slice++;
      slice_end = (units < 8 ? slice + 1 : (slice + 1) * units / 8) * STEPS;
    }
  }

  copy_wait<0>();
  sync_block();
  float *const sums = (float *)memory;
  UNROLLED for (u32 m = 0; m < 2; m++) {
    UNROLLED for (u32 n = 0; n < NT; n++) {
      UNROLLED for (u32 i = 0; i < 4; i++) {
        sums[(warp_token + 8 * n + 2 * t + i % 2) * OUT_STRIDE + 16 * (warp_tile + m * WARP_ROWS) + g + i / 2 * 8] = total[m][n][i];
      }
    }
  }
  sync_block();
  const bool gated = has(a, F_GATED);
  const u32 rows = min_of(gated ? ROWS / 2 : ROWS, out.end - out.row);
  constexpr u32 EACH = TOKENS / WARPS;
  float *const mine = sums + warp * EACH * OUT_STRIDE;
  if (!plain(a)) {
    for (u32 r = lane; r < rows; r += 32) {
      UNROLLED_BY(2) for (u32 i = 0; i < EACH; i++) {
        float *z = mine + i * OUT_STRIDE + r;
        *z = result(a, out.row + r, *z, gated ? z[ROWS / 2] : 0, out.piece);
      }
    }
  }
  // All residuals are on their way before the first is needed.
  const u32 token = out.token + warp * EACH, live = min_of(EACH, tokens - min_of(tokens, token));
  for (u32 r = lane; r < rows; r += 32) {
    u32 *const to = a.b[2] + (u64)token * a.p[5] + out.row + r;
    float z[EACH] = {};
    if (has(a, F_RESIDUAL)) {
      UNROLLED for (u32 i = 0; i < EACH; i++) {
        if (i < live) { z[i] = float_of(to[a.p[11] + (u64)i * a.p[5]]); }
      }
    }
    UNROLLED for (u32 i = 0; i < EACH; i++) {
      if (i < live) { to[a.p[4] + (u64)i * a.p[5]] = bits_of(has(a, F_RESIDUAL) ? mine[i * OUT_STRIDE + r] + z[i] : mine[i * OUT_STRIDE + r]); }
    }
  }
}
