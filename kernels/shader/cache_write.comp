// Stores keys and values of the run's rows (package shader's CacheWrite): an
// invocation for a word. B0 is the arena, B1 the run, B2 the keys, B3 the values.
CONSTANT(1, F32)

KERNEL(cache_write) {
  uint heads = PARAM(2);
  uint kdim = PARAM(3);
  uint vdim = PARAM(4);
  uint kwords = F32 == 1u ? kdim : (kdim + 1u) / 2u;
  uint vwords = F32 == 1u ? vdim : (vdim + 1u) / 2u;
  uint per = kwords + vwords;
  uint i = (GROUP_Y * 32768u + GROUP_X) * WG + LID;
  if (i < B1[0] * heads * per) {
    uint w = i % per;
    uint head = (i / per) % heads;
    uint row = i / (per * heads);
    bool key = w < kwords;
    if (!key) { w = w - kwords; }
    uint dim = key ? kdim : vdim;
    uint from = (key ? PARAM(0) : PARAM(1)) + (row * heads + head) * dim;
    uint word = 0u;
    if (F32 == 1u) {
      word = B0[from + w];
    } else {
      word = half_bits(UF(B0[from + 2u * w]));
      if (2u * w + 1u < dim) { word = word | (half_bits(UF(B0[from + 2u * w + 1u])) << 16); }
    }
    uint info = PARAM(5) + 4u * row;
    uint slot = B1[info];
    uint page = B1[B1[info + 1u] + slot / 64u];
    if (key) {
      B2[((page * heads + head) * kwords + w) * 64u + slot % 64u] = word;
    } else {
      B3[((page * heads + head) * 64u + slot % 64u) * vwords + w] = word;
    }
  }
}
