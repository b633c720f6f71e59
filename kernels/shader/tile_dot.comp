// The kernel tile by dot products of int8, with x from the kernel quantize at
// PARAM(18): sums are those of product_dot, a lane's units in order, then the lanes.
// An invocation has a quad of rows and 4 * QUADS tokens, 8 apart. B0 weights, B1
// vectors, B2 arena, B3 run.
CONSTANT(1, TYPE0)
CONSTANT(2, TYPE1)
CONSTANT(3, QUADS)
INCLUDE(weights)
INCLUDE(linear)
INCLUDE(dot)

// Of a unit: ws has of each half the words of 64 rows, by their place in a quad; sc
// the scales of rows, xs the words of each half of x, ds the scales of x and then
// the sums of both halves.
SHARED(uvec4, ws, 128)
SHARED(vec4, sc, 64)
SHARED(uvec4, xs, 64u * QUADS)
SHARED(uint, ds, 64u * QUADS)

// in_pairs brings 8 bytes into the order of nibbles.
uvec4 in_pairs(uint type, uvec4 w) {
  if (!BYTES(type)) { return w; }
  uvec4 b = w;
  b.x = WORD(w.x, w.x >> 16, w.y, w.y >> 16);
  b.y = WORD(w.x >> 8, w.x >> 24, w.y >> 8, w.y >> 24);
  b.z = WORD(w.z, w.z >> 16, w.w, w.w >> 16);
  b.w = WORD(w.z >> 8, w.z >> 24, w.w >> 8, w.w >> 24);
  return b;
}

// Row c of the quad and token i of the invocation.
#define DOT_UNIT(type, c, i) \
  int sum = dot16(w[c], x0, dot_start(type, low, high, 0u)); \
  if (HALVES(type)) { \
    acc[4u * i + c] = dot_add(type, scales[c], dx, sum, low, high, 0u, acc[4u * i + c]); \
    sum = dot_start(type, low, high, 1u); \
  } \
  sum = dot16(w[4u + c], x1, sum); \
  acc[4u * i + c] = dot_add(type, scales[c], dx, sum, low, high, HALVES(type) ? 1u : 0u, acc[4u * i + c]);

KERNEL(tile_dot) {
  LOCAL(uvec4, ws, 128)
  LOCAL(vec4, sc, 64)
  LOCAL(uvec4, xs, 64u * QUADS)
  LOCAL(uint, ds, 64u * QUADS)
  uint k = PARAM(0);
  uint n = k >> 5;
  uint tokens = ROWS_OF(B3, PARAM(6), PARAM(7));
  uint first = GROUP_Z * 32u * QUADS;
  uint lanes = 1u << PARAM(2);
  uint rows4 = LID & 15u; // quad of rows
  uint other = LID >> 4;  // first token; row of the quad and half, where weights are decoded
  uint columns = (FLAGS & F_GATED) != 0u ? 2u : 4u;
  uint quad = (GROUP_Y * 32768u + GROUP_X) * 16u + rows4;
  uint j = quad * columns;
  uint base[4];
  bool second[4];
  UNROLL for (uint r = 0u; r < 4u; r++) {
    uint row = quad_row(PASS j, r, 4u);
    uint piece = piece_of(PASS row);
    second[r] = SECOND_TYPE(piece);
    base[r] = piece_place(PASS piece) + row * row_uints(second[r] ? TYPE1 : TYPE0, n);
  }
  uint r = other >> 1;
  uint h = other & 1u;
  uint my_base = r == 0u ? base[0] : r == 1u ? base[1] : r == 2u ? base[2] : base[3];
  bool my_second = r == 0u ? second[0] : r == 1u ? second[1] : r == 2u ? second[2] : second[3];
  vec4 zero = VEC4(0.0f, 0.0f, 0.0f, 0.0f);
  float total[16u * QUADS];
  float acc[16u * QUADS];
  UNROLL for (uint i = 0u; i < 16u * QUADS; i++) { total[i] = 0.0f; }
  for (uint lane = 0u; lane < UMIN(lanes, n); lane++) {
    UNROLL for (uint i = 0u; i < 16u * QUADS; i++) { acc[i] = 0.0f; }
    for (uint u = lane; u < n; u += lanes) {
      if (TYPE1 != TYPE0 && my_second) {
        ws[h * 64u + r * 16u + rows4] = in_pairs(TYPE1, half_bytes(PASS TYPE1, my_base, n, u, h));
        if (h == 0u) { sc[r * 16u + rows4] = unit_scales(PASS TYPE1, my_base, n, u); }
      } else {
        ws[h * 64u + r * 16u + rows4] = in_pairs(TYPE0, half_bytes(PASS TYPE0, my_base, n, u, h));
        if (h == 0u) { sc[r * 16u + rows4] = unit_scales(PASS TYPE0, my_base, n, u); }
      }
      for (uint i = LID; i < 64u * QUADS; i += WG) {
        uint t = i >> 1;
        uint at = u * tokens + UMIN(first + t, tokens - 1u);
        uint from = PARAM(18) + at * 8u + (i & 1u) * 4u;
        uvec4 x;
        x.x = B2[from];
        x.y = B2[from + 1u];
        x.z = B2[from + 2u];
        x.w = B2[from + 3u];
        xs[(i & 1u) * 32u * QUADS + t] = x;
        ds[(i & 1u) * 32u * QUADS + t] = B2[PARAM(18) + (8u + (i & 1u)) * n * tokens + at];
      }
      BARRIER;
      uvec4 w[8];
      vec4 scales[4];
      UNROLL for (uint c = 0u; c < 4u; c++) {
        w[c] = ws[c * 16u + rows4];
        w[4u + c] = ws[64u + c * 16u + rows4];
        scales[c] = sc[c * 16u + rows4];
      }
      UNROLL for (uint i = 0u; i < 4u * QUADS; i++) {
        uint t = i * 8u + other;
        uvec4 x0 = xs[t];
        uvec4 x1 = xs[32u * QUADS + t];
        float dx = UF(ds[t]);
        uint sums = ds[32u * QUADS + t];
        int low = TOI(sums << 16) >> 16;
        int high = TOI(sums) >> 16;
        UNROLL for (uint c = 0u; c < 4u; c++) {
          if (TYPE1 != TYPE0 && second[c]) {
            DOT_UNIT(TYPE1, c, i)
          } else {
            DOT_UNIT(TYPE0, c, i)
          }
        }
      }
      BARRIER;
    }
    UNROLL for (uint i = 0u; i < 16u * QUADS; i++) { total[i] = total[i] + acc[i]; }
  }
  if (j < PARAM(8)) {
    for (uint i = 0u; i < 4u * QUADS; i++) {
      vec4 sum = VEC4(total[0], total[1], total[2], total[3]);
      UNROLL for (uint o = 1u; o < 4u * QUADS; o++) {
        sum = i == o ? VEC4(total[4u * o], total[4u * o + 1u], total[4u * o + 2u], total[4u * o + 3u]) : sum;
      }
      uint t = first + i * 8u + other;
      if (t < tokens) { finish_quad(PASS t, j, sum, 4u); }
    }
  }
}
