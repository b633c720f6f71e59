#version 310 es
// What the words of package shader's dialect stand for in OpenGL ES 3.1. The
// constants come before this as #define NAME VALUEu.
precision highp float;
precision highp int;
#define CONSTANT(number, name)
#define SHARED(type, name, n) shared type name[n];
#define LOCAL(type, name, n)
#define CTX
#define PASS
#define CTX0
#define PASS0
#define KERNEL(name) void main()
#define PARAM(i) parameters[i]
#define B0 buffer0
#define B1 buffer1
#define B2 buffer2
#define B3 buffer3
#define GROUP_X gl_WorkGroupID.x
#define GROUP_Y gl_WorkGroupID.y
#define GROUP_Z gl_WorkGroupID.z
#define LID gl_LocalInvocationID.x
#define HANDED(i) B1[i]
#define INPUTS
#define BARRIER memoryBarrierShared(); barrier()
#define UF(u) uintBitsToFloat(u)
#define FU(f) floatBitsToUint(f)
#define TOF(x) float(x)
#define TOU(x) uint(x)
#define TOI(x) int(x)
#define HALF_LO(u) unpackHalf2x16(u).x
#define HALF_HI(u) unpackHalf2x16(u).y
#define FMA(a, b, c) ((a) * (b) + (c))
#define SQRT(x) sqrt(x)
#define EXP(x) exp(x)
#define FABS(x) abs(x)
#define FMAX(a, b) max(a, b)
#define FMIN(a, b) min(a, b)
#define UMAX(a, b) max(a, b)
#define UMIN(a, b) min(a, b)
#define IMAX(a, b) max(a, b)
#define IMIN(a, b) min(a, b)
#define VEC4(a, b, c, d) vec4(a, b, c, d)
#define DOT4(a, b) dot(a, b)
#define UNROLL
int byte_at(uint w, int at) { return bitfieldExtract(int(w), at, 8); }
int dot_bytes(uint a, uint b) {
  return byte_at(a, 0) * byte_at(b, 0) + byte_at(a, 8) * byte_at(b, 8) + byte_at(a, 16) * byte_at(b, 16) + byte_at(a, 24) * byte_at(b, 24);
}
#define DOT4I(a, b, c) (dot_bytes(a, b) + (c))
layout(local_size_x = WG) in;
uniform uint parameters[32];
layout(std430, binding = 0) buffer Buffer0 { uint buffer0[]; };
layout(std430, binding = 1) buffer Buffer1 { uint buffer1[]; };
layout(std430, binding = 2) buffer Buffer2 { uint buffer2[]; };
layout(std430, binding = 3) buffer Buffer3 { uint buffer3[]; };
