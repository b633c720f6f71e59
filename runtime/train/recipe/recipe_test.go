package recipe

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/model"
	_ "github.com/ledge-run/ledge/runtime/model/all"
	"github.com/ledge-run/ledge/runtime/strictyaml"
)

const least = `data: {train: a.jsonl}
tokenizer: t.gguf
model: {layers: 2, embedding: 8, heads: 4, feed_forward: 16, context: 32}
train: {steps: 10}
`

const full = `# everything
seed: 7
data:
  train: [a.jsonl, "shards/*.jsonl"]
  valid: /v.jsonl
  template: "<s>{prompt}<e>{completion}"
  prompt_loss: 0.25
  long: refuse
  bad: skip
tokenizer: tokens/tokenizer.gguf
model: {architecture: qwen3, name: x, layers: 2, embedding: 8, heads: 4, kv_heads: 2, key_length: 6, feed_forward: 16, context: 32, tied: false, rope_base: 1e5, norm_eps: 1e-6, deviation: 0.05}
train:
  tokens_per_step: 4_096
  tokens_at_once: 512
  epochs: 2.5
  schedule: linear
  rate: 3e-3
  floor: 0
  warmup: 20
  beta1: 0.8
  beta2: 0.99
  decay: 0.01
  clip: 0.5
  dropout: 0.1
  precision: bf16
  recompute: true
  groups: [{weights: "token_embd.*", rate: 0.5}]
adapters: {rank: 4, alpha: 8, targets: [attn_q, attn_v]}
round: {type: Q4_0, from_step: 100}
distill: {teacher: big.gguf, temperature: 2, mix: 0.3, top_k: 16}
checkpoint: {every: 500, keep: 3}
validate: {every: 100, tokens: 5000}
export: {type: F16, average: 3}
out: runs/1
`

func TestParse(t *testing.T) {
	r, err := Parse([]byte(least), "dir/x.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.File, want.Out, want.Tokenizer, want.Data.Train = "dir/x.yaml", "dir/x-out", filepath.Join("dir", "t.gguf"), []string{filepath.Join("dir", "a.jsonl")}
	want.Model.Layers, want.Model.Embedding, want.Model.Heads, want.Model.KVHeads, want.Model.KeyLength, want.Model.FeedForward, want.Model.Context = 2, 8, 4, 4, 2, 16, 32
	want.Train.Steps = 10
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v\nwant\n%+v", r, want)
	}
	r, err = Parse([]byte(full), "dir/x.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	want = &Recipe{File: "dir/x.yaml", Seed: 7,
		Data:      Data{[]string{"dir/a.jsonl", "dir/shards/*.jsonl"}, []string{"/v.jsonl"}, "<s>{prompt}<e>{completion}", .25, "refuse", "skip", 0},
		Tokenizer: "dir/tokens/tokenizer.gguf", Model: Model{"qwen3", "x", 2, 8, 4, 2, 6, 16, 32, false, 1e5, 1e-6, .05},
		Train:    Train{4096, 512, 0, 2.5, "linear", 3e-3, 0, 20, .8, .99, .01, .5, .1, "bf16", true, []Group{{"token_embd.*", .5}}},
		Adapters: &Adapters{4, 8, []string{"attn_q", "attn_v"}}, Round: &Round{dtype.Q4_0, 100}, Distill: &Distill{"dir/big.gguf", 2, .3, 16},
		Checkpoint: Checkpoint{Steps: 500, Keep: 3}, Validate: Validate{Every: 100, Tokens: 5000}, Export: Export{Type: dtype.F16, Average: 3}, Out: "dir/runs/1"}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v\nwant\n%+v", r, want)
	}
}

