// The kernel product where the lanes of a row lie in one subgroup of SUBGROUP
// invocations: their sums go from one to the other without shared memory, and the
// lanes share the epilogue. The sums have the same bits.
CONSTANT(1, TYPE0)
CONSTANT(2, TYPE1)
CONSTANT(3, ROWS)
CONSTANT(4, NT)
CONSTANT(5, PROLOGUE)
CONSTANT(6, SUBGROUP)
NEEDS(subgroup)
INCLUDE(weights)
INCLUDE(linear)
INCLUDE(prologue)
SHARED(vec4, xs, 256u * NT)
#define SUM_AT(i) xs[i].x

// SWAP transposes a and b of two lanes whose numbers differ in bit: afterwards the
// lower one has both a's and the higher one both b's, in order.
#define SWAP(a, b, bit) \
  got = SHUFFLE((lane & bit) != 0u ? a : b, SUBGROUP_LANE ^ bit); \
  b = (lane & bit) != 0u ? b : got; \
  a = (lane & bit) != 0u ? got : a;

KERNEL(product_subgroup) {
  LOCAL(vec4, xs, 256u * NT)
INCLUDE(product_start)
INCLUDE(product_units)
  // Lane i gets the sums of row i % ROWS of ROWS neighbours, which are all it hands
  // on: a shuffle for each lane, whatever ROWS. Lanes without a unit add zeros.
  uint start = SUBGROUP_LANE - lane;
  uint mine = lane & (ROWS - 1u);
  for (uint t = 0u; t < NT; t++) {
    float s0 = acc[0];
    float s1 = ROWS > 1u ? acc[(ROWS > 1u ? 1u : 0u) * NT] : 0.0f;
    float s2 = ROWS > 2u ? acc[(ROWS > 2u ? 2u : 0u) * NT] : 0.0f;
    float s3 = ROWS > 2u ? acc[(ROWS > 2u ? 3u : 0u) * NT] : 0.0f;
    UNROLL for (uint o = 1u; o < NT; o++) {
      s0 = t == o ? acc[o] : s0;
      if (ROWS > 1u) { s1 = t == o ? acc[(ROWS > 1u ? 1u : 0u) * NT + o] : s1; }
      if (ROWS > 2u) {
        s2 = t == o ? acc[(ROWS > 2u ? 2u : 0u) * NT + o] : s2;
        s3 = t == o ? acc[(ROWS > 2u ? 3u : 0u) * NT + o] : s3;
      }
    }
    float got;
    if (ROWS > 1u) { SWAP(s0, s1, 1u) }
    if (ROWS > 2u) {
      SWAP(s2, s3, 1u)
      SWAP(s0, s2, 2u)
      SWAP(s1, s3, 2u)
    }
    float sum = 0.0f;
    for (uint l = start + mine; l < start + lanes; l += ROWS) {
      sum = sum + SHUFFLE(s0, l);
      if (ROWS > 1u) { sum = sum + SHUFFLE(s1, l); }
      if (ROWS > 2u) {
        sum = sum + SHUFFLE(s2, l);
        sum = sum + SHUFFLE(s3, l);
      }
    }
    float partner = SHUFFLE(sum, start + ((lane + columns) & (lanes - 1u)));
    if (lane < columns && first + t < tokens && j + lane < PARAM(8)) { finish(PASS first + t, j + lane, sum, partner); }
  }
}
