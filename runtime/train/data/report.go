package data

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/train/data/mask"
)

// Count is an amount of text.
type Count struct {
	Documents int64 `json:"documents"`
	Bytes     int64 `json:"bytes"`
}

func (c *Count) add(text string) { c.Documents++; c.Bytes += int64(len(text)) }

// Removed are the documents that one rule removed.
type Removed struct {
	Count
	Examples []Example `json:"examples"` // the first few
}

// Example is a document that was removed or changed.
type Example struct {
	File  string  `json:"file"`
	Line  int     `json:"line"`
	Text  string  `json:"text"`            // its beginning
	Like  string  `json:"like,omitempty"`  // the beginning of the one that was kept in its place
	Where string  `json:"where,omitempty"` // file and line of that
	Score float64 `json:"similarity,omitempty"`
}

const (
	maxExamples = 3
	exampleSize = 160
)

// Report tells what a build did, step by step.
type Report struct {
	Files    int   `json:"files"`
	Ignored  int   `json:"ignored_files"` // of other formats
	Hidden   int   `json:"hidden_files"`
	BadCount int64 `json:"bad_records"`
	// Bad are the first of them.
	Bad        []string            `json:"bad_examples,omitempty"`
	Read       Count               `json:"read"`
	Normalized Count               `json:"normalized"`
	Changed    int64               `json:"changed_by_normalizing"`
	Filtered   map[string]*Removed `json:"filtered"` // by rule
	Kept       Count               `json:"after_filter"`
	Masked     map[mask.Kind]int   `json:"masked"`
	MaskedDocs int64               `json:"documents_masked"`
	Exact      Removed             `json:"exact_duplicates"`
	Unique     Count               `json:"after_exact_duplicates"`
	Near       Removed             `json:"near_duplicates"`
	Clusters   int64               `json:"near_duplicate_clusters"` // of two and more
	Written    Count               `json:"written"`
	Splits     []SplitCount        `json:"splits"`
	Units      int64               `json:"words_and_characters"`
	Han        int64               `json:"han_characters"`
	Words      []WordCount         `json:"top_words,omitempty"`
}

// SplitCount is what a split has.
type SplitCount struct {
	Name string `json:"name"`
	Count
	Shards int `json:"shards"`
}

// WordCount is how often a word occurs.
type WordCount struct {
	Word  string `json:"word"`
	Count int64  `json:"count"`
}

func newReport() *Report {
	return &Report{Filtered: map[string]*Removed{}, Masked: map[mask.Kind]int{}}
}

func (r *Removed) add(text string, e Example) {
	r.Count.add(text)
	r.show(text, e)
}

// show keeps the beginning of a text as an example, if there are not enough.
func (r *Removed) show(text string, e Example) {
	if len(r.Examples) < maxExamples {
		e.Text = beginningOf(text)
		r.Examples = append(r.Examples, e)
	}
}

func beginningOf(text string) string {
	if len(text) > exampleSize {
		cut := exampleSize
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}

// Table is the report as text for people.
func (r *Report) Table() string {
	var b strings.Builder
	row := func(name string, c Count, of Count, note string) {
		fmt.Fprintf(&b, "%-34s %12d %14d %7s  %s\n", name, c.Documents, c.Bytes, percent(c.Documents, of.Documents), note)
	}
	fmt.Fprintf(&b, "%-34s %12s %14s %7s\n", "step", "documents", "bytes", "of read")
	row("read", r.Read, r.Read, fmt.Sprintf("%d files", r.Files))
	if r.BadCount > 0 {
		fmt.Fprintf(&b, "%-34s %12d\n", "- bad records", r.BadCount)
	}
	row("normalised", r.Normalized, r.Read, fmt.Sprintf("%d changed", r.Changed))
	for _, name := range slices.Sorted(maps.Keys(r.Filtered)) {
		row("- "+name, r.Filtered[name].Count, r.Read, "")
	}
	row("after the rules", r.Kept, r.Read, "")
	for _, k := range mask.Kinds {
		if n := r.Masked[k]; n > 0 {
			fmt.Fprintf(&b, "  %-32s %12d\n", "masked: "+string(k), n)
		}
	}
	row("- exact duplicates", r.Exact.Count, r.Read, "")
	row("- near duplicates", r.Near.Count, r.Read, fmt.Sprintf("%d clusters", r.Clusters))
	row("written", r.Written, r.Read, fmt.Sprintf("%d words and characters, %s of them Han", r.Units, percent(r.Han, r.Units)))
	for _, s := range r.Splits {
		row("  "+s.Name, s.Count, r.Read, fmt.Sprintf("%d shards", s.Shards))
	}
	for _, e := range r.Bad {
		fmt.Fprintf(&b, "bad record: %s\n", e)
	}
	r.examples(&b)
	if len(r.Words) > 0 {
		b.WriteString("most frequent words:")
		for _, w := range r.Words {
			fmt.Fprintf(&b, " %s %d", w.Word, w.Count)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (r *Report) examples(b *strings.Builder) {
	show := func(why string, m *Removed) {
		for _, e := range m.Examples {
			fmt.Fprintf(b, "%s: %s:%d %s", why, e.File, e.Line, short(e.Text))
			if e.Where != "" {
				fmt.Fprintf(b, " | like %s %s", e.Where, short(e.Like))
			}
			if e.Score > 0 {
				fmt.Fprintf(b, " (%.2f)", e.Score)
			}
			b.WriteByte('\n')
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Filtered)) {
		show(name, r.Filtered[name])
	}
	show("exact duplicate", &r.Exact)
	show("near duplicate", &r.Near)
}

// short is a text on one line, for a table.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if n := utf8.RuneCountInString(s); n > 60 {
		s = string([]rune(s)[:60]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

func percent(n, of int64) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

// topWords are the n most frequent words, equally frequent ones in their order.
func topWords(counts map[string]int64, n int) []WordCount {
	var all []WordCount
	for w, c := range counts {
		all = append(all, WordCount{w, c})
	}
	slices.SortFunc(all, func(a, b WordCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Word, b.Word))
	})
	return all[:min(n, len(all))]
}
