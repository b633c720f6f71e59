// Rotates heads (package shader's Rope): an invocation for a pair of elements, or
// one that stays. B0 is the arena, B1 the run.
CONSTANT(1, PAIRS)

KERNEL(rope) {
  uint heads = PARAM(2);
  uint size = PARAM(3);
  uint half_dims = PARAM(4) / 2u;
  uint per = size - half_dims;
  uint i = (GROUP_Y * 32768u + GROUP_X) * WG + LID;
  if (i < B1[0] * heads * per) {
    uint head = i / per;
    uint j = i % per;
    uint at = head * size;
    if (j < half_dims) {
      uint table = PARAM(5) + (head / heads) * PARAM(4) + j;
      float c = UF(B1[table]);
      float s = UF(B1[table + half_dims]);
      uint first = at + (PAIRS == 1u ? 2u * j : j);
      uint second = PAIRS == 1u ? first + 1u : first + half_dims;
      float u = UF(B0[PARAM(0) + first]);
      float v = UF(B0[PARAM(0) + second]);
      B0[PARAM(1) + first] = FU(FMA(u, c, 0.0f - v * s));
      B0[PARAM(1) + second] = FU(FMA(u, s, v * c));
    } else {
      uint stays = at + half_dims + j;
      B0[PARAM(1) + stays] = B0[PARAM(0) + stays];
    }
  }
}
