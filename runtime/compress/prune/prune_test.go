package prune

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/compress/quantize"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// offOf are the parts that a plan removes, of the source.
func offOf(p *Plan) gates {
	off := gates{map[int][]int{}, map[int][]int{}, map[int][]int{}}
	for _, l := range p.Removed {
		off.layers[l] = nil
	}
	for _, c := range p.Choices {
		off.groups[c.Layer], off.channels[c.Layer] = c.Groups, c.Channels
	}
	return off
}

// A pruned model computes what the source does with the removed parts multiplied by
// zero: in every architecture, for every kind of part.
func TestPrunedIsGated(t *testing.T) {
	for _, c := range []struct {
		model string
		o     Options
	}{
		{"llama-gqa", Options{Layers: 1, Groups: 1, Channels: 32}},
		{"llama-tied", Options{Groups: 2, Channels: 32, PartsBy: ByGradient}},
		{"llama-bias", Options{Channels: 64}},
		{"llama-bias", Options{Layers: 1, LayersBy: ByPerplexity}},
		{"llama-kv3", Options{Layers: 1, Groups: 2}},
		{"llama-rope-llama3", Options{Groups: 1}},
		{"mistral-headdim", Options{Groups: 1, Channels: 32, WholeBlocks: true}},
		{"qwen2", Options{Groups: 1, Channels: 32}},
		{"qwen3", Options{Groups: 1, Layers: 1, PartsBy: ByGradient}},
		{"phi3", Options{Groups: 1, Channels: 32, Layers: 1}},
		{"gemma2", Options{Layers: 2, Channels: 32, Groups: 1}},
		{"gemma3", Options{Layers: 6, Channels: 3}},
	} {
		t.Run(c.model, func(t *testing.T) {
			t.Parallel()
			f := tiny(t, c.model, nil)
			c.o.Text = sample
			p, small := pruneFile(t, f, c.o)
			want, got := lossOf(t, f, offOf(p)), lossOf(t, small, gates{})
			if d := math.Abs(got/want - 1); !(d < 1e-5) {
				t.Errorf("the loss is %.7f, of the source without these parts %.7f", got, want)
			}
			i, j := p.net.info, must(readNetwork(small)).info
			if j.Layers != i.Layers-c.o.Layers || j.KVHeads != i.KVHeads-c.o.Groups || j.Heads != j.KVHeads*p.net.perGroup() || j.FeedForward != p.keptChannels() || j.KeyDim != i.KeyDim {
				t.Errorf("%+v became %+v", i, j)
			}
			if c.o.Channels > 0 && (j.FeedForward >= i.FeedForward || len(p.Choices[0].Channels) != i.FeedForward-j.FeedForward) {
				t.Errorf("%d of %d channels are left, %d gone", j.FeedForward, i.FeedForward, len(p.Choices[0].Channels))
			}
			if s := strings.Join(p.Lines(), "\n"); !strings.Contains(s, "removed") {
				t.Errorf("the plan says %q", s)
			}
			// It opens and runs.
			m, err := engine.Open(t.Context(), small.Paths()[0], engine.Options{Device: "cpu", Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Feed(t.Context(), []int32{1, 2, 3}); err != nil {
				t.Error(err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A layer that adds nothing is at an angle of 0, and goes first.
func TestAngles(t *testing.T) {
	f := tiny(t, "gemma2-27b", func(f *gguf.File) {
		for _, l := range []int{30, 31} {
			for _, name := range []string{"post_attention_norm", "post_ffw_norm"} {
				overwrite(t, f, fmt.Sprintf("blk.%d.%s.weight", l, name), func(x []float32) { clear(x) })
			}
		}
	})
	p := &Plan{file: f, net: must(readNetwork(f)), options: Options{Layers: 2, Text: sample, Threads: 1, Progress: func(string, int, int) {}}}
	if err := p.chooseLayers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.Removed, []int{30, 31}) || len(p.Angles) != 45 || p.Angles[30] > 1e-4 || p.Angles[0] < 1e-3 {
		t.Errorf("layers %v go; angles %.4f", p.Removed, p.Angles)
	}
	for _, a := range []struct {
		a, b []float32
		want float64
	}{{[]float32{1, 0}, []float32{0, 2}, .5}, {[]float32{1, 1}, []float32{3, 3}, 0}, {[]float32{1, 0}, []float32{-1, 0}, 1}, {[]float32{2, 0}, []float32{1, 1}, .25}} {
		if got := angle(a.a, a.b); math.Abs(got-a.want) > 1e-7 {
			t.Errorf("the angle of %v and %v is %g, want %g", a.a, a.b, got, a.want)
		}
	}
}

// By perplexity goes the layer without which the text is most probable.
func TestPerplexity(t *testing.T) {
	f := tiny(t, "gemma2", nil)
	for _, by := range []LayersBy{ByAngle, ByPerplexity} { // every second layer has a window
		if p, err := New(t.Context(), f, Options{Layers: 1, LayersBy: by, Text: sample}); err != nil || !slices.Equal(p.Removed, []int{3}) {
			t.Errorf("by %s layers %v go, %v", by, p.Removed, err)
		}
	}
	f = tiny(t, "qwen3", nil)
	p, _ := pruneFile(t, f, Options{Layers: 1, LayersBy: ByPerplexity, Text: sample})
	var losses []float64
	for l := range p.net.info.Layers {
		q := &Plan{file: f, net: p.net, options: p.options, Removed: []int{l}}
		for _, k := range p.net.without(q.Removed) {
			q.Choices = append(q.Choices, Choice{Layer: k})
		}
		if err := q.layOut(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), fmt.Sprint(l))
		if err := q.Write(t.Context(), path, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		small := open(t, path)
		size := min(layerChunk, p.net.info.Context)
		probe, err := newProbe(t.Context(), small, must(decoder(small, size, size/2)), 1)
		if err != nil {
			t.Fatal(err)
		}
		loss, err := probe.mean(t.Context(), must(newText(small, sample, size, perplexedChunks)))
		if err != nil {
			t.Fatal(err)
		}
		if err := probe.close(); err != nil {
			t.Fatal(err)
		}
		losses = append(losses, loss)
	}
	least := slices.Min(losses)
	if math.Abs(p.Losses[1]/least-1) > 1e-5 || losses[p.Removed[0]] != least {
		t.Errorf("layer %v goes at %.6f; without each the loss is %.6f", p.Removed, p.Losses, losses)
	}
}

// Gradients are the change of the loss by a gate, and activations the mean square of
// what a part adds.
func TestScores(t *testing.T) {
	f := tiny(t, "llama-gqa", nil)
	n := must(readNetwork(f))
	p := &Plan{file: f, net: n, options: Options{Text: sample[:1000], Threads: 1, Progress: func(string, int, int) {}}}
	byGradient, err := p.byGradient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byActivation, err := p.byActivation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	size := min(partChunk, n.info.Context)
	text := must(newText(f, sample[:1000], size, gradientChunks))
	g := must(decoder(f, size, size))
	h := must(product(g, down(1))).In[0]
	g.Outputs = append(g.Outputs, graph.Output{Name: "h", Node: h})
	gg, err := gated(g, map[*graph.Node]string{h: "gate"})
	if err != nil {
		t.Fatal(err)
	}
	probe, err := newProbe(t.Context(), f, gg, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := probe.close(); err != nil {
			t.Error(err)
		}
	}()
	weights := values(t, f, down(1))
	ff := n.info.FeedForward
	for _, j := range []int{0, 7, ff - 1} {
		const step = 1.0 / 16
		score, square := 0.0, 0.0
		for _, c := range text.chunks {
			at := func(v float32) float64 {
				probe.gates["gate"] = ones(ff)
				probe.gates["gate"][j] = v
				if err := probe.run(t.Context(), c.tokens, c.next); err != nil {
					t.Fatal(err)
				}
				return must(probe.loss())
			}
			// Central differences of two steps, extrapolated: the error goes with the fourth power.
			d := func(s float32) float64 { return (at(1+s) - at(1-s)) / float64(2*s) }
			score += math.Abs((4*d(step)-d(2*step))/3) / float64(len(text.chunks))
			at(1)
			for r := range size {
				v := float64(probe.out["h"][r*ff+j])
				square += v * v / float64(size*len(text.chunks))
			}
		}
		if got := byGradient[1].channels[j]; math.Abs(got-score) > 1e-3*score+1e-6 {
			t.Errorf("channel %d: the gradient is %g, differences say %g", j, got, score)
		}
		column := 0.0
		for r := range n.info.Embedding {
			column += float64(weights[r*ff+j]) * float64(weights[r*ff+j])
		}
		if got := byActivation[1].channels[j]; math.Abs(got/(column*square)-1) > 2e-2 {
			t.Errorf("channel %d: the activation is %g, its definition says %g", j, got, column*square)
		}
	}
}

// quantized writes a file in another type.
func quantized(t *testing.T, f *gguf.File, kind string) *gguf.File {
	t.Helper()
	p, err := quantize.NewPlan(f, must(quantize.FindRecipe(kind)), quantize.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), kind+".gguf")
	if err := p.Write(t.Context(), path, quantize.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

// What no column is taken from stays byte for byte, with whole blocks all of it; else
// what is left of ffn_down is encoded anew, close to what it was.
func TestBytesStay(t *testing.T) {
	f := quantized(t, tiny(t, "llama-tied", nil), "Q4_0") // rows of 64 and 112: the latter are in F16 or so
	for _, whole := range []bool{true, false} {
		o := Options{Groups: 2, Channels: 32, Text: sample}
		if whole {
			o = Options{Channels: 32, WholeBlocks: true, Text: sample}
		}
		p, small := pruneFile(t, f, o)
		for _, x := range p.tensors {
			y, ok := small.Tensor(x.name)
			if !ok || y.DType != x.from.DType {
				t.Fatalf("%s: %+v", x.name, y)
			}
			if x.rows == nil && x.columns == nil {
				if !bytes.Equal(y.Data, x.from.Data) {
					t.Errorf("%s changed", x.name)
				}
				continue
			}
			from := values(t, f, x.from.Name)
			got := values(t, small, x.name)
			width := x.from.RowLen()
			if len(x.shape) == 1 {
				width = 1
			}
			rows, columns := x.rows, x.columns
			if rows == nil {
				rows = span(0, x.from.NumRows())
			}
			if columns == nil {
				columns = span(0, width)
			}
			_, exact := blocks(columns, x.dtype.BlockLen())
			exact = exact || !x.dtype.Quantized()
			if whole && !exact {
				t.Errorf("%s is rounded again", x.name)
			}
			num, den := 0.0, 0.0
			for i, r := range rows {
				for j, c := range columns {
					w, v := float64(from[r*width+c]), float64(got[i*len(columns)+j])
					num += (v - w) * (v - w)
					den += w * w
				}
			}
			if exact && num != 0 || num > 0.02*den {
				t.Errorf("%s: the error is %g of its norm (exact %v)", x.name, math.Sqrt(num/den), exact)
			}
		}
		if whole != (p.Recoded == 0) {
			t.Errorf("whole blocks %v: %d tensors are rounded again", whole, p.Recoded)
		}
	}
}

// A target is reached with as few channels as possible, exactly.
func TestTarget(t *testing.T) {
	f := tiny(t, "llama-gqa", nil)
	whole := f.Size()
	for _, share := range []float64{0.97, 0.9, 0.85} {
		target := int64(share * float64(whole))
		p, small := pruneFile(t, f, Options{Target: target, Text: sample})
		if small.Size() > target {
			t.Errorf("%d bytes, the target was %d", small.Size(), target)
		}
		q := *p
		q.options.Channels -= p.net.unit
		if n, err := q.size(); q.options.Channels >= 0 && (err != nil || n <= target) {
			t.Errorf("%d channels fewer would have done: %d bytes, %v", p.net.unit, n, err)
		}
		if n, err := p.size(); err != nil || n != small.Size() {
			t.Errorf("the size was to be %d, is %d; %v", n, small.Size(), err)
		}
	}
	// Layers that go are counted as they are: here one is larger than the others.
	p, err := quantize.NewPlan(tiny(t, "qwen3", nil), must(quantize.FindRecipe("F16")), quantize.PlanOptions{Overrides: []quantize.Override{must(quantize.ParseOverride(`blk\.0\.=f32`))}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mixed.gguf")
	if err := p.Write(t.Context(), path, quantize.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	mixed := open(t, path)
	for _, keep := range []int{0, 1} {
		q := &Plan{file: mixed, net: must(readNetwork(mixed)), options: Options{Layers: 1, Channels: 32}, Choices: []Choice{{Layer: keep}}}
		size, err := q.size()
		if err != nil {
			t.Fatal(err)
		}
		q.options.Channels = 0
		if err := q.reach(size); err != nil || q.options.Channels != 32 {
			t.Errorf("with layer %d, %d channels go for %d bytes, %v", keep, q.options.Channels, size, err)
		}
		if q.Choices = nil; keep == 1 {
			if n, err := q.size(); err != nil || n != size {
				t.Errorf("without the largest layer it is %d bytes, not %d; %v", size, n, err)
			}
		}
	}
	_, err = New(t.Context(), f, Options{Target: whole / 10, Text: sample})
	if err == nil || !strings.Contains(err.Error(), "cannot be reached") || !strings.Contains(err.Error(), "MB") {
		t.Errorf("%v", err)
	}
}

func TestRefused(t *testing.T) {
	f, large := tiny(t, "llama-gqa", nil), tiny(t, "gemma2-27b", nil)
	nan := tiny(t, "llama-gqa", func(f *gguf.File) {
		overwrite(t, f, "blk.0.ffn_down.weight", func(x []float32) { x[3] = float32(math.NaN()) })
	})
	for _, c := range []struct {
		f    *gguf.File
		o    Options
		says string
	}{
		{f, Options{}, "nothing is to be removed"},
		{f, Options{Layers: 2}, "at least one must stay"},
		{f, Options{Layers: -1}, "negative"},
		{f, Options{Groups: 2}, "at least one group must stay"},
		{f, Options{Channels: 31}, "multiples of 32"},
		{f, Options{Channels: 96}, "at most 64"},
		{f, Options{Layers: 1}, "a text is needed"},
		{f, Options{Channels: 32}, "a text or an importance matrix"},
		{f, Options{Channels: 32, PartsBy: ByGradient}, "a text is needed"},
		{f, Options{Layers: 1, Text: "short"}, "a longer text"},
		{f, Options{Layers: 1, LayersBy: "magic", Text: sample}, "magic"},
		{f, Options{Groups: 1, PartsBy: "magic", Text: sample}, "magic"},
		{large, Options{Layers: 2, Text: sample[:300]}, "derives it"},
		{large, Options{Layers: 1, Text: sample[:300]}, "derives it"},
		{nan, Options{Layers: 1, Text: sample}, "no finite numbers"},
		{nan, Options{Channels: 32, Text: sample}, "no finite numbers"},
		{nan, Options{Channels: 32, PartsBy: ByGradient, Text: sample}, "the loss is"},
	} {
		c.o.Threads = 1
		_, err := New(t.Context(), c.f, c.o)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			c.o.Text = ""
			t.Errorf("%+v: %v; want it to say %q", c.o, err, c.says)
		}
	}
}

func TestNumbers(t *testing.T) {
	if s := numbers([]int{3, 5, 6, 7, 9}); s != "3, 5-7, 9" {
		t.Error(s)
	}
}

func TestBest(t *testing.T) {
	kept, gone := best([]float64{1, 5, 5, 0, 9, 2, 7}, 4, 2) // the last has no partner
	if !slices.Equal(kept, []int{0, 1, 4, 5}) || !slices.Equal(gone, []int{2, 3, 6}) {
		t.Errorf("%v stay, %v go", kept, gone)
	}
}
