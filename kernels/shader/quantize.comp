// Rows of x as int8 for the kernel tile_dot: 0 columns (a multiple of 32), 3 x, 4
// out, 6 and 7 rows. With n units of a row and t rows, out has 8nt words, 8 for each
// unit and row, rows innermost, in the order of nibbles; then nt scales; then nt
// sums, of columns 0 to 15 in the low 16 bits and of 16 to 31 above. An invocation
// takes a unit. B2 arena, B3 run.
INCLUDE(weights)
INCLUDE(dot)

KERNEL(quantize) {
  uint k = PARAM(0);
  uint n = k >> 5;
  uint tokens = ROWS_OF(B3, PARAM(6), PARAM(7));
  uint token = GROUP_Y + GROUP_Z * 32768u;
  uint u = GROUP_X * WG + LID;
  if (token < tokens && u < n) {
    uint from = PARAM(3) + token * k + u * 32u;
    uint to = u * tokens + token;
    uint top = TINIEST;
    for (uint i = 0u; i < 32u; i++) { top = UMAX(top, MAGNITUDE(UF(B2[from + i]))); }
    float inverse = quant_inverse(top);
    int low = 0;
    int high = 0;
    for (uint g = 0u; g < 4u; g++) {
      uint q[8];
      UNROLL for (uint i = 0u; i < 8u; i++) { q[i] = quant_bits(UF(B2[from + g * 8u + i]), inverse); }
      uint even = WORD(q[0], q[2], q[4], q[6]);
      uint odd = WORD(q[1], q[3], q[5], q[7]);
      B2[PARAM(4) + to * 8u + g * 2u] = even;
      B2[PARAM(4) + to * 8u + g * 2u + 1u] = odd;
      int sum = DOT4I(even, 0x01010101u, 0);
      sum = DOT4I(odd, 0x01010101u, sum);
      if (g < 2u) { low = low + sum; } else { high = high + sum; }
    }
    B2[PARAM(4) + 8u * n * tokens + to] = FU(quant_scale(top));
    B2[PARAM(4) + 9u * n * tokens + to] = (TOU(low) & 0xffffu) | (TOU(high) << 16);
  }
}
