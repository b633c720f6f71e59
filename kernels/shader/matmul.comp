// Products of two values (package shader's MatMul): a workgroup for a tile of 16
// rows and 16 columns, an invocation for two rows of a column; k in order. B0 is
// the arena, B1 the run.
SHARED(float, ta, 256)
SHARED(float, tb, 256)

KERNEL(matmul) {
  LOCAL(float, ta, 256)
  LOCAL(float, tb, 256)
  uint batch = EXTENT(B1, PARAM(3), PARAM(4));
  uint m = EXTENT(B1, PARAM(5), PARAM(6));
  uint n = EXTENT(B1, PARAM(7), PARAM(8));
  uint kn = EXTENT(B1, PARAM(9), PARAM(10));
  uint tiles = (n + 15u) / 16u;
  uint per = ((m + 15u) / 16u) * tiles;
  uint g = GROUP_Y * 32768u + GROUP_X;
  uint b = g / per;
  bool live = b < batch;
  if (!live) { b = 0u; }
  uint row0 = ((g % per) / tiles) * 16u;
  uint col0 = ((g % per) % tiles) * 16u;
  uint a = PARAM(0) + b * m * kn;
  uint y = PARAM(1) + b * kn * n;
  uint r = LID / 16u;
  uint c = LID % 16u;
  float sum0 = 0.0f;
  float sum1 = 0.0f;
  for (uint k0 = 0u; k0 < kn; k0 += 16u) {
    for (uint i = LID; i < 256u; i += WG) {
      uint hi = i / 16u;
      uint lo = i % 16u;
      float va = 0.0f;
      float vb = 0.0f;
      if (row0 + hi < m && k0 + lo < kn) { va = UF(B0[a + (row0 + hi) * kn + k0 + lo]); }
      if (k0 + hi < kn && col0 + lo < n) { vb = UF(B0[y + (k0 + hi) * n + col0 + lo]); }
      ta[i] = va;
      tb[i] = vb;
    }
    BARRIER;
    uint depth = UMIN(16u, kn - k0);
    for (uint k = 0u; k < depth; k++) {
      float v = tb[k * 16u + c];
      sum0 = FMA(ta[r * 16u + k], v, sum0);
      sum1 = FMA(ta[(r + 8u) * 16u + k], v, sum1);
    }
    BARRIER;
  }
  uint to = PARAM(2) + (b * m + row0) * n + col0 + c;
  if (live && col0 + c < n) {
    if (row0 + r < m) { B0[to + r * n] = FU(sum0); }
    if (row0 + r + 8u < m) { B0[to + (r + 8u) * n] = FU(sum1); }
  }
}
