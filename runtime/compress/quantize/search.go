package quantize

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/compress/encode"
	"github.com/ledge-run/ledge/runtime/compress/imatrix"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// SearchOptions say what a search measures with.
type SearchOptions struct {
	Text     string
	Threads  int
	Progress func(what string, done, of int)
}

// What a search measures. Chunks are spread over the text.
const (
	searchChunk  = 256       // tokens, the second half of which is compared
	searchMost   = 8         // chunks
	searchMemory = 512 << 20 // of log-probabilities that are kept
	sampleRows   = 96        // of a tensor, for its error
	spans        = 6         // parts of the model's depth that are measured apart
)

// Search finds the types that lose least within a budget.
//
// What a tensor's type costs is taken as its share in the divergence of the model's
// predictions, which for small errors is a quadratic form in them: the error of the
// product with the calibration text's inputs (the weighted error of the encoding)
// times a factor that says how much such errors matter at this place. The errors are
// computed on a sample of rows of every tensor, for every type; the factors measured,
// by running the text with nothing but the tensors of one kind in one part of the
// model's depth quantised to about four bits. Then the budget is spent where a byte
// takes away most of the cost.
func Search(ctx context.Context, f *gguf.File, b Budget, o PlanOptions, s SearchOptions) (*Plan, error) {
	m, err := newMeasured(ctx, f, o, s)
	if err != nil {
		return nil, err
	}
	if err := m.fits(b); err != nil {
		return nil, err // before the long part
	}
	if err := m.measure(ctx); err != nil {
		return nil, err
	}
	return m.Plan(b)
}

// Measured knows what each type would cost each tensor, and makes plans for any
// budget.
type Measured struct {
	file    *gguf.File
	plan    *Plan
	options SearchOptions
	kernels *cpu.Kernels
	chunk   int // tokens
	free    []*candidate
}

// Measure does what Search does, for plans of several budgets.
func Measure(ctx context.Context, f *gguf.File, o PlanOptions, s SearchOptions) (*Measured, error) {
	m, err := newMeasured(ctx, f, o, s)
	if err != nil {
		return nil, err
	}
	return m, m.measure(ctx)
}

func newMeasured(ctx context.Context, f *gguf.File, o PlanOptions, s SearchOptions) (*Measured, error) {
	if s.Threads <= 0 {
		s.Threads = runtime.GOMAXPROCS(0)
	}
	if s.Progress == nil {
		s.Progress = func(string, int, int) {}
	}
	size, err := delta.ChunkSize(f, searchChunk)
	if err != nil {
		return nil, err
	}
	if err := delta.Enough(f, s.Text, size); err != nil {
		return nil, err // before the long part
	}
	if o.Matrix == nil {
		// Without inputs the errors of different tensors cannot be compared.
		if o.Matrix, err = collect(ctx, f, s, size); err != nil {
			return nil, err
		}
		o.Source = "measured"
	}
	base, err := NewPlan(f, Recipe{Name: "target", Type: dtype.Q8_0, FileType: 7}, o)
	if err != nil {
		return nil, err
	}
	q := &Measured{file: f, plan: base, options: s, chunk: size}
	if q.kernels, err = cpu.Select(""); err != nil {
		return nil, err
	}
	return q, q.candidates()
}

func (q *Measured) measure(ctx context.Context) error {
	if err := q.sample(ctx); err != nil {
		return err
	}
	return q.probe(ctx)
}

func collect(ctx context.Context, f *gguf.File, s SearchOptions, size int) (*imatrix.Matrix, error) {
	paths := f.Paths()
	if len(paths) == 0 {
		return nil, errors.New("quantize: the model is not in a file: give an importance matrix")
	}
	return imatrix.Collect(ctx, paths[0], s.Text, engine.Options{Threads: s.Threads}, imatrix.Options{
		Chunks: 64, ChunkSize: size,
		Progress: func(done, of int) { s.Progress("importance", done, of) },
	})
}

// candidate is a tensor whose type is to be found.
type candidate struct {
	index   int // in the plan's choices
	choice  *Choice
	options []option // cost is the weighted error until probe has turned it into divergence
	probe   int      // index of the option that is probed
}

// offered are the types that a search chooses from.
var offered = []dtype.DType{dtype.Q2_K, dtype.Q3_K, dtype.IQ4_XS, dtype.MXFP4, dtype.IQ4_NL, dtype.Q4_K, dtype.Q4_0, dtype.Q4_1,
	dtype.Q5_K, dtype.Q5_0, dtype.Q5_1, dtype.Q6_K, dtype.Q8_0}

// candidates lists the tensors that are free to choose for, with their options.
func (q *Measured) candidates() error {
	for i := range q.plan.Choices {
		c := &q.plan.Choices[i]
		if c.Fixed {
			continue
		}
		t := &candidate{index: i, choice: c}
		for _, d := range offered {
			if c.Shape[len(c.Shape)-1]%d.BlockLen() != 0 || c.From.Quantized() && bits(d) >= bits(c.From) || !c.From.Computable() {
				continue
			}
			n, err := dtype.ByteSize(d, c.Shape)
			if err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			t.options = append(t.options, option{dtype: d, bytes: int64(n)})
		}
		if len(t.options) == 0 && c.From.Computable() && !c.From.Quantized() && bits(dtype.F16) < bits(c.From) {
			// No blocks fit its rows: as the recipes have it.
			t.options = append(t.options, option{dtype: dtype.F16, bytes: 2 * c.Values()})
		}
		if c.From.Quantized() || len(t.options) == 0 {
			t.options = append(t.options, option{dtype: c.From, bytes: c.Before})
		}
		q.free = append(q.free, t)
	}
	return nil
}

