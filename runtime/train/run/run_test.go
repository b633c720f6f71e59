package run

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	_ "github.com/ledge-run/ledge/runtime/model/all"
	"github.com/ledge-run/ledge/runtime/sampler"
	"github.com/ledge-run/ledge/runtime/tokenizer/bpetrain"
	"github.com/ledge-run/ledge/runtime/train/recipe"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

const words = "zero one two three four five six seven eight nine"

// makeTokenizer writes a vocabulary's file.
func makeTokenizer(dir string) (string, error) {
	texts := func(yield func(string, error) bool) {
		for range 3 {
			if !yield(words+"\n"+words, nil) {
				return
			}
		}
	}
	v, err := bpetrain.Train(background, texts, bpetrain.Config{Size: 290, Preset: "gpt2", MinFrequency: 2, EOS: "<e>"})
	if err != nil {
		return "", err
	}
	w := &gguf.Writer{}
	for k, x := range v.Metadata() {
		if err := w.Set(k, x); err != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, "tokenizer.gguf")
	return path, w.Save(background, path, false)
}

// makeRecipe is one of a model that learns which number follows another.
func makeRecipe(dir string) (*recipe.Recipe, error) {
	tok, err := makeTokenizer(dir)
	if err != nil {
		return nil, err
	}
	var train, valid strings.Builder
	w := strings.Fields(words)
	for i := range w {
		fmt.Fprintf(&train, `{"prompt":"%s\n","completion":"%s"}`+"\n", w[i], w[(i+1)%len(w)])
		fmt.Fprintf(&valid, `{"prompt":"%s\n","completion":"%s"}`+"\n", w[i], w[(i+1)%len(w)])
	}
	for range 5 {
		fmt.Fprintf(&train, `{"text":"%s"}`+"\n", words)
	}
	r := recipe.Default()
	r.File, r.Out = filepath.Join(dir, "numbers.yaml"), filepath.Join(dir, "out")
	r.Tokenizer = tok
	r.Data.Train, r.Data.Valid = []string{filepath.Join(dir, "train.jsonl")}, []string{filepath.Join(dir, "valid.jsonl")}
	r.Model.Layers, r.Model.Embedding, r.Model.Heads, r.Model.KVHeads, r.Model.KeyLength, r.Model.FeedForward, r.Model.Context = 1, 32, 2, 1, 16, 64, 24
	r.Model.Deviation = 0.1
	r.Train.Steps, r.Train.TokensPerStep, r.Train.TokensAtOnce, r.Train.Rate, r.Train.Dropout = 150, 48, 32, 1e-2, 0.05
	r.Checkpoint = recipe.Checkpoint{Steps: 5, Keep: 2}
	r.Validate.Every = 50
	return r, errors.Join(os.WriteFile(r.Data.Train[0], []byte(train.String()), 0o644), os.WriteFile(r.Data.Valid[0], []byte(valid.String()), 0o644))
}

