// Adds up the splits that attention.comp left of a few rows, in order: a workgroup
// for a row and head. B0 is the arena, B1 the run.
CONSTANT(1, VALUE_DIM)
CONSTANT(2, CAUSAL)
INCLUDE(attention)
#define OWN ((VALUE_DIM + WG - 1u) / WG)

KERNEL(attention_merge) {
  uint row = GROUP_X;
  uint window = PARAM(4);
  uint most = ATTENTION_SPLITS(B1, window, PARAM(5));
  uint slot = B1[PARAM(2) + 4u * row];
  uint lo = ATTENTION_LOW(slot, window);
  uint hi = ATTENTION_HIGH(slot, B1[PARAM(2) + 4u * row + 2u], CAUSAL, window);
  uint place = row * PARAM(3) + GROUP_Y;
  uint n = (hi + 255u) / 256u - lo / 256u;
  uint at = PARAM(1) + place * most * (VALUE_DIM + 2u);
  float top = ATTENTION_NONE;
  float sum = 0.0f;
  float values[OWN];
  UNROLL for (uint o = 0u; o < OWN; o++) { values[o] = 0.0f; }
  for (uint i = 0u; i < n; i++) {
    float m = UF(B0[at + VALUE_DIM]);
    float l = UF(B0[at + VALUE_DIM + 1u]);
    float keep = 0.0f;
    float take = 0.0f;
    ATTENTION_MERGE(top, sum, m, l, keep, take)
    UNROLL for (uint o = 0u; o < OWN; o++) {
      uint d = LID + o * WG;
      if (d < VALUE_DIM) { values[o] = FMA(values[o], keep, UF(B0[at + d]) * take); }
    }
    at = at + VALUE_DIM + 2u;
  }
  float divide = sum == 0.0f ? 1.0f : sum;
  UNROLL for (uint o = 0u; o < OWN; o++) {
    uint d = LID + o * WG;
    if (d < VALUE_DIM) { B0[PARAM(0) + place * VALUE_DIM + d] = FU(values[o] / divide); }
  }
}
