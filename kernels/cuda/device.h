// The words that kernels are written in, for clang's CUDA. emulate.h has the same
// words for the host. There is no CUDA toolkit: what its headers offer and kernels
// need is here, by name of the PTX instruction where there is one.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct Args { // of every kernel: see package cuda
  u32 *b[4];  // buffers, as the call's roles say
  u32 p[32];  // parameters
  u32 c[8];   // constants; c[0] is the number of threads
#ifdef LEDGE_TRACE
  u64 *trace; // where blocks leave their times
#endif
};

struct alignas(16) u32x4 { u32 x, y, z, w; };
struct alignas(8) u32x2 { u32 x, y; };
struct alignas(16) f32x4 { float x, y, z, w; };
struct alignas(8) f32x2 { float x, y; };

#define SHARED_LINE 128 // bytes, that memory of a launch's begins with

#ifndef LEDGE_HOST

#define DEVICE __attribute__((device, always_inline)) inline
// KERNEL_OF begins a kernel of so many threads, of which at least so many blocks are
// to fit a multiprocessor.
#ifndef LEDGE_TRACE // else trace.h has it
#define KERNEL_OF(name, threads, blocks) \
  extern "C" __attribute__((global, launch_bounds(threads, blocks))) void name(const Args a)
#endif
// SHARED_ARRAY is shared memory whose size is known; DYNAMIC_SHARED what the launch
// gives, aligned to SHARED_LINE. Both stand at the beginning of a kernel.
#define SHARED_ARRAY(type, name, n) static __attribute__((shared, aligned(16))) type name[n]
#define DYNAMIC_SHARED(name) extern __attribute__((shared, aligned(SHARED_LINE))) u8 name[]
#define UNROLLED _Pragma("unroll")
#define UNROLLED_BY(n) LEDGE_PRAGMA(clang loop unroll_count(n))
#define LOOPED LEDGE_PRAGMA(clang loop unroll(disable))
#define LEDGE_PRAGMA(text) _Pragma(#text)

DEVICE u32 thread_id() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE u32 block_x() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE u32 block_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEVICE u32 block_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
DEVICE u32 blocks_x() { return __nvvm_read_ptx_sreg_nctaid_x(); }

#ifdef LEDGE_TRACE
#include "trace.h"
#else
DEVICE void trace_time(u32) {}
#endif

// A kernel of a run may begin while the one before it still runs (CUDA's programmatic
// dependent launch, from sm_90 on): that one's blocks have all begun, and said that the
// next may start. wait_for_inputs waits until it has ended and what it wrote can be seen;
// what comes before in the text may read weights and parameters, and write nothing.
//
// Every thread of every kernel comes by it, also where there is nothing to do. So a
// kernel ends after the one before it has, which ended after the one before that: who
// has waited for one has waited for all before, and may write over what any of them
// read. In the PTX both are comments, which Find makes instructions of.
DEVICE void wait_for_inputs() {
  asm volatile("// LEDGE_WAIT" : : : "memory");
  trace_time(1);
}
DEVICE void let_next_start() { asm volatile("// LEDGE_NEXT" : : : "memory"); }

DEVICE void sync_block() { __syncthreads(); }
DEVICE void sync_warp() { __nvvm_bar_warp_sync(0xffffffffu); }

// All 32 lanes of a warp take part in these, and in mma and ldmatrix.
DEVICE u32 shuffle(u32 x, u32 lane) { return __nvvm_shfl_sync_idx_i32(0xffffffffu, x, lane, 31); }
DEVICE float shuffle(float x, u32 lane) { return __nvvm_shfl_sync_idx_f32(0xffffffffu, x, lane, 31); }
DEVICE u32 shuffle_xor(u32 x, u32 mask) { return __nvvm_shfl_sync_bfly_i32(0xffffffffu, x, mask, 31); }
DEVICE float shuffle_xor(float x, u32 mask) { return __nvvm_shfl_sync_bfly_f32(0xffffffffu, x, mask, 31); }

// opaque is x, of which compilers know nothing: what depends on it stays where it is,
// and takes no register all along a loop.
DEVICE u32 opaque(u32 x) { asm volatile("" : "+r"(x)); return x; }

