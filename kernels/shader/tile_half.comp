// The kernel tile in float16, with the sums of product_half: half.part says how.
// Tiles of 64 rows of w (or 32 gates and their partners) and 32 tokens for each of
// QUADS (1 or 2). An invocation has a quad of rows and QUADS quads of tokens. B0
// weights, B1 vectors, B2 arena, B3 run.
CONSTANT(1, TYPE0)
CONSTANT(2, TYPE1)
CONSTANT(3, QUADS)
NEEDS(half)
INCLUDE(weights)
INCLUDE(linear)
INCLUDE(half)
#define QT (4u * QUADS)
#define TOKENS (32u * QUADS)
SHARED(uvec4, ws, 256)
SHARED(vec4, ss, 64)
SHARED(uvec4, xs, 4u * TOKENS)
SHARED(float, most, 4u * TOKENS)
SHARED(float, sums, 4u * TOKENS)
SHARED(float, downs, TOKENS)

KERNEL(tile_half) {
  LOCAL(uvec4, ws, 256)
  LOCAL(vec4, ss, 64)
  LOCAL(uvec4, xs, 4u * TOKENS)
  LOCAL(float, most, 4u * TOKENS)
  LOCAL(float, sums, 4u * TOKENS)
  LOCAL(float, downs, TOKENS)
  uint k = PARAM(0);
  uint n = (k + 31u) >> 5;
  uint tokens = ROWS_OF(B3, PARAM(6), PARAM(7));
  uint first = GROUP_Z * TOKENS;
  uint lanes = 1u << PARAM(2);
  uint rows4 = LID & 15u; // quad of rows
  uint other = LID >> 4;  // quad of tokens; where weights are decoded, see below
  uint columns = (FLAGS & F_GATED) != 0u ? 2u : 4u;
  uint j = ((GROUP_Y * 32768u + GROUP_X) * 16u + rows4) * columns;
  // The invocation decodes group other & 3 of two rows of its quad, and the scales
  // of the first or second of them.
  uint decoded = (other >> 2) * 2u;
  uint base[2];
  bool second[2];
  UNROLL for (uint r = 0u; r < 2u; r++) {
    uint row = quad_row(PASS j, decoded + r, 4u);
    uint piece = piece_of(PASS row);
    second[r] = SECOND_TYPE(piece);
    base[r] = piece_place(PASS piece) + row * row_uints(second[r] ? TYPE1 : TYPE0, n);
  }
  float total[4u * QT];
  float acc[4u * QT];
  UNROLL for (uint i = 0u; i < 4u * QT; i++) { total[i] = 0.0f; }
  for (uint lane = 0u; lane < UMIN(lanes, n); lane++) {
    UNROLL for (uint i = 0u; i < 4u * QT; i++) { acc[i] = 0.0f; }
    for (uint u = lane; u < n; u += lanes) {
      // x: a group of a token for each invocation, QUADS times.
      vec4 a[QUADS];
      vec4 b[QUADS];
      UNROLL for (uint i = 0u; i < QUADS; i++) {
        uint token = first + i * 32u + (LID >> 2);
        uint column = u * 32u + (LID & 3u) * 8u;
        uint at = PARAM(3) + token * k + column;
        a[i] = VEC4(0.0f, 0.0f, 0.0f, 0.0f);
        b[i] = a[i];
        if (token < tokens) {
          if (column < k) { a[i].x = UF(B2[at]); }
          if (column + 1u < k) { a[i].y = UF(B2[at + 1u]); }
          if (column + 2u < k) { a[i].z = UF(B2[at + 2u]); }
          if (column + 3u < k) { a[i].w = UF(B2[at + 3u]); }
          if (column + 4u < k) { b[i].x = UF(B2[at + 4u]); }
          if (column + 5u < k) { b[i].y = UF(B2[at + 5u]); }
          if (column + 6u < k) { b[i].z = UF(B2[at + 6u]); }
          if (column + 7u < k) { b[i].w = UF(B2[at + 7u]); }
        }
        most[i * WG + LID] = MOST_OF(a[i], b[i]);
      }
      uint g = other & 3u;
      UNROLL for (uint r = 0u; r < 2u; r++) {
        HALF2 v[4];
        if (TYPE1 != TYPE0 && second[r]) {
          uvec4 q = unit_spread(PASS TYPE1, base[r], n, u, g);
          UNROLL for (uint p = 0u; p < 4u; p++) { v[p] = pair_value(TYPE1, q, p); }
        } else {
          uvec4 q = unit_spread(PASS TYPE0, base[r], n, u, g);
          UNROLL for (uint p = 0u; p < 4u; p++) { v[p] = pair_value(TYPE0, q, p); }
        }
        uvec4 w;
        w.x = H2U(v[0]);
        w.y = H2U(v[1]);
        w.z = H2U(v[2]);
        w.w = H2U(v[3]);
        ws[g * 64u + (decoded + r) * 16u + rows4] = w;
      }
      if (g < 2u) {
        uint place = g == 0u ? base[0] : base[1];
        vec4 s;
        if (TYPE1 != TYPE0 && (g == 0u ? second[0] : second[1])) {
          s = signed_scales(PASS TYPE1, place, n, u);
        } else {
          s = signed_scales(PASS TYPE0, place, n, u);
        }
        ss[(decoded + g) * 16u + rows4] = s;
      }
      BARRIER;
      UNROLL for (uint i = 0u; i < QUADS; i++) {
        uint at = i * WG + (LID & 0xfffffffcu);
        float m = FMAX(FMAX(most[at], most[at + 1u]), FMAX(most[at + 2u], most[at + 3u]));
        float up = up_of(m);
        uvec4 pairs;
        float sum;
        PAIRS_OF(pairs, sum, a[i], b[i], up)
        xs[(LID & 3u) * TOKENS + i * 32u + (LID >> 2)] = pairs;
        sums[i * WG + LID] = sum;
        if ((LID & 3u) == 0u) { downs[i * 32u + (LID >> 2)] = down_of(m); }
      }
      BARRIER;
      float parts[4u * QT];
      HALF2 pair_sums[4u * QT];
      UNROLL for (uint i = 0u; i < 4u * QT; i++) {
        pair_sums[i] = H2C(0.0f);
        parts[i] = 0.0f;
      }
      UNROLL for (uint h = 0u; h < 4u; h++) {
        uvec4 w[4];
        UNROLL for (uint r = 0u; r < 4u; r++) { w[r] = ws[h * 64u + r * 16u + rows4]; }
        UNROLL for (uint t = 0u; t < QT; t++) {
          uvec4 x = xs[h * TOKENS + (t >> 2) * 32u + other * 4u + (t & 3u)];
          UNROLL for (uint r = 0u; r < 4u; r++) {
            PAIRS_ADD(pair_sums[r * QT + t], H2(w[r].x), H2(w[r].y), H2(w[r].z), H2(w[r].w), x)
          }
        }
        if (h == 3u || (SPLIT && h == 1u)) {
          UNROLL for (uint r = 0u; r < 4u; r++) {
            vec4 s = ss[r * 16u + rows4];
            UNROLL for (uint t = 0u; t < QT; t++) { PAIRS_END(parts[r * QT + t], pair_sums[r * QT + t], h < 2u ? s.x : s.z) }
          }
        }
      }
      UNROLL for (uint r = 0u; r < 4u; r++) {
        vec4 s = ss[r * 16u + rows4];
        UNROLL for (uint t = 0u; t < QT; t++) {
          uint token = (t >> 2) * 32u + other * 4u + (t & 3u);
          float down = downs[token];
          UNIT_END(acc[r * QT + t], parts[r * QT + t], s, sums[token * 4u], sums[token * 4u + 1u], sums[token * 4u + 2u], sums[token * 4u + 3u], down)
        }
      }
      BARRIER;
    }
    UNROLL for (uint i = 0u; i < 4u * QT; i++) { total[i] = total[i] + acc[i]; }
  }
  if (j < PARAM(8)) {
    for (uint i = 0u; i < QT; i++) {
      uint t = first + (i >> 2) * 32u + other * 4u + (i & 3u);
      vec4 sum = VEC4(total[0], total[QT], total[2u * QT], total[3u * QT]);
      UNROLL for (uint o = 1u; o < QT; o++) {
        sum.x = i == o ? total[o] : sum.x;
        sum.y = i == o ? total[QT + o] : sum.y;
        sum.z = i == o ? total[2u * QT + o] : sum.z;
        sum.w = i == o ? total[3u * QT + o] : sum.w;
      }
      if (t < tokens) { finish_quad(PASS t, j, sum, 4u); }
    }
  }
}
