package ledge

import (
	"maps"
	"slices"

	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/grammar/jsonschema"
	"github.com/ledge-run/ledge/runtime/sampler"
)

// GenerateOption changes how text is generated. Options do not change once made
// and may be used again. Without any, tokens are drawn with temperature 0.8,
// top-k 40, top-p 0.95 and min-p 0.05, from a seed chosen at random.
type GenerateOption struct{ apply func(*generation) }

// generation is what the options say.
type generation struct {
	set      engine.Settings
	render   chat.RenderOptions
	logprobs int // alternatives asked for, -1 if Logprobs was not given
	err      error
}

func newGeneration(opts []GenerateOption) *generation {
	g := &generation{set: engine.Settings{Sampler: sampler.DefaultParams()}, logprobs: -1}
	g.render.AddGenerationPrompt = true
	for _, o := range opts {
		if o.apply != nil {
			o.apply(g)
		}
	}
	if g.logprobs >= 0 {
		g.set.Logprobs = max(g.logprobs, 1)
	}
	return g
}

// token turns the engine's piece into a Token.
func (g *generation) token(p engine.Piece) Token {
	t := Token{ID: p.ID, Text: p.Text}
	if g.logprobs < 0 {
		return t
	}
	t.Logprob = p.Logprob
	for _, k := range p.Top[:min(g.logprobs, len(p.Top))] {
		t.Top = append(t.Top, TokenLogprob{ID: k.ID, Logprob: k.Logprob})
	}
	return t
}

func set(f func(*generation)) GenerateOption { return GenerateOption{f} }

// MaxTokens ends the generation after n tokens; 0, the default, lets it go on
// until the model ends it or the context is full.
func MaxTokens(n int) GenerateOption { return set(func(g *generation) { g.set.MaxTokens = n }) }

// Stop ends the generation when one of the strings comes up. It is not shown. None may
// be empty.
func Stop(texts ...string) GenerateOption {
	texts = slices.Clone(texts)
	return set(func(g *generation) { g.set.Stop = texts })
}

// Temperature divides the logits: more is more varied. 0 always takes the most
// likely of the tokens that the other settings leave: without [TypicalP], which may
// remove that one, too, and without biases and penalties, the model's most likely one.
func Temperature(t float64) GenerateOption {
	return set(func(g *generation) { g.set.Sampler.Temperature = t })
}

// TopK keeps the k most likely tokens; 0 is off.
func TopK(k int) GenerateOption { return set(func(g *generation) { g.set.Sampler.TopK = k }) }

// TopP keeps the fewest most likely tokens whose probabilities reach p, from 0
// to 1; 1 is off.
func TopP(p float64) GenerateOption { return set(func(g *generation) { g.set.Sampler.TopP = p }) }

// MinP keeps the tokens that are at least p times as likely as the most likely
// one, p from 0 to 1; 0 is off.
func MinP(p float64) GenerateOption { return set(func(g *generation) { g.set.Sampler.MinP = p }) }

// TypicalP keeps the tokens whose surprise lies closest to the expected one
// until their probabilities reach p, from 0 to 1; 1 is off.
func TypicalP(p float64) GenerateOption {
	return set(func(g *generation) { g.set.Sampler.Typical = p })
}

// RepeatPenalty makes tokens less likely that are among the last lastN: their
// logits are divided by penalty if positive and multiplied by it if negative.
// 1 is off; lastN of -1 looks at all tokens.
func RepeatPenalty(penalty float64, lastN int) GenerateOption {
	return set(func(g *generation) { g.set.Sampler.RepeatPenalty, g.set.Sampler.RepeatLastN = penalty, lastN })
}

// FrequencyPenalty is subtracted from a token's logit for each time it is among
// the last tokens that RepeatPenalty looks at (64 without it); 0 is off.
func FrequencyPenalty(penalty float64) GenerateOption {
	return set(func(g *generation) { g.set.Sampler.FrequencyPenalty = penalty })
}

// PresencePenalty is subtracted once from the logits of such tokens; 0 is off.
func PresencePenalty(penalty float64) GenerateOption {
	return set(func(g *generation) { g.set.Sampler.PresencePenalty = penalty })
}

// Seed makes the draw repeatable: the same seed, prompt and settings give the
// same tokens. Every number is a seed.
func Seed(seed uint64) GenerateOption {
	return set(func(g *generation) { g.set.Sampler.Seed, g.set.Sampler.FixedSeed = seed, true })
}

// LogitBias adds to the logits of single tokens before anything else; minus
// infinity forbids a token.
func LogitBias(bias map[int32]float32) GenerateOption {
	bias = maps.Clone(bias)
	return set(func(g *generation) { g.set.Sampler.LogitBias = bias })
}

// Logprobs reports the log-probability of every token, and of the n most likely
// ones beside it, at most Info.Vocab; -1, the default, reports none.
func Logprobs(n int) GenerateOption { return set(func(g *generation) { g.logprobs = n }) }

// ShowSpecial shows control tokens in the text.
func ShowSpecial() GenerateOption { return set(func(g *generation) { g.set.Special = true }) }

// IgnoreEnd goes on when the model would end.
func IgnoreEnd() GenerateOption { return set(func(g *generation) { g.set.IgnoreEOG = true }) }

// Constraint limits which tokens may come next: a grammar, a list of choices.
// One Constraint serves one generation at a time, from its present state on.
type Constraint interface {
	// Mask sets bit id%64 of allowed[id/64] for each token that may come next.
	// allowed arrives zeroed, with (vocabulary+63)/64 words.
	Mask(allowed []uint64) error

	// Accept moves on by the token that was chosen. An error, also of Mask,
	// ends the generation.
	Accept(id int32) error
}

// Constrain has c, which is not nil, decide which tokens may be chosen.
func Constrain(c Constraint) GenerateOption {
	return set(func(g *generation) {
		if c == nil {
			g.err = argument("the constraint is nil: leave Constrain away where there is none")
			return
		}
		g.set.Constraint = constraint{c}
	})
}

// JSONSchema has the model write JSON that satisfies a schema, and nothing else.
// The text is whole when Usage.Reason is [ReasonStop]; MaxTokens or the context may
// end it early. [Stop], [IgnoreEnd] and [Constrain] do not go with it. Of JSON Schema
// a part is supported, which docs/json-schema.md describes; a schema that asks for
// more gives an error that names the keyword, with the generation. An option that is
// used again compiles nothing anew.
func JSONSchema(schema []byte) GenerateOption {
	g, err := jsonschema.Compile(schema, jsonschema.Options{})
	return set(func(s *generation) {
		s.set.Grammar = g
		if err != nil {
			s.err = err
		}
	})
}

// constraint gives a Constraint the methods that a sampler asks for; the engine
// neither resets nor clones one.
type constraint struct{ Constraint }

func (c constraint) Reset() {}

func (c constraint) Clone() sampler.Constraint { return c }
