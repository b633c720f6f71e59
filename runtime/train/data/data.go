// Package data makes training data out of files: it reads, normalises, filters, masks,
// removes duplicates, divides into splits that share no text, no group and no near
// duplicates that were found, and writes shards with a manifest and a report.
//
// A build has two phases. The first reads the inputs in order, cleans each document and
// appends it to a work folder beside the output; memory holds some documents at a time and the
// hashes of those that were kept. Every few seconds it notes how far it is, and a
// build that is interrupted, killed or out of disk space goes on from there. The second
// phase finds near duplicates (by what the first has left on disk, with an index of the
// documents in memory), assigns splits and writes the shards; it is repeated as a whole if
// interrupted. The output folder gets its name when it is complete. docs/data.md has how
// much memory that takes for each document.
//
// The result depends on the inputs and settings only: not on threads, interruptions or the order in which
// the system lists files.
package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/ledge-run/ledge/runtime/train/data/clean"
	"github.com/ledge-run/ledge/runtime/train/data/mask"
	"github.com/ledge-run/ledge/runtime/train/data/source"
)

// Settings say what a build does. They are written into the manifest.
type Settings struct {
	Source    source.Options   `json:"source"`
	SkipBad   bool             `json:"skip_bad"` // leave bad records out instead of stopping at the first
	Normalize clean.Normalizer `json:"normalize"`
	Rules     clean.Rules      `json:"rules"`
	Mask      []mask.Kind      `json:"mask"`

	Exact     bool    `json:"remove_exact"` // remove documents that are the same after cleaning
	Near      bool    `json:"remove_near"`  // remove all but the first of near duplicates
	Threshold float64 `json:"near_threshold"`
	Shingle   int     `json:"near_shingle"`

	Splits []Split `json:"splits"`
	Seed   uint64  `json:"seed"`

	ShardBytes int64 `json:"shard_bytes"` // of text lines, before compression
	Gzip       bool  `json:"gzip"`
	TopWords   int   `json:"top_words"` // in the report; 0: words are not counted
}

// Split is a part of the documents.
type Split struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"`
}

// Defaults are the settings of a build that says nothing.
func Defaults() Settings {
	return Settings{
		Rules: clean.Rules{MinUnits: 1}, Exact: true, Near: true, Threshold: 0.8, Shingle: 5,
		Splits: []Split{{"train", 0.98}, {"valid", 0.02}}, ShardBytes: 64e6,
	}
}

var splitName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`) })

// ParseSplits reads splits as "train=0.9,valid=0.05,test=0.05"; shares may be percents.
func ParseSplits(text string) ([]Split, error) {
	var all []Split
	for part := range strings.SplitSeq(text, ",") {
		name, share, ok := strings.Cut(strings.TrimSpace(part), "=")
		percent := strings.HasSuffix(share, "%")
		v, err := strconv.ParseFloat(strings.TrimSuffix(share, "%"), 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("%q is no split: write NAME=SHARE, as in train=0.98,valid=0.02", part)
		}
		if percent {
			v /= 100
		}
		all = append(all, Split{name, v})
	}
	return all, nil
}

// Check reports settings that make no sense.
func (s Settings) Check() error {
	if err := errors.Join(s.Source.Check(), s.Normalize.Check(), s.Rules.Check()); err != nil {
		return err
	}
	if s.Threshold <= 0 || s.Threshold > 1 {
		return fmt.Errorf("the similarity of near duplicates is %v: it must be above 0 and at most 1", s.Threshold)
	}
	if s.Shingle < 1 || s.Shingle > 50 {
		return fmt.Errorf("shingles of %d: it must be 1 to 50", s.Shingle)
	}
	if s.ShardBytes < 1 {
		return fmt.Errorf("shards of %d bytes: it must be 1 or more", s.ShardBytes)
	}
	if len(s.Splits) == 0 {
		return fmt.Errorf("there is no split")
	}
	sum := 0.0
	for i, p := range s.Splits {
		if !splitName().MatchString(p.Name) {
			return fmt.Errorf("the split %q: a name has small letters, digits, - and _, at most 32", p.Name)
		}
		for _, q := range s.Splits[:i] {
			if p.Name == q.Name {
				return fmt.Errorf("the split %q is given twice", p.Name)
			}
		}
		if p.Share <= 0 || math.IsNaN(p.Share) {
			return fmt.Errorf("the split %s has a share of %v: it must be above 0", p.Name, p.Share)
		}
		sum += p.Share
	}
	if math.Abs(sum-1) > 1e-6 {
		return fmt.Errorf("the shares of the splits make %v: they must make 1", sum)
	}
	return nil
}

// Record is a document as it stands in a shard, one a line.
type Record struct {
	Text  string `json:"text"`
	File  string `json:"file"`
	Line  int    `json:"line"`
	Group string `json:"group,omitempty"`
	// Fields are those that Settings.Source.Keep names.
	Fields map[string]rawJSON `json:"fields,omitempty"`
}

// line is the record as it is written.
func (r Record) line() ([]byte, error) {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	err := e.Encode(r)
	return line.Bytes(), err
}

// rawJSON is a value as it was in the input.
type rawJSON []byte

func (r rawJSON) MarshalJSON() ([]byte, error)  { return r, nil }
func (r *rawJSON) UnmarshalJSON(b []byte) error { *r = append((*r)[:0], b...); return nil }