func numbers(t *testing.T) *recipe.Recipe {
	t.Helper()
	r, err := makeRecipe(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// elsewhere is a recipe with another folder to write to.
func elsewhere(t *testing.T, r *recipe.Recipe) *recipe.Recipe {
	c := *r
	c.Out = filepath.Join(t.TempDir(), "out")
	return &c
}

func device(t *testing.T, threads int) backend.Device {
	t.Helper()
	d, err := cpu.Open(backend.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// notes collects what a run says.
type notes struct {
	sync.Mutex
	all []string
}

func (n *notes) add(s string) {
	n.Lock()
	defer n.Unlock()
	n.all = append(n.all, s)
}

func (n *notes) String() string { return strings.Join(n.all, "\n") }

func train(t *testing.T, r *recipe.Recipe, o Options) *Result {
	t.Helper()
	if o.Device == nil {
		o.Device = device(t, 1)
	}
	res, err := Run(t.Context(), r, o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func hashOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// whole is the hash of the model of a run that nothing interrupted, and its result.
func whole(t *testing.T, r *recipe.Recipe) (string, *Result) {
	t.Helper()
	res := train(t, elsewhere(t, r), Options{Device: device(t, 1)})
	return hashOf(t, res.Model), res
}

// TestRun: a model is learnt, at any number of threads and in any number of calls the
// same one; its file runs.
func TestRun(t *testing.T) {
	r := numbers(t)
	want, res := whole(t, r)
	if res.Steps != 150 || res.Total != 150 || res.Parameters != res.Trained || res.Parameters < 10000 || res.Valid == nil || *res.Valid > 0.2 || res.Loss > 1 || res.Epochs < 3 {
		t.Errorf("%+v", res)
	}
	// Two threads, in pieces, some of which end between checkpoints.
	var said notes
	for i, n := range []int{1, 42, 0, 0} {
		res = train(t, r, Options{Device: device(t, 2), Threads: 2, Steps: n, Note: said.add})
		if after := []int{1, 43, 150, 150}[i]; res.Steps != after {
			t.Errorf("call %d ends after step %d", i, res.Steps)
		}
	}
	if got := hashOf(t, res.Model); got != want {
		t.Error("two threads in pieces give another model")
	}
	if s := said.String(); !strings.Contains(s, "going on after step 1 of 150") || !strings.Contains(s, "going on after step 43 of 150") {
		t.Error(s)
	}
	log, err := openLog(filepath.Join(r.Out, LogName), math.MaxInt, false)
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()
	if n := len(log.all); n != 150 || log.all[99].Valid == nil || log.all[98].Valid != nil || log.all[149].Rate < 9e-4 || log.all[149].Rate > 2e-3 || log.all[0].Loss < 4 {
		t.Errorf("%d records: %+v", n, log.all[149])
	}
	if b, err := os.ReadFile(filepath.Join(r.Out, CurveName)); err != nil || !strings.HasPrefix(string(b), "\x89PNG") {
		t.Errorf("the curve: %v", err)
	}
	if got := continued(t, res.Model, "three\n"); got != "four" {
		t.Errorf("after three comes %q", got)
	}
}

// continued is what a model says after a prompt.
func continued(t *testing.T, path, prompt string) string {
	t.Helper()
	m, err := engine.Open(t.Context(), path, engine.Options{Device: "cpu", Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return continuedBy(t, m, prompt)
}

func continuedBy(t *testing.T, m *engine.Model, prompt string) string {
	t.Helper()
	set := engine.Settings{MaxTokens: 8, Sampler: sampler.DefaultParams()}
	set.Sampler.Temperature = 0
	s, text := m.NewSession(), ""
	defer s.Close()
	for p, err := range s.Generate(t.Context(), m.Encode(prompt, true, false), set) {
		if err != nil {
			t.Fatal(err)
		}
		text += p.Text
	}
	return text
}

// TestPrecision: a recipe's products of bfloat16 give another model, about as good.
func TestPrecision(t *testing.T) {
	r := numbers(t)
	r.Train.Steps = 30
	plain := train(t, r, Options{})
	c := elsewhere(t, r)
	c.Train.Precision = "bf16"
	rounded := train(t, c, Options{})
	if d := math.Abs(rounded.Loss-plain.Loss) / plain.Loss; d == 0 || d > 0.05 {
		t.Errorf("the loss is %g, in float32 %g", rounded.Loss, plain.Loss)
	}
}

// TestFrom: a run begins with a file, whose metadata stays; half precision and the mean
// of checkpoints are other files of the same model.
func TestFrom(t *testing.T) {
	r := numbers(t)
	r.Train.Steps, r.Checkpoint.Keep, r.Model.Name = 60, 3, "numbers"
	first := train(t, r, Options{})
	f, err := gguf.Open(first.Model)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, d := range []dtype.DType{dtype.F16, dtype.BF16} {
		c := elsewhere(t, r)
		c.From, c.Tokenizer, c.Train.Steps, c.Export.Type = first.Model, "", 20, d
		res := train(t, c, Options{})
		g, err := gguf.Open(res.Model)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range f.Keys() {
			a, _ := f.Value(k)
			b, ok := g.Value(k)
			if k == "general.file_type" {
				a = fileTypes[d]
			}
			if !ok || fmt.Sprint(a) != fmt.Sprint(b) {
				t.Errorf("%s is %v, not %v", k, b, a)
			}
		}
		for _, x := range g.Tensors() {
			if want := map[bool]dtype.DType{true: d, false: dtype.F32}[len(x.Shape) > 1]; x.DType != want {
				t.Errorf("%s is %v", x.Name, x.DType)
			}
		}
		if res.Loss > 2*first.Loss { // from nothing it is ten times as much
			t.Errorf("loss %g, before %g", res.Loss, first.Loss)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	// The mean, by hand of the checkpoints.
	c := elsewhere(t, r)
	c.Export.Average = 3
	res := train(t, c, Options{})
	if hashOf(t, res.Model) == hashOf(t, first.Model) {
		t.Error("the mean of checkpoints is the last")
	}
	g, err := gguf.Open(res.Model)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	name := "blk.0.ffn_up.weight"
	x, ok := g.Tensor(name)
	if !ok {
		t.Fatal("no tensor")
	}
	got, err := x.Dequantize()
	if err != nil {
		t.Fatal(err)
	}
	sum := make([]float64, len(got))
	for _, at := range []int{50, 55, 60} {
		v := make([]float32, len(got))
		k, err := storeOf(c).Open(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(readParameter(k, name, v), k.Close()); err != nil {
			t.Fatal(err)
		}
		for i, y := range v {
			sum[i] += float64(y) / 3
		}
	}
	for i, v := range got {
		if math.Abs(float64(v)-sum[i]) > 1e-7 {
			t.Fatalf("%s[%d] is %g, want %g", name, i, v, sum[i])
		}
	}
}

// TestChanged: other settings are refused with what differs, or taken.
func TestChanged(t *testing.T) {
	r := numbers(t)
	r.Train.Steps = 10
	train(t, r, Options{Steps: 4})
	for _, c := range []struct {
		change func(r *recipe.Recipe)
		want   string
	}{
		{func(r *recipe.Recipe) { r.Train.Rate = 5e-3 }, "learning rate was cosine 0.01 to 0.001 at step 10, now cosine 0.005"},
		{func(r *recipe.Recipe) { r.Train.Steps = 20 }, "learning rate was"},
		{func(r *recipe.Recipe) { r.Train.TokensPerStep = 64 }, "tokens_per_step was 48, now 64"},
		{func(r *recipe.Recipe) { r.Data.PromptLoss = 1 }, "prompt_loss was 0, now 1"},
		{func(r *recipe.Recipe) { r.Data.Train = r.Data.Valid }, "data was"},
		{func(r *recipe.Recipe) { r.Train.Dropout = 0 }, "dropout was"},
		{func(r *recipe.Recipe) { r.Train.Groups = []recipe.Group{{Weights: "token_embd.*", Rate: .5}} }, "groups was none, now token_embd.* 0.5"},
	} {
		other := *r
		c.change(&other)
		_, err := Run(t.Context(), &other, Options{Device: device(t, 1)})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "--restart") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	other := *r
	other.Train.Rate = 5e-3
	var said notes
	if res := train(t, &other, Options{Changed: true, Note: said.add}); res.Steps != 10 || !strings.Contains(said.String(), "going on with other settings: learning rate was") {
		t.Errorf("%+v %s", res, &said)
	}
	wide := *r
	wide.Model.FeedForward = 96
	if _, err := Run(t.Context(), &wide, Options{Device: device(t, 1), Changed: true}); err == nil || !strings.Contains(err.Error(), "of another model") {
		t.Errorf("another shape: %v", err)
	}
	if res := train(t, &wide, Options{Restart: true}); res.Steps != 10 {
		t.Errorf("%+v", res)
	}
}

// TestDiverged: a step that gives no numbers ends the run, names itself and the last
// good checkpoint, and leaves that.
func TestDiverged(t *testing.T) {
	r := numbers(t)
	r.Train.Rate, r.Train.Warmup, r.Checkpoint.Steps = 1e25, 0, 1
	_, err := Run(t.Context(), r, Options{Device: device(t, 1)})
	var at, kept int
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Fatal(err)
	}
	if _, serr := fmt.Sscanf(err.Error(), "step %d gave a loss of", &at); serr != nil || at < 2 || !strings.Contains(err.Error(), "training stopped; the last good checkpoint is of step ") {
		t.Fatal(err)
	}
	_, tail, _ := strings.Cut(err.Error(), "checkpoint is of step ")
	if _, serr := fmt.Sscanf(tail, "%d;", &kept); serr != nil || kept != at-1 {
		t.Errorf("%v", err)
	}
	if steps, err := storeOf(r).Steps(); err != nil || steps[0] != kept {
		t.Errorf("%v %v", steps, err)
	}
	// With a rate of use it goes on from there.
	r.Train.Rate, r.Train.Steps = 1e-3, at+2
	if err := os.RemoveAll(r.Out); err != nil {
		t.Fatal(err)
	}
	r.Checkpoint.Steps = 0
	r.Train.Rate = 1e25
	if _, err := Run(t.Context(), r, Options{Device: device(t, 1)}); err == nil || !strings.Contains(err.Error(), "before the first checkpoint") {
		t.Error(err)
	}
}

// TestFolder: two runs do not write to one folder, and damaged checkpoints are passed
// over by name.
func TestFolder(t *testing.T) {
	r := numbers(t)
	r.Train.Steps = 12
	want, _ := whole(t, r)
	unlock, err := lockFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	train(t, r, Options{Steps: 11, after: func(at int) {
		if _, err := Run(t.Context(), r, Options{Device: device(t, 1)}); !errors.Is(err, errLocked) {
			t.Errorf("a second run beside it: %v", err)
		}
	}})
	s := storeOf(r)
	steps, err := s.Steps()
	if err != nil || len(steps) != 3 && len(steps) != 2 {
		t.Fatalf("%v %v", steps, err)
	}
	path := filepath.Join(s.Dir, "step-000000011.ckpt")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	var said notes
	res := train(t, r, Options{Note: said.add})
	if s := said.String(); !strings.Contains(s, "passed over: "+path+": its checksum is wrong") || !strings.Contains(s, "going on after step 10") {
		t.Error(s)
	}
	if got := hashOf(t, res.Model); got != want {
		t.Error("after a damaged checkpoint the model is another")
	}
}

// TestFaults: what is wrong with a recipe's files is said in one line.
func TestFaults(t *testing.T) {
	good := numbers(t)
	if err := os.WriteFile(good.Data.Train[0]+"x", []byte("{\"text\":\"a\"}\n{\"txt\":\"a\"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		spoil func(r *recipe.Recipe)
		want  string
	}{
		{func(r *recipe.Recipe) { r.Tokenizer += "x" }, "tokenizer.ggufx"},
		{func(r *recipe.Recipe) { r.Tokenizer = r.Data.Train[0] }, "train.jsonl"},
		{func(r *recipe.Recipe) { r.Data.Train[0] += "x" }, "train.jsonlx, line 2: it has neither"},
		{func(r *recipe.Recipe) { r.Data.Valid[0] += "x" }, "valid.jsonlx: there is no such file"},
		{func(r *recipe.Recipe) { r.From = r.Tokenizer }, "tokenizer.gguf"},
		{func(r *recipe.Recipe) { r.Train.Groups = []recipe.Group{{Weights: "no.*", Rate: 1}} }, "no weight that is trained fits"},
	} {
		r := *elsewhere(t, good)
		r.Data.Train, r.Data.Valid = []string{good.Data.Train[0]}, []string{good.Data.Valid[0]}
		c.spoil(&r)
		if _, err := Run(t.Context(), &r, Options{Device: device(t, 1)}); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	// Malformed lines may be left out, which is said.
	r := elsewhere(t, good)
	r.Data.Train, r.Data.Bad, r.Train.Steps = []string{good.Data.Train[0], good.Data.Train[0] + "x"}, recipe.BadSkip, 2
	var said notes
	train(t, r, Options{Note: said.add})
	if !strings.Contains(said.String(), "train: 1 malformed lines are left out; the first: ") {
		t.Error(said.String())
	}
}

// TestLog: lines after a checkpoint, and what is no record, are cut off.
func TestLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), LogName)
	for text, want := range map[string]int{
		"": 0, "x": 0, `{"step":1}` + "\n" + `{"step":2}` + "\n" + `{"step":3}` + "\n": 2, `{"step":1}` + "\n" + `{"step":3}` + "\n": 1,
		`{"step":1}` + "\n" + `{"st`: 1, `{"step":1}` + "\n" + `{"step":2}`: 1, `{"step":2}` + "\n" + `{"step":2}` + "\n": 1,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := openLog(path, 2, false)
		if err != nil || len(l.all) != want {
			t.Errorf("%q: %d records (%v)", text, len(l.all), err)
		}
		if err := errors.Join(l.add(Record{Step: 5}), l.flush(), l.close()); err != nil {
			t.Error(err)
		}
		if l, err = openLog(path, 9, false); err != nil || len(l.all) != want+1 {
			t.Errorf("%q: %d records after one more (%v)", text, len(l.all), err)
		}
		_ = l.close()
	}
	// Where a run begins, what is no log is somebody else's.
	for text, want := range map[string]bool{"": true, `{"step":1}` + "\n": true, `{"text":"a"}` + "\n": false, "x": false, "\x00\x00": false} {
		for _, replace := range []bool{false, true} {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			l, err := openLog(path, 0, replace)
			if (err == nil) != (want || replace) {
				t.Errorf("%q, replaced: %v: %v", text, replace, err)
			}
			if err == nil {
				_ = l.close()
			}
			left := text
			if err == nil {
				left = ""
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != left {
				t.Errorf("%q, replaced: %v: %q is left (%v)", text, replace, b, err)
			}
		}
	}
}

// TestKept: a run neither writes over what it reads nor over a model that it cannot go
// on from, and begins anew only when nothing is left that could be wrong with its recipe.
func TestKept(t *testing.T) {
	r := numbers(t)
	r.Train.Steps = 4
	train(t, r, Options{Steps: 2})
	refused := func(r *recipe.Recipe, o Options, want string) {
		t.Helper()
		o.Device = device(t, 1)
		if _, err := Run(t.Context(), r, o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	wrong := *r
	wrong.Train.Groups = []recipe.Group{{Weights: "no.*", Rate: 1}}
	refused(&wrong, Options{Restart: true}, "no weight that is trained fits")
	if steps, err := storeOf(r).Steps(); err != nil || len(steps) == 0 {
		t.Errorf("checkpoints %v (%v) after a restart that was refused", steps, err)
	}
	again := *r
	again.From, again.Model, again.Tokenizer = filepath.Join(r.Out, ModelName), recipe.Model{}, ""
	refused(&again, Options{Restart: true}, ModelName+" is read, and would be written over")
	data := *r
	data.Data.Train = []string{filepath.Join(r.Out, LogName)}
	refused(&data, Options{Restart: true}, LogName+" is read, and would be written over")
	if err := os.RemoveAll(storeOf(r).Dir); err != nil {
		t.Fatal(err)
	}
	before := hashOf(t, filepath.Join(r.Out, ModelName))
	refused(r, Options{}, "no whole checkpoint of its run")
	if hashOf(t, filepath.Join(r.Out, ModelName)) != before {
		t.Error("the model was replaced")
	}
	r.Train.TokensPerStep = 4096
	var said notes
	train(t, r, Options{Restart: true, Note: said.add})
	if !strings.Contains(said.String(), "and each of the 4 steps has 4096") {
		t.Errorf("of data smaller than a step: %s", &said)
	}
}

func TestCurve(t *testing.T) {
	if b, err := curve([]Record{{Step: 1, Loss: 1}}, "x"); b != nil || err != nil {
		t.Errorf("one step: %d bytes, %v", len(b), err)
	}
	v := 2.0
	for _, all := range [][]Record{
		{{Step: 1, Loss: 3}, {Step: 2, Loss: 3}}, {{Step: 1, Loss: 3, Valid: &v}, {Step: 2, Loss: 1e9}}, {{Step: 1, Loss: 0}, {Step: 2, Loss: 0}, {Step: 3, Valid: &v}},
	} {
		if b, err := curve(all, "a title 标题"); err != nil || len(b) < 1000 {
			t.Errorf("%+v: %d bytes, %v", all, len(b), err)
		}
	}
	for _, c := range []struct {
		low, high float64
		want      string
	}{{0, 10, "[0 2 4 6 8 10]"}, {0.11, 0.53, "[0.2 0.30000000000000004 0.4 0.5]"}, {1, 5000, "[1000 2000 3000 4000 5000]"}} {
		if got := fmt.Sprint(ticks(c.low, c.high, 6)); got != c.want {
			t.Errorf("%g to %g: %s", c.low, c.high, got)
		}
	}
	for v, want := range map[float64]string{0.30000000000000004: "0.3", 20000: "20k", 2: "2"} {
		if got := number(v); got != want {
			t.Errorf("%g: %s", v, got)
		}
	}
}

// TestRound: from a step on the weights are trained rounded; the file has them in that
// type, and the loss that training said. Where a run is interrupted changes nothing.
func TestRound(t *testing.T) {
	r := numbers(t)
	r.Train.Steps, r.Round, r.Train.Dropout, r.Export.Type = 60, &recipe.Round{Type: dtype.Q8_0, FromStep: 30}, 0, dtype.F16
	want, res := whole(t, r)
	for _, n := range []int{30, 1, 7, 0} {
		res = train(t, r, Options{Steps: n})
		f, err := gguf.Open(res.Model)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := f.Tensor("blk.0.attn_q.weight")
		if is := map[bool]dtype.DType{true: dtype.Q8_0, false: dtype.F16}[res.Steps > 30]; x.DType != is {
			t.Errorf("after step %d the weights are %v", res.Steps, x.DType)
		}
		if v, _ := f.Uint("general.file_type"); v != map[bool]uint64{true: 7, false: 1}[res.Steps > 30] {
			t.Errorf("file type %d", v)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := hashOf(t, res.Model); got != want {
		t.Error("in pieces it is another model")
	}
	// One more step from the file, at no rate: its loss is that of the weights in it.
	c := elsewhere(t, r)
	c.From, c.Round, c.Train.Steps, c.Train.Schedule, c.Train.Rate = res.Model, nil, 1, "constant", 0
	again := train(t, c, Options{})
	if res.Valid == nil || again.Valid == nil || *res.Valid != *again.Valid {
		t.Errorf("the loss of the file is %g, training said %g", *again.Valid, *res.Valid)
	}
	c = elsewhere(t, r)
	c.Round = &recipe.Round{Type: dtype.Q8_0, FromStep: 60}
	if _, err := Run(t.Context(), c, Options{Device: device(t, 1)}); err == nil || !strings.Contains(err.Error(), "no step would be rounded") {
		t.Error(err)
	}
}
