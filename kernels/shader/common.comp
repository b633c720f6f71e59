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
