package prune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"runtime"
	"strings"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/compress/imatrix"
	"github.com/ledge-run/ledge/runtime/compress/quantize"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Scope is what the weights compete in that are to be zero.
type Scope string

const (
	PerTensor Scope = "tensor" // as torch.nn.utils.prune.l1_unstructured
	Global    Scope = "global" // all matrices together, as torch.nn.utils.prune.global_unstructured with L1Unstructured
	PerRow    Scope = "row"    // the weights of one output, as Sun et al. 2023
)

// ZeroOptions say which weights become zero.
type ZeroOptions struct {
	Share float64 // of the weights; or
	N, M  int     // N of every M that follow one another in a row: 2 of 4

	Scope    Scope // of a share; "" is PerTensor
	Activity bool  // scores are |w| times the root mean square of what it is multiplied with (Sun et al. 2023), instead of |w|

	Tensors *regexp.Regexp // whose names match; nil: all matrices of the layers
	Type    dtype.DType    // that these matrices are written in; Invalid keeps theirs

	Text     string          // of Activity
	Matrix   *imatrix.Matrix // of Activity, if it has been measured already; or nil
	Threads  int
	Progress func(stage string, done, of int)
}

// ZeroPlan is a model with zeros, not yet written.
type ZeroPlan struct {
	Matrices int   // that have weights which become zero
	Weights  int64 // of these
	Zeros    int64 // that become zero, or are

	file    *gguf.File
	tensors []tensor
}

// NewZeros chooses which weights become zero.
func NewZeros(ctx context.Context, f *gguf.File, o ZeroOptions) (*ZeroPlan, error) {
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	z := &ZeroPlan{file: f}
	for i := range f.Tensors() {
		t := tensor{name: f.Tensors()[i].Name, from: &f.Tensors()[i], dtype: f.Tensors()[i].DType, shape: f.Tensors()[i].Shape}
		if o.takes(t.from) {
			t.zeros = &mask{}
			if o.Type != dtype.Invalid {
				t.dtype = o.Type
			}
			if err := z.possible(&t, &o); err != nil {
				return nil, err
			}
			z.Matrices++
			z.Weights += int64(t.from.NumElems())
		}
		z.tensors = append(z.tensors, t)
	}
	if z.Matrices == 0 {
		return nil, errors.New("no matrix of a layer has a name that matches; ledge info --tensors lists them")
	}
	if err := z.scale(ctx, &o); err != nil {
		return nil, err
	}
	return z, z.choose(ctx, &o)
}

func (o *ZeroOptions) check() error {
	if o.Scope == "" {
		o.Scope = PerTensor
	}
	switch {
	case o.M == 0 && !(o.Share > 0 && o.Share <= 1):
		return fmt.Errorf("a share of %g of the weights cannot be zero: it must be more than 0 and at most 1", o.Share)
	case o.M != 0 && (o.Share != 0 || o.N < 1 || o.M <= o.N || o.M > 64):
		return fmt.Errorf("%d of every %d weights: the first must be at least 1 and less than the second, that at most 64, and there is no share besides", o.N, o.M)
	case o.Scope != PerTensor && o.Scope != Global && o.Scope != PerRow:
		return fmt.Errorf("weights compete per %s, %s or %s, not %q", PerTensor, PerRow, Global, o.Scope)
	}
	return nil
}

// takes tells the matrices of layers; experts are several.
func (o *ZeroOptions) takes(t *gguf.Tensor) bool {
	layer, _ := layerOf(t.Name)
	if layer < 0 || len(t.Shape) != 2 || !strings.HasSuffix(t.Name, ".weight") || strings.HasSuffix(t.Name, "_norm.weight") || strings.HasSuffix(t.Name, "ffn_gate_inp.weight") {
		return false
	}
	return o.Tensors == nil || o.Tensors.MatchString(t.Name)
}

// possible refuses what cannot be written before anything is measured.
func (z *ZeroPlan) possible(t *tensor, o *ZeroOptions) error {
	switch {
	case !t.from.DType.Computable():
		return fmt.Errorf("%s is of type %v, which Ledge cannot read", t.name, t.from.DType)
	case exact[t.dtype] == nil:
		return fmt.Errorf("%s is of type %v, in which a zero is not exact: have these matrices written in another type (q8_0, q5_0, q4_0, f16, bf16 or f32)", t.name, t.dtype)
	case t.from.RowLen()%t.dtype.BlockLen() != 0:
		return fmt.Errorf("%s cannot be %v: its rows of %d values are no whole blocks of %d", t.name, t.dtype, t.from.RowLen(), t.dtype.BlockLen())
	case o.M > 0 && t.from.RowLen()%o.M != 0:
		return fmt.Errorf("%s has rows of %d values, which are no multiple of %d", t.name, t.from.RowLen(), o.M)
	}
	return nil
}

