// Copies up to four dimensions from one layout to another (package shader's Move).
// B0 is the source, B1 the arena, B2 the run.
#define SIZE(d) EXTENT(B2, PARAM(6u + 6u * d), PARAM(7u + 6u * d))
#define FROM(d) EXTENT(B2, PARAM(8u + 6u * d), PARAM(9u + 6u * d))
#define TO(d) EXTENT(B2, PARAM(10u + 6u * d), PARAM(11u + 6u * d))

KERNEL(move) {
  uint n1 = SIZE(1u);
  uint n2 = SIZE(2u);
  uint n3 = SIZE(3u);
  uint n = SIZE(0u) * n1 * n2 * n3;
  uint from = PARAM(0) + EXTENT(B2, PARAM(2), PARAM(3));
  uint to = PARAM(1) + EXTENT(B2, PARAM(4), PARAM(5));
  uint i = (GROUP_Y * 32768u + GROUP_X) * (4u * WG) + LID;
  for (uint j = 0u; j < 4u; j++) {
    if (i < n) {
      uint d3 = i % n3;
      uint rest = i / n3;
      uint d2 = rest % n2;
      rest = rest / n2;
      uint d1 = rest % n1;
      uint d0 = rest / n1;
      B1[to + d0 * TO(0u) + d1 * TO(1u) + d2 * TO(2u) + d3 * TO(3u)] =
        B0[from + d0 * FROM(0u) + d1 * FROM(1u) + d2 * FROM(2u) + d3 * FROM(3u)];
    }
    i += WG;
  }
}
