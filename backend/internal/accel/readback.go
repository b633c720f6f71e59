package accel

import (
	"fmt"
	"math"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// modes is the number of ways to read an output back.
const modes = 3

// output is where the device leaves an output, for each mode.
type output [modes]result

type result struct {
	buffer Buffer // made when first needed
	words  []uint32
}

// readBack gives the calls that leave an output in the buffer Out.
func (l *lowering) readBack(n *graph.Node, mode int) ([]shader.Call, error) {
	if n.Type.DType != dtype.F32 {
		return nil, fmt.Errorf("%s gives %s; only f32 is read back", n, n.Type.DType)
	}
	if mode != int(backend.ReadFull) && n.Op != graph.OpReadout {
		return nil, nil
	}
	if mode == int(backend.ReadFull) {
		elems, err := extent(n.Type.Shape)
		if err != nil {
			return nil, err
		}
		return shader.Copy{From: shader.Arena, Into: shader.Out, X: l.value(n), Elems: elems}.Calls(l.features), nil
	}
	shape, cols := cut(n.Type.Shape)
	rows, err := extent(shape)
	if err != nil {
		return nil, err
	}
	most, err := shape.NumElems(l.max)
	if err != nil {
		return nil, err
	}
	if mode == int(backend.ReadArgMax) {
		a := shader.ArgMax{Cols: cols.N, Rows: rows, X: l.value(n), Max: most}
		a.Scratch = l.scratch(a.ScratchFloats(l.features))
		return a.Calls(l.features), nil
	}
	t := shader.Top{Cols: cols.N, Rows: rows, X: l.value(n), Max: most}
	t.Scratch = l.scratch(t.ScratchFloats(l.features))
	return t.Calls(l.features), nil
}

// modeOf is how the device reads output i back: rows that are biased or masked come
// whole, and the host looks for the best.
func (e *executable) modeOf(i int) backend.ReadMode {
	o := &e.Args.Outputs[i]
	if e.Graph.Outputs[i].Node.Op != graph.OpReadout || o.Mask != nil || len(o.Bias) > 0 {
		return backend.ReadFull
	}
	return o.Mode
}

// resultUints is what an output takes in its buffer in the current run.
func (e *executable) resultUints(i int, mode backend.ReadMode) int {
	n := e.Graph.Outputs[i].Node
	return resultUints(mode, e.Elems(n.Type.Shape), e.RowsOf(n))
}

func resultUints(mode backend.ReadMode, elems, rows int) int {
	switch mode {
	case backend.ReadArgMax:
		return rows * shader.ArgMaxUints
	case backend.ReadTop:
		return rows * shader.TopUints
	}
	return elems
}

// room makes the buffer of output i for a mode, for the largest run. The device is
// held.
func (e *executable) room(i int, mode backend.ReadMode) error {
	r := &e.outs[i][mode]
	if r.buffer != nil {
		return nil
	}
	o := e.Graph.Outputs[i]
	most := e.Graph.Max.Binding()
	rows, _ := cut(o.Node.Type.Shape)
	n, _ := rows.NumElems(most) // Verify has checked them
	elems, _ := o.Node.Type.Shape.NumElems(most)
	b, err := e.device.allocateHeld(fmt.Sprintf("output %q", o.Name), 4*resultUints(mode, elems, n), Download)
	if err != nil {
		return err
	}
	r.buffer = b
	r.words, err = wordsOf(b.Host())
	return err
}

func (e *executable) closeOutputs() error {
	var all []interface{ Close() error }
	for i := range e.outs {
		for m := range e.outs[i] {
			if b := e.outs[i][m].buffer; b != nil {
				all = append(all, b)
			}
		}
	}
	e.outs = nil
	return e.device.release(all...)
}

// readBack copies the outputs of a run that is over to the caller. What cannot be
// an answer is an error: ids would be looked up by whoever gets them.
func (r *run) readBack() error {
	for i := range r.Args.Outputs {
		o, n := &r.Args.Outputs[i], r.Graph.Outputs[i].Node
		mode := r.modeOf(i)
		uints := r.resultUints(i, mode)
		if o.Skip || uints == 0 {
			continue
		}
		words := r.outs[i][mode].words[:uints]
		cols := r.Cols(n)
		switch {
		case mode == backend.ReadArgMax:
			for row := range r.RowsOf(n) {
				w := words[row*shader.ArgMaxUints:]
				o.IDs[row], o.Logits[row] = int32(w[0]), math.Float32frombits(w[1])
				if err := r.plausible(i, o.IDs[row:row+1], o.Logits[row:row+1], cols); err != nil {
					return err
				}
			}
		case mode == backend.ReadTop:
			k := min(backend.TopCount, cols)
			for row := range r.RowsOf(n) {
				w := words[row*shader.TopUints:][:shader.TopUints]
				copy(uintsOf(o.IDs[row*k:(row+1)*k]), w)
				copy(o.Logits[row*k:(row+1)*k], floatsOf(w[shader.TopCount:]))
				o.LogSumExp[row] = math.Float32frombits(w[2*shader.TopCount])
				if err := r.plausible(i, o.IDs[row*k:(row+1)*k], o.Logits[row*k:(row+1)*k], cols); err != nil {
					return err
				}
			}
		case n.Op != graph.OpReadout || o.Mode == backend.ReadFull:
			copy(o.F32, floatsOf(words))
			if n.Op == graph.OpReadout {
				for row := range r.RowsOf(n) {
					adjust(o.F32[row*cols:(row+1)*cols], o, row)
				}
			}
		default:
			r.hostRow = grow(r.hostRow, cols)
			for row := range r.RowsOf(n) {
				copy(r.hostRow, floatsOf(words[row*cols:]))
				adjust(r.hostRow, o, row)
				best(r.hostRow, o, row)
			}
		}
	}
	return nil
}

// plausible asks of a row's candidates what no computation changes: that they are
// columns, the best first. Ids of -1 at the end stand for numbers that are missing.
func (r *run) plausible(output int, ids []int32, logits []float32, cols int) error {
	for i, id := range ids {
		if id == -1 {
			continue
		}
		if id < 0 || int(id) >= cols || i > 0 && (ids[i-1] == -1 || !(logits[i-1] >= logits[i])) {
			return fmt.Errorf("%s: output %q: candidate %d is %d with %g, of %d columns: the device computes wrongly, or its memory was overwritten",
				r.device.info.Name, r.Graph.Outputs[output].Name, i, id, logits[i], cols)
		}
	}
	return nil
}

// adjust adds the row's biases and masks columns out.
func adjust(row []float32, o *backend.Output, r int) {
	for _, b := range o.Bias {
		if b.Row == r {
			row[b.ID] += b.Add
		}
	}
	if o.Mask == nil {
		return
	}
	words := (len(row) + 63) / 64
	mask := o.Mask[r*words : (r+1)*words]
	for i := range row {
		if mask[i/64]>>(i%64)&1 == 0 {
			row[i] = float32(math.Inf(-1))
		}
	}
}

// best finds a row's best candidates: the largest first, equal ones by id; NaN is
// none. Where the row has too few numbers, ids are -1 and logits NaN.
func best(row []float32, o *backend.Output, r int) {
	k := 1
	if o.Mode == backend.ReadTop {
		k = min(backend.TopCount, len(row))
	}
	ids, logits := o.IDs[r*k:(r+1)*k], o.Logits[r*k:(r+1)*k]
	n := 0
	for i, v := range row {
		if v != v || n == k && v <= logits[n-1] {
			continue
		}
		at := n
		if n == k {
			at--
		} else {
			n++
		}
		for ; at > 0 && v > logits[at-1]; at-- {
			ids[at], logits[at] = ids[at-1], logits[at-1]
		}
		ids[at], logits[at] = int32(i), v
	}
	for i := n; i < k; i++ {
		ids[i], logits[i] = -1, float32(math.NaN())
	}
	if o.Mode == backend.ReadTop {
		o.LogSumExp[r] = logSumExp(row)
	}
}

func logSumExp(row []float32) float32 {
	top := math.Inf(-1)
	for _, v := range row {
		top = math.Max(top, float64(v))
	}
	if math.IsInf(top, 0) || math.IsNaN(top) {
		return float32(top)
	}
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - top)
	}
	return float32(top + math.Log(sum))
}