DEVICE u32 bits_of(float x) { return __builtin_bit_cast(u32, x); }
DEVICE float float_of(u32 x) { return __builtin_bit_cast(float, x); }
DEVICE float fma(float x, float y, float z) { return __nvvm_fma_rn_f(x, y, z); }
DEVICE float max_of(float x, float y) { return __nvvm_fmax_f(x, y); } // the number, if one is no number
DEVICE float min_of(float x, float y) { return __nvvm_fmin_f(x, y); }
DEVICE float abs_of(float x) { return float_of(bits_of(x) & 0x7fffffffu); }
DEVICE float sqrt_of(float x) { return __nvvm_sqrt_rn_f(x); }
DEVICE float ex2(float x) { return __nvvm_ex2_approx_f(x); } // 2^x within 2 units; subnormal results are right
DEVICE u32 min_of(u32 x, u32 y) { return x < y ? x : y; }
DEVICE u32 max_of(u32 x, u32 y) { return x > y ? x : y; }

// Two float16 in a word, the first in its low half.
DEVICE u32 h2_add(u32 x, u32 y) { u32 d; asm("add.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(x), "r"(y)); return d; }
DEVICE u32 h2_sub(u32 x, u32 y) { u32 d; asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(x), "r"(y)); return d; }
DEVICE u32 h2_mul(u32 x, u32 y) { u32 d; asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(x), "r"(y)); return d; }
DEVICE u32 h2_fma(u32 x, u32 y, u32 z) { u32 d; asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(x), "r"(y), "r"(z)); return d; }
DEVICE float half_low(u32 h) { float f; asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, l;}" : "=f"(f) : "r"(h)); return f; }
DEVICE float half_high(u32 h) { float f; asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, h;}" : "=f"(f) : "r"(h)); return f; }
// Two floats rounded to nearest even.
DEVICE u32 halves(float low, float high) {
#if __CUDA_ARCH__ >= 800
  u32 d; asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low)); return d;
#else
  u32 d; asm("{.reg .b16 l, h; cvt.rn.f16.f32 l, %1; cvt.rn.f16.f32 h, %2; mov.b32 %0, {l, h};}" : "=r"(d) : "f"(low), "f"(high)); return d;
#endif
}

// lop3 is any function of three bits: its table for (a, b, c) = (0xf0, 0xcc, 0xaa).
template <u32 TABLE> DEVICE u32 lop3(u32 x, u32 y, u32 z) {
  u32 d; asm("lop3.b32 %0, %1, %2, %3, %4;" : "=r"(d) : "r"(x), "r"(y), "r"(z), "n"(TABLE)); return d;
}
DEVICE u32 and_or(u32 x, u32 mask, u32 with) { return lop3<(0xf0 & 0xcc) | 0xaa>(x, mask, with); }
// prmt picks four of the eight bytes of x (0 to 3) and y (4 to 7), a nibble of sel each.
DEVICE u32 prmt(u32 x, u32 y, u32 sel) { u32 d; asm("prmt.b32 %0, %1, %2, %3;" : "=r"(d) : "r"(x), "r"(y), "r"(sel)); return d; }

