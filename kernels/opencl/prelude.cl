// What the words of package shader's dialect stand for in OpenCL C 1.2. The
// constants come before this as #define NAME VALUEu.
#pragma OPENCL FP_CONTRACT OFF
typedef float2 vec2;
typedef float4 vec4;
typedef uint2 uvec2;
typedef uint4 uvec4;
typedef struct { uint p[32]; } Parameters;
#define ARGS __global uint *buffer0, __global uint *buffer1, __global uint *buffer2, __global uint *buffer3, const Parameters parameters
#define CONSTANT(number, name)
#define SHARED(type, name, n)
#define LOCAL(type, name, n) __local type name[n];
#define CTX ARGS,
#define PASS buffer0, buffer1, buffer2, buffer3, parameters,
#define CTX0 ARGS
#define PASS0 buffer0, buffer1, buffer2, buffer3, parameters
#define KERNEL(name) __kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void name(ARGS)
#define PARAM(i) parameters.p[i]
#define B0 buffer0
#define B1 buffer1
#define B2 buffer2
#define B3 buffer3
#define GROUP_X ((uint)get_group_id(0))
#define GROUP_Y ((uint)get_group_id(1))
#define GROUP_Z ((uint)get_group_id(2))
#define LID ((uint)get_local_id(0))
#define HANDED(i) B1[i]
#define INPUTS
#define BARRIER barrier(CLK_LOCAL_MEM_FENCE)
#define UF(u) as_float(u)
#define FU(f) as_uint(f)
#define TOF(x) ((float)(x))
#define TOU(x) ((uint)(x))
#define TOI(x) ((int)(x))
float half_of(uint u) { ushort h = (ushort)u; return vload_half(0, (const __private half *)&h); }
#define HALF_LO(u) half_of(u)
#define HALF_HI(u) half_of((u) >> 16)
// Where there is no instruction for it, fma is a function of hundreds. FUSED comes
// before this on a device that has one; not all that have define FP_FAST_FMAF.
#if defined(FUSED) || defined(FP_FAST_FMAF)
#define FMA(a, b, c) fma(a, b, c)
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif
#define SQRT(x) sqrt(x)
#define EXP(x) exp(x)
#define FABS(x) fabs(x)
#define FMAX(a, b) fmax(a, b)
#define FMIN(a, b) fmin(a, b)
#define UMAX(a, b) max(a, b)
#define UMIN(a, b) min(a, b)
#define IMAX(a, b) max(a, b)
#define IMIN(a, b) min(a, b)
#define VEC4(a, b, c, d) ((float4)(a, b, c, d))
#define DOT4(a, b) dot(a, b)
#if defined(__clang_major__) && __clang_major__ >= 4
#define UNROLL __attribute__((opencl_unroll_hint))
#else
#define UNROLL // older compilers take no attribute before a statement
#endif
// Names of types on devices that have float16, free to use elsewhere.
#define half16 half16_
// Where the compiler knows an instruction for it, it has a name.
#if defined(cl_khr_integer_dot_product) || defined(__opencl_c_integer_dot_product_input_4x8bit_packed)
#define DOT4I(a, b, c) (dot_4x8packed_ss_int(a, b) + (c))
#elif defined(cl_arm_integer_dot_product_accumulate_int8)
#pragma OPENCL EXTENSION cl_arm_integer_dot_product_accumulate_int8 : enable
#define DOT4I(a, b, c) arm_dot_acc(as_char4(a), as_char4(b), c)
#else
inline int dot_bytes(uint a, uint b) {
  int4 p = convert_int4(as_char4(a)) * convert_int4(as_char4(b));
  return p.x + p.y + p.z + p.w;
}
#define DOT4I(a, b, c) (dot_bytes(a, b) + (c))
#endif
