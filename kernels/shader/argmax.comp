// The best of parts of rows (package shader's ArgMax): a workgroup for 4,096
// floats, or for all pairs that such workgroups left. Floats are compared as uints
// in the same order, where 0 stands for NaN. B0 is the arena, B1 the run, B2 what is
// read back.
CONSTANT(1, FIRST)
CONSTANT(2, LAST)
INCLUDE(order)
SHARED(uint, keys, WG)
SHARED(uint, ids, WG)

KERNEL(argmax) {
  LOCAL(uint, keys, WG)
  LOCAL(uint, ids, WG)
  uint n = PARAM(2);
  uint parts = PARAM(3);
  uint rows = EXTENT(B1, PARAM(4), PARAM(5));
  uint g = GROUP_Y * 32768u + GROUP_X;
  uint row = g / parts;
  bool live = row < rows;
  if (!live) { row = 0u; }
  uint begin = 0u;
  uint end = n;
  if (FIRST == 1u) {
    begin = (g % parts) * 4096u;
    end = UMIN(n, begin + 4096u);
  }
  uint best = 0u;
  uint id = 0xffffffffu;
  for (uint i = begin + LID; i < end; i += WG) {
    uint k = 0u;
    uint j = i;
    if (FIRST == 1u) {
      k = order_key(B0[PARAM(0) + row * n + i]);
    } else {
      k = B0[PARAM(0) + 2u * (row * n + i)];
      j = B0[PARAM(0) + 2u * (row * n + i) + 1u];
    }
    if (k > best || (k == best && k > 0u && j < id)) {
      best = k;
      id = j;
    }
  }
  keys[LID] = best;
  ids[LID] = id;
  BARRIER;
  for (uint tree = 64u; tree > 0u; tree = tree >> 1) {
    if (LID < tree) {
      uint k = keys[LID + tree];
      uint j = ids[LID + tree];
      if (k > keys[LID] || (k == keys[LID] && j < ids[LID])) {
        keys[LID] = k;
        ids[LID] = j;
      }
    }
    BARRIER;
  }
  if (LID == 0u && live) {
    if (LAST == 1u) {
      B2[PARAM(1) + 2u * row] = ids[0];
      B2[PARAM(1) + 2u * row + 1u] = key_bits(keys[0]);
    } else {
      B0[PARAM(1) + 2u * g] = keys[0];
      B0[PARAM(1) + 2u * g + 1u] = ids[0];
    }
  }
}