// Loads of what is read once and by no other block: weights. Global memory, aligned.
#if __CUDA_ARCH__ >= 800
#define STREAM "ld.global.nc.L1::no_allocate.L2::128B"
#else
#define STREAM "ld.global.nc"
#endif
#define LOADS(name, how) \
  DEVICE u32x4 name##4(const u32 *p) { \
    u32x4 d; asm volatile(how ".v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(d.x), "=r"(d.y), "=r"(d.z), "=r"(d.w) : "l"(p)); return d; \
  } \
  DEVICE u32x2 name##2(const u32 *p) { u32x2 d; asm volatile(how ".v2.u32 {%0, %1}, [%2];" : "=r"(d.x), "=r"(d.y) : "l"(p)); return d; } \
  DEVICE u32 name##1(const u32 *p) { u32 d; asm volatile(how ".u32 %0, [%1];" : "=r"(d) : "l"(p)); return d; }
LOADS(stream, STREAM)

// The same for the cache, which a kernel before has written: one that began before that
// had ended may not read it by .nc, whose memory nobody writes while a kernel runs.
#if __CUDA_ARCH__ >= 800
#define CACHED "ld.global.L1::no_allocate.L2::128B"
#else
#define CACHED "ld.global"
#endif
LOADS(cached, CACHED)

// load4 reads what may be read again, and may have been written before the kernel: it
// stays behind wait_for_inputs.
DEVICE f32x4 load4(const float *p) {
  f32x4 d; asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(d.x), "=f"(d.y), "=f"(d.z), "=f"(d.w) : "l"(p)); return d;
}
// constant4 reads what no kernel writes: it may come before wait_for_inputs.
DEVICE f32x4 constant4(const float *p) {
  f32x4 d; asm volatile("ld.global.nc.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(d.x), "=f"(d.y), "=f"(d.z), "=f"(d.w) : "l"(p)); return d;
}
// handed1 reads what the host has written for the run, before the kernels of the run: from
// the level 2 cache, for a multiprocessor may still have what was there for the run before.
DEVICE u32 handed1(const u32 *p) { u32 d; asm volatile("ld.global.cg.u32 %0, [%1];" : "=r"(d) : "l"(p)); return d; }

// An address of shared memory in a word, and what is there.
DEVICE u32 shared_address(const void *p) { return (u32)(u64)(const __attribute__((address_space(3))) void *)p; }
DEVICE u32 shared_load(u32 address) { u32 d; asm volatile("ld.shared.u32 %0, [%1];" : "=r"(d) : "r"(address) : "memory"); return d; }
// What is loaded together, in one instruction each: compilers take loads of structs apart.
DEVICE u32x4 shared4(const u32 *p) {
  u32x4 d; asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(d.x), "=r"(d.y), "=r"(d.z), "=r"(d.w) : "r"(shared_address(p)) : "memory"); return d;
}
DEVICE u32x2 shared2(const u32 *p) {
  u32x2 d; asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(d.x), "=r"(d.y) : "r"(shared_address(p)) : "memory"); return d;
}
DEVICE void shared_put2(u32 *p, u32x2 x) { asm volatile("st.shared.v2.u32 [%0], {%1, %2};" : : "r"(shared_address(p)), "r"(x.x), "r"(x.y) : "memory"); }
DEVICE u32 shared1(const u32 *p) { return shared_load(shared_address(p)); }
DEVICE u32 shared_load_half(u32 address) {
  u32 d; asm volatile("{.reg .b16 h; ld.shared.b16 h, [%1]; cvt.u32.u16 %0, h;}" : "=r"(d) : "r"(address) : "memory"); return d;
}

// shared_add adds to a word of shared memory, at once, and gives what it was.
DEVICE u32 shared_add(u32 *p, u32 x) {
  u32 d; asm volatile("atom.shared.add.u32 %0, [%1], %2;" : "=r"(d) : "r"(shared_address(p)), "r"(x) : "memory"); return d;
}

// d += a * b: a is 16 x 16 (fragment A, row), b 16 x 8 (fragment B, column), d 16 x 8:
// d[0], d[1] are row g, columns 2 t and 2 t + 1, and d[2], d[3] those of row g + 8.
DEVICE void mma(float d[4], const u32 a[4], const u32 b[2]);
// r[i] is the lane's part of the i-th 8 x 8 matrix of float16; lane 8 i + j gives the
// address of its row j, 16 bytes of shared memory. Transposed, rows are columns.
DEVICE void ldmatrix4(u32 r[4], const void *row);
DEVICE void ldmatrix4_transposed(u32 r[4], const void *row);
// copy16 begins to copy 16 bytes from global to shared memory, zeros if not live;
// copy_commit closes a group of copies, and copy_wait waits for all but the last N.
// copy16_in_place is copy16 of bytes that lie in 32 as they did, as memory is asked for 32 at a
// time.
DEVICE void copy16(void *shared, const void *global, bool live);
DEVICE void copy16_in_place(void *shared, const void *global, bool live);
DEVICE void copy_commit();
template <int N> DEVICE void copy_wait();

#if __CUDA_ARCH__ >= 800
DEVICE void mma(float d[4], const u32 a[4], const u32 b[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
DEVICE void ldmatrix4(u32 r[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
DEVICE void ldmatrix4_transposed(u32 r[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
DEVICE void copy16(void *shared, const void *global, bool live) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(shared_address(shared)), "l"(global), "r"(live ? 16 : 0) : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" : : : "memory"); }
template <int N> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" : : "n"(N) : "memory"); }
#else
#include "device72.h"
#endif

#else
#include "emulate.h"
#endif

DEVICE void copy16_in_place(void *shared, const void *global, bool live) {
#ifdef LEDGE_HOST
  if ((((u64)shared ^ (u64)global) & 31) != 0) { emulate::fail("copy16_in_place to another place in 32 bytes", shared); }
#endif
  copy16(shared, global, live);
}
