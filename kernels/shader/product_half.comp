// The kernel product in float16: half.part says how. B0 weights, B1 vectors, B2
// arena, B3 run.
CONSTANT(1, TYPE0)
CONSTANT(2, TYPE1)
CONSTANT(3, ROWS)
CONSTANT(4, NT)
CONSTANT(5, PROLOGUE)
NEEDS(half)
INCLUDE(weights)
INCLUDE(linear)
INCLUDE(prologue)
INCLUDE(half)
SHARED(uvec4, xs, 128u * NT)
SHARED(float, most, 256)
SHARED(float, downs, 32u * NT)
SHARED(float, sums, 128u * NT)
#define SUM_AT(i) most[i]
#define PUT_SUM(i, v) \
  xs[i].x = FU(v.x); \
  xs[i].y = FU(v.y); \
  xs[i].z = FU(v.z); \
  xs[i].w = FU(v.w);
#define GET_SUM(i) VEC4(UF(xs[i].x), UF(xs[i].y), UF(xs[i].z), UF(xs[i].w))

// Where the pairs of group g of unit u lie: groups change places so that lanes read
// different banks.
#define GROUP_AT(t, u, g) ((t) * 128u + (u) * 4u + ((g) ^ (((u) >> 1) & 3u)))

KERNEL(product_half) {
  LOCAL(uvec4, xs, 128u * NT)
  LOCAL(float, most, 256)
  LOCAL(float, downs, 32u * NT)
  LOCAL(float, sums, 128u * NT)
INCLUDE(product_start)
  for (uint from = 0u; from < n; from += 32u) {
    // 32 units of x, a group for each invocation. The largest of a unit is that of
    // four neighbours; two halves of their memory make one barrier enough.
    for (uint t = 0u; t < NT; t++) {
      uint token = UMIN(first + t, tokens - 1u);
      uint at = from * 32u + LID * 8u;
      float f = factor[0];
      float d = added[0];
      UNROLL for (uint o = 1u; o < NT; o++) {
        f = t == o ? factor[o] : f;
        d = t == o ? added[o] : d;
      }
      float v[8];
      if (at + 8u <= k) {
        X8(token, at, v, 0u, d, f)
      } else {
        UNROLL for (uint e = 0u; e < 8u; e++) {
          v[e] = 0.0f;
          if (at + e < k) { v[e] = normed(PASS at + e, x_of(PASS token, at + e, d), f); }
        }
      }
      vec4 a = VEC4(v[0], v[1], v[2], v[3]);
      vec4 b = VEC4(v[4], v[5], v[6], v[7]);
      uint half_at = (t & 1u) * 128u;
      most[half_at + LID] = MOST_OF(a, b);
      BARRIER;
      uint unit = LID >> 2;
      half_at = half_at + 4u * unit;
      float m = FMAX(FMAX(most[half_at], most[half_at + 1u]), FMAX(most[half_at + 2u], most[half_at + 3u]));
      float up = up_of(m);
      uvec4 pairs;
      float sum;
      PAIRS_OF(pairs, sum, a, b, up)
      xs[GROUP_AT(t, unit, LID & 3u)] = pairs;
      sums[t * 128u + LID] = sum;
      if ((LID & 3u) == 0u) { downs[t * 32u + unit] = down_of(m); }
    }
    BARRIER;
    for (uint u = lane; u < 32u && from + u < n; u += lanes) {
      vec4 scales[ROWS];
      UNROLL for (uint r = 0u; r < ROWS; r++) {
        if (TYPE1 != TYPE0 && second[r]) {
          scales[r] = signed_scales(PASS TYPE1, base[r], n, from + u);
        } else {
          scales[r] = signed_scales(PASS TYPE0, base[r], n, from + u);
        }
      }
      float parts[ROWS * NT];
      HALF2 pair_sums[ROWS * NT];
      UNROLL for (uint i = 0u; i < ROWS * NT; i++) {
        pair_sums[i] = H2C(0.0f);
        parts[i] = 0.0f;
      }
      UNROLL for (uint g = 0u; g < 4u; g++) {
        uvec4 x[NT];
        UNROLL for (uint t = 0u; t < NT; t++) { x[t] = xs[GROUP_AT(t, u, g)]; }
        UNROLL for (uint r = 0u; r < ROWS; r++) {
          HALF2 w[4];
          if (TYPE1 != TYPE0 && second[r]) {
            uvec4 q = unit_spread(PASS TYPE1, base[r], n, from + u, g);
            UNROLL for (uint p = 0u; p < 4u; p++) { w[p] = pair_value(TYPE1, q, p); }
          } else {
            uvec4 q = unit_spread(PASS TYPE0, base[r], n, from + u, g);
            UNROLL for (uint p = 0u; p < 4u; p++) { w[p] = pair_value(TYPE0, q, p); }
          }
          UNROLL for (uint t = 0u; t < NT; t++) { PAIRS_ADD(pair_sums[r * NT + t], w[0], w[1], w[2], w[3], x[t]) }
        }
        if (g == 3u || (SPLIT && g == 1u)) {
          UNROLL for (uint i = 0u; i < ROWS * NT; i++) { PAIRS_END(parts[i], pair_sums[i], g < 2u ? scales[i / NT].x : scales[i / NT].z) }
        }
      }
      UNROLL for (uint t = 0u; t < NT; t++) {
        uint x_at = t * 128u + u * 4u;
        float down = downs[t * 32u + u];
        UNROLL for (uint r = 0u; r < ROWS; r++) {
          UNIT_END(acc[r * NT + t], parts[r * NT + t], scales[r], sums[x_at], sums[x_at + 1u], sums[x_at + 2u], sums[x_at + 3u], down)
        }
      }
    }
    BARRIER;
  }
INCLUDE(product_sum)
}
