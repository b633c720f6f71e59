package quantize

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Against every way to spend the budget: the greedy one is the best for the size that
// it comes to, and never over the budget.
func TestAllot(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var hulls [][]option
		least, most := int64(0), int64(0)
		for range 1 + r.IntN(5) {
			var o []option
			for range 1 + r.IntN(5) {
				o = append(o, option{bytes: 1 + r.Int64N(100), cost: r.Float64()})
			}
			h := hull(o)
			for i := 1; i < len(h); i++ {
				if h[i].bytes <= h[i-1].bytes || h[i].cost >= h[i-1].cost || i > 1 && slope(h[i-2], h[i-1]) < slope(h[i-1], h[i]) {
					t.Fatalf("not convex: %+v", h)
				}
			}
			hulls = append(hulls, h)
			least, most = least+h[0].bytes, most+h[len(h)-1].bytes
		}
		room := least + r.Int64N(most-least+10)
		picks, err := allot(hulls, room)
		if err != nil {
			t.Fatal(err)
		}
		bytes, cost := total(hulls, picks)
		if bytes > room {
			t.Fatalf("%d bytes in a room of %d", bytes, room)
		}
		// The bound of the relaxed problem: no way to spend costs less than going
		// on along the hulls by fractions.
		if b := best(hulls, room); cost < b-1e-9 {
			t.Fatalf("cost %g is below the best, %g", cost, b)
		} else if worst := best(hulls, least); cost > worst+1e-9 {
			t.Fatalf("cost %g, the smallest has %g", cost, worst)
		}
		if room >= most && cost > best(hulls, most)+1e-9 {
			t.Fatalf("room for all, and cost %g", cost)
		}
		var small *tooSmall
		if _, err := allot(hulls, least-1); !errors.As(err, &small) || small.least != least {
			t.Fatalf("a byte too few: %v", err)
		}
	}
}

func total(hulls [][]option, picks []int) (bytes int64, cost float64) {
	for i, h := range hulls {
		bytes += h[picks[i]].bytes
		cost += h[picks[i]].cost
	}
	return bytes, cost
}

// best tries everything.
func best(hulls [][]option, room int64) float64 {
	picks, least := make([]int, len(hulls)), 1e300
	for {
		if b, c := total(hulls, picks); b <= room {
			least = min(least, c)
		}
		i := 0
		for ; i < len(picks); i++ {
			if picks[i]++; picks[i] < len(hulls[i]) {
				break
			}
			picks[i] = 0
		}
		if i == len(picks) {
			return least
		}
	}
}

