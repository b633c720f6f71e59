package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/grammar"
	"github.com/ledge-run/ledge/runtime/grammar/jsonschema"
	"github.com/ledge-run/ledge/runtime/sampler"
)

const catSampling = "SAMPLING"

// generationFlags steer what is generated.
func generationFlags() []cli.Flag {
	p := sampler.DefaultParams()
	number := func(name, usage string, value float64, aliases ...string) cli.Flag {
		return &cli.Float64Flag{Name: name, Aliases: aliases, Usage: usage, Value: value, Category: catSampling}
	}
	count := func(name, usage string, value int) cli.Flag {
		return &cli.IntFlag{Name: name, Usage: usage, Value: value, Category: catSampling}
	}
	return []cli.Flag{
		&cli.IntFlag{Name: "n", Aliases: []string{"predict"}, Usage: "generate at most `N` tokens (default: until the model ends or the context is full)"},
		&cli.StringSliceFlag{Name: "stop", Usage: "end before this `TEXT` comes (may be given several times)"},
		&cli.StringFlag{Name: "system", Usage: "system message `TEXT`"},
		&cli.StringFlag{Name: "json-schema", Usage: "answer in JSON that satisfies the schema in `FILE`, and nothing else"},
		&cli.BoolFlag{Name: "json-spaces", Usage: "with --json-schema: a space may stand after colons and commas"},
		&cli.BoolFlag{Name: "stats", Usage: "print speed, load time, memory and seed when done; of ledge run energy, too"},
		number("temp", "`T`: 0 takes the likeliest token, higher is more varied", p.Temperature, "temperature"),
		&cli.Uint64Flag{Name: "seed", Aliases: []string{"s"}, Usage: "`SEED` of the random numbers (default: a new one each time, see --stats)", Category: catSampling},
		count("top-k", "choose among the `K` likeliest tokens; 0 is off", p.TopK),
		number("top-p", "choose among the likeliest tokens that reach probability `P` together; 1 is off", p.TopP),
		number("min-p", "choose among tokens at least `P` times as likely as the likeliest; 0 is off", p.MinP),
		number("typical", "locally typical sampling with `P`; 1 is off", p.Typical),
		number("top-n-sigma", "choose among tokens within `N` standard deviations of the best logit; 0 or less is off", p.TopNSigma),
		number("xtc-probability", "how often (`P`) the top choices are excluded; 0 is off", p.XTC.Probability),
		number("xtc-threshold", "probability `P` from which a token is a top choice", p.XTC.Threshold),
		number("repeat-penalty", "`R` above 1 makes tokens that occurred lately less likely; 1 is off", p.RepeatPenalty),
		count("repeat-last-n", "how many tokens (`N`) the penalties look back; 0 is off, -1 all", p.RepeatLastN),
		number("frequency-penalty", "`X` is subtracted for every occurrence; 0 is off", p.FrequencyPenalty),
		number("presence-penalty", "`X` is subtracted if the token occurred; 0 is off", p.PresencePenalty),
		number("dry-multiplier", "strength `X` of the penalty on repeated sequences (DRY); 0 is off", p.DRY.Multiplier),
		number("dry-base", "`X`: growth of the DRY penalty with the sequence", p.DRY.Base),
		count("dry-allowed-length", "sequences up to `N` tokens cost nothing", p.DRY.AllowedLength),
		count("dry-penalty-last-n", "how many tokens (`N`) DRY looks back; 0 is off, -1 all", p.DRY.PenaltyLastN),
		&cli.StringSliceFlag{Name: "dry-sequence-breaker", Usage: "`TEXT` that ends a sequence for DRY (may be given several times; none: no breakers)", Category: catSampling},
		&cli.StringSliceFlag{Name: "logit-bias", Usage: "`ID+X`, ID-X or ID-inf: added to a token's logit (may be given several times)", Category: catSampling},
		&cli.StringFlag{Name: "samplers", Usage: "`STAGES` in order, divided by semicolons; " + stageNames(";"), Category: catSampling},
	}
}

func stageNames(sep string) string {
	var s []string
	for _, st := range sampler.DefaultOrder() {
		s = append(s, string(st))
	}
	return strings.Join(s, sep)
}

