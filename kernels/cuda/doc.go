// Package cuda holds the kernels for NVIDIA GPUs as PTX, which a driver compiles for
// the GPU it finds, and says how each is launched.
//
// # Sources
//
// The small kernels are those of package shader, compiled through prelude.h. What
// decides speed is CUDA C++ of its own, one kernel a file:
//
//	product.cu    matrices times 1 to 8 rows: tokens
//	tile.cu       matrices times more rows: prompts
//	prepare.cu    rows as tile.cu reads them: normed, in float16
//	attention.cu  attention over a float16 cache, by tensor cores; its head has the order
//	              of its sums. attention_plain.cu takes other caches, in float32, and
//	              attention_merge.cu adds up what few rows leave of both
//	embed.cu      rows of a matrix by id
//	norm.cu       a norm by itself, in the order of products' norms
//	argmax.cu     the best of a row of logits; top.cu the best 128
//	read.cu       reads and nothing else: what others are measured by
//
// All is written in the words of device.h, and compiles three ways: by clang to PTX
// for sm_80 (Orin and everything newer) and for sm_72 (Xavier, where device.h makes
// up for the missing instructions), and by any C++ compiler for the host, where
// emulate.h runs a kernel's threads as fibers. Tests run the whole backend that way.
//
// kernels.go has the table of all kernels. A source sees the definitions of its
// variant, ENTRY (the name for its KERNEL_OF) and THREADS; go generate makes the PTX in
// the folder ptx, and build/ptxas says what NVIDIA's assembler makes of that.
//
// # Launching
//
// Every kernel has one parameter, Args of device.h: the four buffers, the parameters
// and the constants of its shader.Call. A grid is the call's. What constants decide
// about registers and shared memory is a variant, compiled ahead (kernels.go);
// kernels read the others where they need them. GPUs before sm_80 have no use for most
// variants, which would be half of all code: package shader calls a few with
// Features.TensorBasic, of the same order of sums.
//
// From sm_90 on a kernel may be launched as dependent on the one before it and begin
// while that still runs: every kernel lets the next one start, and waits for its inputs
// (device.h). The PTX is the same for all; overlap.go makes instructions of two marks.
//
// # Matrices
//
// A matrix is cut into tiles of 16 rows (the last one filled up with zeros), and a
// tile into steps of 64 columns. A warp takes a step at a time, and what a lane loads
// of it, by 16 bytes where there is as much, is exactly what tensor cores want of that
// lane: with g = lane / 4 and t = lane % 4, the columns 16 j + 4 t + {0, 1, 2, 3} of
// rows g and g + 8 for j = 0 to 3. The fragment A of mma.m16n8k16 is then a0 = (row g;
// columns +0, +1), a1 = (row g + 8; +0, +1), a2 = (row g; +2, +3), a3 = (row g + 8; +2,
// +3), which is a permutation of the 16 columns that the fragment B of x has, too: b0 =
// (+0, +1), b1 = (+2, +3) of row n = g of x. Package shader's tensor layouts list what
// a step has, and weights.h reads it.
//
// # Order of sums
//
// A row's result has the same bits whatever the batch and the kernel:
//
//   - x is rounded to float16, after a norm (norm.h) as it is, else times a power of
//     two for each slice that brings the slice's largest into [2^13, 2^14).
//   - The columns are cut into up to eight slices (shader.Slices), each of whole
//     steps. Within one, every block of 32 columns (16 where scales are for 16) is
//     summed by one or two mma from zero, and sum = FMA(scale, block, sum). Types with
//     minimums multiply those of a unit (64 columns, or 256) with the sums of x by one
//     or two mma more, and add that after the unit's blocks (weights.h). Types without
//     scales sum by mma all along a slice.
//   - Slices are added in order: total = FMA(1 / power, slice, total), from zero.
package cuda
