// Sets PARAM(1) uints of B0 from PARAM(0) on to PARAM(2).
KERNEL(fill) {
  uint i = (GROUP_Y * 32768u + GROUP_X) * WG + LID;
  if (i < PARAM(1)) { B0[PARAM(0) + i] = PARAM(2); }
}