// scale finds what weights are multiplied with.
func (z *ZeroPlan) scale(ctx context.Context, o *ZeroOptions) error {
	if !o.Activity {
		return nil
	}
	m := o.Matrix
	if m == nil {
		net, err := readNetwork(z.file)
		if err != nil {
			return err
		}
		if m, err = inputs(ctx, z.file, o.Text, o.Threads, net.info.Context, o.Progress); err != nil {
			return err
		}
	}
	for i := range z.tensors {
		t := &z.tensors[i]
		if t.zeros == nil {
			continue
		}
		w, ok, err := m.Weights(t.name, t.from.RowLen(), 1)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("the importance matrix has nothing about %s", t.name)
		}
		t.zeros.scale = w
		for j := range w {
			w[j] = float32(math.Sqrt(float64(w[j])))
		}
	}
	return nil
}

// count is torch's number of weights to prune: Python's round, to even.
func count(share float64, of int64) int64 { return int64(math.RoundToEven(share * float64(of))) }

// choose finds each tensor's limit.
func (z *ZeroPlan) choose(ctx context.Context, o *ZeroOptions) error {
	var group []*tensor
	for i := range z.tensors {
		t := &z.tensors[i]
		if t.zeros == nil {
			continue
		}
		rows, columns := int64(t.from.NumRows()), int64(t.from.RowLen())
		switch {
		case o.M > 0:
			t.zeros.n, t.zeros.m = o.N, o.M
			z.Zeros += rows * columns / int64(o.M) * int64(o.N)
			continue
		case o.Scope == PerRow:
			t.zeros.row = int(count(o.Share, columns))
			z.Zeros += rows * int64(t.zeros.row)
			continue
		}
		group = append(group, t)
		if o.Scope == Global {
			continue
		}
		if err := z.limit(ctx, group, count(o.Share, rows*columns)); err != nil {
			return err
		}
		group = nil
	}
	if len(group) > 0 {
		return z.limit(ctx, group, count(o.Share, z.Weights))
	}
	return nil
}

// limit finds the score of the k-th smallest weight of some tensors, in two passes over
// them: bits of numbers that are not negative are in the order of the numbers. Of those
// that are equal to it the first ones go.
func (z *ZeroPlan) limit(ctx context.Context, group []*tensor, k int64) error {
	z.Zeros += k
	if k == 0 {
		return nil
	}
	each := func(see func(i int, bits uint32)) error {
		for i, t := range group {
			if err := t.zeros.each(ctx, t.from, func(_ int, row []uint32) {
				for _, b := range row {
					see(i, b)
				}
			}); err != nil {
				return err
			}
		}
		return nil
	}
	find := func(counts []int64, k int64) (at int, before int64) {
		for before+counts[at] < k {
			before += counts[at]
			at++
		}
		return at, before
	}
	counts := make([]int64, 1<<16)
	if err := each(func(_ int, b uint32) { counts[b>>16]++ }); err != nil {
		return err
	}
	high, below := find(counts, k)
	clear(counts)
	if err := each(func(_ int, b uint32) {
		if int(b>>16) == high {
			counts[b&0xffff]++
		}
	}); err != nil {
		return err
	}
	low, more := find(counts, k-below)
	limit, ties := uint32(high)<<16|uint32(low), k-below-more
	equal := make([]int64, len(group))
	if err := each(func(i int, b uint32) {
		if b == limit {
			equal[i]++
		}
	}); err != nil {
		return err
	}
	for i, t := range group {
		t.zeros.limit, t.zeros.ties = limit, min(ties, equal[i])
		ties -= t.zeros.ties
	}
	return nil
}

// Write carries the plan out; see Plan.Write.
func (z *ZeroPlan) Write(ctx context.Context, path string, o WriteOptions) error {
	var sizes quantize.Sizes
	for i := range z.tensors {
		t := &z.tensors[i]
		n, err := dtype.ByteSize(t.dtype, t.shape)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		sizes[t.dtype] += int64(n)
	}
	w, err := writer(ctx, z.file, z.tensors, quantize.TypeMetadata(z.file, &sizes), nil, o)
	if err != nil {
		return err
	}
	return w.Save(ctx, path, o.Replace)
}

// Requantized counts the tensors that are quantised a second time.
func (z *ZeroPlan) Requantized() (n int) {
	for _, t := range z.tensors {
		if t.zeros != nil && t.dtype != t.from.DType && t.from.DType.Quantized() {
			n++
		}
	}
	return n
}

// CountZeros is the share of a file's weights that are zero.
func CountZeros(f *gguf.File) (float64, error) {
	zeros, all := int64(0), int64(0)
	for i := range f.Tensors() {
		t := &f.Tensors()[i]
		all += int64(t.NumElems())
		if !t.DType.Computable() {
			continue
		}
		x := make([]float32, t.RowLen())
		for r := range t.NumRows() {
			if err := t.DequantizeRows(x, r, 1); err != nil {
				return 0, err
			}
			for _, v := range x {
				if v == 0 {
					zeros++
				}
			}
		}
		if err := t.Advise(gguf.DontNeed); err != nil {
			return 0, err
		}
	}
	if all == 0 {
		return 0, nil
	}
	return float64(zeros) / float64(all), nil
}
