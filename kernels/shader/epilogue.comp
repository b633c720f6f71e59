// The epilogue of products whose sums lie in the arena at PARAM(3), all rows of a
// token side by side. B1 vectors, B2 arena, B3 run.
INCLUDE(linear)
KERNEL(epilogue) {
  uint tokens = ROWS_OF(B3, PARAM(6), PARAM(7));
  uint j = GROUP_X * WG + LID;
  uint token = GROUP_Y + GROUP_Z * 32768u;
  if (j < PARAM(8) && token < tokens) {
    bool gated = (FLAGS & F_GATED) != 0u;
    uint at = PARAM(3) + token * (gated ? 2u * PARAM(8) : PARAM(8)) + j;
    float a = UF(B2[at]);
    float b = gated ? UF(B2[at + PARAM(8)]) : 0.0f;
    finish(PASS token, j, a, b);
  }
}