// room is how many bytes the tensors that are free to choose for may take.
func (q *Measured) room(b Budget) (int64, error) {
	fixed := int64(0)
	for i := range q.plan.Choices {
		if c := &q.plan.Choices[i]; c.Fixed {
			fixed += c.After
		}
	}
	if b.Bytes == 0 {
		_, _, values := q.plan.Sizes()
		return int64(b.BitsPerWeight*float64(values)/8) - fixed, nil
	}
	w, err := q.plan.Writer(context.Background(), WriteOptions{})
	if err != nil {
		return 0, err
	}
	head, _, _, err := w.Layout()
	if err != nil {
		return 0, err
	}
	padding := 32 * int64(len(q.plan.Choices)) // at most
	return b.Bytes - fixed - int64(len(head)) - padding, nil
}

// fits refuses a budget that the smallest types exceed, and tells what is reached.
func (q *Measured) fits(b Budget) error {
	room, err := q.room(b)
	if err != nil {
		return err
	}
	least := int64(0)
	for _, t := range q.free {
		n := t.options[0].bytes
		for _, o := range t.options {
			n = min(n, o.bytes)
		}
		least += n
	}
	if least <= room {
		return nil
	}
	if b.Bytes > 0 {
		return fmt.Errorf("%v cannot be reached: this model takes at least %.2f MB, with every tensor in its smallest type", b, float64(b.Bytes-room+least)/1e6)
	}
	_, _, values := q.plan.Sizes()
	over := 8 * float64(least-room) / float64(values)
	return fmt.Errorf("%v cannot be reached: this model takes at least %.3f, with every tensor in its smallest type", b, math.Ceil(1000*(b.BitsPerWeight+over))/1000)
}

// sample computes the weighted error of every option on some rows.
func (q *Measured) sample(ctx context.Context) error {
	var next, done atomic.Int64
	errs := make([]error, q.options.Threads)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for id := range errs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for errs[id] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(q.free) {
					return
				}
				if errs[id] = context.Cause(ctx); errs[id] == nil {
					errs[id] = q.sampleTensor(q.free[i])
				}
				mu.Lock()
				q.options.Progress("errors", int(done.Add(1)), len(q.free))
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (q *Measured) sampleTensor(t *candidate) error {
	tensor, _ := q.file.Tensor(t.choice.Name)
	rows, columns := tensor.NumRows(), tensor.RowLen()
	n := min(rows, sampleRows)
	w := t.choice.weights(q.plan)
	x, y := make([]float32, columns), make([]float32, columns)
	for i := range t.options {
		o := &t.options[i]
		if o.dtype == t.choice.From {
			continue
		}
		e, err := encode.With(q.kernels, o.dtype)
		if err != nil {
			return err
		}
		size, err := o.dtype.RowBytes(columns)
		if err != nil {
			return err
		}
		buf, sum := make([]byte, size), 0.0
		for r := range n {
			row := r * rows / n
			if err := tensor.DequantizeRows(x, row, 1); err != nil {
				return err
			}
			wr := w.row(row)
			if err := e.Row(buf, x, wr); err != nil {
				return fmt.Errorf("tensor %s, row %d: %w", t.choice.Name, row, err)
			}
			if err := dtype.Dequantize(o.dtype, y, buf); err != nil {
				return err
			}
			sum += weighted(x, y, wr)
		}
		o.cost = sum * float64(rows) / float64(n)
	}
	return nil
}

func weighted(x, y, w []float32) (sum float64) {
	for i := range x {
		d := float64(x[i] - y[i])
		if w != nil {
			sum += float64(w[i]) * d * d
		} else {
			sum += d * d
		}
	}
	return sum
}

// rowWeights are a tensor's weights by row.
type rowWeights struct {
	all     []float32 // by column, for each matrix; or nil
	columns int
	rows    int // of a matrix
}

// byRow are a tensor's weights, as Plan.weights gives them, by row.
func (c *Choice) byRow(all []float32) rowWeights {
	w := rowWeights{all: all, columns: c.Shape[len(c.Shape)-1], rows: 1}
	if len(c.Shape) == 3 {
		w.rows = c.Shape[1]
		return w
	}
	for _, n := range c.Shape[:len(c.Shape)-1] {
		w.rows *= n
	}
	return w
}

func (c *Choice) weights(p *Plan) rowWeights {
	other := *c
	other.To = dtype.Q8_0 // any that is quantised
	all, _, _ := p.weights(&other)
	return c.byRow(all)
}

func (w rowWeights) row(r int) []float32 {
	if w.all == nil {
		return nil
	}
	m := r / w.rows
	return w.all[m*w.columns : (m+1)*w.columns]
}

// alike is the number of rows from r on that have the same weights.
func (w rowWeights) alike(r int) int {
	if w.all == nil {
		return math.MaxInt
	}
	return w.rows - r%w.rows
}

// Plan allots a budget.
func (q *Measured) Plan(b Budget) (*Plan, error) {
	if err := q.fits(b); err != nil {
		return nil, err
	}
	room, err := q.room(b)
	if err != nil {
		return nil, err
	}
	hulls := make([][]option, len(q.free))
	for i, t := range q.free {
		hulls[i] = hull(slices.Clone(t.options))
	}
	picks, err := allot(hulls, room)
	if err != nil {
		return nil, fmt.Errorf("%v cannot be reached: %w", b, err)
	}
	p := *q.plan
	p.Choices = slices.Clone(p.Choices)
	for i, t := range q.free {
		c := &p.Choices[t.index]
		c.To, c.Note = hulls[i][picks[i]].dtype, ""
		if err := c.measure(); err != nil {
			return nil, err
		}
	}
	p.Recipe = Recipe{Name: "at most " + b.String(), FileType: fileType(p.Choices)}
	return &p, p.check()
}
