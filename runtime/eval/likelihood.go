package eval

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/kvcache"
	"github.com/ledge-run/ledge/runtime/sampler"
	"github.com/ledge-run/ledge/runtime/sched"
)

// Score is what a model thinks of an option.
type Score struct {
	Option string  `json:"option"`
	LogP   float64 `json:"logp"`   // of its tokens, after the prompt
	Norm   float64 `json:"norm"`   // LogP for each of its characters
	Tokens int     `json:"tokens"` // that it has
}

// scorer finds log-likelihoods with one stream, whose cache serves all options of an
// item and what items have in common.
type scorer struct {
	m       *engine.Model
	p       *Prompting
	task    Task
	stream  *sched.Stream
	context []int32   // whose row is kept
	row     []float32 // logits after the context

	read int // tokens that were run
}

// options scores all options of an item.
func (s *scorer) options(ctx context.Context, i *Item) ([]Score, error) {
	var out []Score
	for _, o := range i.Options {
		tokens, n, err := s.p.pair(s.m, i, s.task, o)
		if err != nil {
			return nil, err
		}
		n = min(n, len(tokens)-1)
		if n < 1 {
			return nil, fmt.Errorf("line %d: there is no token before the option %.40q", i.Line, o)
		}
		if len(tokens) > s.m.Options.Context {
			return nil, fmt.Errorf("line %d: the prompt and the option %.40q have %d tokens, more than the context of %d (-c N sets it)", i.Line, o, len(tokens), s.m.Options.Context)
		}
		logp, err := s.logp(ctx, tokens, n)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i.Line, err)
		}
		out = append(out, Score{o, logp, logp / float64(utf8.RuneCountInString(o)), len(tokens) - n})
	}
	return out, nil
}

// logp is the log-probability of tokens[n:] after tokens[:n].
func (s *scorer) logp(ctx context.Context, tokens []int32, n int) (float64, error) {
	if s.stream == nil {
		s.stream = s.m.NewStream(tokens[:n])
	}
	if !slices.Equal(s.context, tokens[:n]) {
		s.stream.Truncate(min(kvcache.Common(s.stream.Tokens(), tokens[:n]), n-1))
		if err := s.run(ctx, tokens[s.stream.Len():n], sched.Full); err != nil {
			return 0, err
		}
		s.context, s.row = slices.Clone(tokens[:n]), slices.Clone(s.stream.Logits[:s.m.Vocab()])
	}
	lp, err := sampler.Logprob(s.row, tokens[n])
	sum := float64(lp)
	if err != nil || n+1 == len(tokens) {
		return sum, err
	}
	s.stream.Truncate(n)
	v := s.m.Vocab()
	err = s.stream.RunAll(ctx, tokens[n:len(tokens)-1], func(first int, logits []float32) error {
		for k := range len(logits) / v {
			lp, err := sampler.Logprob(logits[k*v:(k+1)*v], tokens[first+k+1])
			if err != nil {
				return err
			}
			sum += float64(lp)
		}
		return nil
	})
	s.read += len(tokens) - 1 - n
	return sum, err
}

func (s *scorer) run(ctx context.Context, tokens []int32, want sched.Want) error {
	s.read += len(tokens)
	return s.stream.Run(ctx, tokens, want)
}

func (s *scorer) close() {
	if s.stream != nil {
		s.stream.Discard()
	}
}

// best gives the option with the highest value; of equal ones the first.
func best(scores []Score, value func(Score) float64) string {
	at := 0
	for i := range scores {
		if value(scores[i]) > value(scores[at]) {
			at = i
		}
	}
	return scores[at].Option
}
