package recipe

import (
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/strictyaml"
	"github.com/ledge-run/ledge/runtime/train/template"
)

// Largest of each number: far above what anybody means, and low enough that products
// of a few do not overflow.
const (
	maxSize   = 1 << 20
	maxTokens = 1 << 24
	maxSteps  = 1 << 30
)

// Parse reads a file's bytes; the path is for messages, and paths start at its folder.
func Parse(data []byte, path string, set []string) (*Recipe, error) {
	r := &reader{strictyaml.Reader{
		File: path, Kind: "recipe", Example: "docs/training.md has an example of a recipe", Most: 60, From: map[*yaml.Node]string{},
	}}
	root, err := r.Document(data)
	if err != nil {
		return nil, err
	}
	for _, s := range set {
		if err := r.replace(root, s); err != nil {
			return nil, err
		}
	}
	r.exchange(root, "train", "steps", "epochs")
	c := Default()
	c.File = path
	at := map[string]*yaml.Node{} // the sections that the file has
	section := func(name string, known strictyaml.Handlers) func(*yaml.Node) error {
		return func(n *yaml.Node) error { at[name] = n; return r.Fields(n, name, known) }
	}
	d, m, t := &c.Data, &c.Model, &c.Train
	adapters, round, distill := Adapters{Alpha: 16, Rank: 8}, Round{}, Distill{Temperature: 2, Mix: 0.2, TopK: 32}
	known := strictyaml.Handlers{
		"seed": func(n *yaml.Node) error {
			v, err := r.Number(n, 0, 1<<31-1)
			c.Seed = int64(v)
			return err
		},
		"tokenizer": r.pathTo(&c.Tokenizer),
		"from":      func(n *yaml.Node) error { at["from"] = n; return r.pathTo(&c.From)(n) },
		"out":       r.pathTo(&c.Out),
		"data": section("data", strictyaml.Handlers{
			"train": r.listTo(&d.Train, r.pathTo), "valid": r.listTo(&d.Valid, r.pathTo), "template": r.templateTo(&d.Template),
			"prompt_loss": r.floatTo(&d.PromptLoss, 0, 1), "long": r.wordTo(&d.Long, LongCut, LongSkip, LongRefuse), "bad": r.wordTo(&d.Bad, BadRefuse, BadSkip),
			"context": r.NumberTo(&d.Context, 2, maxTokens),
		}),
		"model": section("model", strictyaml.Handlers{
			"architecture": r.wordTo(&m.Architecture, Architectures()...), "name": r.TextTo(&m.Name), "layers": r.NumberTo(&m.Layers, 1, 1024),
			"embedding": r.NumberTo(&m.Embedding, 2, maxSize), "heads": r.NumberTo(&m.Heads, 1, 4096), "kv_heads": r.NumberTo(&m.KVHeads, 1, 4096),
			"key_length": r.NumberTo(&m.KeyLength, 2, 4096), "feed_forward": r.NumberTo(&m.FeedForward, 1, maxSize), "context": r.NumberTo(&m.Context, 2, maxTokens),
			"tied": r.BoolTo(&m.Tied), "rope_base": r.floatTo(&m.RopeBase, 2, 1e9), "norm_eps": r.floatTo(&m.NormEps, 1e-12, 1e-2), "deviation": r.floatTo(&m.Deviation, 1e-6, 10),
		}),
		"train": section("train", strictyaml.Handlers{
			"tokens_per_step": r.NumberTo(&t.TokensPerStep, 1, maxTokens), "tokens_at_once": r.NumberTo(&t.TokensAtOnce, 1, maxTokens),
			"steps": r.NumberTo(&t.Steps, 1, maxSteps), "epochs": r.floatTo(&t.Epochs, 1e-6, 1e6),
			"schedule": r.wordTo(&t.Schedule, "cosine", "linear", "constant"), "rate": r.floatTo(&t.Rate, 0, 100), "floor": r.floatTo(&t.Floor, 0, 1),
			"warmup": r.NumberTo(&t.Warmup, 0, maxSteps), "beta1": r.floatTo(&t.Beta1, 0, 0.99999), "beta2": r.floatTo(&t.Beta2, 0, 0.999999),
			"decay": r.floatTo(&t.Decay, 0, 10), "clip": r.floatTo(&t.Clip, 0, 1e6), "dropout": r.floatTo(&t.Dropout, 0, 0.9),
			"precision": r.wordTo(&t.Precision, "f32", "bf16"), "recompute": r.BoolTo(&t.Recompute), "groups": r.groupsTo(&t.Groups),
		}),
		"adapters": section("adapters", strictyaml.Handlers{
			"rank": r.NumberTo(&adapters.Rank, 1, 4096), "alpha": r.floatTo(&adapters.Alpha, 1e-6, 1e6), "targets": r.listTo(&adapters.Targets, r.TextTo),
		}),
		"round": section("round", strictyaml.Handlers{"type": r.typeTo(&round.Type, roundTypes()...), "from_step": r.NumberTo(&round.FromStep, 0, maxSteps)}),
		"distill": section("distill", strictyaml.Handlers{
			"teacher": r.pathTo(&distill.Teacher), "temperature": r.floatTo(&distill.Temperature, 0.01, 100),
			"mix": r.floatTo(&distill.Mix, 0, 1), "top_k": r.NumberTo(&distill.TopK, 1, 4096),
		}),
		"checkpoint": section("checkpoint", strictyaml.Handlers{"every": r.everyTo(&c.Checkpoint), "keep": r.NumberTo(&c.Checkpoint.Keep, 1, 1000)}),
		"validate":   section("validate", strictyaml.Handlers{"every": r.partTo(&c.Validate), "tokens": r.NumberTo(&c.Validate.Tokens, 1, maxSteps)}),
		"export": section("export", strictyaml.Handlers{
			"type": r.typeTo(&c.Export.Type, dtype.F32, dtype.F16, dtype.BF16), "average": r.NumberTo(&c.Export.Average, 1, 1000),
			"best": r.BoolTo(&c.Export.Best),
		}),
	}
	if err := r.Fields(root, "a recipe", known); err != nil {
		return nil, err
	}
	if at["adapters"] != nil {
		c.Adapters = &adapters
	}
	if at["round"] != nil {
		c.Round = &round
	}
	if at["distill"] != nil {
		c.Distill = &distill
	}
	if c.Out == "" {
		c.Out = strings.TrimSuffix(strings.TrimSuffix(path, ".yaml"), ".yml") + "-out"
	}
	return c, r.check(c, root, at)
}

