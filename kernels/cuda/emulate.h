// The words of device.h for the host, so that kernels run, and are tested, where there
// is no GPU. A block's threads are fibers on one thread of the system; emulate/ has
// what runs them. A file of kernels compiles by
//
//	g++ -std=c++17 -DLEDGE_HOST -ffp-contract=off -x c++ -c product.cu
//
// and a program of such objects and emulate/*.cpp calls kernels by ledge_emulate
// (emulate/launch.h). With -fsanitize=address, shared memory has red zones and fibers are
// known to it; with undefined, too, accesses that are not aligned are found.
//
// Numbers are the GPU's but for mma, which leaves its order of sums open: here the 16
// products are summed in double, that is added to d, and the result rounded once; and
// for ex2, which is exp2f.
//
// What is wrong with a kernel is found as far as one run can: shared memory is full of
// NaN before each block, a copy's target is NaN from copy16 to the copy_wait of the
// thread that began it, blocks and the threads of a block run in a random order
// (LEDGE_EMULATE_SEED), and lanes that do not meet are an error. So is a word that reads,
// before its thread has waited for inputs, what a kernel before may still write, and .nc of it.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define LEDGE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEDGE_ASAN 1
#endif
#endif

#define DEVICE [[maybe_unused]] static inline
// With LEDGE_SM72 a kernel is what device72.h makes of it, and its name ends with _sm72.
// Where several files of kernels, or a file several times, become one library, each
// stands in a namespace of its own, after this header: what depends on macros would
// else be one function for all.
#ifdef LEDGE_SM72
#define KERNEL_OF(name, threads, blocks) LEDGE_KERNEL_72(name, threads, blocks)
#define LEDGE_KERNEL_72(name, threads, blocks) LEDGE_KERNEL(name##_sm72, threads, blocks)
#else
#define KERNEL_OF(name, threads, blocks) LEDGE_KERNEL(name, threads, blocks)
#endif
#define LEDGE_KERNEL(name, threads, blocks) \
  extern "C" __attribute__((visibility("hidden"))) void name(const Args a); \
  static emulate::Kernel ledge_kernel_##name(#name, threads, name); \
  extern "C" void name([[maybe_unused]] const Args a)
