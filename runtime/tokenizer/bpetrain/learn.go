package bpetrain

import (
	"context"
	"slices"
)

// learner holds the words as tokens while they are merged.
type learner struct {
	symbols []int32 // of all words, end to end
	starts  []int   // of each word in symbols
	lengths []int32 // now, in tokens
	counts  []int64
	pairs   *pairTable
	queue   queue
	touched []int32 // infos that have fresh words
}

// learn fills v with the alphabet and the merges.
func (v *Vocabulary) learn(ctx context.Context, words *counter) error {
	ids := map[string]int32{}
	add := func(token string) int32 {
		id, ok := ids[token]
		if !ok {
			id = int32(len(v.Tokens))
			ids[token] = id
			v.Tokens = append(v.Tokens, token)
		}
		return id
	}
	for _, s := range v.cfg.added() {
		add(s)
	}
	letters := alphabet()
	sorted := slices.Clone(letters[:])
	slices.Sort(sorted)
	for _, r := range sorted {
		add(string(r))
	}
	var byteIDs [256]int32
	for b, r := range letters {
		byteIDs[b] = add(string(r))
	}
	l := newLearner(words, &byteIDs)
	*words = counter{} // the strings are not needed any more

	var merged []pair
	for len(v.Tokens) < v.cfg.Size {
		top, ok := l.next(v.cfg.MinFrequency)
		if !ok {
			v.Stats.Starved = true
			break
		}
		a, b := top.pair.ids()
		id := add(v.Tokens[a] + v.Tokens[b])
		merged = append(merged, top.pair)
		for _, w := range top.words {
			l.merge(w, a, b, id)
		}
		l.enqueue(int32(len(merged)))
		if len(merged)%64 == 0 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			v.cfg.Progress("merging", int64(len(v.Tokens)), int64(v.cfg.Size))
		}
	}
	// A pair that was merged twice has its rank from the last time.
	seen := make(map[pair]bool, len(merged))
	for _, p := range slices.Backward(merged) {
		if seen[p] {
			continue
		}
		seen[p] = true
		a, b := p.ids()
		v.Merges = append(v.Merges, [2]string{v.Tokens[a], v.Tokens[b]})
	}
	slices.Reverse(v.Merges)
	v.Stats.Merges = len(v.Merges)
	return nil
}

// alphabet is GPT-2's: the letter that stands for each byte. Bytes that are
// printable in Latin-1 stand for themselves, the others for the letters from
// U+0100 on.
func alphabet() (letters [256]rune) {
	spare := rune(0x100)
	for b := range rune(256) {
		if b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE {
			letters[b] = b
			continue
		}
		letters[b] = spare
		spare++
	}
	return letters
}

func newLearner(words *counter, byteIDs *[256]int32) *learner {
	total := 0
	for _, w := range words.words {
		total += len(w)
	}
	l := &learner{
		symbols: make([]int32, 0, total),
		starts:  make([]int, len(words.words)),
		lengths: make([]int32, len(words.words)),
		counts:  words.counts,
		pairs:   newPairTable(),
	}
	for i, w := range words.words {
		l.starts[i], l.lengths[i] = len(l.symbols), int32(len(w))
		for _, b := range []byte(w) {
			l.symbols = append(l.symbols, byteIDs[b])
		}
		for s := l.symbols[l.starts[i]:]; len(s) > 1; s = s[1:] {
			l.change(s[0], s[1], int32(i), l.counts[i])
		}
	}
	for _, n := range l.touched {
		l.queue = append(l.queue, l.take(n, 0))
	}
	l.touched = l.touched[:0]
	l.queue.build()
	return l
}

// change adds to the count of a pair, in a word.
func (l *learner) change(a, b, word int32, by int64) {
	n := l.pairs.find(makePair(a, b))
	p := &l.pairs.infos[n]
	p.count += by
	if by < 0 {
		return
	}
	switch k := len(p.fresh); {
	case k == 0:
		l.touched = append(l.touched, n)
	case p.fresh[k-1] == word:
		return
	}
	p.fresh = append(p.fresh, word)
}

// take makes an entry of the fresh words of a pair.
func (l *learner) take(n, step int32) entry {
	p := &l.pairs.infos[n]
	e := entry{p.count, p.pair, n, step, p.fresh}
	p.fresh = nil
	return e
}

// enqueue queues the pairs that came up since it was last called.
func (l *learner) enqueue(step int32) {
	for _, n := range l.touched {
		if e := l.take(n, step); e.count > 0 {
			l.queue.push(e)
		}
	}
	l.touched = l.touched[:0]
}

// next takes the best pair out of the queue. An entry whose count has changed since
// it was queued goes back to where it belongs now.
func (l *learner) next(least int64) (entry, bool) {
	for len(l.queue) > 0 {
		top := &l.queue[0]
		if now := l.pairs.infos[top.info].count; now != top.count {
			top.count = now
			l.queue.down(0)
			continue
		}
		if top.count < least {
			break
		}
		return l.queue.pop(), true
	}
	return entry{}, false
}

// merge replaces the pair a, b by id in a word and notes what that does to the
// pairs around. The count of the pair itself stays: it is not looked at again
// unless it comes up anew.
func (l *learner) merge(word, a, b, id int32) {
	s := l.symbols[l.starts[word]:][:l.lengths[word]]
	count := l.counts[word]
	to := 0
	for from := 0; from < len(s); to++ {
		if s[from] != a || from+1 == len(s) || s[from+1] != b {
			s[to] = s[from]
			from++
			continue
		}
		if to > 0 {
			l.change(s[to-1], a, word, -count)
			l.change(s[to-1], id, word, count)
		}
		from += 2
		if from < len(s) {
			l.change(b, s[from], word, -count)
			l.change(id, s[from], word, count)
		}
		s[to] = id
	}
	l.lengths[word] = int32(to)
}
