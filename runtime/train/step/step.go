// Package step takes the steps of training: it holds a model's parameters, gradients
// and moments on a device, runs forward and backward over the parts of a batch, and
// updates. What is trained on, how long, and what is kept where is for others. See
// docs/training.md.
package step

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/grad"
)

// Open gives a weight's bytes in the type that the graph has; release is called when
// they have been read, or, for weights that are not trained, when the trainer is
// closed.
type Open func(w backend.WeightSpec) (data []byte, release func(), err error)

// Options of a trainer.
type Options struct {
	// Train says which weights are trained; nil means all. The others stay as
	// they are, quantised or not.
	Train func(name string) bool

	// AdamW is the optimizer. Zero Beta1, Beta2 and Eps mean 0.9, 0.95 and 1e-8.
	AdamW grad.AdamW

	// Rate is the learning rate of every step.
	Rate Schedule

	// Groups are parameters with a learning rate of their own; the first whose
	// pattern fits a weight has it.
	Groups []Group

	// Layout says how the caller makes the parts of every step from what data:
	// lines of "name: value". It is part of the state, and only compared.
	Layout string

	// Shape names what of the caller's settings is in the graph alone, a line each: a state
	// of another graph says by it what differs.
	Shape string

	// Seed is of dropout.
	Seed int32

	// Recompute takes less memory and about a third more time.
	Recompute bool

	// Precision is what operands of products are rounded to in a step: dtype.BF16;
	// dtype.F32 or nothing leaves them as they are. Sums, parameters, gradients and
	// moments are float32 either way, and so is what [Trainer.Loss] computes with.
	Precision dtype.DType
}

// round is Precision as graphs have it.
func (o *Options) round() (string, error) {
	switch o.Precision {
	case dtype.Invalid, dtype.F32:
		return "", nil
	case dtype.BF16:
		return o.Precision.String(), nil
	}
	return "", fmt.Errorf("Options.Precision is %s, want %s or %s", o.Precision, dtype.F32, dtype.BF16)
}

// Part is what is run at once: some documents, one after another.
type Part struct {
	Tokens  []int32
	Labels  []int32   // of each token: the one that is to follow; -1 for none
	Lengths []int     // tokens of each document; nil: there is one
	Weights []float32 // what each token's loss counts; nil: 1
	Targets *Soft     // what a teacher says; asked for by a graph with a teacher
}

// Soft are a teacher's words on the tokens that have labels, in order: for each, K ids
// and their probabilities at the teacher's temperature (model.Teacher). An id of -1 is
// none; what the probabilities leave of 1 is of all other ids.
type Soft struct {
	K     int
	IDs   []int32
	Probs []float32
}

// Result tells how a step went.
type Result struct {
	Step   int     // its number, from 1
	Loss   float64 // weighted mean of the labels' losses, before the update
	Norm   float64 // of the gradients, before clipping
	Labels int     // how many tokens had one
}

// ErrNotFinite reports a step whose loss or gradients are not numbers. Parameters and
// moments are those of the step before.
type ErrNotFinite struct{ Result }

func (e *ErrNotFinite) Error() string {
	return fmt.Sprintf("train: step %d gave loss %g and gradient norm %g; nothing was updated", e.Step, e.Loss, e.Norm)
}

// Trainer trains one model on one device. It is used by one goroutine at a time.
type Trainer struct {
	dev    backend.Device
	o      Options
	params []grad.Param
	step   int // steps taken

	settings Settings

	state   backend.State
	weights backend.Weights // those that are not trained: of both run and forward
	run     *program        // forward and backward
	update  *program
	forward *program // made when first needed
	open    Open

	forwardGraph *graph.Graph
}

// New makes a trainer of a graph that a model emits with Options.Train. Parameters
// begin as what open gives.
func New(ctx context.Context, dev backend.Device, g *graph.Graph, open Open, o Options) (_ *Trainer, err error) {
	if err := o.Rate.check(); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if a := &o.AdamW; a.Beta1 == 0 && a.Beta2 == 0 && a.Eps == 0 {
		a.Beta1, a.Beta2, a.Eps = 0.9, 0.95, 1e-8
	}
	t := &Trainer{dev: dev, o: o, open: open}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("train: %w", err), t.Close())
		}
	}()
	round, err := o.round()
	if err != nil {
		return nil, err
	}
	run, params, err := grad.Train(g, grad.Options{Train: o.Train, Recompute: o.Recompute, Chunks: true, Round: round})
	if err != nil {
		return nil, err
	}
	names := make([]string, len(params))
	for i, p := range params {
		names[i] = p.Name
	}
	if err := checkGroups(o.Groups, names); err != nil {
		return nil, err
	}
	adamw := o.AdamW
	adamw.Group = func(p grad.Param) int { return groupOf(o.Groups, p.Name) }
	update, err := grad.Update(g.Name, params, adamw)
	if err != nil {
		return nil, err
	}
	t.params, t.settings = params, settings(dev, g, params, o)
	if t.state, err = dev.NewState(backend.StateSpec{Decls: grad.States(params)}); err != nil {
		return nil, err
	}
	if _, ok := t.state.(backend.Tensors); !ok {
		return nil, fmt.Errorf("device %s does not train", dev.Info().Name)
	}
	if t.forwardGraph, err = grad.Forward(g, grad.Options{Train: o.Train, Chunks: true}); err != nil {
		return nil, err
	}
	// Both programs read the weights that are not trained: they are loaded once.
	for _, g := range []**graph.Graph{&run, &update, &t.forwardGraph} {
		if *g, err = lower(dev, *g); err != nil {
			return nil, err
		}
	}
	if t.weights, err = load(ctx, dev, open, run, t.forwardGraph); err != nil {
		return nil, err
	}
	if t.run, err = compile(ctx, dev, run, t.weights); err != nil {
		return nil, err
	}
	if t.update, err = compile(ctx, dev, update, t.weights); err != nil {
		return nil, err
	}
	return t, t.initialise(g)
}