// settings reads the flags of generationFlags.
func settings(c *cli.Context) (engine.Settings, error) {
	set := engine.Settings{MaxTokens: c.Int("n"), Stop: c.StringSlice("stop")}
	if set.MaxTokens < -1 {
		return set, usagef("-n %d: it must be 1 or more, or 0 for no limit", set.MaxTokens)
	}
	set.MaxTokens = max(set.MaxTokens, 0)
	p := sampler.DefaultParams()
	p.Temperature, p.TopK, p.TopP, p.MinP = c.Float64("temp"), c.Int("top-k"), c.Float64("top-p"), c.Float64("min-p")
	p.Typical, p.TopNSigma = c.Float64("typical"), c.Float64("top-n-sigma")
	p.XTC = sampler.XTC{Probability: c.Float64("xtc-probability"), Threshold: c.Float64("xtc-threshold")}
	p.RepeatPenalty, p.RepeatLastN = c.Float64("repeat-penalty"), c.Int("repeat-last-n")
	p.FrequencyPenalty, p.PresencePenalty = c.Float64("frequency-penalty"), c.Float64("presence-penalty")
	p.DRY.Multiplier, p.DRY.Base = c.Float64("dry-multiplier"), c.Float64("dry-base")
	p.DRY.AllowedLength, p.DRY.PenaltyLastN = c.Int("dry-allowed-length"), c.Int("dry-penalty-last-n")
	if b := c.StringSlice("dry-sequence-breaker"); len(b) == 1 && b[0] == "none" {
		p.DRY.SequenceBreakers = nil
	} else if len(b) > 0 {
		p.DRY.SequenceBreakers = b
	}
	if c.IsSet("seed") {
		p.Seed, p.FixedSeed = c.Uint64("seed"), true
	}
	for _, s := range strings.FieldsFunc(c.String("samplers"), func(r rune) bool { return r == ';' || r == ',' }) {
		p.Order = append(p.Order, sampler.Stage(strings.TrimSpace(s)))
	}
	var err error
	if p.LogitBias, err = logitBias(c.StringSlice("logit-bias")); err != nil {
		return set, err
	}
	if err := p.Validate(); err != nil {
		return set, usagef("%s", err)
	}
	set.Sampler = p
	return set, nil
}

// grammar reads --json-schema.
func (a *app) grammar(c *cli.Context) (*grammar.Grammar, error) {
	file := c.String("json-schema")
	switch {
	case file == "" && c.IsSet("json-schema"):
		return nil, usagef("--json-schema names no file")
	case file == "" && c.Bool("json-spaces"):
		return nil, usagef("--json-spaces goes with --json-schema only")
	case file == "":
		return nil, nil
	case c.Bool("ignore-eos"):
		return nil, usagef("--json-schema and --ignore-eos exclude each other: nothing may follow the JSON")
	case len(c.StringSlice("stop")) > 0:
		return nil, usagef("--json-schema and --stop exclude each other: the JSON would not be whole")
	}
	text, err := a.readFile(c.Context, file)
	if err != nil {
		return nil, err
	}
	g, err := jsonschema.Compile([]byte(text), jsonschema.Options{Spaces: c.Bool("json-spaces")})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return g, nil
}

// renderFor are the variables of a chat template for an answer that a grammar
// binds: one that thinks first would have no words for it.
func renderFor(g *grammar.Grammar) chat.RenderOptions {
	o := chat.RenderOptions{AddGenerationPrompt: true}
	if g != nil {
		o.Extra = map[string]any{"enable_thinking": false}
	}
	return o
}

// logitBias reads "15043+1", "15043-0.5" and "15043-inf".
func logitBias(list []string) (map[int32]float32, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := map[int32]float32{}
	for _, s := range list {
		i := strings.IndexAny(s, "+-")
		if i <= 0 {
			return nil, usagef("--logit-bias %s: the form is ID+X, ID-X or ID-inf", s)
		}
		id, err1 := strconv.ParseInt(s[:i], 10, 32)
		x, err2 := strconv.ParseFloat(s[i:], 32)
		if err := errors.Join(err1, err2); err != nil || math.IsNaN(x) || math.IsInf(x, 1) {
			return nil, usagef("--logit-bias %s: the form is ID+X, ID-X or ID-inf", s)
		}
		out[int32(id)] = float32(x)
	}
	return out, nil
}