// roundTypes are the block formats that weights can be trained for.
func roundTypes() []dtype.DType {
	var all []dtype.DType
	for _, d := range dtype.All() {
		if d.Quantized() && d.Computable() {
			all = append(all, d)
		}
	}
	return append(all, dtype.BF16, dtype.F16)
}

func (r *reader) templateTo(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := r.Text(n)
		if err != nil {
			return err
		}
		if err := template.Check(s); err != nil {
			return r.Errorf(n, "the template %q %v", r.Clip(s), err)
		}
		*to = s
		return nil
	}
}

// everyTo reads a number of steps, or a time: 500, 90s, 10m.
func (r *reader) everyTo(to *Checkpoint) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := r.Text(n)
		if err != nil {
			return err
		}
		if v, err := strconv.Atoi(strings.ReplaceAll(s, "_", "")); err == nil && v >= 1 && v <= maxSteps {
			to.Steps, to.Every = v, 0
			return nil
		}
		d, err := time.ParseDuration(s)
		if err != nil || d < time.Second || d > 30*24*time.Hour {
			return r.Errorf(n, "%q is neither a number of steps nor a time of a second or more, such as 500, 90s or 10m", r.Clip(s))
		}
		to.Steps, to.Every = 0, d
		return nil
	}
}

// partTo reads a number of steps, or a part of all: 500, 10%.
func (r *reader) partTo(to *Validate) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := r.Text(n)
		if err != nil {
			return err
		}
		if part, is := strings.CutSuffix(s, "%"); is {
			v, err := strconv.Atoi(part)
			if err != nil || v < 1 || v > 100 {
				return r.Errorf(n, "%q is no part of the steps: say 1%% to 100%%, or a number of steps", r.Clip(s))
			}
			to.Every, to.Percent = 0, v
			return nil
		}
		to.Percent = 0
		return r.NumberTo(&to.Every, 1, maxSteps)(n)
	}
}