// initialise writes the parameters' first values.
func (t *Trainer) initialise(g *graph.Graph) error {
	byName := map[string]*graph.Node{}
	for _, w := range g.Weights() {
		byName[w.Name] = w
	}
	for _, p := range t.params {
		spec := specOf(byName[p.Name])
		data, release, err := t.open(spec)
		if err != nil {
			return fmt.Errorf("weight %q: %w", p.Name, err)
		}
		x := make([]float32, p.Elems())
		if err = dtype.Dequantize(spec.DType, x, data); err == nil {
			err = t.Set(p.Name, x)
		}
		release()
		if err != nil {
			return fmt.Errorf("weight %q: %w", p.Name, err)
		}
	}
	return nil
}

// Step runs all parts, adds up their gradients and updates the parameters. On an
// error, ctx's end included, nothing of the step is left; the next may follow. When
// ctx ends during the update, the step is taken.
func (t *Trainer) Step(ctx context.Context, parts ...Part) (Result, error) {
	r := Result{Step: t.step + 1}
	batches, total, err := t.prepare(t.run, r.Step, parts)
	if err != nil {
		return r, err
	}
	for i, b := range batches {
		b.count(total)
		err := t.run.submit(ctx, t.state, b)
		if err != nil {
			return r, errors.Join(fmt.Errorf("train: step %d, part %d: %w", r.Step, i, err), t.clearGradients())
		}
		r.Loss += b.loss()
		r.Labels += len(b.rows)
	}
	norm := []float32{0}
	a := &backend.Args{State: t.state, Outputs: []backend.Output{{F32: norm}}, Inputs: t.rates(r.Step)}
	if !finite(r.Loss) {
		// The norm need not tell: a loss of infinity may have a gradient.
		return r, errors.Join(&ErrNotFinite{r}, t.clearGradients())
	}
	if err := ctx.Err(); err != nil {
		return r, errors.Join(fmt.Errorf("train: step %d: %w", r.Step, err), t.clearGradients())
	}
	// An update that stops halfway leaves some parameters of this step and some of
	// the one before: once begun it is brought to its end.
	if err := t.update.start(context.WithoutCancel(ctx), a); err != nil {
		return r, errors.Join(fmt.Errorf("train: step %d, update: %w", r.Step, err), t.clearGradients())
	}
	if r.Norm = float64(norm[0]); !finite(r.Norm) {
		return r, &ErrNotFinite{r}
	}
	t.step++
	return r, nil
}

// rates are the inputs of the update of a step.
func (t *Trainer) rates(step int) []backend.Tensor {
	bias := func(beta float32) float32 { return float32(1 - math.Pow(float64(beta), float64(step))) }
	var in []backend.Tensor
	for _, n := range t.update.graph.Inputs() {
		rate := t.o.Rate.Rate(step)
		for i, g := range t.o.Groups {
			if n.Name == grad.RatesOf(i+1) {
				rate *= g.Rate
			}
		}
		in = append(in, backend.Tensor{F32: []float32{float32(rate), bias(t.o.AdamW.Beta1), bias(t.o.AdamW.Beta2)}})
	}
	return in
}

// Loss is the weighted mean of the labels' losses, without training and without
// dropout.
func (t *Trainer) Loss(ctx context.Context, parts ...Part) (float64, error) {
	if t.forward == nil {
		p, err := compile(ctx, t.dev, t.forwardGraph, t.weights)
		if err != nil {
			return 0, fmt.Errorf("train: %w", err) // the next Loss tries again
		}
		t.forward = p
	}
	batches, total, err := t.prepare(t.forward, 0, parts)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i, b := range batches {
		b.count(total)
		if err := t.forward.submit(ctx, t.state, b); err != nil {
			return 0, fmt.Errorf("train: part %d: %w", i, err)
		}
		sum += b.loss()
	}
	return sum, nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// clearGradients forgets what the parts of a step have added up.
func (t *Trainer) clearGradients() error {
	for _, p := range t.params {
		if err := t.state.(backend.Tensors).WriteTensor(p.Grad(), make([]float32, p.Elems())); err != nil {
			return err
		}
	}
	return nil
}

// Params are what is trained, in the order of the graph's weights.
func (t *Trainer) Params() []grad.Param { return t.params }

// Taken is the number of steps taken. State has all there is to go on from.
func (t *Trainer) Taken() int { return t.step }

// Tensors names what lives from step to step, with sizes: parameters by their
// weight's name, and their moments. Gradients are zero between steps.
func (t *Trainer) Tensors() []graph.StateDecl {
	var kept []graph.StateDecl
	for _, p := range t.params {
		for _, s := range grad.States([]grad.Param{p}) {
			if s.Name != p.Grad() {
				kept = append(kept, s)
			}
		}
	}
	return kept
}

// Get reads a tensor of Tensors, and Set writes it.
func (t *Trainer) Get(name string, dst []float32) error {
	return t.state.(backend.Tensors).ReadTensor(name, dst)
}

func (t *Trainer) Set(name string, src []float32) error {
	return t.state.(backend.Tensors).WriteTensor(name, src)
}

// Close frees everything on the device.
func (t *Trainer) Close() error {
	var errs []error
	for _, p := range []*program{t.run, t.update, t.forward} {
		if p != nil {
			errs = append(errs, p.close())
		}
	}
	if t.weights != nil {
		errs = append(errs, t.weights.Close())
	}
	if t.state != nil {
		errs = append(errs, t.state.Close())
	}
	return errors.Join(errs...)
}
