package engine_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/sampler"
	"github.com/ledge-run/ledge/runtime/sched"
)

func golden(t testing.TB, name string) goldentest.Model {
	t.Helper()
	return goldentest.Named(goldens, name)
}

func randomTokens(seed uint64, n int) []int32 {
	rng := rand.New(rand.NewPCG(seed, 2))
	out := make([]int32, n)
	for i := range out {
		out[i] = rng.Int32N(263)
	}
	return out
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// TestSameBits holds ARCHITECTURE's rule: a row's logits do not depend on
// threads, the size of prompt chunks, what else is in the batch, whether the
// beginning was in the cache, or which rows are read.
func TestSameBits(t *testing.T) {
	const length = 117
	text := randomTokens(1, length)
	for _, name := range []string{"llama-gqa", "gemma2", "phi3"} {
		for _, nofuse := range []bool{false, true} {
			if nofuse && name == "phi3" {
				continue
			}
			t.Run(fmt.Sprintf("%s,unfused=%v", name, nofuse), func(t *testing.T) {
				g := golden(t, name)
				base := engine.Options{Threads: 1, Sequences: 16, NoFuse: nofuse, Context: 128}
				if name == "gemma2" && !nofuse {
					base.CacheType = dtype.Q8_0
				}
				ref := openGolden(t, g, base)
				vocab := ref.Vocab()
				want := logitsOf(t, ref, text)
				if len(want) != length*vocab {
					t.Fatalf("%d logits", len(want))
				}
				row := func(i int) []float32 { return want[i*vocab : (i+1)*vocab] }
				for _, v := range []engine.Options{
					{Threads: 2}, {Threads: 1, Batch: 1}, {Threads: 1, Batch: 2}, {Threads: 2, Batch: 29},
					{Threads: 1, Batch: 16}, {Threads: 3, Batch: 33}, {Threads: 1, Batch: 64}, {Threads: 1, Batch: 512},
				} {
					v.Sequences, v.NoFuse, v.Context, v.CacheType = base.Sequences, nofuse, base.Context, base.CacheType
					m := openGolden(t, g, v)
					what := fmt.Sprintf("threads %d, chunks of %d", v.Threads, v.Batch)
					if !sameBits(logitsOf(t, m, text), want) {
						t.Errorf("%s: all rows differ", what)
					}
					together := func(n int) { // n streams at once, one begins with chunks of 10
						var wg sync.WaitGroup
						for i := range n {
							wg.Go(func() {
								mine := text
								if i > 0 {
									mine = randomTokens(uint64(10+i), 60+11*i)
								}
								st := m.NewStream(mine)
								defer st.Close()
								for st.Len() < len(mine) {
									step := 1 + 9*(i%2)
									if v.Threads > 1 { // many small runs take long on a busy machine
										step += 11
									}
									step = min(step, len(mine)-st.Len())
									if err := st.Run(context.Background(), mine[st.Len():st.Len()+step], sched.Full); err != nil {
										t.Error(err)
										return
									}
									if i == 0 && !sameBits(st.Logits, row(st.Len()-1)) {
										t.Errorf("%s, %d streams: row %d differs", what, n, st.Len()-1)
										return
									}
								}
							})
						}
						wg.Wait()
					}
					together(1)
					together(4)
					// The prefix is known now, and a part of it as well.
					for _, keep := range []int{0, 1, 64, 100} {
						mine := append(slices.Clone(text[:keep]), randomTokens(3, 20)...)
						cold := logitsOf(t, ref, mine)
						st := m.NewStream(mine)
						if st.Len() < keep {
							t.Errorf("%s: %d tokens were found in the cache, want %d", what, st.Len(), keep)
						}
						if err := st.Run(context.Background(), mine[st.Len():], sched.Full); err != nil {
							t.Fatal(err)
						}
						if !sameBits(st.Logits, cold[len(cold)-vocab:]) {
							t.Errorf("%s: %d tokens from the cache: the last row differs", what, keep)
						}
						st.Close()
					}
				}
			})
		}
	}
}

func collect(t testing.TB, s *engine.Session, prompt []int32, set engine.Settings) []int32 {
	t.Helper()
	var ids []int32
	for p, err := range s.Generate(context.Background(), prompt, set) {
		if err != nil {
			t.Error(err)
			return nil
		}
		ids = append(ids, p.ID)
	}
	return ids
}

func seeded(seed uint64) sampler.Params {
	p := sampler.DefaultParams()
	p.Seed, p.Temperature = seed, 1.5
	return p
}

// TestSameTokens is TestSameBits for whole generations.
func TestSameTokens(t *testing.T) {
	g := golden(t, "llama-gqa")
	prompt := randomTokens(5, 50)
	set := engine.Settings{Sampler: seeded(42), MaxTokens: 40, IgnoreEOG: true}
	s := openGolden(t, g, engine.Options{Threads: 1}).NewSession()
	want := collect(t, s, prompt, set)
	s.Close()
	for _, o := range []engine.Options{{Threads: 1, Batch: 1}, {Threads: 2, Batch: 7}, {Threads: 3}} {
		o.Sequences = 4
		m := openGolden(t, g, o)
		var wg sync.WaitGroup
		for i := range 5 { // cold, warm, and three beside it
			wg.Go(func() {
				s := m.NewSession()
				defer s.Close()
				mine, which := prompt, set
				if i >= 2 {
					mine, which.Sampler = randomTokens(uint64(i), 20*i), seeded(uint64(i))
					which.Logprobs = i - 2 // some read full rows
				}
				got := collect(t, s, mine, which)
				if i < 2 && !slices.Equal(got, want) {
					t.Errorf("%+v: got %v, want %v", o, got, want)
				}
			})
			if i == 0 {
				wg.Wait()
			}
		}
		wg.Wait()
		s := m.NewSession()
		collect(t, s, prompt, set)
		if u := s.Usage(); u.CachedTokens != len(prompt)-1 || u.Seed != 42 {
			t.Errorf("%+v", u)
		}
		s.Close()
	}
}

// TestEmbed: the same row alone, beside others, and with a known beginning.
func TestEmbed(t *testing.T) {
	for _, name := range []string{"llama-gqa", "gemma3"} {
		m := openGolden(t, golden(t, name), engine.Options{Threads: 2, Sequences: 6})
		text := randomTokens(8, 70)
		want, err := m.Embed(context.Background(), text)
		if err != nil || len(want) != m.Network.Info().Embedding {
			t.Fatal(err, len(want))
		}
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				mine := text
				if i%2 == 1 {
					mine = randomTokens(uint64(i), 30)
				}
				got, err := m.Embed(context.Background(), mine)
				if err != nil {
					t.Error(err)
				} else if i%2 == 0 && !sameBits(got, want) {
					t.Errorf("%s: another embedding beside others", name)
				}
			})
		}
		wg.Go(func() {
			s := m.NewSession()
			defer s.Close()
			collect(t, s, randomTokens(9, 20), engine.Settings{Sampler: seeded(1), MaxTokens: 20, IgnoreEOG: true})
		})
		wg.Wait()
	}
}
