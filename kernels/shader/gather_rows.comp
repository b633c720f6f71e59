// Copies rows by number (package shader's GatherRows): a workgroup for a row. B0
// is the arena, B1 the run.
KERNEL(gather_rows) {
  uint cols = PARAM(3);
  uint rows = EXTENT(B1, PARAM(4), PARAM(5));
  uint have = EXTENT(B1, PARAM(6), PARAM(7));
  uint row = GROUP_Y * 32768u + GROUP_X;
  if (row < rows && have > 0u) {
    uint id = UMIN(B1[PARAM(2) + row], have - 1u);
    for (uint k = LID; k < cols; k += WG) { B0[PARAM(1) + row * cols + k] = B0[PARAM(0) + id * cols + k]; }
  }
}
