package step

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// adapted is a model of make_adapters.py.
type adapted struct {
	Name        string
	Rank        int
	Alpha, Loss float64
	Lengths     []int
	Logits      measured
	Tensors     map[string]struct {
		Shape    []int
		Gradient measured
	}
}

func adaptedModels(t *testing.T) []adapted {
	t.Helper()
	var golden struct{ Models []adapted }
	readJSON(t, "testdata/adapters.json.gz", &golden)
	if len(golden.Models) < 6 {
		t.Fatalf("%d models", len(golden.Models))
	}
	return golden.Models
}

// values makes the adapters' tensors as make_adapters.py does.
func (m *adapted) values(t *testing.T) map[string][]float32 {
	t.Helper()
	var weights []string
	for name := range m.Tensors {
		if w, ok := strings.CutSuffix(name, lora.SuffixA); ok {
			weights = append(weights, w)
		}
	}
	sort.Strings(weights)
	all := map[string][]float32{}
	for i, w := range weights {
		for j, s := range []struct {
			suffix string
			by     float32
		}{{lora.SuffixA, 4}, {lora.SuffixB, 16}} {
			n, _ := dtype.Product(m.Tensors[w+s.suffix].Shape)
			x := grid(uint64(1000+2*i+j), n)
			for k := range x {
				x[k] /= s.by
			}
			all[w+s.suffix] = x
		}
	}
	return all
}

// file is the adapter as a file.
func (m *adapted) file(t *testing.T, arch string, d dtype.DType) *lora.File {
	t.Helper()
	var all []lora.Matrices
	values := m.values(t)
	for name, x := range values {
		if w, ok := strings.CutSuffix(name, lora.SuffixA); ok {
			all = append(all, lora.Matrices{Weight: w, Rank: m.Rank, A: x, B: values[w+lora.SuffixB]})
		}
	}
	slices.SortFunc(all, func(a, b lora.Matrices) int { return strings.Compare(a.Weight, b.Weight) })
	w, err := lora.NewWriter(lora.Header{Architecture: arch, Alpha: float32(m.Alpha)}, d, all)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	f, err := lora.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// network is the model's, and its file.
func (m *adapted) network(t *testing.T) (model.Model, *gguf.File) {
	t.Helper()
	f := goldentest.Parse(t, models, m.Name+".gguf.gz")
	net, err := engine.Network(f)
	if err != nil {
		t.Fatal(err)
	}
	return net, f
}

// part is the model's sequences.
func (m *adapted) part(t *testing.T) Part {
	t.Helper()
	return partOf(sequences(t)[m.Name], m.Lengths)
}

func (m *adapted) adapter(string) (model.Adapter, bool) {
	return model.Adapter{Rank: m.Rank, Scale: float32(m.Alpha / float64(m.Rank))}, true
}

// TestAdapterGradients: with adapters on every matrix, loss and the adapters'
// gradients are PyTorch's, the models' own weights being frozen, and nothing but the
// adapters changes in a step.
func TestAdapterGradients(t *testing.T) {
	dev := openCPU(t, 2)
	for i, m := range adaptedModels(t) {
		t.Run(m.Name, func(t *testing.T) {
			net, f := m.network(t)
			p := m.part(t)
			n := len(p.Tokens)
			g, err := net.Decoder(model.Options{Max: graph.Limits{T: n, S: len(m.Lengths), R: n}, Context: 512, Train: &model.Train{}, Adapters: m.adapter})
			if err != nil {
				t.Fatal(err)
			}
			values := m.values(t)
			base := FromFile(f)
			open := func(w backend.WeightSpec) ([]byte, func(), error) {
				x, ok := values[w.Name]
				if !ok {
					return base(w)
				}
				var b bytes.Buffer
				err := binary.Write(&b, binary.LittleEndian, x)
				return b.Bytes(), func() {}, err
			}
			gradients := map[string]measured{}
			for name, x := range m.Tensors {
				gradients[name] = x.Gradient
			}
			againstPyTorch(t, dev, g, open, Options{Rate: Constant(1), Recompute: i%2 == 1, Train: IsAdapter}, p, m.Loss, gradients, 1e-5)
		})
	}
}

// TestAdapterLogits: a file of adapters, as the engine runs it, gives PyTorch's logits;
// fused and not, and as two adapters of half the scale each; at scale 0 it changes
// nothing.
func TestAdapterLogits(t *testing.T) {
	for _, m := range adaptedModels(t) {
		t.Run(m.Name, func(t *testing.T) {
			net, f := m.network(t)
			longest := slices.Max(m.Lengths)
			tokens := sequences(t)[m.Name][longest]
			run := func(o engine.Options) []float32 {
				t.Helper()
				o.CacheType, o.Threads = dtype.F32, 1
				e, err := engine.OpenFile(t.Context(), goldentest.Parse(t, models, m.Name+".gguf.gz"), o)
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				return goldentest.Logits(t, e, tokens)
			}
			arch, _ := f.String("general.architecture")
			whole := func() *lora.File { return m.file(t, arch, dtype.F32) }
			for _, v := range []struct {
				name string
				o    engine.Options
				most float64
			}{
				{"fused", engine.Options{Adapters: []lora.Use{{File: whole(), Scale: 1}}}, 1e-4},
				{"unfused", engine.Options{NoFuse: true, Adapters: []lora.Use{{File: whole(), Scale: 1}}}, 1e-4},
				{"two halves", engine.Options{Adapters: []lora.Use{{File: whole(), Scale: 0.25}, {File: whole(), Scale: 0.75}}}, 1e-4},
				{"float16", engine.Options{Adapters: []lora.Use{{File: m.file(t, arch, dtype.F16), Scale: 1}}}, 1e-2},
			} {
				got := run(v.o)
				off := m.Logits.off(got)
				if !(off <= v.most) {
					t.Errorf("%s: the logits are off by %.2g of their norm", v.name, off)
				}
				t.Logf("%s: off by %.1e", v.name, off)
			}
			plain, none := run(engine.Options{}), run(engine.Options{Adapters: []lora.Use{{File: whole(), Scale: 0}}})
			if off := m.Logits.off(plain); off < 0.05 {
				t.Errorf("without adapters the logits are off by %.2g only: the test shows nothing", off)
			}
			for i := range plain {
				if math.Abs(float64(plain[i]-none[i])) > 1e-4*(1+math.Abs(float64(plain[i]))) {
					t.Fatalf("at scale 0, logit %d is %g, without adapters %g", i, none[i], plain[i])
				}
			}
			_ = net
		})
	}
}
