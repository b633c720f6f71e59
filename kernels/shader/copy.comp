// Copies uints as they lie. B0 is the source, B1 the result, B2 the run.
KERNEL(copy) {
  uint n = EXTENT(B2, PARAM(2), PARAM(3));
  uint i = (GROUP_Y * 32768u + GROUP_X) * (4u * WG) + LID;
  for (uint j = 0u; j < 4u; j++) {
    if (i < n) { B1[PARAM(1) + i] = B0[PARAM(0) + i]; }
    i += WG;
  }
}
