// Timers, in kernels that are built to be looked at (gen -trace) and never committed: when
// each block began, when its inputs were there and when it ended. Nothing else shows what
// kernels of a graph do that begin before the one before them has ended.
//
// Each block has eight words of 8 bytes at Args.trace: the three times in nanoseconds of a
// clock that all multiprocessors share, and 1 + its multiprocessor. Thread 0 keeps the
// first two in shared memory, so that they take no registers.
#pragma once

enum : u32 { TRACED_BLOCKS = 512 }; // of a launch; those behind them leave nothing

static __attribute__((shared, aligned(16))) u64 traced_times[2];

DEVICE u64 nanoseconds() { u64 t; asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t)); return t; }
DEVICE u32 multiprocessor() { u32 i; asm volatile("mov.u32 %0, %%smid;" : "=r"(i)); return i; }

DEVICE void trace_time(u32 i) {
  if (thread_id() == 0) { traced_times[i] = nanoseconds(); }
}

DEVICE void trace_end(const Args &a) {
  __syncthreads();
  const u32 block = block_x() + blocks_x() * (block_y() + __nvvm_read_ptx_sreg_nctaid_y() * block_z());
  if (thread_id() == 0 && a.trace != nullptr && block < TRACED_BLOCKS) {
    u64 *const to = a.trace + 8 * block;
    to[0] = traced_times[0];
    to[1] = traced_times[1];
    to[2] = nanoseconds();
    to[3] = multiprocessor() + 1;
  }
}

#define KERNEL_OF(name, threads, blocks) \
  DEVICE void traced_kernel(const Args &a); \
  extern "C" __attribute__((global, launch_bounds(threads, blocks))) void name(const Args a) { \
    trace_time(0); \
    traced_kernel(a); \
    trace_end(a); \
  } \
  DEVICE void traced_kernel(const Args &a)
