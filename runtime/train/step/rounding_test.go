package step_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// rounding trains every matrix of a model for a type.
func rounding(to dtype.DType) *model.Train {
	return &model.Train{Round: func(string) (dtype.DType, bool) { return to, true }}
}

func decoder(t testing.TB, s model.Source, o model.Options) *graph.Graph {
	t.Helper()
	m, err := model.New(s)
	if err != nil {
		t.Fatal(err)
	}
	o.Max, o.Context = limits, 512
	g, err := m.Decoder(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestRounded: a model that is trained rounded has, stored in that type and read back,
// exactly the loss that training said; the model's parameters themselves have another.
func TestRounded(t *testing.T) {
	wide := llama{vocab: 61, hidden: 32, ffn: 64, layers: 2, heads: 4, kvHeads: 2}
	plain := decoder(t, wide, model.Options{Train: &model.Train{}})
	for _, to := range []dtype.DType{dtype.Q8_0, dtype.Q5_0, dtype.Q5_1, dtype.Q4_0, dtype.Q4_1, dtype.IQ4_NL, dtype.MXFP4, dtype.BF16} {
		t.Run(to.String(), func(t *testing.T) {
			g := decoder(t, wide, model.Options{Train: rounding(to)})
			if n := strings.Count(g.String(), "= fake_quant"); n != 1+7*wide.layers {
				t.Fatalf("%d matrices are rounded, not each once:\n%s", n, g)
			}
			tr := trainer(t, 2, g, step.Random(3, 0.2, wide.layers), step.Options{Rate: step.Constant(5e-3)})
			rng := rand.New(rand.NewPCG(4, 4))
			held := part(rng, wide.vocab, 30, 20)
			first, err := tr.Loss(t.Context(), held)
			if err != nil {
				t.Fatal(err)
			}
			for range 30 {
				if _, err := tr.Step(t.Context(), part(rng, wide.vocab, 30, 20)); err != nil {
					t.Fatal(err)
				}
			}
			said, err := tr.Loss(t.Context(), held)
			if err != nil {
				t.Fatal(err)
			}
			if said > 0.9*first {
				t.Errorf("the loss went from %g to %g: nothing was learnt through the rounding", first, said)
			}
			loss := func(stored bool) float64 {
				open := func(w backend.WeightSpec) ([]byte, func(), error) {
					n, _ := dtype.Product(w.Shape)
					x := make([]float32, n)
					if err := tr.Get(w.Name, x); err != nil {
						return nil, nil, err
					}
					if stored && len(w.Shape) == 2 {
						size, err := dtype.ByteSize(to, w.Shape)
						if err != nil {
							return nil, nil, err
						}
						file := make([]byte, size) // what a file has
						if err := dtype.Quantize(to, file, x); err != nil {
							return nil, nil, err
						}
						if err := dtype.Dequantize(to, x, file); err != nil {
							return nil, nil, err
						}
					}
					var b bytes.Buffer
					err := binary.Write(&b, binary.LittleEndian, x)
					return b.Bytes(), func() {}, err
				}
				l, err := trainer(t, 1, plain, open, step.Options{}).Loss(t.Context(), held)
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
			if got := loss(true); math.Float64bits(got) != math.Float64bits(said) {
				t.Errorf("stored, the model has the loss %.12g; training said %.12g", got, said)
			}
			if got := loss(false); got == said {
				t.Errorf("the parameters have the same loss %g, rounded or not", got)
			}
		})
	}
}

// TestRoundRefused: what cannot be rounded is named.
func TestRoundRefused(t *testing.T) {
	m, err := model.New(small)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Decoder(model.Options{Max: limits, Context: 512, Train: rounding(dtype.Q4_0)})
	if err == nil || !strings.Contains(err.Error(), `"token_embd.weight" cannot be trained rounded to q4_0: its rows of 24 values`) {
		t.Errorf("rows of 24: error %v", err)
	}
	half := typed{llama: llama{vocab: 61, hidden: 32, ffn: 64, layers: 1, heads: 4, kvHeads: 2}, to: dtype.F16}
	if m, err = model.New(half); err != nil {
		t.Fatal(err)
	}
	_, err = m.Decoder(model.Options{Max: limits, Context: 512, Train: rounding(dtype.Q4_0)})
	if err == nil || !strings.Contains(err.Error(), `"token_embd.weight" has type f16: only weights in f32`) {
		t.Errorf("weights in f16: error %v", err)
	}
}

// typed is a llama whose matrices are of another type.
type typed struct {
	llama
	to dtype.DType
}

func (s typed) TensorType(name string) (dtype.DType, []int, bool) {
	d, shape, ok := s.llama.TensorType(name)
	if len(shape) == 2 {
		d = s.to
	}
	return d, shape, ok
}

// TestAdaptersOnQuantised: adapters on a frozen, quantised model: new ones change
// nothing, training lowers the loss and leaves all else as it was, the bits are the same
// for any number of threads.
func TestAdaptersOnQuantised(t *testing.T) {
	base := typed{llama: llama{vocab: 64, hidden: 32, ffn: 64, layers: 2, heads: 4, kvHeads: 2}, to: dtype.Q8_0}
	random := step.Random(3, 0.2, base.layers)
	open := func(w backend.WeightSpec) ([]byte, func(), error) {
		to := w.DType
		w.DType = dtype.F32
		data, _, err := random(w)
		if err != nil || to == dtype.F32 {
			return data, func() {}, err
		}
		n, _ := dtype.Product(w.Shape)
		x := make([]float32, n)
		if err := dtype.Dequantize(dtype.F32, x, data); err != nil {
			return nil, nil, err
		}
		size, err := dtype.ByteSize(to, w.Shape)
		if err != nil {
			return nil, nil, err
		}
		out := make([]byte, size)
		return out, func() {}, dtype.Quantize(to, out, x)
	}
	adapters := func(weight string) (model.Adapter, bool) {
		return model.Adapter{Rank: 4, Scale: 2}, weight != "blk.0.attn_k.weight"
	}
	g := decoder(t, base, model.Options{Train: &model.Train{}, Adapters: adapters})
	run := func(threads int) (first, last float64, all map[string][]float32) {
		tr := trainer(t, threads, g, step.NewAdapters(7, open), step.Options{Train: step.IsAdapter, Rate: step.Constant(2e-2)})
		if n := len(tr.Params()); n != 2*(2+7*base.layers-1) {
			t.Fatalf("%d parameters", n)
		}
		rng := rand.New(rand.NewPCG(4, 4))
		held := part(rng, base.vocab, 30, 20)
		loss := func() float64 {
			l, err := tr.Loss(context.Background(), held)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		first = loss()
		for range 40 {
			if _, err := tr.Step(t.Context(), part(rng, base.vocab, 30, 20)); err != nil {
				t.Fatal(err)
			}
		}
		return first, loss(), tensors(t, tr)
	}
	f1, l1, one := run(1)
	f2, l2, two := run(2)
	if fmt.Sprint(f1, l1) != fmt.Sprint(f2, l2) {
		t.Errorf("losses %g to %g on one thread, %g to %g on two", f1, l1, f2, l2)
	}
	same(t, "threads", one, two)
	if l1 > f1-0.5 {
		t.Errorf("the loss went from %g to %g", f1, l1)
	}
	// A frozen, quantised base needs weights that are read, not trained: the plain
	// graph's loss is that of new adapters.
	plain := decoder(t, base, model.Options{Train: &model.Train{}, Adapters: func(w string) (model.Adapter, bool) {
		return model.Adapter{Rank: 1, Scale: 1}, w == "blk.0.attn_k.weight"
	}})
	rng := rand.New(rand.NewPCG(4, 4))
	l, err := trainer(t, 1, plain, step.NewAdapters(1, open), step.Options{Train: step.IsAdapter}).Loss(t.Context(), part(rng, base.vocab, 30, 20))
	if err != nil {
		t.Fatal(err)
	}
	if l != f1 {
		t.Errorf("new adapters change the loss from %g to %g", l, f1)
	}
}
