// Rows of a piece of a matrix, by id: 0 columns, 1 the piece's place, 2 its first
// row, 3 its rows, 4 ids (in the run), 5 out, 6 and 7 rows. B0 weights, B2 arena,
// B3 run.
CONSTANT(1, TYPE)
INCLUDE(weights)
KERNEL(embed) {
  uint k = PARAM(0);
  uint n = (k + 31u) >> 5;
  uint token = GROUP_Y + GROUP_Z * 32768u;
  uint quad = GROUP_X * WG + LID;
  if (token < ROWS_OF(B3, PARAM(6), PARAM(7)) && quad < n * 8u) {
    uint row = B3[PARAM(4) + token] - PARAM(2);
    if (row < PARAM(3)) {
      uint u = quad >> 3;
      uint g = (quad >> 1) & 3u;
      uint h = quad & 1u;
      uint base = PARAM(1) + row * row_uints(TYPE, n);
      vec4 v = quad_values(TYPE, group_words(PASS TYPE, base, n, u, g, h), unit_scales(PASS TYPE, base, n, u), g, h);
      uint at = PARAM(5) + token * k + quad * 4u;
      uint left = k - UMIN(k, quad * 4u);
      if (left > 0u) { B2[at] = FU(v.x); }
      if (left > 1u) { B2[at + 1u] = FU(v.y); }
      if (left > 2u) { B2[at + 2u] = FU(v.z); }
      if (left > 3u) { B2[at + 3u] = FU(v.w); }
    }
  }
}
