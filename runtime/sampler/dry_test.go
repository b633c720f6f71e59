package sampler

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// bruteDRY returns each token's longest match plus 1, by comparing everywhere.
func bruteDRY(h []int32, seqs [][]int32, allowed int) map[int32]int32 {
	matches := func(seq []int32, at int) bool {
		return at+len(seq) <= len(h) && reflect.DeepEqual(h[at:at+len(seq)], seq)
	}
	limit := len(h)
	for at := len(h) - 1; at >= 0 && limit == len(h); at-- {
		for _, seq := range seqs {
			if matches(seq, at) {
				limit = min(limit, len(h)-at-len(seq))
			}
		}
	}
	longest := map[int32]int32{}
	for at := 1; at < len(h); at++ { // h[at] followed the match
		n := 0
		for n < at && n < limit && h[at-1-n] == h[len(h)-1-n] {
			n++
		}
		single := false
		for _, seq := range seqs {
			single = single || len(seq) == 1 && seq[0] == h[at]
		}
		if n >= allowed && !single {
			longest[h[at]] = max(longest[h[at]], int32(n)+1)
		}
	}
	return longest
}

func TestDRYBrute(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	found := 0
	for n := range 3000 {
		p := off()
		p.DRY = DRY{Multiplier: 1, Base: 1.5, AllowedLength: rng.IntN(4), PenaltyLastN: rng.IntN(80) - 1}
		if p.DRY.PenaltyLastN == 0 {
			continue
		}
		s := mustNew(t, p, 8)
		var seqs [][]int32
		for range rng.IntN(4) {
			seq := make([]int32, 1+rng.IntN(3))
			for i := range seq {
				seq[i] = int32(rng.IntN(8))
			}
			seqs = append(seqs, seq)
		}
		if err := s.SetDRYBreakers(seqs); err != nil {
			t.Fatal(err)
		}
		h := make([]int32, rng.IntN(100))
		for i := range h {
			h[i] = int32(rng.IntN(1 + rng.IntN(8)))
		}
		if err := s.AcceptPrompt(h); err != nil {
			t.Fatal(err)
		}
		s.collect()
		got := map[int32]int32{}
		for _, a := range s.adj {
			got[a.id] = a.repeat
		}
		s.release()
		want := bruteDRY(s.window(p.DRY.PenaltyLastN), seqs, p.DRY.AllowedLength)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("case %d: history %v, breakers %v, %+v: %v, want %v", n, h, seqs, p.DRY, got, want)
		}
		found += len(want)
	}
	if found < 1000 {
		t.Errorf("only %d matches in all", found)
	}
}

func TestDRYBreakers(t *testing.T) {
	pieces := []string{"a", "b\n", "\n", "x--", "-", "--", "y", "---", ""}
	encode := func(text string) (ids []int32, err error) { // '-' is token 4
		for range text {
			ids = append(ids, 4)
		}
		return ids, nil
	}
	piece := func(id int32) string { return pieces[id] }
	got, err := DRYBreakers([]string{"\n", "---", ""}, len(pieces), piece, encode)
	want := [][]int32{{1}, {2}, {3, 4}, {3, 4, 4}, {4, 4, 4}, {5, 4}, {5, 4, 4}, {7}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	bad := func(string) ([]int32, error) { return nil, errors.New("no such text") }
	if _, err := DRYBreakers([]string{"ab"}, 1, piece, bad); err == nil {
		t.Error("the tokenizer's error is lost")
	}

	p := off()
	p.DRY.Multiplier, p.DRY.SequenceBreakers = 1, []string{"\n"}
	s := mustNew(t, p, 9)
	if _, err := s.Sample(make([]float32, 9)); err == nil || !strings.Contains(err.Error(), "SetDRYBreakers") {
		t.Errorf("breakers without tokens: %v", err)
	}
	for _, seqs := range [][][]int32{{{}}, {{9}}, {{1, -1}}} {
		if s.SetDRYBreakers(seqs) == nil {
			t.Errorf("breakers %v pass", seqs)
		}
	}
}

// A penalty too large for float32 lowers a token but never removes the last one.
func TestDRYOverflow(t *testing.T) {
	p := off()
	p.DRY = DRY{Multiplier: math.MaxFloat32, Base: math.MaxFloat32, PenaltyLastN: -1}
	s := mustNew(t, p, 1)
	if err := s.AcceptPrompt(make([]int32, 500)); err != nil {
		t.Fatal(err)
	}
	if tok, err := s.Sample([]float32{1}); err != nil || tok.ID != 0 {
		t.Errorf("%v, %v", tok, err)
	}
}