#define SHARED_ARRAY(type, name, n) \
  static char ledge_shared_##name; \
  [[maybe_unused]] type(&name)[n] = *(type(*)[n])emulate::shared_array(&ledge_shared_##name, sizeof(type[n]), #name)
#define DYNAMIC_SHARED(name) [[maybe_unused]] u8 *const name = emulate::self->dynamic_shared
#define UNROLLED
#define UNROLLED_BY(n)
#define LOOPED

namespace emulate {

// Kernel makes a kernel known to ledge_emulate by its name.
struct Kernel {
  const char *name;
  u32 threads; // at most
  void (*run)(const Args);
  Kernel *next;
  Kernel(const char *name, u32 threads, void (*run)(const Args));
};

struct Copies; // that a thread has begun

// Thread is what a thread of a block knows of itself.
struct Thread {
  u32 id, block[3], blocks[3];
  u8 *dynamic_shared;
  Copies *copies;
  bool waited; // for inputs
  u32 *const *buffers; // the launch's b
};

// A fiber stays on its thread of the system, where self is the one that runs.
extern thread_local Thread *self __attribute__((tls_model("initial-exec")));

u8 *shared_base(); // addresses of shared memory in a word count from here
void *shared_array(const void *key, u64 bytes, const char *name);
void meet_block();
// meet_warp waits until all lanes are there, with the same work to do: the last one
// does it for all of them. Operands are the lanes', and hold their results then.
void meet_warp(const char *what, void *operand, void (*work)(void *const operands[32]));
void copy_begin(void *shared, const void *global, bool live);
void copy_close();
void copy_end(u32 groups); // all but the last groups
[[noreturn]] void fail(const char *what, const void *address);

// of fails if p is in none of the buffers that mask has a bit for. Buffers do not overlap: an
// address is of the one that begins last before it.
enum : u32 { CONSTANT = 1 | 2, RUN = 2 | 8 }; // weights and vectors; where the host's run is
DEVICE void of(u32 mask, const void *p, const char *what) {
  const u32 *begin = nullptr;
  bool is = false;
  for (u32 i = 0; i < 4; i++) {
    const u32 *b = self->buffers[i];
    if (b == nullptr || (u64)b > (u64)p || (u64)b < (u64)begin) { continue; }
    is = (mask >> i & 1u) != 0 || (b == begin && is);
    begin = b;
  }
  if (!is) { fail(what, p); }
}
DEVICE void early(const char *what, const void *p) {
  if (!self->waited) { fail(what, p); }
}

struct Mma { float d[4]; u32 a[4], b[2]; };
void mma_work(void *const lanes[32]); // of Mma

float float_of_half(u16 h);
u16 half_of(double x); // rounded to nearest, ties to even
u16 half_fma(u16 x, u16 y, u16 z);

} // namespace emulate

DEVICE u32 thread_id() { return emulate::self->id; }
DEVICE u32 block_x() { return emulate::self->block[0]; }
DEVICE u32 block_y() { return emulate::self->block[1]; }
DEVICE u32 block_z() { return emulate::self->block[2]; }
DEVICE u32 blocks_x() { return emulate::self->blocks[0]; }

// A thread that ends without having waited is an error.
DEVICE void wait_for_inputs() { emulate::self->waited = true; }
DEVICE void let_next_start() {}

DEVICE void sync_block() { emulate::meet_block(); }
DEVICE void sync_warp() { emulate::meet_warp("sync_warp", nullptr, nullptr); }

DEVICE u32 opaque(u32 x) { return x; }

DEVICE u32 bits_of(float x) { u32 u; __builtin_memcpy(&u, &x, 4); return u; }
DEVICE float float_of(u32 x) { float f; __builtin_memcpy(&f, &x, 4); return f; }

namespace emulate {
struct Shuffle { u32 x, from, result; };
DEVICE void shuffle_work(void *const lanes[32]) {
  for (u32 i = 0; i < 32; i++) {
    Shuffle *s = (Shuffle *)lanes[i];
    s->result = ((const Shuffle *)lanes[s->from & 31u])->x;
  }
}
} // namespace emulate

DEVICE u32 shuffle(u32 x, u32 lane) {
  emulate::Shuffle s = {x, lane, 0};
  emulate::meet_warp("shuffle", &s, emulate::shuffle_work);
  return s.result;
}
DEVICE float shuffle(float x, u32 lane) { return float_of(shuffle(bits_of(x), lane)); }
DEVICE u32 shuffle_xor(u32 x, u32 mask) { return shuffle(x, (thread_id() & 31u) ^ mask); }
DEVICE float shuffle_xor(float x, u32 mask) { return float_of(shuffle_xor(bits_of(x), mask)); }

// max_of and min_of as PTX has them: -0 is less than +0, and two NaN give one.
DEVICE float max_of(float x, float y) {
  if (x != x && y != y) { return float_of(0x7fffffffu); }
  if (x != x || y != y) { return x != x ? y : x; }
  return x == y ? float_of(bits_of(x) & bits_of(y)) : x > y ? x : y;
}
DEVICE float min_of(float x, float y) {
  if (x != x && y != y) { return float_of(0x7fffffffu); }
  if (x != x || y != y) { return x != x ? y : x; }
  return x == y ? float_of(bits_of(x) | bits_of(y)) : x < y ? x : y;
}
DEVICE float fma(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
DEVICE float abs_of(float x) { return float_of(bits_of(x) & 0x7fffffffu); }
DEVICE float sqrt_of(float x) { return __builtin_sqrtf(x); }
DEVICE float ex2(float x) { return __builtin_exp2f(x); }
DEVICE u32 min_of(u32 x, u32 y) { return x < y ? x : y; }
DEVICE u32 max_of(u32 x, u32 y) { return x > y ? x : y; }

DEVICE float half_low(u32 h) { return emulate::float_of_half((u16)h); }
DEVICE float half_high(u32 h) { return emulate::float_of_half((u16)(h >> 16)); }
DEVICE u32 halves(float low, float high) { return emulate::half_of(low) | (u32)emulate::half_of(high) << 16; }
// Sums and products of two float16 are exact in double, or so near that rounding them
// again to float16 makes no difference.
DEVICE u32 h2_add(u32 x, u32 y) {
  return emulate::half_of((double)half_low(x) + half_low(y)) | (u32)emulate::half_of((double)half_high(x) + half_high(y)) << 16;
}
DEVICE u32 h2_sub(u32 x, u32 y) {
  return emulate::half_of((double)half_low(x) - half_low(y)) | (u32)emulate::half_of((double)half_high(x) - half_high(y)) << 16;
}
DEVICE u32 h2_mul(u32 x, u32 y) {
  return emulate::half_of((double)half_low(x) * half_low(y)) | (u32)emulate::half_of((double)half_high(x) * half_high(y)) << 16;
}
DEVICE u32 h2_fma(u32 x, u32 y, u32 z) {
  return emulate::half_fma((u16)x, (u16)y, (u16)z) |
      (u32)emulate::half_fma((u16)(x >> 16), (u16)(y >> 16), (u16)(z >> 16)) << 16;
}

template <u32 TABLE> DEVICE u32 lop3(u32 x, u32 y, u32 z) {
  u32 d = 0;
  for (u32 i = 0; i < 8; i++) { // bit i of the table is for x = bit 2 of i, y = bit 1, z = bit 0
    if (TABLE >> i & 1u) { d |= (i & 4u ? x : ~x) & (i & 2u ? y : ~y) & (i & 1u ? z : ~z); }
  }
  return d;
}
DEVICE u32 and_or(u32 x, u32 mask, u32 with) { return (x & mask) | with; }
DEVICE u32 prmt(u32 x, u32 y, u32 sel) {
  u64 bytes = x | (u64)y << 32;
  u32 d = 0;
  for (u32 i = 0; i < 4; i++, sel >>= 4) {
    u32 byte = (u32)(bytes >> 8 * (sel & 7u)) & 0xffu;
    if (sel & 8u) { byte = byte & 0x80u ? 0xffu : 0; } // its sign, eight times
    d |= byte << 8 * i;
  }
  return d;
}

DEVICE void aligned(const void *p, u32 bytes, const char *what) {
  if ((u64)p % bytes != 0) { emulate::fail(what, p); }
}
#define READS(name, check) \
  DEVICE u32x4 name##4(const u32 *p) { check; aligned(p, 16, #name "4 of what is not aligned to 16 bytes"); return *(const u32x4 *)p; } \
  DEVICE u32x2 name##2(const u32 *p) { check; aligned(p, 8, #name "2 of what is not aligned to 8 bytes"); return *(const u32x2 *)p; } \
  DEVICE u32 name##1(const u32 *p) { check; aligned(p, 4, #name "1 of what is not aligned to 4 bytes"); return *p; }
READS(stream, emulate::of(emulate::CONSTANT, p, "stream of what kernels write"))
READS(cached, emulate::early("cached before wait_for_inputs", p))
#undef READS

DEVICE f32x4 load4(const float *p) {
  emulate::early("load4 before wait_for_inputs", p);
  aligned(p, 16, "load4 of what is not aligned to 16 bytes");
  return *(const f32x4 *)p;
}
DEVICE f32x4 constant4(const float *p) {
  emulate::of(emulate::CONSTANT, p, "constant4 of what kernels write");
  aligned(p, 16, "constant4 of what is not aligned to 16 bytes");
  return *(const f32x4 *)p;
}
DEVICE u32 handed1(const u32 *p) {
  emulate::of(emulate::RUN, p, "handed1 of what is not the run's");
  aligned(p, 4, "handed1 of what is not aligned to 4 bytes");
  return *p;
}

DEVICE u32 shared_address(const void *p) { return (u32)((const u8 *)p - emulate::shared_base()); }
DEVICE u32 shared_load(u32 address) { return *(const u32 *)(emulate::shared_base() + address); }
DEVICE u32x4 shared4(const u32 *p) { aligned(p, 16, "shared4 of what is not aligned to 16 bytes"); return *(const u32x4 *)p; }
DEVICE void shared_put2(u32 *p, u32x2 x) { aligned(p, 8, "shared_put2 to what is not aligned to 8 bytes"); *(u32x2 *)p = x; }
DEVICE u32x2 shared2(const u32 *p) { aligned(p, 8, "shared2 of what is not aligned to 8 bytes"); return *(const u32x2 *)p; }
DEVICE u32 shared1(const u32 *p) { aligned(p, 4, "shared1 of what is not aligned to 4 bytes"); return *p; }
DEVICE u32 shared_load_half(u32 address) { return *(const u16 *)(emulate::shared_base() + address); }
DEVICE u32 shared_add(u32 *p, u32 x) { // fibers change where they meet alone
  u32 was = *p;
  *p = was + x;
  return was;
}

#ifdef LEDGE_SM72
#include "device72.h"
#else

DEVICE void mma(float d[4], const u32 a[4], const u32 b[2]) {
  emulate::Mma m = {{d[0], d[1], d[2], d[3]}, {a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  emulate::meet_warp("mma", &m, emulate::mma_work);
  for (u32 i = 0; i < 4; i++) { d[i] = m.d[i]; }
}

namespace emulate {
struct Ldmatrix { const u16 *row; u32 r[4]; };
DEVICE void ldmatrix_work(void *const lanes[32]) {
  for (u32 lane = 0; lane < 32; lane++) {
    for (u32 i = 0; i < 4; i++) {
      const u16 *row = ((const Ldmatrix *)lanes[8 * i + lane / 4])->row;
      ((Ldmatrix *)lanes[lane])->r[i] = row[2 * (lane & 3u)] | (u32)row[2 * (lane & 3u) + 1] << 16;
    }
  }
}
DEVICE void ldmatrix_transposed_work(void *const lanes[32]) {
  for (u32 lane = 0; lane < 32; lane++) {
    for (u32 i = 0; i < 4; i++) {
      u32 row = 8 * i + 2 * (lane & 3u);
      u32 low = ((const Ldmatrix *)lanes[row])->row[lane / 4], high = ((const Ldmatrix *)lanes[row + 1])->row[lane / 4];
      ((Ldmatrix *)lanes[lane])->r[i] = low | high << 16;
    }
  }
}
DEVICE void ldmatrix(u32 r[4], const void *row, const char *what, void (*work)(void *const operands[32])) {
  aligned(row, 16, "ldmatrix of a row that is not aligned to 16 bytes");
  Ldmatrix m = {(const u16 *)row, {0, 0, 0, 0}};
  meet_warp(what, &m, work);
  for (u32 i = 0; i < 4; i++) { r[i] = m.r[i]; }
}
} // namespace emulate

DEVICE void ldmatrix4(u32 r[4], const void *row) { emulate::ldmatrix(r, row, "ldmatrix4", emulate::ldmatrix_work); }
DEVICE void ldmatrix4_transposed(u32 r[4], const void *row) {
  emulate::ldmatrix(r, row, "ldmatrix4_transposed", emulate::ldmatrix_transposed_work);
}

DEVICE void copy16(void *shared, const void *global, bool live) {
  aligned(shared, 16, "copy16 to what is not aligned to 16 bytes");
  if (live) {
    aligned(global, 16, "copy16 from what is not aligned to 16 bytes");
    if (!emulate::self->waited) { emulate::of(emulate::CONSTANT, global, "copy16 before wait_for_inputs of what kernels write"); }
    // Read here, too, so that what lies outside of a buffer is found here.
    (void)((const volatile u32 *)global)[0];
    (void)((const volatile u32 *)global)[3];
  }
  emulate::copy_begin(shared, global, live);
}
DEVICE void copy_commit() { emulate::copy_close(); }
template <int N> DEVICE void copy_wait() { emulate::copy_end(N); }

#endif
