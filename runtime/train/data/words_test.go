package data

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/train/data/neardup"
)

// TestManyWords: words that are all seen several times are forgotten, too, and the map is not looked through for
// every document.
func TestManyWords(t *testing.T) {
	const most, docs, each = 1000, 3000, 10
	c := newWordCounts(most)
	for i := range docs {
		var b strings.Builder
		for k := range each {
			fmt.Fprintf(&b, "word%d word%d word%d often ", i*each+k, i*each+k, i*each+k)
		}
		if err := c.add(b.String()); err != nil {
			t.Fatal(err)
		}
		if len(c.counts) > most {
			t.Fatalf("%d words after %d documents", len(c.counts), i+1)
		}
	}
	if at := docs*each/(most/2) + 1; c.scans < 1 || c.scans > at {
		t.Errorf("looked through %d times, want at most %d", c.scans, at)
	}
	if top := topWords(c.counts, 1); top[0] != (WordCount{"often", docs * each}) {
		t.Errorf("%+v", top)
	}
}

// TestChain: of texts of which each is like the one before, and the last not like the first, none is removed that is not like
// one that stays, and those that stay are in one split.
func TestChain(t *testing.T) {
	s := Defaults()
	s.Splits = []Split{{"train", 0.5}, {"test", 0.5}}
	dir := t.TempDir()
	shingles := map[string][]uint64{}
	var lines []string
	words := make([]string, 100)
	for i := range words {
		words[i] = fmt.Sprint("first", i)
	}
	for i := range 10 {
		for k := range 5 {
			words[i*10+k] = fmt.Sprint("other", i, "x", k)
		}
		line := strings.Join(words, " ")
		lines = append(lines, line)
		shingles[line] = neardup.Shingles(line, s.Shingle)
	}
	if j := neardup.Jaccard(shingles[lines[0]], shingles[lines[9]]); j > 0.3 {
		t.Fatalf("the ends of the chain are alike: %g", j)
	}
	s.Source.Unit = "line"
	out := filepath.Join(dir, "out")
	r := run(t, Build{Out: out, Paths: []string{write(t, dir, "a.txt", strings.Join(lines, "\n"))}, Settings: s})
	var kept []string
	splits := 0
	for _, all := range records(t, out) {
		if len(all) > 0 {
			splits++
		}
		for _, rec := range all {
			kept = append(kept, rec.Text)
		}
	}
	if len(kept) < 3 || splits != 1 || r.Near.Documents == 0 || r.Clusters != 1 {
		t.Errorf("%d kept in %d splits; %+v", len(kept), splits, r.Near)
	}
	for i, line := range lines {
		if !slices.ContainsFunc(kept, func(k string) bool { return neardup.Jaccard(shingles[k], shingles[line]) >= s.Threshold }) {
			t.Errorf("line %d is removed, but is like none that stays", i+1)
		}
	}
	for _, e := range r.Near.Examples {
		if e.Score < s.Threshold {
			t.Errorf("removed: %+v", e)
		}
	}
}
