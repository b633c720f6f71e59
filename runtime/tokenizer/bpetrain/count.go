package bpetrain

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// counter counts words.
type counter struct {
	at     map[string]int32 // places in words and counts
	words  []string
	counts []int64
	total  int64
	cut    int64
	max    int
}

func (c *counter) add(word string) {
	c.total++
	if len(word) > c.max {
		c.cut++
		for ; len(word) > c.max; word = word[c.max:] {
			c.count(word[:c.max], 1)
		}
	}
	c.count(word, 1)
}

func (c *counter) count(word string, n int64) {
	if i, ok := c.at[word]; ok {
		c.counts[i] += n
		return
	}
	word = strings.Clone(word) // the text it is a part of goes
	c.at[word] = int32(len(c.words))
	c.words = append(c.words, word)
	c.counts = append(c.counts, n)
}

// batchBytes is how much text a worker gets at a time.
const batchBytes = 1 << 18

// countWords cuts texts into words, in as many threads as the Config says, and
// counts them. A single byte is no pair, so such words are left out.
func countWords(ctx context.Context, texts iter.Seq2[string, error], s *tokenizer.Splitter, c Config, stats *Stats) (*counter, error) {
	whole := slices.SortedStableFunc(slices.Values(c.Whole), func(a, b string) int { return len(b) - len(a) })
	counters := make([]*counter, c.Threads)
	batches := make(chan []string, c.Threads)
	var wg sync.WaitGroup
	for i := range counters {
		k := &counter{at: map[string]int32{}, max: c.MaxWord}
		counters[i] = k
		wg.Go(func() {
			for batch := range batches {
				for _, text := range batch {
					between(text, whole, func(part string) { s.Words(part, k.add) })
				}
			}
		})
	}
	err := feed(ctx, texts, batches, c, stats)
	close(batches)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	all := counters[0]
	for _, k := range counters[1:] {
		for i, w := range k.words {
			all.count(w, k.counts[i])
		}
		all.total += k.total
		all.cut += k.cut
		*k = counter{}
	}
	stats.Words, stats.Unique, stats.Cut = all.total, len(all.words), all.cut
	return all, nil
}

func feed(ctx context.Context, texts iter.Seq2[string, error], batches chan<- []string, c Config, stats *Stats) error {
	var batch []string
	size := 0
	for text, err := range texts {
		if err != nil {
			return err
		}
		if !utf8.ValidString(text) {
			return fmt.Errorf("tokenizer training: text %d is not UTF-8: convert it first", stats.Texts+1)
		}
		stats.Texts++
		stats.Bytes += int64(len(text))
		batch = append(batch, text)
		if size += len(text); size < batchBytes {
			continue
		}
		select {
		case batches <- batch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		c.Progress("reading", stats.Bytes, 0)
		batch, size = nil, 0
	}
	if len(batch) > 0 {
		batches <- batch
	}
	return context.Cause(ctx)
}
