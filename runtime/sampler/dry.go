package sampler

import (
	"fmt"
	"slices"
	"strings"
)

// collectDRY finds the tokens that would continue a repeated sequence, as the
// author of DRY describes it: at each earlier place where the history's last
// tokens also stand, the token that followed there would extend the match, and
// the longest match counts. A match does not extend over a sequence breaker,
// and a breaker of one token is never penalised.
func (s *Sampler) collectDRY() {
	h := s.window(s.params.DRY.PenaltyLastN)
	n := len(h)
	back := func(i int) int32 { return h[n-1-i] } // the i-th token from the end
	limit := s.dryLimit(h)
	// Z-function of the reversed history: z[i] is how many tokens from i
	// backwards equal the last ones. [left, right) is the match reaching
	// furthest; inside it, an earlier value can be reused.
	s.z = slices.Grow(s.z[:0], n)[:n]
	left, right := 0, 0
	for i := 1; i < n; i++ {
		z := 0
		if i < right {
			z = min(int(s.z[i-left]), right-i)
		}
		for i+z < n && back(z) == back(i+z) {
			z++
		}
		if i+z > right {
			left, right = i, i+z
		}
		s.z[i] = int32(z)
		length, next := min(z, limit), back(i-1)
		if length >= s.params.DRY.AllowedLength && !s.breakers.single(next) {
			a := s.adjustmentOf(next)
			a.repeat = max(a.repeat, int32(length)+1)
		}
	}
}

// dryLimit returns how many tokens at the end of h follow its last breaker.
func (s *Sampler) dryLimit(h []int32) int {
	if len(s.breakers.tails) == 0 {
		return len(h)
	}
	for i := range h { // i tokens follow h[head]
		head := len(h) - 1 - i
		if !s.breakers.isHead(h[head]) {
			continue
		}
		longest := -1
		for _, tail := range s.breakers.tails[h[head]] {
			if len(tail) > longest && len(tail) <= i && slices.Equal(tail, h[head+1:head+1+len(tail)]) {
				longest = len(tail)
			}
		}
		if longest >= 0 {
			return i - longest
		}
	}
	return len(h)
}

// breakerSet holds sequence breakers by their first token.
type breakerSet struct {
	heads []uint64
	tails map[int32][][]int32
}

func (b *breakerSet) isHead(id int32) bool {
	return len(b.tails) > 0 && b.heads[id/64]>>(id%64)&1 == 1
}

// single reports whether the token alone is a breaker.
func (b *breakerSet) single(id int32) bool {
	if !b.isHead(id) {
		return false
	}
	return slices.ContainsFunc(b.tails[id], func(t []int32) bool { return len(t) == 0 })
}

// SetDRYBreakers sets the token sequences across which DRY does not look (see
// DRYBreakers). The clone of a sampler shares them.
func (s *Sampler) SetDRYBreakers(seqs [][]int32) error {
	b := breakerSet{heads: make([]uint64, (s.vocab+63)/64), tails: map[int32][][]int32{}}
	for i, seq := range seqs {
		if len(seq) == 0 {
			return fmt.Errorf("sampler: DRY breaker %d has no tokens", i)
		}
		for _, id := range seq {
			if err := s.checkID(id); err != nil {
				return fmt.Errorf("sampler: DRY breaker %d: %w", i, err)
			}
		}
		head := seq[0]
		b.heads[head/64] |= 1 << (head % 64)
		b.tails[head] = append(b.tails[head], slices.Clone(seq[1:]))
	}
	s.breakers, s.breakersSet = b, true
	return nil
}

// Longest breaker considered, in bytes, and longest token tail after its head.
const (
	maxBreakerBytes = 40
	maxBreakerTail  = 20
)

// DRYBreakers turns breaker texts into the token sequences in which they
// appear: each token whose text contains the breaker, and each token whose
// text ends with the breaker's beginning, followed by the encoded rest. piece
// gives a token's text ("" for none), encode the tokens of a text without
// special tokens. It looks at the whole vocabulary: keep the result.
func DRYBreakers(texts []string, vocab int, piece func(id int32) string, encode func(text string) ([]int32, error)) ([][]int32, error) {
	var seqs [][]int32
	for _, text := range texts {
		if len(text) > maxBreakerBytes {
			text = text[:maxBreakerBytes]
		}
		if text == "" {
			continue
		}
		// The rest after n bytes is the same for every head: encode it once.
		rests := make([][]int32, len(text))
		for n := 1; n < len(text); n++ {
			rest, err := encode(text[n:])
			if err != nil {
				return nil, fmt.Errorf("sampler: DRY breaker %q: %w", text, err)
			}
			rests[n] = rest[:min(len(rest), maxBreakerTail)]
		}
		for id := range int32(vocab) {
			p := piece(id)
			if strings.Contains(p, text) {
				seqs = append(seqs, []int32{id})
				continue
			}
			for n := min(len(text)-1, len(p)); n > 0; n-- {
				if strings.HasSuffix(p, text[:n]) && len(rests[n]) > 0 {
					seqs = append(seqs, append([]int32{id}, rests[n]...))
				}
			}
		}
	}
	return seqs, nil
}