// TestSet: a setting replaces what the file says, and adds what it does not; its paths
// start where the program runs.
func TestSet(t *testing.T) {
	r, err := Parse([]byte(least), "dir/x.yaml", []string{"train.rate=3e-3", "seed=9", "adapters.rank=2", "out=here", "data.train=[b.jsonl, c.jsonl]", "checkpoint={every: 90s, keep: 5}", "model.tied=false"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Train.Rate != 3e-3 || r.Train.Steps != 10 || r.Seed != 9 || r.Adapters == nil || r.Adapters.Rank != 2 || r.Out != "here" ||
		!reflect.DeepEqual(r.Data.Train, []string{"b.jsonl", "c.jsonl"}) || r.Checkpoint != (Checkpoint{0, 90 * time.Second, 5}) || r.Model.Tied {
		t.Errorf("%+v", r)
	}
	// A setting of steps takes the place of the file's epochs, and the other way round.
	if r, err = Parse([]byte(least), "dir/x.yml", []string{"train.epochs=2"}); err != nil || r.Train.Steps != 0 || r.Train.Epochs != 2 || r.Out != filepath.Join("dir", "x-out") {
		t.Errorf("%+v (%v)", r, err)
	}
	if _, err = Parse([]byte(least), "dir/x.yaml", []string{"train.epochs=2", "train.steps=3"}); err == nil || !strings.Contains(err.Error(), "both") {
		t.Errorf("both as settings: %v", err)
	}
	for set, want := range map[string]string{
		"train.rate":           "train.rate: a setting is written as KEY=VALUE",
		"train.rate=x":         `train.rate=x: "x" is no number from 0 to 100`,
		"train.rtae=1":         `train.rtae=1: unknown key "rtae" in train, did you mean rate?`,
		"seed.x=1":             "seed.x=1: seed has no keys",
		"data.train.first=x":   "data.train.first=x: data.train has no keys",
		"train=[":              "train=[: the value is empty, or no YAML",
		"sed=1":                `unknown key "sed" in a recipe, did you mean seed?`,
		"=1":                   "a setting is written as KEY=VALUE",
		"train.steps=":         "the value is empty, or no YAML",
		"model.architecture=x": `"x" is none of llama, qwen2, qwen3`,
	} {
		file := least
		if strings.HasPrefix(set, "seed") {
			file += "seed: 1\n"
		}
		_, err := Parse([]byte(file), "dir/x.yaml", []string{set})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "line 0") {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"steps: 10", "stpes: 10", `x.yaml, line 4, column 9: unknown key "stpes" in train, did you mean steps?; keys: `},
		{"tokenizer:", "tokeniser:", `line 2, column 1: unknown key "tokeniser" in a recipe, did you mean tokenizer?`},
		{"steps: 10", "steps: 1.5", `line 4, column 16: "1.5" is no whole number from 1 to`},
		{"steps: 10", "steps: 10, epochs: 1", "line 4, column 8: steps and epochs are both there"},
		{"steps: 10", "rate: 1", "it is not said how long to train"},
		{"steps: 10", "steps: 10, rate: nan", `"nan" is no number`},
		{"steps: 10", "steps: 10, groups: [{rate: 2}]", "the group has no weights"},
		{"train: {steps: 10}", "train: fast", `train is written as keys with values, not as "fast"`},
		{"steps: 10", "steps: 10, steps: 11", "steps is said twice; the first time in line 4"},
		{"{train: a.jsonl}", "{}", "there is nothing to train on"},
		{"a.jsonl", "[]", "the list is empty"},
		{"a.jsonl", "~", "a text is wanted here, not nothing"},
		{"a.jsonl", `"  "`, "the text is empty"},
		{"{train: a.jsonl}", `{train: a.jsonl, template: "{completion}{prompt}"}`, "{completion} before {prompt}"},
		{"{train: a.jsonl}", `{train: a.jsonl, template: "{completion}{prompt|trim}"}`, "{completion} before {prompt}"},
		{"{train: a.jsonl}", `{train: a.jsonl, template: "{prompt}{prompt|trim}{completion}"}`, "must have {prompt} in it, or {prompt|trim}, once"},
		{"{train: a.jsonl}", `{train: a.jsonl, template: "{prompt}"}`, "must have {completion} in it"},
		{"{train: a.jsonl}", `{train: a.jsonl, long: cutt}`, `"cutt" is none of cut, skip, refuse, did you mean cut?`},
		{"tokenizer: t.gguf\n", "", "there is no tokenizer"},
		{"model: {layers: 2, embedding: 8, heads: 4, feed_forward: 16, context: 32}\n", "", "there is no model"},
		{"tokenizer: t.gguf\n", "tokenizer: t.gguf\nfrom: x.gguf\n", "from and model are both there"},
		{"layers: 2, ", "", "line 3, column 8: the model has no layers"},
		{"heads: 4", "heads: 4, kv_heads: 3", "heads (4) must be a multiple of kv_heads (3)"},
		{"heads: 4", "heads: 3", "embedding (8) must be a multiple of heads (3)"},
		{"heads: 4", "heads: 8", "it must be even"},
		{"heads: 4", "heads: 4, tied: yes", `"yes" is neither true nor false`},
		{"train: {", "round: {}\ntrain: {", "round needs a type"},
		{"train: {", "round: {type: Q9_0}\ntrain: {", `"Q9_0" is none of`},
		{"train: {", "distill: {}\ntrain: {", "distill needs a teacher"},
		{"train: {", "checkpoint: {every: 5x}\ntrain: {", `"5x" is neither a number of steps nor a time`},
		{"train: {", "export: {average: 2}\ntrain: {", "an average of checkpoints needs them after a number of steps"},
		{"train: {", "validate: {every: 0%}\ntrain: {", `"0%" is no part of the steps`},
		{"train: {", "export: {best: true}\ntrain: {", "the best step is that of the lowest validation loss"},
		{"train: {", "export: {best: true, average: 2}\ncheckpoint: {every: 5}\ntrain: {", "the model is of one step, or the mean of several"},
		{"train: {", "export: {type: Q4_0}\ntrain: {", `"Q4_0" is none of F32, F16, BF16`},
		{"train: {", "seed: -1\ntrain: {", `"-1" is no whole number`},
		{"train: {", "train: {{", "no valid YAML"},
		{"train: {", "---\ntrain: {", "there are several documents"},
		{least, "", "the file says nothing"},
		{least, "- a", "a recipe is written as keys with values, not as a list"},
		{"train: {", "seed: &a {x: *a}\ntrain: {", ""},
		{least, strings.Repeat("x", strictyaml.MaxBytes+1), "longer than"},
	} {
		_, err := Parse([]byte(strings.Replace(least, c.old, c.new, 1)), "x.yaml", nil)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: %v, want %q", c.new, err, c.want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestSource: runtime/model makes a network of every architecture, and has a tensor of
// the right shape for all that it reads.
func TestSource(t *testing.T) {
	for _, arch := range Architectures() {
		for _, tied := range []bool{true, false} {
			m := Default().Model
			m.Architecture, m.Name, m.Layers, m.Embedding, m.Heads, m.KVHeads, m.KeyLength, m.FeedForward, m.Context, m.Tied = arch, "x", 2, 12, 4, 2, 6, 20, 32, tied
			s := m.Source(50)
			net, err := model.New(s)
			if err != nil {
				t.Fatal(err)
			}
			g, err := net.Decoder(model.Options{Max: model.Options{}.Max, Context: 32, Cache: dtype.F16, Train: &model.Train{}})
			if err != nil {
				t.Fatalf("%s: %v", arch, err)
			}
			for _, w := range g.Weights() {
				_, shape, ok := s.TensorType(w.Name)
				if !ok || len(shape) != len(w.Type.Shape) {
					t.Errorf("%s: %s has shape %v", arch, w.Name, shape)
				}
			}
			if i := net.Info(); i.Vocab != 50 || i.KeyDim != 6 || i.Context != 32 || len(s.Keys()) < 10 {
				t.Errorf("%+v", i)
			}
		}
	}
}

// FuzzParse: no file and no setting breaks reading.
func FuzzParse(f *testing.F) {
	f.Add([]byte(least), "train.rate=1")
	f.Add([]byte(full), "data={train: x}")
	f.Add([]byte("a: &a [*a]\nb: *a"), "a.b.c=&x {y: *x}")
	f.Fuzz(func(t *testing.T, b []byte, set string) {
		for _, s := range [][]string{nil, {set}} {
			if r, err := Parse(b, "x.yaml", s); (r == nil || len(r.Data.Train) == 0) && err == nil {
				t.Error("neither a recipe nor an error")
			}
		}
	})
}
