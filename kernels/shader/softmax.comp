// Softmax of each row (package shader's Softmax): a workgroup for a row. B0 is the
// arena, B1 the run.
SHARED(float, red, WG)
#define RED(i) red[i]

KERNEL(softmax) {
  LOCAL(float, red, WG)
  uint cols = EXTENT(B1, PARAM(2), PARAM(3));
  uint rows = EXTENT(B1, PARAM(4), PARAM(5));
  uint row = GROUP_Y * 32768u + GROUP_X;
  bool live = row < rows;
  if (!live) { row = 0u; }
  uint x = PARAM(0) + row * cols;
  uint to = PARAM(1) + row * cols;
  float top = UF(B0[x]);
  for (uint k = LID; k < cols; k += WG) { top = FMAX(top, UF(B0[x + k])); }
  RED(LID) = top;
  BARRIER;
  for (uint tree = 64u; tree > 0u; tree = tree >> 1) {
    if (LID < tree) { RED(LID) = FMAX(RED(LID), RED(LID + tree)); }
    BARRIER;
  }
  top = RED(0u);
  BARRIER;
  float sum = 0.0f;
  for (uint k = LID; k < cols; k += WG) { sum = sum + EXP(UF(B0[x + k]) - top); }
  TREE_SUM(RED, sum)
  sum = RED(0u);
  if (live) {
    for (uint k = LID; k < cols; k += WG) { B0[to + k] = FU(EXP(UF(B0[x + k]) - top) / sum); }
  }
}
