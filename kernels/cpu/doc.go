// Package cpu has Ledge's kernels for CPUs: products with packed weights,
// attention over a paged cache, and the row operations between them.
//
// A Kernels value is one feature level of the processor: plain Go (Generic), or
// assembly for a set of instructions. Select picks the best that the processor
// has; the environment variable LEDGE_CPU forces one. The kernels know no graph,
// start no goroutine and allocate nothing: every call works on a range of its
// problem, so that a pool of workers can share it out.
//
// # Determinism
//
// A row's result depends on its own inputs and on the level alone. It has the
// same bits whether it is computed by itself or with others, and however the
// work is cut into ranges:
//
//   - a product keeps one float32 accumulator per output and walks K in order,
//     whatever the number of rows;
//   - sums and maxima over a row have one fixed shape: 64 lanes taken round-robin
//     by position, then a fixed tree;
//   - attention is computed per query row and head over splits of 256 positions
//     at absolute multiples of 256; partial results are merged in order;
//   - positions that a row must not see contribute nothing to it, whatever lies
//     there, NaN included.
//
// # Formats
//
// Weights are packed 16 rows at a time (see Layout); activations of integer
// products are quantised to int8 in blocks of 32 (see QuantizeRows); keys lie in
// panels of 16 positions (see KV).
package cpu

//go:generate go run ./gen
