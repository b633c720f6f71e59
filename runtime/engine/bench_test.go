package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sched"
)

// benchModel opens a tiny model, so that what surrounds the computation shows,
// or one of LEDGE_TEST_MODELS.
func benchModel(b *testing.B, name string, threads int) *engine.Model {
	b.Helper()
	o := engine.Options{Threads: threads, Context: 128}
	if name == "" {
		return openGolden(b, golden(b, "llama-gqa"), o)
	}
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		b.Skip("LEDGE_TEST_MODELS does not name a folder with " + name)
	}
	m, err := engine.Open(context.Background(), filepath.Join(dir, name), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close() })
	return m
}

// BenchmarkToken is a token's time at three levels: what the stream takes
// (scheduler, runner, executable), and with sampling, text and the iterator.
func BenchmarkToken(b *testing.B) {
	for _, name := range []string{"", "smollm2-135m-instruct-q4_1.gguf"} {
		for _, threads := range []int{1, 2} {
			label := name
			if label == "" {
				label = "tiny"
			}
			if threads == 2 {
				label += "-2threads"
			}
			m := benchModel(b, name, threads)
			b.Run("stream/"+label, func(b *testing.B) {
				st := m.NewStream(nil)
				defer st.Close()
				ctx, token := context.Background(), []int32{65}
				b.ReportAllocs()
				for b.Loop() {
					if st.Len() == 60 {
						st.Truncate(0)
					}
					if err := st.Run(ctx, token, sched.Top); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("session/"+label, func(b *testing.B) {
				s := m.NewSession()
				defer s.Close()
				prompt := randomTokens(1, 4)
				b.ReportAllocs()
				n := 0
				for n < b.N {
					for _, err := range s.Generate(context.Background(), prompt, engine.Settings{Sampler: seeded(1), MaxTokens: 56, IgnoreEOG: true}) {
						if err != nil {
							b.Fatal(err)
						}
						if n++; n >= b.N {
							break
						}
					}
				}
			})
		}
	}
}