func (r *reader) groupsTo(to *[]Group) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		nodes, err := r.List(n)
		if err != nil {
			return err
		}
		*to = nil
		for _, n := range nodes {
			g := Group{Rate: 1}
			if err := r.Fields(n, "a group", strictyaml.Handlers{"weights": r.TextTo(&g.Weights), "rate": r.floatTo(&g.Rate, 0, 1000)}); err != nil {
				return err
			}
			if g.Weights == "" {
				return r.Errorf(n, "the group has no weights: name them by a pattern, such as token_embd.*")
			}
			*to = append(*to, g)
		}
		return nil
	}
}

// check says what is missing and what does not go together.
func (r *reader) check(c *Recipe, root *yaml.Node, at map[string]*yaml.Node) error {
	or := func(name string) *yaml.Node {
		if at[name] != nil {
			return at[name]
		}
		return root
	}
	m := &c.Model
	switch {
	case len(c.Data.Train) == 0:
		return r.Errorf(or("data"), "there is nothing to train on: name files under data: train")
	case c.From != "" && at["model"] != nil:
		return r.Errorf(at["model"], "from and model are both there: a model begins with the weights of a file, or with random ones of a shape")
	case c.From == "" && at["model"] == nil:
		return r.Errorf(root, "there is no model: describe one under model, or name a file to begin with under from")
	case c.From == "" && c.Tokenizer == "":
		return r.Errorf(root, "there is no tokenizer: name one, as ledge tokenizer train makes it")
	case c.Train.Steps > 0 && c.Train.Epochs > 0:
		return r.Errorf(or("train"), "steps and epochs are both there: say one")
	case c.Train.Steps == 0 && c.Train.Epochs == 0:
		return r.Errorf(or("train"), "it is not said how long to train: give train: steps or epochs")
	case c.Round != nil && c.Round.Type == dtype.Invalid:
		return r.Errorf(at["round"], "round needs a type, such as Q4_0")
	case c.Distill != nil && c.Distill.Teacher == "":
		return r.Errorf(at["distill"], "distill needs a teacher: a model's file")
	case c.Export.Average > 1 && c.Checkpoint.Steps == 0:
		return r.Errorf(or("export"), "an average of checkpoints needs them after a number of steps, not after a time: say checkpoint: every: 500 or so")
	case c.Export.Best && c.Export.Average > 1:
		return r.Errorf(or("export"), "best and average are both there: the model is of one step, or the mean of several; leave one away, or set export.best=false")
	case c.Export.Best && (c.Validate.Every == 0 && c.Validate.Percent == 0 || len(c.Data.Valid) == 0):
		return r.Errorf(or("export"), "the best step is that of the lowest validation loss: name data: valid, and validate: every so many steps, or 10%%")
	case c.From != "":
		return nil
	}
	for _, n := range []struct {
		key   string
		value int
	}{{"layers", m.Layers}, {"embedding", m.Embedding}, {"heads", m.Heads}, {"feed_forward", m.FeedForward}, {"context", m.Context}} {
		if n.value == 0 {
			return r.Errorf(at["model"], "the model has no %s", n.key)
		}
	}
	if m.KVHeads == 0 {
		m.KVHeads = m.Heads
	}
	switch {
	case m.Heads%m.KVHeads != 0:
		return r.Errorf(at["model"], "heads (%d) must be a multiple of kv_heads (%d)", m.Heads, m.KVHeads)
	case m.KeyLength == 0 && m.Embedding%m.Heads != 0:
		return r.Errorf(at["model"], "embedding (%d) must be a multiple of heads (%d), or key_length be given", m.Embedding, m.Heads)
	case m.KeyLength == 0:
		m.KeyLength = m.Embedding / m.Heads
	}
	if m.KeyLength%2 != 0 {
		return r.Errorf(at["model"], "a head has %d values: rotary embeddings turn pairs, so it must be even", m.KeyLength)
	}
	return nil
}
