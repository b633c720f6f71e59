// A product of many rows: tiles of 64 rows of w (64/2 gates and their partners)
// and 32 tokens. Sums are those of the kernel product: a lane's units in order,
// then the lanes. An invocation has 4 rows and 4 tokens. B0 weights, B1 vectors,
// B2 arena, B3 run.
CONSTANT(1, TYPE0)
CONSTANT(2, TYPE1)
INCLUDE(weights)
INCLUDE(linear)
SHARED(vec4, ws, 512)
SHARED(vec4, xs, 288)

KERNEL(tile) {
  LOCAL(vec4, ws, 512)
  LOCAL(vec4, xs, 288)
  uint k = PARAM(0);
  uint n = (k + 31u) >> 5;
  uint tokens = ROWS_OF(B3, PARAM(6), PARAM(7));
  uint first = GROUP_Z * 32u;
  uint lanes = 1u << PARAM(2);
  uint rows4 = LID & 15u; // quad of rows
  uint other = LID >> 4;  // quad of tokens; of columns where weights are decoded
  uint columns = (FLAGS & F_GATED) != 0u ? 2u : 4u;
  uint j = ((GROUP_Y * 32768u + GROUP_X) * 16u + rows4) * columns;
  uint base[4];
  bool second[4];
  UNROLL for (uint r = 0u; r < 4u; r++) {
    uint row = quad_row(PASS j, r, 4u);
    uint piece = piece_of(PASS row);
    second[r] = SECOND_TYPE(piece);
    base[r] = piece_place(PASS piece) + row * row_uints(second[r] ? TYPE1 : TYPE0, n);
  }
  uint g = other >> 1;
  uint h = other & 1u;
  vec4 total0 = VEC4(0.0f, 0.0f, 0.0f, 0.0f);
  vec4 total1 = total0;
  vec4 total2 = total0;
  vec4 total3 = total0;
  for (uint lane = 0u; lane < UMIN(lanes, n); lane++) {
    vec4 a0 = VEC4(0.0f, 0.0f, 0.0f, 0.0f);
    vec4 a1 = a0;
    vec4 a2 = a0;
    vec4 a3 = a0;
    for (uint u = lane; u < n; u += lanes) {
      vec4 w[4];
      UNROLL for (uint r = 0u; r < 4u; r++) {
        if (TYPE1 != TYPE0 && second[r]) {
          w[r] = quad_values(TYPE1, group_words(PASS TYPE1, base[r], n, u, g, h), unit_scales(PASS TYPE1, base[r], n, u), g, h);
        } else {
          w[r] = quad_values(TYPE0, group_words(PASS TYPE0, base[r], n, u, g, h), unit_scales(PASS TYPE0, base[r], n, u), g, h);
        }
      }
      uint at = other * 64u + rows4;
      ws[at] = VEC4(w[0].x, w[1].x, w[2].x, w[3].x);
      ws[at + 16u] = VEC4(w[0].y, w[1].y, w[2].y, w[3].y);
      ws[at + 32u] = VEC4(w[0].z, w[1].z, w[2].z, w[3].z);
      ws[at + 48u] = VEC4(w[0].w, w[1].w, w[2].w, w[3].w);
      for (uint i = LID; i < 256u; i += WG) {
        uint e = i & 31u;
        uint t = first + (i >> 5) * 4u;
        uint x = PARAM(3) + u * 32u + e;
        vec4 v = VEC4(0.0f, 0.0f, 0.0f, 0.0f);
        if (u * 32u + e < k) {
          if (t < tokens) { v.x = UF(B2[x + t * k]); }
          if (t + 1u < tokens) { v.y = UF(B2[x + (t + 1u) * k]); }
          if (t + 2u < tokens) { v.z = UF(B2[x + (t + 2u) * k]); }
          if (t + 3u < tokens) { v.w = UF(B2[x + (t + 3u) * k]); }
        }
        xs[e * 9u + (i >> 5)] = v;
      }
      BARRIER;
      if (first + other * 4u < tokens) {
        for (uint e = 0u; e < 32u; e++) {
          vec4 wv = ws[e * 16u + rows4];
          vec4 xv = xs[e * 9u + other];
          a0 = FMA(wv, VEC4(xv.x, xv.x, xv.x, xv.x), a0);
          a1 = FMA(wv, VEC4(xv.y, xv.y, xv.y, xv.y), a1);
          a2 = FMA(wv, VEC4(xv.z, xv.z, xv.z, xv.z), a2);
          a3 = FMA(wv, VEC4(xv.w, xv.w, xv.w, xv.w), a3);
        }
      }
      BARRIER;
    }
    total0 = total0 + a0;
    total1 = total1 + a1;
    total2 = total2 + a2;
    total3 = total3 + a3;
  }
  if (j < PARAM(8)) {
    for (uint i = 0u; i < 4u; i++) {
      uint t = first + other * 4u + i;
      vec4 sum = i == 0u ? total0 : i == 1u ? total1 : i == 2u ? total2 : total3;
      if (t < tokens) { finish_quad(PASS t, j, sum, 4u); }
    }
  }
}
