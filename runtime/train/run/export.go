package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/train/checkpoint"
	"github.com/ledge-run/ledge/runtime/train/step"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// ModelName is the file that a run ends with, in its folder.
const ModelName = "model.gguf"

// fileTypes are llama.cpp's numbers for the types that most of a model can be in.
var fileTypes = map[dtype.DType]uint32{
	dtype.F32: 0, dtype.F16: 1, dtype.Q4_0: 2, dtype.Q4_1: 3, dtype.Q8_0: 7, dtype.Q5_0: 8, dtype.Q5_1: 9, dtype.Q2_K: 10, dtype.Q3_K: 12,
	dtype.Q4_K: 15, dtype.Q5_K: 17, dtype.Q6_K: 18, dtype.IQ4_NL: 25, dtype.IQ4_XS: 30, dtype.BF16: 32, dtype.MXFP4: 38,
}

// export writes the model's file: what was trained in the type asked for, or in that
// which it was rounded to in training (vectors in float32, as engines want them), and what
// was not trained as it was.
func (r *running) export(ctx context.Context) (_ string, err error) {
	values, done, err := r.parameters()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, done()) }()
	if r.plan.r.Adapters != nil {
		return r.exportAdapter(ctx, values)
	}
	w := &gguf.Writer{}
	for k, v := range r.net.metadata() {
		if err := w.Set(k, v); err != nil {
			return "", err
		}
	}
	trained := map[string]bool{}
	for _, p := range r.trainer.Params() {
		trained[p.Name] = true
	}
	to := r.plan.r.Export.Type
	whole := true // all matrices are of that type
	for _, name := range r.tensors() {
		_, shape, _ := r.net.TensorType(name)
		whole = whole && (trained[name] || len(shape) < 2)
	}
	if x := r.plan.r.Round; r.rounded {
		if err := w.Set("general.quantization_version", uint32(2)); err != nil {
			return "", err
		}
		if t, ok := fileTypes[x.Type]; ok && whole {
			whole = false
			if err := w.Set("general.file_type", t); err != nil {
				return "", err
			}
		}
	}
	if whole {
		if err := w.Set("general.file_type", fileTypes[to]); err != nil {
			return "", err
		}
	}
	for _, name := range r.tensors() {
		from, shape, ok := r.net.TensorType(name)
		if !ok {
			return "", fmt.Errorf("the model has no tensor %q any more", name)
		}
		if !trained[name] {
			t, ok := r.net.base.Tensor(name)
			if !ok {
				return "", fmt.Errorf("the model has no tensor %q any more", name)
			}
			if err := w.Add(name, from, shape, t.Data); err != nil {
				return "", err
			}
			continue
		}
		d := to
		if len(shape) < 2 {
			d = dtype.F32
		} else if t, ok := r.roundedTo(name); ok {
			d = t
		}
		err := w.AddFunc(name, d, shape, func(out io.Writer) error {
			x, err := values(name)
			if err != nil {
				return err
			}
			size, err := dtype.ByteSize(d, shape)
			if err != nil {
				return err
			}
			data := make([]byte, size)
			if err := dtype.Quantize(d, data, x); err != nil {
				return err
			}
			_, err = out.Write(data)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	path := filepath.Join(r.plan.r.Out, ModelName)
	return path, w.Save(ctx, path, true)
}

// roundedTo is the type that a matrix was rounded to in the last steps.
func (r *running) roundedTo(name string) (dtype.DType, bool) {
	if !r.rounded {
		return dtype.Invalid, false
	}
	return r.plan.round(name)
}

// tensors are the names of the file's tensors in their order.
func (r *running) tensors() []string {
	var names []string
	if r.net.base != nil {
		for _, t := range r.net.base.Tensors() {
			names = append(names, t.Name)
		}
		return names
	}
	for _, p := range r.trainer.Params() {
		names = append(names, p.Name)
	}
	return names
}

// parameters gives the values of parameters: those of the trainer, of the best step, or
// their means over the last checkpoints, the trainer's among them. done is called when all
// have been read.
func (r *running) parameters() (values func(name string) ([]float32, error), done func() error, err error) {
	elems := map[string]int{}
	for _, p := range r.trainer.Params() {
		elems[p.Name] = p.Elems()
	}
	current := func(name string) ([]float32, error) {
		x := make([]float32, elems[name])
		return x, r.trainer.Get(name, x)
	}
	n := r.plan.r.Export.Average
	if r.best != nil && r.best.Step < r.trainer.Taken() {
		c, err := r.store.Open(r.best.Step)
		if err != nil {
			return nil, nil, fmt.Errorf("the best step, %d: %w", r.best.Step, err)
		}
		r.o.Note(fmt.Sprintf("the model is that of step %d, after which the validation loss was lowest: %.4f", r.best.Step, *r.best.Valid))
		return func(name string) ([]float32, error) {
			x := make([]float32, elems[name])
			return x, readParameter(c, name, x)
		}, c.Close, nil
	}
	if n == 1 {
		return current, func() error { return nil }, nil
	}
	steps, err := r.store.Steps()
	if err != nil {
		return nil, nil, err
	}
	var of []*checkpoint.Checkpoint // each is read once to see that it is whole
	done = func() error {
		var errs []error
		for _, c := range of {
			errs = append(errs, c.Close())
		}
		return errors.Join(errs...)
	}
	for _, s := range steps {
		if s < r.trainer.Taken() && s%r.store.Grid == 0 && s > 0 && len(of) < n-1 {
			c, err := r.store.Open(s)
			if err != nil {
				return nil, nil, errors.Join(fmt.Errorf("the average of checkpoints: %w", err), done())
			}
			of = append(of, c)
		}
	}
	if len(of)+1 < n {
		r.o.Note(fmt.Sprintf("export: average: there are %d checkpoints, not %d: the model is the mean of these", len(of)+1, n))
	}
	return func(name string) ([]float32, error) {
		x, err := current(name)
		if err != nil {
			return nil, err
		}
		sum := make([]float64, len(x))
		add := func(x []float32) {
			for i, v := range x {
				sum[i] += float64(v)
			}
		}
		add(x)
		for _, c := range of {
			if err := readParameter(c, name, x); err != nil {
				return nil, err
			}
			add(x)
		}
		for i, v := range sum {
			x[i] = float32(v / float64(len(of)+1))
		}
		return x, nil
	}, done, nil
}

// readParameter reads a parameter of a checkpoint.
func readParameter(c *checkpoint.Checkpoint, name string, x []float32) error {
	data := make([]byte, 4*len(x))
	if err := c.Read(step.Tensor{Name: name}, data); err != nil {
		return err
	}
	return dtype.Dequantize(dtype.F32, x, data)
}
