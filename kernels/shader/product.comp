// A product of few rows: out = epilogue(norm(x) * w^T). A row of w belongs to a
// group of lanes, which take its units in turn; each invocation works on ROWS rows
// (1, 2 or 4) for NT tokens. PROLOGUE is 0 for x as it is, 1 for its norm, 2 for
// the norm of norm(x) + y: a constant, since compilers copy what follows a branch
// with barriers. B0 weights, B1 vectors, B2 arena, B3 run.
CONSTANT(1, TYPE0)
CONSTANT(2, TYPE1)
CONSTANT(3, ROWS)
CONSTANT(4, NT)
CONSTANT(5, PROLOGUE)
INCLUDE(weights)
INCLUDE(linear)
INCLUDE(prologue)
SHARED(vec4, xs, 256u * NT)
#define SUM_AT(i) xs[i].x

KERNEL(product) {
  LOCAL(vec4, xs, 256u * NT)
  uint k = PARAM(0);
  uint n = (k + 31u) >> 5;
  uint tokens = ROWS_OF(B3, PARAM(6), PARAM(7));
  uint first = GROUP_Z * NT;
  uint group_index = GROUP_Y * 32768u + GROUP_X;

  float factor[NT];
  float added[NT];
  FACTORS(SUM_AT, factor, added)

  uint lanes = 1u << PARAM(2);
  uint lane = LID & (lanes - 1u);
  uint groups = WG >> PARAM(2);
  uint columns = (FLAGS & F_GATED) != 0u ? ROWS >> 1 : ROWS;
  uint j = (group_index * groups + (LID >> PARAM(2))) * columns;
  uint base[ROWS];
  bool second[ROWS];
  UNROLL for (uint r = 0u; r < ROWS; r++) {
    uint row = quad_row(PASS j, r, ROWS);
    uint piece = piece_of(PASS row);
    second[r] = SECOND_TYPE(piece);
    base[r] = piece_place(PASS piece) + row * row_uints(second[r] ? TYPE1 : TYPE0, n);
  }

  float acc[ROWS * NT];
  UNROLL for (uint i = 0u; i < ROWS * NT; i++) { acc[i] = 0.0f; }
  for (uint from = 0u; from < n; from += 32u) {
    // 32 units of x, four columns at a time; quads change places so that lanes
    // read different banks.
    for (uint i = LID; i < 256u * NT; i += WG) {
      uint t = i >> 8;
      uint quad = i & 255u;
      uint at = from * 32u + quad * 4u;
      if (first + t < tokens && at < n * 32u) {
        float f = factor[0];
        float a = added[0];
        UNROLL for (uint o = 1u; o < NT; o++) {
          f = t == o ? factor[o] : f;
          a = t == o ? added[o] : a;
        }
        vec4 v = VEC4(0.0f, 0.0f, 0.0f, 0.0f);
        if (at < k) { v.x = normed(PASS at, x_of(PASS first + t, at, a), f); }
        if (at + 1u < k) { v.y = normed(PASS at + 1u, x_of(PASS first + t, at + 1u, a), f); }
        if (at + 2u < k) { v.z = normed(PASS at + 2u, x_of(PASS first + t, at + 2u, a), f); }
        if (at + 3u < k) { v.w = normed(PASS at + 3u, x_of(PASS first + t, at + 3u, a), f); }
        xs[t * 256u + (quad ^ ((quad >> 3) & 7u))] = v;
      }
    }
    BARRIER;
    for (uint u = lane; u < 32u && from + u < n; u += lanes) {
      vec4 scales[ROWS];
      UNROLL for (uint r = 0u; r < ROWS; r++) {
        if (TYPE1 != TYPE0 && second[r]) {
          scales[r] = unit_scales(PASS TYPE1, base[r], n, from + u);
        } else {
          scales[r] = unit_scales(PASS TYPE0, base[r], n, from + u);
        }
      }
      for (uint g = 0u; g < 4u; g++) {
        vec4 xa[NT];
        vec4 xb[NT];
        UNROLL for (uint t = 0u; t < NT; t++) {
          uint at = t * 256u + u * 8u;
          xa[t] = xs[at + ((2u * g) ^ (u & 7u))];
          xb[t] = xs[at + ((2u * g + 1u) ^ (u & 7u))];
        }
        UNROLL for (uint r = 0u; r < ROWS; r++) {
          vec4 wa;
          vec4 wb;
          if (TYPE1 != TYPE0 && second[r]) {
            uvec4 q = group_words(PASS TYPE1, base[r], n, from + u, g, 0u);
            wa = quad_values(TYPE1, q, scales[r], g, 0u);
            if (TYPE1 == F32T) { q = group_words(PASS TYPE1, base[r], n, from + u, g, 1u); }
            wb = quad_values(TYPE1, q, scales[r], g, 1u);
          } else {
            uvec4 q = group_words(PASS TYPE0, base[r], n, from + u, g, 0u);
            wa = quad_values(TYPE0, q, scales[r], g, 0u);
            if (TYPE0 == F32T) { q = group_words(PASS TYPE0, base[r], n, from + u, g, 1u); }
            wb = quad_values(TYPE0, q, scales[r], g, 1u);
          }
          UNROLL for (uint t = 0u; t < NT; t++) {
            float a = acc[r * NT + t];
            a = FMA(wa.x, xa[t].x, a);
            a = FMA(wa.y, xa[t].y, a);
            a = FMA(wa.z, xa[t].z, a);
            a = FMA(wa.w, xa[t].w, a);
            a = FMA(wb.x, xb[t].x, a);
            a = FMA(wb.y, xb[t].y, a);
            a = FMA(wb.z, xb[t].z, a);
            a = FMA(wb.w, xb[t].w, a);
            acc[r * NT + t] = a;
          }
        }
      }
    }
    BARRIER;
  }

  // The lanes' sums, added in order by one invocation for all rows of a group.
  UNROLL for (uint t = 0u; t < NT; t++) {
    vec4 v = VEC4(acc[t], 0.0f, 0.0f, 0.0f);
    if (ROWS > 1u) { v.y = acc[(ROWS > 1u ? 1u : 0u) * NT + t]; }
    if (ROWS > 2u) {
      v.z = acc[(ROWS > 2u ? 2u : 0u) * NT + t];
      v.w = acc[(ROWS > 2u ? 3u : 0u) * NT + t];
    }
    xs[t * WG + LID] = v;
  }
  BARRIER;
  uint t = LID / groups;
  uint group = LID - t * groups;
  j = (group_index * groups + group) * columns;
  if (t < NT && first + t < tokens && j < PARAM(8)) {
    vec4 sum = VEC4(0.0f, 0.0f, 0.0f, 0.0f);
    for (uint l = 0u; l < UMIN(lanes, n); l++) { sum = sum + xs[t * WG + group * lanes + l]; }
    finish_quad(PASS first + t, j, sum, ROWS);
  }
}
