// Copies rows by number (package shader's GatherRows): a workgroup for a row. B0
// is the arena, B1 the run.
KERNEL(gather_rows) {
  uint cols = PARAM(3);
  uint rows = EXTENT(B1, PARAM(4), PARAM(5));
  uint have = EXTENT(B1, PARAM(6), PARAM(7));
  uint row = GROUP_Y * 32768u + GROUP_X;
  if (row < rows && have > 0u) {
    uint id = UMIN(B1[PARAM(2) + row], have - 1u);
    uint from = PARAM(0) + id * cols;
    uint to = PARAM(1) + row * cols;
    uint last = cols - 1u;
    for (uint k = LID; k < cols; k += 4u * WG) { // four loads together: compilers do not know that no store is in their way
      uint k1 = k + WG;
      uint k2 = k1 + WG;
      uint k3 = k2 + WG;
      uint v0 = B0[from + k];
      uint v1 = B0[from + UMIN(k1, last)];
      uint v2 = B0[from + UMIN(k2, last)];
      uint v3 = B0[from + UMIN(k3, last)];
      B0[to + k] = v0;
      if (k1 < cols) { B0[to + k1] = v1; }
      if (k2 < cols) { B0[to + k2] = v2; }
      if (k3 < cols) { B0[to + k3] = v3; }
    }
  }
}
