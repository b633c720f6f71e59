// A function of two floats (package shader's Binary). B0 is the arena, B1 the run,
// B2 the vectors.
CONSTANT(1, OP)
CONSTANT(2, VECTOR)

KERNEL(binary) {
  uint n = EXTENT(B1, PARAM(3), PARAM(4));
  uint period = EXTENT(B1, PARAM(5), PARAM(6));
  uint i = (GROUP_Y * 32768u + GROUP_X) * (4u * WG) + LID;
  for (uint j = 0u; j < 4u; j++) {
    if (i < n) {
      float a = UF(B0[PARAM(0) + i]);
      uint at = PARAM(1) + (period == n ? i : i % period);
      float b = 0.0f;
      if (VECTOR == 1u) { b = UF(B2[at]); } else { b = UF(B0[at]); }
      float y = a / b;
      if (OP == 0u) { y = a + b; }
      if (OP == 1u) { y = a - b; }
      if (OP == 2u) { y = a * b; }
      B0[PARAM(2) + i] = FU(y);
    }
    i += WG;
  }
}
