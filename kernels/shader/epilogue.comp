// The epilogue of a gated product whose sums lie in the arena at PARAM(3): of a
// token all gates, then all partners. B1 vectors, B2 arena, B3 run.
INCLUDE(linear)
KERNEL(epilogue) {
  uint tokens = ROWS_OF(B3, PARAM(6), PARAM(7));
  uint j = GROUP_X * WG + LID;
  uint token = GROUP_Y + GROUP_Z * 32768u;
  if (j < PARAM(8) && token < tokens) {
    uint at = PARAM(3) + token * 2u * PARAM(8) + j;
    finish(PASS token, j, UF(B2[at]), UF(B2[at + PARAM(8)]));
  }
}
