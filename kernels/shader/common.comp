// Functions of all kernels.

CONSTANT(0, WG)

// half_bits is the float16 nearest to f, ties to even, in the low 16 bits: APIs
// leave the rounding of their own conversions open.
uint half_bits(float f) {
  uint u = FU(f);
  uint sign = (u >> 16) & 0x8000u;
  u = u & 0x7fffffffu;
  if (u > 0x7f800000u) { return sign | 0x7e00u; }
  if (u >= 0x47800000u) { return sign | 0x7c00u; }
  if (u < 0x33000000u) { return sign; }
  uint shift = 13u;
  uint mantissa = (u & 0x7fffffu) | 0x800000u;
  uint exponent = u >> 23;
  uint base = 0u;
  if (exponent < 113u) { // subnormal
    shift = 13u + 113u - exponent;
  } else {
    base = (exponent - 112u) << 10;
    mantissa = mantissa & 0x7fffffu;
  }
  uint h = base + (mantissa >> shift);
  uint rest = mantissa & ((1u << shift) - 1u);
  uint tie = 1u << (shift - 1u);
  if (rest > tie || (rest == tie && (h & 1u) == 1u)) { h = h + 1u; }
  return sign | h;
}

// ROWS_OF is the number of rows of a run (package shader's Rows): count is the
// place in the header of the buffer Run, or all ones for a constant.
#define ROWS_OF(run, count, times) ((count) == 0xffffffffu ? (times) : (run)[(count) & 15u] * (times))

// TREE_SUM adds value over the 128 invocations of a workgroup, in a fixed shape;
// at(0) is the sum afterwards. at(i) is element i of shared memory for floats.
// Before at is used for anything else comes a BARRIER.
#define TREE_SUM(at, value) \
  at(LID) = (value); \
  BARRIER; \
  for (uint tree = 64u; tree > 0u; tree = tree >> 1) { \
    if (LID < tree) { at(LID) = at(LID) + at(LID + tree); } \
    BARRIER; \
  }

// RMS norm, everywhere in the same operations: invocation l adds the squares of
// elements l, l+128, ... by sum = FMA(x, x, sum), TREE_SUM adds the invocations,
// RMS_FACTOR is made of the sum, and RMS(x, factor) * weight is the value.
// With something to add: FMA(RMS(x, factor), weight, y).
#define RMS_FACTOR(sum, cols, eps) (1.0f / SQRT((sum) / TOF(cols) + (eps)))
#define RMS(x, factor) ((x) * (factor))

// sigmoid never computes the exponential of a positive number.
float sigmoid_of(float x) {
  float e = EXP(0.0f - FABS(x));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

// tanh_of is accurate relative to its value, near zero by its series.
float tanh_of(float x) {
  float s = x * x;
  if (s < 0.0625f) {
    return x * (1.0f + s * (-0.333333333f + s * (0.133333333f + s * (-0.0539682540f + s * 0.0218694885f))));
  }
  float e = EXP(-2.0f * FABS(x));
  float t = (1.0f - e) / (1.0f + e);
  return x < 0.0f ? 0.0f - t : t;
}

// erf_of follows Abramowitz and Stegun, 7.1.6 near zero and 7.1.26 beyond: 1.5e-7.
float erf_of(float x) {
  float s = x * x;
  if (s < 0.25f) {
    return 1.128379167f * x * (1.0f + s * (-0.333333333f + s * (0.1f + s * (-0.0238095238f + s * (0.00462962963f - s * 0.000757575758f)))));
  }
  float a = FABS(x);
  float t = 1.0f / (1.0f + 0.3275911f * a);
  float p = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  float y = 1.0f - p * EXP(0.0f - s);
  return x < 0.0f ? 0.0f - y : y;
}

// activate is package shader's Activation.
float activate(uint act, float x) {
  if (act == 1u) { return x * sigmoid_of(x); }
  if (act == 2u) { return 0.5f * x * (1.0f + tanh_of(0.797884561f * (x + 0.044715f * x * x * x))); }
  if (act == 3u) { return 0.5f * x * (1.0f + erf_of(0.707106781f * x)); }
  if (act == 4u) { return x < 0.0f ? 0.0f : x; }
  return x;
}

float soft_cap(float limit, float x) { return limit * tanh_of(x / limit); }

// EXTENT is a number that may depend on the run (package shader's Extent): times
// each size whose place in the header of the buffer Run, plus one, is a byte of code.
#define EXTENT_PART(run, code, shift) ((((code) >> shift) & 255u) == 0u ? 1u : (run)[(((code) >> shift) & 255u) - 1u])
#define EXTENT(run, times, code) ((times) * EXTENT_PART(run, code, 0) * EXTENT_PART(run, code, 8) * EXTENT_PART(run, code, 16) * EXTENT_PART(run, code, 24))
