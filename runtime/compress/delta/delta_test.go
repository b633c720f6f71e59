package delta_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/compress/quantize"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/power"
	"github.com/ledge-run/ledge/runtime/power/powertest"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// pair writes a golden model and what is left of it in Q4_0.
func pair(t *testing.T) (source, small string) {
	t.Helper()
	dir := t.TempDir()
	g := goldentest.Named("../../model/testdata", "llama-gqa")
	source, small = filepath.Join(dir, "source.gguf"), filepath.Join(dir, "small.gguf")
	if err := os.WriteFile(source, g.File(t), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := quantize.FindRecipe("Q4_0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := quantize.NewPlan(f, r, quantize.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(t.Context(), small, quantize.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	return source, small
}

const lines = `{"text": "A", "label": "b", "options": ["b", "c"]}
{"text": "Q", "label": "c", "options": ["b", "c"]}
{"text": "7", "label": "c", "options": ["b", "c"]}
`

// Every figure is that of the command that measures nothing else.
func TestMeasureIsEval(t *testing.T) {
	source, small := pair(t)
	ctx := context.Background()
	text := strings.Repeat("The cat sat on the mat; 17 birds sang. Who knows why? ", 60)
	task, err := eval.ReadData(strings.NewReader(lines), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	r, err := delta.Measure(ctx, source, small, delta.Options{
		Engine: engine.Options{Device: "cpu"}, Text: text, Name: "cats", Chunks: 5, Task: task, TaskName: "letters",
		Speed: delta.AlwaysSpeed, Meter: power.OpenAt(powertest.TenWatts(time.Now())),
	})
	if err != nil {
		t.Fatal(err)
	}
	var models []*engine.Model
	for _, path := range []string{source, small} {
		m, err := engine.Open(ctx, path, engine.Options{Device: "cpu", Context: r.Quality.ChunkSize})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		models = append(models, m)
	}
	cut, err := eval.NewText(models[0], text, r.Quality.ChunkSize, 5)
	if err != nil {
		t.Fatal(err)
	}
	want, err := eval.Compare(ctx, models[1], cut, eval.ModelReference{M: models[0]}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if q := r.Quality; q.KL != want.KL || q.KLError != want.KLErr || q.SameTop != want.SameTop || q.Tokens != want.Positions || q.Chunks != 5 || q.KL == 0 || q.On != "cats" {
		t.Errorf("%+v, eval says %+v", q, want)
	}
	for i, side := range []delta.Model{r.Before, r.After} {
		p, err := eval.MeasurePerplexity(ctx, models[i], text, r.Quality.ChunkSize, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(*side.Perplexity/p.PPL-1) > 1e-5 || p.Tokens != r.Quality.Tokens {
			t.Errorf("perplexity %g of %d tokens, eval says %g of %d", *side.Perplexity, r.Quality.Tokens, p.PPL, p.Tokens)
		}
		so, err := eval.Run(ctx, models[i], task, eval.Plan{})
		if err != nil {
			t.Fatal(err)
		}
		if side.Score == nil || side.Score.Score != so.Score || side.Score.Items != 3 {
			t.Errorf("score %+v, eval says %+v", side.Score, so)
		}
		if m := models[i].Memory(); side.Memory == nil || *side.Memory != m || m.Weights <= 0 || m.Cache <= 0 || m.Arena <= 0 {
			t.Errorf("memory %+v, the engine says %+v", side.Memory, m)
		}
		for _, s := range []*delta.Speed{side.Prefill, side.Decode} {
			if s == nil || s.TokensPerSecond <= 0 || len(s.Turns) == 0 {
				t.Errorf("no speed: %+v", s)
			}
		}
		st, err := os.Stat([]string{source, small}[i])
		if err != nil || side.FileBytes != st.Size() {
			t.Errorf("the file has %d bytes, %v", side.FileBytes, err)
		}
	}
	// Each weight of a matrix is multiplied once for a token, that of the embedding in
	// the output matrix, if that is not one of its own.
	f := models[0].File
	sum := int64(0)
	for _, x := range f.Tensors() {
		if len(x.Shape) == 2 && x.Name != "token_embd.weight" {
			sum += int64(x.NumElems())
		}
	}
	if _, apart := f.Tensor("output.weight"); !apart {
		x, _ := f.Tensor("token_embd.weight")
		sum += int64(x.NumElems())
	}
	i := models[0].Network.Info()
	if a := int64(i.Layers * i.Heads * (i.KeyDim + i.ValueDim)); r.Before.MultiplyAdds != sum || r.After.MultiplyAdds != sum || r.After.AttentionMultiplyAdds != a {
		t.Errorf("%d and %d multiply-adds, want %d and %d", r.Before.MultiplyAdds, r.After.AttentionMultiplyAdds, sum, a)
	}
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{"size of the file", "bits per weight", "memory, context of", "perplexity", "KL to the source", "same first choice", "score", "tokens/s, reading",
		"tokens/s, generating", "J/token", "measured on cats: ", "score on letters: 3 items", "RAPL package-0"} {
		if !strings.Contains(table.String(), row) {
			t.Errorf("no %q in\n%s", row, table.String())
		}
	}
	if strings.Contains(table.String(), "not measured") {
		t.Errorf("not all was measured:\n%s", table.String())
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back delta.Report
	if err := json.Unmarshal(data, &back); err != nil || back.After.Bytes != r.After.Bytes || *back.After.Perplexity != *r.After.Perplexity {
		t.Errorf("%s: %v", data, err)
	}
}

// What was not measured is named.
func TestAbsent(t *testing.T) {
	source, small := pair(t)
	for _, c := range []struct {
		o    delta.Options
		says []string
	}{
		{delta.Options{}, []string{"perplexity, divergence: not measured: no text was given", "score: not measured: no data set was given", "speed, energy: not measured: it was not asked for", "memory: not"}},
		{delta.Options{Speed: delta.SpeedIfFits}, []string{"tokens/s, generating", "energy: not measured: "}},
	} {
		c.o.Engine.Device = "cpu"
		r, err := delta.Measure(t.Context(), source, small, c.o)
		if err != nil {
			t.Fatal(err)
		}
		var table strings.Builder
		if err := r.WriteTable(&table); err != nil {
			t.Fatal(err)
		}
		for _, s := range c.says {
			if !strings.Contains(table.String(), s) {
				t.Errorf("no %q in\n%s", s, table.String())
			}
		}
	}
}

// A file that cannot be run is an error if its figures were asked for; else its sizes
// are shown all the same.
func TestDamaged(t *testing.T) {
	source, small := pair(t)
	f, err := gguf.Open(small)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &gguf.Writer{}
	for k, v := range f.Metadata() {
		if err := w.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	bad := filepath.Join(t.TempDir(), "bad.gguf")
	if err := w.Save(t.Context(), bad, false); err != nil {
		t.Fatal(err)
	}
	o := delta.Options{Engine: engine.Options{Device: "cpu"}, Speed: delta.SpeedIfFits}
	r, err := delta.Measure(t.Context(), source, bad, o)
	if err != nil || r.After.Memory != nil || len(r.Absent) != 3 || !strings.Contains(r.Absent[2].Why, "token_embd.weight") {
		t.Errorf("%+v, %v", r, err)
	}
	o.Speed = delta.AlwaysSpeed
	if _, err := delta.Measure(t.Context(), source, bad, o); err == nil || !strings.Contains(err.Error(), "bad.gguf") {
		t.Errorf("%v", err)
	}
}

func TestEnough(t *testing.T) {
	source, _ := pair(t)
	f, err := gguf.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := delta.Enough(f, "too short", delta.Chunk); err == nil || !strings.Contains(err.Error(), "at least twice") {
		t.Errorf("%v", err)
	}
	if err := delta.Enough(f, strings.Repeat("long enough ", 200), delta.Chunk); err != nil {
		t.Error(err)
	}
}

func TestRatio(t *testing.T) {
	// The machine was slow in the second turn, and a little of the third.
	before, after := &delta.Speed{Turns: []float64{100, 10, 90}}, &delta.Speed{Turns: []float64{200, 20, 100}}
	if r := delta.Ratio(before, after); r != 2 {
		t.Errorf("%g", r)
	}
}

func TestHoldOut(t *testing.T) {
	for _, c := range []struct{ text, rest string }{
		{"", ""},
		{"one two three four five six", "four five six"},
		{"a line of ten\nand another\nthe last", "and another\nthe last"},
		{strings.Repeat("ä", 10), "ääää"},
	} {
		use, rest := delta.HoldOut(c.text)
		if rest != c.rest || use+rest != c.text {
			t.Errorf("%q: %q and %q", c.text, use, rest)
		}
	}
}
