package selftest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// Version changes when a verdict of an older self-test is worth less than one of
// this.
const Version = "2"

// Result is what a proof found besides that the device computes rightly.
type Result struct {
	// Varies says how a row's bits depended on what else was in the batch; nil if
	// they did not. The values are right nonetheless.
	Varies error
}

// Prove tests a device whose driver is not Ledge's own, and of which nothing is
// known: with two usual weight types and those that a model has; with
// one row, a few, and more than the few-rows kernels take; with two sequences in a
// batch; with each stored type of keys and values; with a context of several
// pages, longer than one part of split attention; with every way to read out. It
// takes a tenth of a second besides what compiling the kernels does: its verdict
// is to be kept. alive, if set, is called for every kernel that was compiled and every
// batch that was run.
func Prove(ctx context.Context, d backend.Device, types []dtype.DType, alive func()) (Result, error) {
	var r Result
	all := slices.Clone(foreign)
	for _, t := range types {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	short := []int{1, rows, manyRows}
	tried := 0
	for i, t := range all {
		steps := short
		if tried < 2 { // a long context of either kind of network, with one type
			steps = slices.Concat(short, longSteps)
		}
		k := kind{weights: t, cache: dtype.F16, second: i%2 == 1, limits: limitsOf(steps)}
		ok, err := r.proveKind(ctx, d, k, steps, alive)
		if err != nil {
			return r, fmt.Errorf("weights of type %s: %w", t, err)
		}
		if ok {
			tried++
		}
	}
	if tried == 0 {
		return r, errors.New("the device takes no decoder of any weight type")
	}
	for i, c := range []dtype.DType{dtype.F32, dtype.Q8_0} {
		k := kind{weights: all[i], cache: c, second: i%2 == 1, limits: limitsOf(short)}
		if _, err := r.proveKind(ctx, d, k, short, alive); err != nil {
			return r, fmt.Errorf("keys and values stored as %s: %w", c, err)
		}
	}
	return r, nil
}

// foreign are the types that are tried whatever the model: one for each kind of
// network. Compiling kernels is what takes time, up to a second for each on slow
// drivers, and a model brings its own types.
var foreign = []dtype.DType{dtype.Q8_0, dtype.Q4_0}

// manyRows is more than the kernels for few rows take.
const manyRows = 19

// longSteps bring a context to where attention is split: 256 positions and more.
var longSteps = []int{60, 60, 60, 60, 1, 21}

// other is the number of rows of a second sequence in every batch.
const other = 3

func limitsOf(steps []int) graph.Limits {
	total, most := 0, 0
	for _, n := range steps {
		total, most = total+n, max(most, n)
	}
	return graph.Limits{T: most + other, S: 2, R: most + other, P: backend.PagesFor(max(total, other*len(steps)))}
}

// proveKind tests one network; false says that the device does not take it.
func (r *Result) proveKind(ctx context.Context, d backend.Device, k kind, steps []int, alive func()) (ok bool, err error) {
	g, err := k.network()
	if err != nil {
		return false, err
	}
	if !takes(d, g) {
		return false, nil
	}
	m, err := open(ctx, d, g, 3, alive)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	together, last, err := m.together(ctx, steps)
	if err != nil {
		return false, err
	}
	if err := m.readouts(ctx, last); err != nil {
		return false, err
	}
	if r.Varies != nil {
		return true, nil
	}
	return true, r.alone(ctx, m, k, together)
}

// pages are a sequence's pages, not in order.
func (m *session) pages(seq int) []int32 {
	n := m.graph.Max.P
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(3*((i+1)%n) + seq)
	}
	return out
}

// batch makes a run of segments, every row read out in full.
func (m *session) batch(segs ...backend.Segment) *backend.Args {
	a := &backend.Args{Segments: segs, State: m.s, Inputs: make([]backend.Tensor, 3)}
	row := int32(0)
	for i := range segs {
		s := &segs[i]
		s.Seq = i
		s.Pages = s.Pages[:backend.PagesFor(s.Start+s.Rows)]
		for j := range s.Rows {
			a.Inputs[0].I32 = append(a.Inputs[0].I32, token(s.Start+j))
			a.Inputs[1].I32 = append(a.Inputs[1].I32, int32(s.Start+j))
			a.Inputs[2].I32 = append(a.Inputs[2].I32, row)
			row++
		}
	}
	a.Seqs = len(segs)
	a.Outputs = []backend.Output{{F32: make([]float32, int(row)*vocab)}}
	return a
}

// together runs a sequence in steps, beside another one, and compares every row
// with the reference. It returns the sequence's rows and the last batch.
func (m *session) together(ctx context.Context, steps []int) (out []float32, last *backend.Args, err error) {
	start := 0
	for i, n := range steps {
		last = m.batch(
			backend.Segment{Start: other * i, Rows: other, Pages: m.pages(1)},
			backend.Segment{Start: start, Rows: n, Pages: m.pages(0)})
		if err := m.submit(ctx, last); err != nil {
			return nil, nil, err
		}
		want, err := m.ref.Run(last)
		if err != nil {
			return nil, nil, err
		}
		got := last.Outputs[0].F32
		if err := compareRows(got, want[0]); err != nil {
			return nil, nil, fmt.Errorf("%d rows, after %d tokens: %w", n, start, err)
		}
		out = append(out, got[other*vocab:]...)
		start += n
	}
	return out, last, nil
}

