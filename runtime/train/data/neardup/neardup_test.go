package neardup

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// text makes a text of n words out of a vocabulary of 5000, or of Chinese characters.
func text(r *rand.Rand, n int, chinese bool) []string {
	words := make([]string, n)
	for i := range words {
		if words[i] = fmt.Sprint("w", r.IntN(5000)); chinese {
			words[i] = string(rune(0x4E00 + r.IntN(3000)))
		}
	}
	return words
}

// edit replaces, drops or inserts some words.
func edit(r *rand.Rand, words []string, edits int, chinese bool) []string {
	words = slices.Clone(words)
	for range edits {
		i := r.IntN(len(words))
		switch r.IntN(3) {
		case 0:
			words[i] = text(r, 1, chinese)[0]
		case 1:
			words = slices.Delete(words, i, i+1)
		default:
			words = slices.Insert(words, i, text(r, 1, chinese)[0])
		}
	}
	return words
}

// TestRecall constructs near duplicates of known similarity and counts how many are found, by similarity;
// docs/data.md has the table.
func TestRecall(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const threshold = 0.8
	type bin struct{ pairs, found int }
	var bins [11]bin
	var below, falsely int
	for i := range 3000 {
		chinese := i%2 == 0
		sep := " "
		if chinese {
			sep = ""
		}
		words := text(r, 60+r.IntN(300), chinese)
		other := edit(r, words, r.IntN(2+len(words)/12), chinese)
		a, b := Shingles(strings.Join(words, sep), 5), Shingles(strings.Join(other, sep), 5)
		j := Jaccard(a, b)
		sa, sb := Sign(a), Sign(b)
		c := NewClusters(2)
		for band := range Bands {
			err := c.Band([]uint64{sa[band], sb[band]}, func(_, _ uint32) (bool, error) { return j >= threshold, nil })
			if err != nil {
				t.Fatal(err)
			}
		}
		together := c.First(1) == 0
		if j < threshold {
			if below++; together {
				falsely++
			}
			continue
		}
		k := &bins[int(j*20)-10]
		if k.pairs++; together {
			k.found++
		}
	}
	all, found := 0, 0
	for i, b := range bins {
		if b.pairs > 0 {
			t.Logf("similarity %.2f to %.2f: %d of %d pairs found", 0.5+float64(i)/20, min(1, 0.55+float64(i)/20), b.found, b.pairs)
		}
		all, found = all+b.pairs, found+b.found
	}
	t.Logf("at %.1f and above: recall %.4f (%d of %d); below: %d of %d taken for duplicates", threshold, float64(found)/float64(all), found, all, falsely, below)
	if all < 500 || float64(found) < 0.99*float64(all) || falsely > 0 || below < 200 {
		t.Errorf("%d of %d found, %d of %d falsely", found, all, falsely, below)
	}
}

func TestShingles(t *testing.T) {
	for _, c := range []struct {
		a, b string
		n    int
		want float64
	}{
		{"", "", 5, 1},
		{"Turn on the light", "turn ON the LIGHT!", 5, 1},
		{"one two three four", "one two three five", 3, 1.0 / 3},
		{"打开客厅的灯", "打开客厅的灯。", 3, 1},
		{"打开客厅的灯", "打开卧室的灯", 3, 0},
		{"!!!", "???", 5, 0},
	} {
		if got := Jaccard(Shingles(c.a, c.n), Shingles(c.b, c.n)); got != c.want {
			t.Errorf("%q and %q: %v, want %v", c.a, c.b, got, c.want)
		}
	}
	// Fixed for ever: folders of an interrupted build keep signatures.
	if got := Sign(Shingles("the quick brown fox jumps over the lazy dog", 5))[0]; got != goldenKey {
		t.Errorf("the first key is %#x", got)
	}
}

const goldenKey = 0x14709117cfa8d9f9

func TestClusters(t *testing.T) {
	c := NewClusters(6)
	keys := []uint64{7, 1, 7, 7, 1, 9}
	asked := 0
	err := c.Band(keys, func(a, b uint32) (bool, error) { asked++; return a+b != 2, nil }) // 0 and 2 differ
	if err != nil {
		t.Fatal(err)
	}
	var first []uint32
	for i := range uint32(6) {
		first = append(first, c.First(i))
	}
	if want := []uint32{0, 1, 2, 0, 1, 5}; !slices.Equal(first, want) || asked != 3 {
		t.Errorf("%v after %d questions, want %v after 3", first, asked, want)
	}
	if err := c.Band(keys, func(_, _ uint32) (bool, error) { return false, fmt.Errorf("unreadable") }); err == nil {
		t.Error("an error is lost")
	}
}
