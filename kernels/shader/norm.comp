// A norm of each row (package shader's Norm): a workgroup for a row. B0 is the
// arena, B1 the run, B2 the vectors.
CONSTANT(1, KIND)
CONSTANT(2, WEIGHT)
CONSTANT(3, BIAS)
CONSTANT(4, ADD)
SHARED(float, red, WG)
#define RED(i) red[i]

KERNEL(norm) {
  LOCAL(float, red, WG)
  uint rows = EXTENT(B1, PARAM(3), PARAM(4));
  uint row = GROUP_Y * 32768u + GROUP_X;
  bool live = row < rows;
  if (!live) { row = 0u; }
  uint cols = PARAM(2);
  uint x = PARAM(0) + row * cols;
  uint to = PARAM(1) + row * cols;
  uint add = PARAM(8) + row * cols;
  float mean = 0.0f;
  float sum = 0.0f;
  if (KIND == 1u) {
    for (uint k = LID; k < cols; k += WG) { sum = sum + UF(B0[x + k]); }
    TREE_SUM(RED, sum)
    mean = RED(0u) / TOF(cols);
    BARRIER;
    sum = 0.0f;
  }
  for (uint k = LID; k < cols; k += WG) {
    float v = UF(B0[x + k]) - mean;
    sum = FMA(v, v, sum);
  }
  TREE_SUM(RED, sum)
  float factor = RMS_FACTOR(RED(0u), cols, UF(PARAM(5)));
  if (live) {
    for (uint k = LID; k < cols; k += WG) {
      float v = RMS(UF(B0[x + k]) - mean, factor);
      float w = 1.0f;
      if (WEIGHT == 1u) { w = UF(B2[PARAM(6) + k]); }
      if (BIAS == 1u && ADD == 1u) {
        v = FMA(v, w, UF(B2[PARAM(7) + k])) + UF(B0[add + k]);
      } else if (BIAS == 1u) {
        v = FMA(v, w, UF(B2[PARAM(7) + k]));
      } else if (ADD == 1u) {
        v = FMA(v, w, UF(B0[add + k]));
      } else {
        v = v * w;
      }
      B0[to + k] = FU(v);
    }
  }
}
