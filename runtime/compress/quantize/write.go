package quantize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
	"github.com/ledge-run/ledge/runtime/compress/encode"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// WriteOptions say how a plan is carried out.
type WriteOptions struct {
	Threads  int // 0 for all processors
	Replace  bool
	Progress func(done, total int64) // values, from the goroutine that writes
}

// Write carries the plan out. The file gets its name when it is whole: see
// gguf.Writer.Save.
func (p *Plan) Write(ctx context.Context, path string, o WriteOptions) error {
	w, err := p.Writer(ctx, o)
	if err != nil {
		return err
	}
	return w.Save(ctx, path, o.Replace)
}

// Writer makes the new file, whose tensors are encoded as it is written.
func (p *Plan) Writer(ctx context.Context, o WriteOptions) (*gguf.Writer, error) {
	w := &gguf.Writer{}
	for key, value := range p.file.Metadata() {
		if strings.HasPrefix(key, "split.") {
			continue // the parts become one
		}
		if strings.HasPrefix(key, "quantize.imatrix.") {
			continue // of another quantisation: metadata tells of this one's matrix, if there is one
		}
		if err := w.Set(key, value); err != nil {
			return nil, err
		}
	}
	for _, pair := range p.metadata() {
		if err := w.Set(pair.key, pair.value); err != nil {
			return nil, err
		}
	}
	k, err := cpu.Select("")
	if err != nil {
		return nil, err
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	done, total := int64(0), int64(0)
	for i := range p.Choices {
		total += p.Choices[i].Values()
	}
	for i := range p.Choices {
		c := &p.Choices[i]
		t, ok := p.file.Tensor(c.Name)
		if !ok {
			return nil, fmt.Errorf("the model has no tensor %s any more", c.Name)
		}
		err := w.AddFunc(c.Name, c.To, c.Shape, func(out io.Writer) error {
			report := func(values int) {
				done += int64(values)
				if o.Progress != nil {
					o.Progress(done, total)
				}
			}
			var err error
			if c.From == c.To {
				_, err = out.Write(t.Data)
				report(t.NumElems())
			} else {
				err = p.encode(ctx, out, t, c, k, o.Threads, report)
			}
			return errors.Join(err, t.Advise(gguf.DontNeed))
		})
		if err != nil {
			return nil, err
		}
	}
	return w, nil
}

type pair struct {
	key   string
	value any
}

// metadata is what llama.cpp writes about a quantisation.
func (p *Plan) metadata() []pair {
	pairs := []pair{{"general.quantization_version", uint32(2)}, {"general.file_type", p.Recipe.FileType}}
	if p.matrix == nil {
		return pairs
	}
	pairs = append(pairs, pair{"quantize.imatrix.file", filepath.Base(p.source)})
	if n := len(p.matrix.Datasets); n > 0 {
		pairs = append(pairs, pair{"quantize.imatrix.dataset", p.matrix.Datasets[0]})
	}
	return append(pairs, pair{"quantize.imatrix.entries_count", uint32(len(p.matrix.Entries))},
		pair{"quantize.imatrix.chunks_count", uint32(p.matrix.Chunks)})
}

// Rows are encoded in slabs of a few million values, so that a tensor of any size
// takes little memory, and while one slab is written the next is encoded.
const (
	slabValues  = 4 << 20
	chunkValues = 32 << 10 // what a worker takes at once
)

type slab struct {
	data   []byte
	values int
	err    error
}

func (p *Plan) encode(ctx context.Context, out io.Writer, t *gguf.Tensor, c *Choice, k *cpu.Kernels, threads int, report func(int)) error {
	weights, _, err := p.weights(c)
	if err != nil {
		return err
	}
	job, err := newJob(t, c.To, k, c.byRow(weights))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	slabs := make(chan slab, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Add(1)
	go func() {
		defer wg.Done()
		defer close(slabs)
		per := max(1, slabValues/job.columns)
		var spare [3][]byte // one is encoded, one waits, one is written
		for i, at := 0, 0; at < job.rows; i, at = i+1, at+per {
			n := min(per, job.rows-at)
			b := &spare[i%len(spare)]
			if len(*b) < n*job.rowBytes {
				*b = make([]byte, n*job.rowBytes)
			}
			s := slab{(*b)[:n*job.rowBytes], n * job.columns, nil}
			s.err = job.run(ctx, s.data, at, n, threads)
			select {
			case slabs <- s:
			case <-ctx.Done():
				return
			}
			if s.err != nil {
				return
			}
		}
	}()
	for s := range slabs {
		if s.err != nil {
			return s.err
		}
		if _, err := out.Write(s.data); err != nil {
			return err
		}
		report(s.values)
	}
	return context.Cause(ctx)
}

// job encodes the rows of one tensor.
type job struct {
	tensor        *gguf.Tensor
	to            dtype.DType
	kernels       *cpu.Kernels
	weights       rowWeights
	rows, columns int
	rowBytes      int
}

func newJob(t *gguf.Tensor, to dtype.DType, k *cpu.Kernels, w rowWeights) (*job, error) {
	j := &job{tensor: t, to: to, kernels: k, weights: w, rows: t.NumRows(), columns: t.RowLen()}
	var err error
	j.rowBytes, err = to.RowBytes(j.columns)
	return j, err
}

// run encodes n rows from the row first on.
func (j *job) run(ctx context.Context, dst []byte, first, n, threads int) error {
	chunk := max(1, chunkValues/j.columns)
	var next atomic.Int64
	errs := make([]error, threads)
	var wg sync.WaitGroup
	for id := range min(threads, (n+chunk-1)/chunk) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[id] = j.work(ctx, dst, first, n, chunk, &next)
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (j *job) work(ctx context.Context, dst []byte, first, n, chunk int, next *atomic.Int64) error {
	e, err := encode.With(j.kernels, j.to)
	if err != nil {
		return err
	}
	var buf []float32
	for {
		from := int(next.Add(int64(chunk))) - chunk
		if from >= n {
			return nil
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		for r, end := from, min(from+chunk, n); r < end; {
			// Rows that have the same weights are encoded in one piece.
			m := min(end-r, j.weights.alike(first+r))
			x, err := j.read(&buf, first+r, m)
			if err != nil {
				return err
			}
			w := j.weights.row(first + r)
			if err := e.Rows(dst[r*j.rowBytes:(r+m)*j.rowBytes], x, j.columns, w); err != nil {
				return j.blame(e, dst[r*j.rowBytes:], x, w, first+r, err)
			}
			r += m
		}
	}
}

// blame names the row that is the cause of an error in rows from first on.
func (j *job) blame(e *encode.Encoder, dst []byte, x, w []float32, first int, cause error) error {
	for r := 0; len(x) > 0; r, x = r+1, x[j.columns:] {
		if err := e.Row(dst[:j.rowBytes], x[:j.columns], w); err != nil {
			return fmt.Errorf("tensor %s, row %d: %w", j.tensor.Name, first+r, err)
		}
	}
	return fmt.Errorf("tensor %s: %w", j.tensor.Name, cause)
}

// read decodes rows into buf, or finds them as they are.
func (j *job) read(buf *[]float32, row, rows int) ([]float32, error) {
	from, to := row*j.columns, (row+rows)*j.columns
	if j.tensor.DType == dtype.F32 {
		if x, ok := floats(j.tensor.Data[4*from : 4*to]); ok {
			return x, nil
		}
	}
	if len(*buf) < to-from {
		*buf = make([]float32, to-from)
	}
	x := (*buf)[:to-from]
	if j.tensor.DType == dtype.F16 {
		j.kernels.F16ToF32(x, j.tensor.Data[2*from:2*to])
		return x, nil
	}
	return x, j.tensor.DequantizeRows(x, row, rows)
}
