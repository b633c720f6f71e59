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

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
	"github.com/ledge-run/ledge/runtime/compress/encode"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// WriteOptions say how a plan is carried out.
type WriteOptions struct {
	Threads  int // 0 for all processors
	Replace  bool
	Progress func(done, total int64) // values, from one goroutine at a time
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
	for key, value := range p.file.Whole() {
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

// Keys of the metadata, and the version of the blocks of quantised types.
const (
	keyVersion  = "general.quantization_version"
	keyFileType = "general.file_type"

	quantVersion = uint32(2)
)

// metadata is what llama.cpp writes about a quantisation.
func (p *Plan) metadata() []pair {
	pairs := []pair{{keyVersion, quantVersion}, {keyFileType, p.Recipe.FileType}}
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

// Rows are encoded in pieces, so that a tensor of any size takes little memory. Who has
// encoded a piece writes it when those before it are written: a goroutine for writing alone
// would take the processor from those that encode.
const (
	pieceValues = 128 << 10
	chunkValues = 32 << 10 // what a worker takes at once where nothing is written
)

func (p *Plan) encode(ctx context.Context, out io.Writer, t *gguf.Tensor, c *Choice, k *cpu.Kernels, threads int, report func(int)) error {
	weights, _, err := p.weights(c)
	if err != nil {
		return err
	}
	job, err := newJob(t, c.To, k, c.byRow(weights))
	if err != nil {
		return err
	}
	// Small tensors are cut finer, for all threads to have some of them.
	values := min(pieceValues, job.rows*job.columns/(2*threads))
	line := &line{out: out, report: report}
	line.moved.L = &line.mu
	err = encode.Parallel(k, c.To, threads, max(1, values/job.columns), job.rows, func(e *encode.Encoder, next func() (from, to int, ok bool)) error {
		var data []byte
		var buf []float32
		for {
			from, to, ok := next()
			if !ok {
				return nil
			}
			if n := (to - from) * job.rowBytes; len(data) < n {
				data = make([]byte, n)
			}
			piece := data[:(to-from)*job.rowBytes]
			err := context.Cause(ctx)
			if err == nil {
				err = job.rowsInto(piece, e, &buf, from, to)
			}
			if !line.write(piece, from, to, job.columns, err) {
				return nil
			}
		}
	})
	if err != nil {
		return err
	}
	return line.err
}

// line is where pieces wait for their turn to be written.
type line struct {
	mu     sync.Mutex
	moved  sync.Cond
	row    int // the next to be written
	err    error
	out    io.Writer
	report func(values int)
}

// write writes rows, or ends the line with the error that encoding them gave: the error of
// the first piece that has one is kept. It returns whether there is any use in going on.
func (l *line) write(piece []byte, from, to, columns int, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.row != from && l.err == nil {
		l.moved.Wait()
	}
	if l.err != nil {
		return false
	}
	if err == nil {
		_, err = l.out.Write(piece)
	}
	if l.err = err; err == nil {
		l.row = to
		l.report((to - from) * columns)
	}
	l.moved.Broadcast()
	return err == nil
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
	return encode.Parallel(j.kernels, j.to, threads, max(1, chunkValues/j.columns), n, func(e *encode.Encoder, next func() (from, to int, ok bool)) error {
		var buf []float32
		for {
			from, to, ok := next()
			if !ok {
				return nil
			}
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if err := j.rowsInto(dst[from*j.rowBytes:to*j.rowBytes], e, &buf, first+from, first+to); err != nil {
				return err
			}
		}
	})
}

// rowsInto encodes the rows [from, to) into dst.
func (j *job) rowsInto(dst []byte, e *encode.Encoder, buf *[]float32, from, to int) error {
	for r := from; r < to; {
		// Rows that have the same weights are encoded in one piece.
		m := min(to-r, j.weights.alike(r))
		x, err := j.read(buf, r, m)
		if err != nil {
			return err
		}
		w, out := j.weights.row(r), dst[(r-from)*j.rowBytes:(r-from+m)*j.rowBytes]
		if err := e.Rows(out, x, j.columns, w); err != nil {
			return j.blame(e, out, x, w, r, err)
		}
		r += m
	}
	return nil
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