// compareRows judges all rows as a whole, and each one by itself with what a row
// of quantised activations may be worse than others.
func compareRows(got, want []float32) error {
	if err := Compare(got, want, Tolerance); err != nil {
		return err
	}
	for at := 0; at < len(want); at += vocab {
		if err := Compare(got[at:at+vocab], want[at:at+vocab], 10*Tolerance); err != nil {
			return fmt.Errorf("row %d: %w", at/vocab, err)
		}
	}
	return nil
}

// alone runs the same tokens one by one: a token's bits may not depend on what
// was computed beside it. Of a long context, the first tokens do.
func (r *Result) alone(ctx context.Context, m *session, k kind, want []float32) error {
	total := len(want) / vocab
	step := 1
	for at := 0; at < total; at += step {
		if at >= 1+rows+manyRows { // the rest in pieces of another size than before
			step = min(7, total-at)
		}
		a := m.batch(backend.Segment{Start: at, Rows: step, Pages: m.pages(2)})
		if err := m.submit(ctx, a); err != nil {
			return err
		}
		for i, v := range a.Outputs[0].F32 {
			if w := want[at*vocab+i]; math.Float32bits(v) != math.Float32bits(w) {
				r.Varies = fmt.Errorf("weights of type %s: logit %d of token %d is %g in a batch, %g outside", k.weights, i%vocab, at+i/vocab, w, v)
				return compareRows(a.Outputs[0].F32, want[at*vocab:(at+step)*vocab])
			}
		}
	}
	return nil
}

// readouts asks for the same batch's best candidates in each mode.
func (m *session) readouts(ctx context.Context, last *backend.Args) error {
	full := last.Outputs[0].F32
	n := len(full) / vocab
	for _, mode := range []backend.ReadMode{backend.ReadTop, backend.ReadArgMax} {
		for _, adjusted := range []bool{false, true} {
			k := 1
			if mode == backend.ReadTop {
				k = min(backend.TopCount, vocab)
			}
			o := backend.Output{Mode: mode, IDs: make([]int32, n*k), Logits: make([]float32, n*k), LogSumExp: make([]float32, n)}
			want := slices.Clone(full)
			if adjusted {
				adjust(&o, want, n)
			}
			last.Outputs[0] = o
			if err := m.submit(ctx, last); err != nil {
				return err
			}
			for row := range n {
				if err := checkRow(&o, want[row*vocab:(row+1)*vocab], row, k); err != nil {
					return fmt.Errorf("the best candidates (%d of a row, mask and bias: %v): %w", k, adjusted, err)
				}
			}
		}
	}
	return nil
}

// adjust forbids every third candidate and prefers one, in the output's request
// and in the rows.
func adjust(o *backend.Output, rows []float32, n int) {
	words := (vocab + 63) / 64
	o.Mask = make([]uint64, n*words)
	for row := range n {
		liked := (5*row + 1) % vocab
		o.Bias = append(o.Bias, backend.Bias{Row: row, ID: int32(liked), Add: 3})
		rows[row*vocab+liked] += 3
		for id := range vocab {
			if (id+row)%3 == 0 {
				rows[row*vocab+id] = float32(math.Inf(-1))
			} else {
				o.Mask[row*words+id/64] |= 1 << (id % 64)
			}
		}
	}
}

// readTolerance is how far logits of two runs may be apart: those of a device
// that varies differ, and the order of near candidates with them.
const readTolerance = 1e-3

func checkRow(o *backend.Output, want []float32, row, k int) error {
	ids, logits := o.IDs[row*k:(row+1)*k], o.Logits[row*k:(row+1)*k]
	sorted := slices.Clone(want)
	slices.SortFunc(sorted, func(a, b float32) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	seen := map[int32]bool{}
	for i, id := range ids {
		if math.IsInf(float64(sorted[i]), -1) {
			break // what is forbidden comes last, in whatever form
		}
		if id < 0 || int(id) >= len(want) || seen[id] {
			return fmt.Errorf("row %d has candidate %d at place %d", row, id, i)
		}
		seen[id] = true
		if !near(logits[i], want[id]) || !near(logits[i], sorted[i]) {
			return fmt.Errorf("row %d has candidate %d with %g at place %d: its logit is %g, the place's %g", row, id, logits[i], i, want[id], sorted[i])
		}
	}
	if o.Mode != backend.ReadTop {
		return nil
	}
	sum := 0.0
	for _, v := range want {
		sum += math.Exp(float64(v) - float64(sorted[0]))
	}
	if lse := float32(math.Log(sum)) + sorted[0]; !near(o.LogSumExp[row], lse) {
		return fmt.Errorf("row %d has log-sum-exp %g instead of %g", row, o.LogSumExp[row], lse)
	}
	return nil
}

func near(a, b float32) bool {
	return math.Abs(float64(a)-float64(b)) <= readTolerance*(1+math.Abs(float64(b)))
}
