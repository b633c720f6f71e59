package sched_test

import (
	"context"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/kvcache"
	"github.com/ledge-run/ledge/runtime/sched"
)

// nothing is a state without bytes.
type nothing struct{ backend.State }

// BenchmarkHop is what the scheduler adds to the run of a token.
func BenchmarkHop(b *testing.B) {
	cache := kvcache.New(nothing{}, 1<<20)
	s := sched.New(cache, sched.Limits{Rows: 512, Seqs: 16, AllRows: 64, Tokens: 1 << 20, Vocab: 8}, func(_ context.Context, b *sched.Batch) error {
		b.Count = 1
		b.IDs, b.Logits, b.LogSumExp = make([]int32, 0, 16)[:len(b.Rows)], make([]float32, 0, 16)[:len(b.Rows)], make([]float32, 0, 16)[:len(b.Rows)]
		return nil
	})
	defer s.Close()
	st := s.NewStream(nil)
	defer st.Close()
	ctx := context.Background()
	token := []int32{1}
	b.ReportAllocs()
	for b.Loop() {
		if st.Len() == 1024 {
			st.Truncate(0)
		}
		if err := st.Run(ctx, token, sched.Top); err != nil {
			b.Fatal(err)
		}
	}
}
