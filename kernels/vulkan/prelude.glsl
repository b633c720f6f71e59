#version 450
// What the words of package shader's dialect stand for in Vulkan's GLSL.
#extension GL_EXT_control_flow_attributes : require
#ifdef NEEDS_SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define SUBGROUP_LANE gl_SubgroupInvocationID
#define SHUFFLE(x, i) subgroupShuffle(x, i)
#endif
#ifdef NEEDS_HALF
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define HALF2 f16vec2
#define H2(u) unpackFloat2x16(u)
#define H2U(h) packFloat2x16(h)
#define H2C(f) f16vec2(f)
#define TOH2(a, b) f16vec2(a, b)
#define HFMA(a, b, c) fma(a, b, c)
#define HX(h) float((h).x)
#define HY(h) float((h).y)
#endif
#define NEEDS(feature)
#ifdef INT_DOT
#extension GL_EXT_spirv_intrinsics : require
#endif
#define CONSTANT(number, name) layout(constant_id = number) const uint name = 1u;
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
#ifdef NEEDS_SUBGROUP // subgroups are full, but in which order is left open
#define LID (gl_SubgroupID * SUBGROUP + gl_SubgroupInvocationID)
#else
#define LID gl_LocalInvocationID.x
#endif
#define HANDED(i) B1[i]
#define INPUTS
#define BARRIER barrier()
#define UF(u) uintBitsToFloat(u)
#define FU(f) floatBitsToUint(f)
#define TOF(x) float(x)
#define TOU(x) uint(x)
#define TOI(x) int(x)
#define HALF_LO(u) unpackHalf2x16(u).x
#define HALF_HI(u) unpackHalf2x16(u).y
#define FMA(a, b, c) fma(a, b, c)
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
#define UNROLL [[unroll]]
// Kernels with DOT4I are compiled twice: with INT_DOT for devices that have the
// instruction (OpSDot of packed int8), and without for all others.
#ifdef INT_DOT
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int dot_packed(uint a, uint b, spirv_literal int format);
#define DOT4I(a, b, c) (dot_packed(a, b, 0) + (c))
#else
int byte_at(uint w, int at) { return bitfieldExtract(int(w), at, 8); }
int dot_bytes(uint a, uint b) {
  return byte_at(a, 0) * byte_at(b, 0) + byte_at(a, 8) * byte_at(b, 8) + byte_at(a, 16) * byte_at(b, 16) + byte_at(a, 24) * byte_at(b, 24);
}
#define DOT4I(a, b, c) (dot_bytes(a, b) + (c))
#endif
layout(local_size_x_id = 0) in;
layout(push_constant) uniform Parameters { uint parameters[32]; };
layout(set = 0, binding = 0) buffer Buffer0 { uint buffer0[]; };
layout(set = 0, binding = 1) buffer Buffer1 { uint buffer1[]; };
layout(set = 0, binding = 2) buffer Buffer2 { uint buffer2[]; };
layout(set = 0, binding = 3) buffer Buffer3 { uint buffer3[]; };