// A search on a tiny model: within the budget, better than the recipe of that size,
// and a target below the smallest is refused with what can be reached.
func TestSearch(t *testing.T) {
	dir := t.TempDir()
	g := goldentest.Named("../../model/testdata", "llama-gqa")
	source := filepath.Join(dir, "source.gguf")
	if err := os.WriteFile(source, g.File(t), 0o644); err != nil {
		t.Fatal(err)
	}
	f := open(t, source)
	text := strings.Repeat("The cat sat on the mat; 17 birds sang. Who knows why? ", 60)
	stages := map[string]bool{}
	measured, err := Measure(context.Background(), f, PlanOptions{}, SearchOptions{Text: text, Threads: 2,
		Progress: func(what string, done, of int) { stages[what] = true }})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"importance", "errors", "reference", "sensitivity"} {
		if !stages[s] {
			t.Errorf("nothing was told of %s", s)
		}
	}
	by := plan(t, f, "Q4_0", PlanOptions{Matrix: measured.plan.matrix})
	naive := filepath.Join(dir, "naive.gguf")
	if err := by.Write(context.Background(), naive, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(naive)
	if err != nil {
		t.Fatal(err)
	}
	size := st.Size() + st.Size()/10
	p, err := measured.Plan(Budget{Bytes: size})
	if err != nil {
		t.Fatal(err)
	}
	found := filepath.Join(dir, "found.gguf")
	if err := p.Write(context.Background(), found, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if st, err = os.Stat(found); err != nil || st.Size() > size {
		t.Errorf("%d bytes, %d were asked for, %v", st.Size(), size, err)
	}
	var loss []*delta.Report
	for _, path := range []string{source, naive, found} {
		l, err := delta.Measure(context.Background(), source, path, delta.Options{Engine: engine.Options{Device: "cpu"}, Text: strings.Repeat(text, 3)})
		if err != nil {
			t.Fatal(err)
		}
		loss = append(loss, l)
	}
	q := func(i int) *delta.Quality { return loss[i].Quality }
	if math.Abs(q(0).KL) > 1e-6 || q(0).SameTop != 1 || math.Abs(*loss[0].Before.Perplexity / *loss[0].After.Perplexity - 1) > 1e-6 {
		t.Errorf("the source against itself: %+v", q(0))
	}
	if !(q(1).KL > 0) || !(q(2).KL < q(1).KL) {
		t.Errorf("KL %g by the recipe, %g found", q(1).KL, q(2).KL)
	}
	few, err := measured.Plan(Budget{BitsPerWeight: 6})
	if err != nil {
		t.Fatal(err)
	}
	if _, after, values := few.Sizes(); 8*float64(after)/float64(values) > 6 {
		t.Errorf("%d bytes for %d values", after, values)
	}
	for _, b := range []Budget{{Bytes: 1000}, {BitsPerWeight: 1}} {
		if _, err := measured.Plan(b); err == nil || !strings.Contains(err.Error(), "at least") {
			t.Errorf("%v: %v", b, err)
		}
	}
	if _, err := Search(context.Background(), f, Budget{BitsPerWeight: 1}, PlanOptions{Matrix: measured.plan.matrix}, SearchOptions{Text: text}); err == nil {
		t.Error("a bit per weight was reached")
	}
	if few.Recipe.FileType != fileType(few.Choices) || few.Choices[0].To == dtype.Invalid {
		t.Errorf("%+v", few.Recipe)
	}
}

// TestRowsWithoutBlocks: where a row has no whole blocks of any type, a search has the type that recipes fall back to, and a model
// that has it, or one as small, keeps it.
func TestRowsWithoutBlocks(t *testing.T) {
	text := strings.Repeat("The cat sat on the mat; 17 birds sang. Who knows why? ", 60)
	for from, want := range map[dtype.DType]dtype.DType{dtype.F32: dtype.F16, dtype.F16: dtype.F16, dtype.BF16: dtype.BF16} {
		f := goldentest.Parse(t, "../../model/testdata", "llama-f32.gguf.gz")
		w := &gguf.Writer{}
		for k, v := range f.Metadata() {
			if err := w.Set(k, v); err != nil {
				t.Fatal(err)
			}
		}
		odd := map[string]bool{}
		for _, x := range f.Tensors() {
			d := x.DType
			if quantizable(x.Name, x.Shape) {
				odd[x.Name], d = x.RowLen()%32 != 0, from
			}
			n, err := dtype.ByteSize(d, x.Shape)
			if err != nil {
				t.Fatal(err)
			}
			values, err := x.Dequantize()
			if err != nil {
				t.Fatal(err)
			}
			data := make([]byte, n)
			if err := errors.Join(dtype.Quantize(d, data, values), w.Add(x.Name, d, x.Shape, data)); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(t.TempDir(), "odd.gguf")
		if err := w.Save(t.Context(), path, true); err != nil {
			t.Fatal(err)
		}
		p, err := Search(t.Context(), open(t, path), Budget{BitsPerWeight: 16}, PlanOptions{}, SearchOptions{Text: text, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range p.Choices {
			if odd[c.Name] {
				if n++; c.To != want {
					t.Errorf("from %v: %s with rows of %d is %v", from, c.Name, c.Shape[len(c.Shape)-1], c.To)
				}
			}
		}
		if n == 0 {
			t.Error("all rows have whole blocks: the test shows nothing")
		}
		if err := p.Write(t.Context(), filepath.Join(t.TempDir(), "out.gguf"), WriteOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// TestTypeMetadata: a file type that tells more than the type of most bytes stays as long as it is right.
func TestTypeMetadata(t *testing.T) {
	const version, fileType = "general.quantization_version", "general.file_type"
	for _, c := range []struct {
		name  string
		said  any
		sizes Sizes
		want  map[string]any
	}{
		{"as it was", uint32(14), Sizes{dtype.Q4_K: 4 * 144}, nil},
		{"one tensor has another", uint32(14), Sizes{dtype.Q4_K: 2 * 144, dtype.Q8_0: 8}, map[string]any{version: uint32(2)}},
		{"most have another", uint32(14), Sizes{dtype.Q4_K: 2 * 144, dtype.F16: 1024}, map[string]any{version: uint32(2), fileType: uint32(1)}},
		{"nothing was said", nil, Sizes{dtype.Q4_K: 2 * 144, dtype.Q8_0: 8}, map[string]any{version: uint32(2), fileType: uint32(15)}},
		{"what was said was wrong", uint32(1), Sizes{dtype.Q4_K: 2 * 144, dtype.Q8_0: 8}, map[string]any{version: uint32(2), fileType: uint32(15)}},
	} {
		w := &gguf.Writer{}
		errs := []error{w.Set("general.architecture", "llama"), w.Add("x.weight", dtype.Q4_K, []int{4, 256}, make([]byte, 4*144))}
		if c.said != nil {
			errs = append(errs, w.Set(fileType, c.said))
		}
		var b bytes.Buffer
		_, err := w.WriteTo(&b)
		if err = errors.Join(append(errs, err)...); err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if got := TypeMetadata(f, &c.sizes); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
