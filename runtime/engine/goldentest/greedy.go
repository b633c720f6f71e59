package goldentest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sampler"
)

// bestBytes are what a GPU gives of a row of which the best token is read.
const bestBytes = 8

// GreedySettings are those of greedy generations of n tokens by what they read of a
// row of logits: the same tokens come of all.
func GreedySettings(n int) map[string]engine.Settings {
	set := engine.Settings{MaxTokens: n, IgnoreEOG: true, Sampler: sampler.DefaultParams()}
	set.Sampler.Temperature = 0
	candidates, full := set, set
	candidates.Constraint = anything{}
	full.Logprobs = 1
	return map[string]engine.Settings{"best": set, "candidates": candidates, "full": full}
}

// anything is a constraint that allows every token.
type anything struct{}

func (anything) Mask(allowed []uint64) error {
	for i := range allowed {
		allowed[i] = ^uint64(0)
	}
	return nil
}
func (anything) Accept(int32) error        { return nil }
func (anything) Reset()                    {}
func (anything) Clone() sampler.Constraint { return anything{} }

// CheckGreedy generates greedily after the beginning of each of a model's sequences,
// by themselves and beside each other, and compares what different ways of reading
// the logits give. Where the device counts, so does the test: what is read of a row
// for the best token alone is that and its logit.
func (g *Model) CheckGreedy(t *testing.T, o engine.Options) {
	t.Helper()
	const tokens = 12
	o.Sequences = 3
	for length, seqs := range g.byContext() {
		o.Context = length
		m := g.Open(t, o)
		for _, seq := range seqs {
			prompt := seq.Tokens[:min(len(seq.Tokens), 20)]
			ids := map[string][]int32{}
			for what, set := range GreedySettings(tokens) {
				before, counts := m.Counters()
				ids[what] = generate(t, m, prompt, set)
				after, _ := m.Counters()
				if have := after.ReadBackBytes - before.ReadBackBytes; counts && what == "best" && have != int64(len(ids[what])*bestBytes) {
					t.Errorf("%d bytes were read back for %d tokens, want %d for each", have, len(ids[what]), bestBytes)
				}
			}
			var lock sync.Mutex
			var all sync.WaitGroup
			for what, set := range GreedySettings(tokens) {
				all.Go(func() {
					got := generate(t, m, prompt, set)
					lock.Lock()
					defer lock.Unlock()
					ids[what+", beside others"] = got
				})
			}
			all.Wait()
			for what, got := range ids {
				if len(got) != tokens || !slices.Equal(got, ids["full"]) {
					t.Errorf("%s: got %d, with full rows %d", what, got, ids["full"])
				}
			}
		}
	}
}

func generate(t *testing.T, m *engine.Model, prompt []int32, set engine.Settings) []int32 {
	t.Helper()
	s := m.NewSession()
	defer s.Close()
	var ids []int32
	for p, err := range s.Generate(context.Background(), prompt, set) {
		if err != nil {
			t.Error(err)
			return ids
		}
		ids = append(ids, p.ID)
	}
	return ids
}
