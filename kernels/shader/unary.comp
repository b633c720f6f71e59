// A function of each float (package shader's Unary). B0 is the arena, B1 the run.
CONSTANT(1, OP)

float apply(CTX float x, float factor) {
  if (OP == 0u) { return x * factor; }
  if (OP == 1u) { return soft_cap(factor, x); }
  if (OP <= 5u) { return activate(OP - 1u, x); }
  if (OP == 6u) { return tanh_of(x); }
  if (OP == 7u) { return sigmoid_of(x); }
  return EXP(x);
}

KERNEL(unary) {
  uint n = EXTENT(B1, PARAM(2), PARAM(3));
  uint i = (GROUP_Y * 32768u + GROUP_X) * (4u * WG) + LID;
  for (uint j = 0u; j < 4u; j++) {
    if (i < n) { B0[PARAM(1) + i] = FU(apply(PASS UF(B0[PARAM(0) + i]), UF(PARAM(4)))); }
    i += WG;
  }
}
