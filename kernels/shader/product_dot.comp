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

// The halves of 32 units that an invocation quantises.
#define ITEMS ((NT + 1u) / 2u)

// Per token, of 32 units: qs has 64 quads of words for nibbles, those of columns 0
// to 15 of each unit and then the others, and 64 in the order of bytes; ds has the
// scales and then the sums of either half. The lanes' sums are added in qs, too.
SHARED(uvec4, qs, 128u * NT)
SHARED(uint, ds, 96u * NT)
SHARED(float, red, WG * ITEMS)
#define RED(i) red[i]
#define QS_ORDER(type) (BYTES(type) ? 64u * NT : 0u)

KERNEL(product_dot) {
  LOCAL(uvec4, qs, 128u * NT)
  LOCAL(uint, ds, 96u * NT)
  LOCAL(float, red, WG * ITEMS)
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
    // Two invocations take a unit of a token, columns 16 * half on of unit u.
    uint half_at = LID & 1u;
    uint u = (LID >> 1) & 31u;
    bool live = from + u < n;
    float v[16u * ITEMS];
    UNROLL for (uint o = 0u; o < ITEMS; o++) {
      uint t = 2u * o + (LID >> 6);
      float f = factor[0];
      float a = added[0];
      UNROLL for (uint p = 1u; p < NT; p++) {
        f = t == p ? factor[p] : f;
        a = t == p ? added[p] : a;
      }
      uint top = TINIEST;
      bool here = live && t < NT && first + t < tokens;
      UNROLL for (uint i = 0u; i < 16u; i++) {
        float x = 0.0f;
        if (here) {
          uint at = (from + u) * 32u + half_at * 16u + i;
          x = normed(PASS at, x_of(PASS first + t, at, a), f);
        }
        v[16u * o + i] = x;
        top = UMAX(top, MAGNITUDE(x));
      }
      if (t < NT) { red[o * WG + LID] = UF(top); }
    }
    BARRIER;
    UNROLL for (uint o = 0u; o < ITEMS; o++) {
      uint t = 2u * o + (LID >> 6);
      if (t < NT) {
        uint top = UMAX(FU(red[o * WG + LID]), FU(red[o * WG + (LID ^ 1u)]));
        float inverse = quant_inverse(top);
        uint q[16];
        UNROLL for (uint i = 0u; i < 16u; i++) { q[i] = quant_bits(v[16u * o + i], inverse); }
        uint at = t * 64u + half_at * 32u + u;
        uvec4 w;
        if (BYTES(TYPE0) || BYTES(TYPE1)) {
          w.x = WORD(q[0], q[1], q[2], q[3]);
          w.y = WORD(q[4], q[5], q[6], q[7]);
          w.z = WORD(q[8], q[9], q[10], q[11]);
          w.w = WORD(q[12], q[13], q[14], q[15]);
          qs[64u * NT + at] = w;
        }
        if (!BYTES(TYPE0) || !BYTES(TYPE1)) {
          w.x = WORD(q[0], q[2], q[4], q[6]);
          w.y = WORD(q[1], q[3], q[5], q[7]);
          w.z = WORD(q[8], q[10], q[12], q[14]);
          w.w = WORD(q[9], q[11], q[13], q[15]);
          qs[at] = w;
        }
        uvec4 one;
        one.x = 0x01010101u;
        one.y = one.x;
        one.z = one.x;
        one.w = one.x;
        if (half_at == 0u) { ds[t * 96u + u] = FU(quant_scale(top)); }
        ds[t * 96u + 32u + half_at * 32u + u] = TOU(dot16(w, one, 0));
      }
    }
    BARRIER;
    for (uint u = lane; u < 32u && from + u < n; u += lanes) {
      int sum[ROWS * NT];
      vec4 scales[ROWS];
      float dx[NT];
      int low[NT];
      int high[NT];
      UNROLL for (uint t = 0u; t < NT; t++) {
        dx[t] = UF(ds[t * 96u + u]);
        low[t] = TOI(ds[t * 96u + 32u + u]);
        high[t] = TOI(ds[t * 96u + 64u + u]);
      }
      UNROLL for (uint r = 0u; r < ROWS; r++) {
        if (TYPE1 != TYPE0 && second[r]) {
          scales[r] = unit_scales(PASS TYPE1, base[r], n, from + u);
          UNROLL for (uint t = 0u; t < NT; t++) { sum[r * NT + t] = dot_start(TYPE1, low[t], high[t], 0u); }
        } else {
          scales[r] = unit_scales(PASS TYPE0, base[r], n, from + u);
          UNROLL for (uint t = 0u; t < NT; t++) { sum[r * NT + t] = dot_start(TYPE0, low[t], high[t], 0u); }
        }
      }
      UNROLL for (uint h = 0u; h < 2u; h++) {
        UNROLL for (uint r = 0u; r < ROWS; r++) {
          if (TYPE1 != TYPE0 && second[r]) {
            uvec4 w = half_bytes(PASS TYPE1, base[r], n, from + u, h);
            UNROLL for (uint t = 0u; t < NT; t++) {
              int i = dot16(w, qs[QS_ORDER(TYPE1) + t * 64u + h * 32u + u], sum[r * NT + t]);
              if (HALVES(TYPE1) || h == 1u) {
                acc[r * NT + t] = dot_add(TYPE1, scales[r], dx[t], i, low[t], high[t], HALVES(TYPE1) ? h : 0u, acc[r * NT + t]);
                i = dot_start(TYPE1, low[t], high[t], 1u);
              }
              sum[r * NT + t] = i;
            }
          } else {
            uvec4 w = half_bytes(PASS TYPE0, base[r], n, from + u, h);
            UNROLL for (uint t = 0u; t < NT; t++) {
              int i = dot16(w, qs[QS_ORDER(TYPE0) + t * 64u + h * 32u + u], sum[r * NT + t]);
              if (HALVES(TYPE0) || h == 1u) {
                acc[r * NT + t] = dot_add(TYPE0, scales[r], dx[t], i, low[t], high[t], HALVES(TYPE0) ? h : 0u, acc[r * NT + t]);
                i = dot_start(TYPE0, low[t], high[t], 1u);
              }
              sum[r * NT + t] = i;
            }
          }
        }
      }
    }
  }
  BARRIER;

  // The lanes' sums, added in order by one invocation for all rows of a group.
  UNROLL for (uint t = 0u; t < NT; t++) {
    uvec4 v;
    v.x = FU(acc[t]);
    v.y = 0u;
    v.z = 0u;
    v.w = 0u;
    if (ROWS > 1u) { v.y = FU(acc[(ROWS > 1u ? 1u : 0u) * NT + t]); }
    if (ROWS > 2u) {
      v.z = FU(acc[(ROWS > 2u ? 2u : 0u) * NT + t]);
      v.w = FU(acc[(ROWS > 2u ? 3u : 0u) * NT + t]);
    }
    qs[t * WG + LID] = v;
  }
  BARRIER;
  uint t = LID / groups;
  uint group = LID - t * groups;
  j = (group_index * groups + group) * columns;
  if (t < NT && first + t < tokens && j < PARAM(8)) {
    vec4 sum = VEC4(0.0f, 0.0f, 0.0f, 0.0f);
    for (uint l = 0u; l < UMIN(lanes, n); l++) {
      uvec4 v = qs[t * WG + group * lanes + l];
      sum = sum + VEC4(UF(v.x), UF(v.y), UF(v.z), UF(v.w));
    }
    finish_quad(PASS first + t, j, sum, ROWS);
  }
}
