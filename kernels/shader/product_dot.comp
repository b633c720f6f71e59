// The kernel product by dot products of int8: x is quantised by every workgroup,
// in units of 32 columns (dot.part). The sum of a unit is exact, and is added to
// the lane's by its scales. B0 weights, B1 vectors, B2 arena, B3 run.
CONSTANT(1, TYPE0)
CONSTANT(2, TYPE1)
CONSTANT(3, ROWS)
CONSTANT(4, NT)
CONSTANT(5, PROLOGUE)
INCLUDE(weights)
INCLUDE(linear)
INCLUDE(prologue)
INCLUDE(dot)

// Of 32 units and each token: qs has pairs of words, those of columns 8g to 8g + 7
// of all units from 32g on, in the order of nibbles and, behind those of all tokens,
// in the order of bytes; ds has the scales, then the sums of each such group. The
// lanes' sums are added in qs, too. red is for maxima.
SHARED(uvec2, qs, 256u * NT)
SHARED(uint, ds, 160u * NT)
SHARED(float, red, WG * NT)
#define RED(i) red[i]
#define QS_ORDER(type) (BYTES(type) ? 128u * NT : 0u)

// A unit of row r for all tokens. Where there ends what has a scale, the sum is
// added to acc and the next begins.
#define DOT_UNIT(type, r, u) \
  vec4 scales = unit_scales(PASS type, base[r], n, from + u); \
  int sum[NT]; \
  UNROLL for (uint t = 0u; t < NT; t++) { sum[t] = dot_start(type, low[t], high[t], 0u); } \
  UNROLL for (uint g = 0u; g < 4u; g++) { \
    uvec4 w = group_bytes(type, group_words(PASS type, base[r], n, from + u, g, 0u)); \
    UNROLL for (uint t = 0u; t < NT; t++) { \
      uvec2 x = qs[QS_ORDER(type) + t * 128u + g * 32u + u]; \
      sum[t] = DOT4I(w.y, x.y, DOT4I(w.x, x.x, sum[t])); \
      if (g == 3u || HALVES(type) && g == 1u) { \
        acc[r * NT + t] = dot_add(type, scales, dx[t], sum[t], low[t], high[t], HALVES(type) ? g >> 1 : 0u, acc[r * NT + t]); \
        sum[t] = dot_start(type, low[t], high[t], 1u); \
      } \
    } \
  }

KERNEL(product_dot) {
  LOCAL(uvec2, qs, 256u * NT)
  LOCAL(uint, ds, 160u * NT)
  LOCAL(float, red, WG * NT)
  uint k = PARAM(0);
  uint n = k >> 5;
  uint tokens = ROWS_OF(B3, PARAM(6), PARAM(7));
  uint first = GROUP_Z * NT;
  uint group_index = GROUP_Y * 32768u + GROUP_X;

  float factor[NT];
  float added[NT];
  FACTORS(RED, factor, added)

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
    // Four invocations take a unit of each token, columns 8 * part on of unit u.
    uint part = LID & 3u;
    uint u = LID >> 2;
    uint column = (from + u) * 32u + part * 8u;
    float v[8u * NT];
    UNROLL for (uint t = 0u; t < NT; t++) {
      UNROLL for (uint i = 0u; i < 8u; i++) { v[8u * t + i] = 0.0f; }
      if (column < k && first + t < tokens) { X8(first + t, column, v, 8u * t, added[t], factor[t]) }
      uint top = TINIEST;
      UNROLL for (uint i = 0u; i < 8u; i++) { top = UMAX(top, MAGNITUDE(v[8u * t + i])); }
      red[t * WG + LID] = UF(top);
    }
    BARRIER;
    UNROLL for (uint t = 0u; t < NT; t++) {
      uint at = t * WG + (LID & 124u);
      uint top = UMAX(UMAX(FU(red[at]), FU(red[at + 1u])), UMAX(FU(red[at + 2u]), FU(red[at + 3u])));
      float inverse = quant_inverse(top);
      uint q[8];
      UNROLL for (uint i = 0u; i < 8u; i++) { q[i] = quant_bits(v[8u * t + i], inverse); }
      uvec2 w;
      if (BYTES(TYPE0) || BYTES(TYPE1)) {
        w.x = WORD(q[0], q[1], q[2], q[3]);
        w.y = WORD(q[4], q[5], q[6], q[7]);
        qs[128u * NT + t * 128u + part * 32u + u] = w;
      }
      if (!BYTES(TYPE0) || !BYTES(TYPE1)) {
        w.x = WORD(q[0], q[2], q[4], q[6]);
        w.y = WORD(q[1], q[3], q[5], q[7]);
        qs[t * 128u + part * 32u + u] = w;
      }
      if (part == 0u) { ds[t * 160u + u] = FU(quant_scale(top)); }
      ds[t * 160u + 32u + part * 32u + u] = TOU(DOT4I(w.x, 0x01010101u, DOT4I(w.y, 0x01010101u, 0)));
    }
    BARRIER;
    for (uint u = lane; u < 32u && from + u < n; u += lanes) {
      float dx[NT];
      int low[NT];
      int high[NT];
      UNROLL for (uint t = 0u; t < NT; t++) {
        uint at = t * 160u + u;
        dx[t] = UF(ds[at]);
        low[t] = TOI(ds[at + 32u]) + TOI(ds[at + 64u]);
        high[t] = TOI(ds[at + 96u]) + TOI(ds[at + 128u]);
      }
      UNROLL for (uint r = 0u; r < ROWS; r++) {
        if (TYPE1 != TYPE0 && second[r]) {
          DOT_UNIT(TYPE1, r, u)
        } else {
          DOT_UNIT(TYPE0, r, u)
        }
      }
    }
  }
  BARRIER;

  // The lanes' sums, added in order by one invocation for all rows of a group.
  UNROLL for (uint t = 0u; t < NT; t++) {
    uvec2 v;
    v.x = FU(acc[t]);
    v.y = ROWS > 1u ? FU(acc[(ROWS > 1u ? 1u : 0u) * NT + t]) : 0u;
    qs[t * WG + LID] = v;
    if (ROWS > 2u) {
      v.x = FU(acc[(ROWS > 2u ? 2u : 0u) * NT + t]);
      v.y = FU(acc[(ROWS > 2u ? 3u : 0u) * NT + t]);
      qs[(NT + t) * WG + LID] = v;
    }
  }
  BARRIER;
  uint t = LID / groups;
  uint group = LID - t * groups;
  j = (group_index * groups + group) * columns;
  if (t < NT && first + t < tokens && j < PARAM(8)) {
    vec4 sum = VEC4(0.0f, 0.0f, 0.0f, 0.0f);
    for (uint l = 0u; l < UMIN(lanes, n); l++) {
      uvec2 a = qs[t * WG + group * lanes + l];
      uvec2 b = a;
      if (ROWS > 2u) { b = qs[(NT + t) * WG + group * lanes + l]; }
      sum = sum + VEC4(UF(a.x), UF(a.y), UF(b.x), UF(b.y));
    }
    finish_quad(PASS first + t, j, sum, ROWS);
  }
}
