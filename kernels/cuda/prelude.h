// What the words of package shader's dialect stand for, in the words of device.h.
// Unit.Text of kernels.go puts the rest around a kernel: its constants, which are read
// when it runs (but WG), and its entry.
#pragma once
#include "device.h"

typedef u32 uint;
struct vec2 { float x, y; };
struct vec4 { float x, y, z, w; };
struct uvec2 { uint x, y; };
struct uvec4 { uint x, y, z, w; };

// Functions of the dialect have no qualifiers, and the same name in several kernels,
// not all of which use them.
#ifdef LEDGE_HOST
#define FUNCTIONS_BEGIN _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wunused-function\"") namespace {
#define FUNCTIONS_END } _Pragma("GCC diagnostic pop")
#else
#define FUNCTIONS_BEGIN \
  _Pragma("clang force_cuda_host_device begin") \
  _Pragma("clang attribute push(__attribute__((always_inline)), apply_to = function)") namespace {
#define FUNCTIONS_END } \
  _Pragma("clang attribute pop") \
  _Pragma("clang force_cuda_host_device end")
#endif

#define CONSTANT(number, name)
#define SHARED(type, name, n)
// The size is the most that it can be: of namespace room, in Unit.Text.
#define LOCAL(type, name, n) SHARED_ARRAY(type, name, room::name);
#define CTX const Args &args,
#define PASS args,
#define CTX0 const Args &args
#define PASS0 args
#define KERNEL(name) DEVICE void kernel_##name(const Args &args)
#define PARAM(i) args.p[i]
#define B0 args.b[0]
#define B1 args.b[1]
#define B2 args.b[2]
#define B3 args.b[3]
#define GROUP_X block_x()
#define GROUP_Y block_y()
#define GROUP_Z block_z()
#define LID thread_id()
#define HANDED(i) handed1(args.b[1] + (i))
#define INPUTS wait_for_inputs()
#define BARRIER sync_block()
#define UF(u) float_of(u)
#define FU(f) bits_of(f)
#define TOF(x) ((float)(x))
#define TOU(x) ((uint)(x))
#define TOI(x) ((int)(x))
#define HALF_LO(u) half_low(u)
#define HALF_HI(u) half_high(u)
#define FMA(a, b, c) fma(a, b, c)
#define SQRT(x) sqrt_of(x)
#define EXP(x) exp_of(x)
#define FABS(x) abs_of(x)
#define FMAX(a, b) max_of(a, b)
#define FMIN(a, b) min_of(a, b)
#define UMAX(a, b) max_of((uint)(a), (uint)(b))
#define UMIN(a, b) min_of((uint)(a), (uint)(b))
#define IMAX(a, b) greater_of(a, b)
#define IMIN(a, b) lesser_of(a, b)
#define VEC4(a, b, c, d) vec4{a, b, c, d}
#define DOT4(a, b) dot_of(a, b)
#define UNROLL UNROLLED

DEVICE int greater_of(int x, int y) { return x > y ? x : y; }
DEVICE int lesser_of(int x, int y) { return x < y ? x : y; }
DEVICE float dot_of(vec4 a, vec4 b) { return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, a.x * b.x))); }

// exp_of is e^x within about two units, of every x: x log2(e) is a whole number n and a
// fraction of at most half, exact to 2^-25; ex2 takes the fraction alone, near which a
// unit of its argument is small. 2^n comes in twice, as one factor it may be no float.
DEVICE float exp_of(float x) {
  float y = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x; // 0, infinity; NaN stays
  float bits = fma(y, 1.44269502f, 12582912.0f); // n in the last bits: one is worth 1
  float n = bits - 12582912.0f;
  float fraction = fma(y, 1.92596299e-8f, fma(y, 1.44269502f, 0.0f - n));
  int power = (int)(bits_of(bits) - 0x4b400000u);
  int half = power >> 1;
  return ex2(fraction) * float_of((uint)(127 + half) << 23) * float_of((uint)(127 + power - half) << 23);
}
