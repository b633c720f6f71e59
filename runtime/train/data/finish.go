package data

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/ledge-run/ledge/runtime/train/data/clean"
	"github.com/ledge-run/ledge/runtime/train/data/neardup"
	"github.com/ledge-run/ledge/runtime/train/data/source"
)

// The files of a finished folder beside the shards.
const (
	ManifestName = "manifest.json"
	ReportName   = "report.json"
)

// Manifest tells what is in a folder and how it was made.
type Manifest struct {
	Version  int      `json:"version"` // of this format
	Settings Settings `json:"settings"`
	Inputs   []Input  `json:"inputs"`
	Shards   []Shard  `json:"shards"`
}

// Input is a file that was read.
type Input struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// Shard is a file of records, one JSON object a line.
type Shard struct {
	Name      string `json:"name"`
	Split     string `json:"split"`
	Documents int64  `json:"documents"`
	Bytes     int64  `json:"bytes"` // of the file
	SHA256    string `json:"sha256"`
}

// finish is the second phase.
func (b Build) finish(ctx context.Context, w *work, files []source.File) error {
	w.seen = nil // it was for the first phase
	entries, err := w.readIndex()
	if err != nil {
		return err
	}
	near, err := b.compare(ctx, w, entries)
	if err != nil {
		return err
	}
	copies, err := w.readCopies()
	if err != nil {
		return err
	}
	together, groups := b.together(near, entries, copies)
	out := w.path(outName)
	if err := os.RemoveAll(out); err != nil {
		return firstError(err)
	}
	if err := os.Mkdir(out, 0o777); err != nil {
		return firstError(err)
	}
	m := Manifest{Version: 1, Settings: b.Settings, Shards: []Shard{}}
	for _, f := range files {
		m.Inputs = append(m.Inputs, Input{f.Name, f.Size})
	}
	if m.Shards, err = b.write(ctx, w, out, entries, near, together, newGroupNames(groups)); err != nil {
		return err
	}
	for name, v := range map[string]any{ManifestName: m, ReportName: w.state.Report} {
		if err := writeJSON(filepath.Join(out, name), v); err != nil {
			return firstError(err)
		}
	}
	_ = os.Remove(b.Out) // an empty folder may stand there
	if err := os.Rename(out, b.Out); err != nil {
		return firstError(err)
	}
	return nil
}

// together joins what has to be in one split: near duplicates, copies, and documents of a group, that of copies that were
// removed among them. It also returns the groups there are, by hash, with a document of each.
func (b Build) together(near *neardup.Clusters, entries []indexEntry, copies map[[16]byte][]uint64) (*neardup.Clusters, map[uint64]uint32) {
	all := near.Clone()
	groups := map[uint64]uint32{}
	join := func(i uint32, group uint64) {
		if group == 0 {
			return
		}
		if other, ok := groups[group]; ok {
			all.Join(other, i)
		} else {
			groups[group] = i
		}
	}
	texts := map[[16]byte]uint32{} // of copies, if they are kept
	for n, e := range entries {
		i := uint32(n)
		if first, ok := texts[e.hash]; ok {
			all.Join(first, i)
		} else if !b.Settings.Exact {
			texts[e.hash] = i
		}
		join(i, e.group)
		for _, group := range copies[e.hash] {
			join(i, group)
		}
	}
	return all, groups
}

// compare joins near duplicates.
func (b Build) compare(ctx context.Context, w *work, entries []indexEntry) (*neardup.Clusters, error) {
	c := neardup.NewClusters(len(entries))
	shingles := func(i uint32) ([]uint64, error) {
		_, r, err := w.record(entries[i])
		if err != nil {
			return nil, err
		}
		return neardup.Shingles(r.Text, b.Settings.Shingle), nil
	}
	// The first of a pair is often that of the pair before.
	last, lastSet := -1, []uint64(nil)
	alike := func(x, y uint32) (bool, error) {
		if err := context.Cause(ctx); err != nil {
			return false, err
		}
		if int(x) != last {
			set, err := shingles(x)
			if err != nil {
				return false, err
			}
			last, lastSet = int(x), set
		}
		set, err := shingles(y)
		if err != nil {
			return false, err
		}
		return neardup.Jaccard(lastSet, set) >= b.Settings.Threshold, nil
	}
	for band := range neardup.Bands {
		b.Progress(Progress{"comparing", float64(band) / neardup.Bands, int64(len(entries))})
		keys, err := w.keys(band)
		if err != nil {
			return nil, err
		}
		if err := c.Band(keys, alike); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// side is the split of a set of documents, by the first of them: it depends on that one's text and the seed only, so
// that documents added later move nothing but what they are near duplicates of.
func (b Build) side(first indexEntry) int {
	h := sha256.New()
	var seed [8]byte
	binary.LittleEndian.PutUint64(seed[:], b.Settings.Seed)
	h.Write(seed[:])
	h.Write(first.hash[:])
	u := float64(binary.LittleEndian.Uint64(h.Sum(nil))>>11) / (1 << 53)
	for i, s := range b.Settings.Splits {
		if u -= s.Share; u < 0 {
			return i
		}
	}
	return len(b.Settings.Splits) - 1
}

// write writes the shards.
func (b Build) write(ctx context.Context, w *work, out string, entries []indexEntry, near, together *neardup.Clusters, groups *groupNames) ([]Shard, error) {
	r := w.state.Report
	r.Near, r.Clusters, r.Written, r.Splits = Removed{}, 0, Count{}, nil
	splits := make([]*shardWriter, len(b.Settings.Splits))
	for i, s := range b.Settings.Splits {
		splits[i] = &shardWriter{dir: out, split: s.Name, max: b.Settings.ShardBytes, gzip: b.Settings.Gzip}
	}
	kept := keptLikes{b: b, w: w, entries: entries, of: map[uint32][]uint32{}}
	counted := map[uint32]bool{}
	words := newWordCounts(maxWords)
	for i, e := range entries {
		if i%256 == 0 {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			b.Progress(Progress{"writing", float64(i) / float64(len(entries)), r.Written.Documents})
		}
		line, rec, err := w.record(e)
		if err != nil {
			return nil, err
		}
		first := near.First(uint32(i))
		if first != uint32(i) {
			if !counted[first] {
				counted[first] = true
				r.Clusters++
			}
			if b.Settings.Near {
				like, err := kept.like(first, uint32(i), rec)
				if err != nil {
					return nil, err
				}
				if like != nil {
					b.dropped(r, rec, *like)
					continue
				}
			}
		}
		if name := groups.name(rec.Group, e.group); name != rec.Group {
			rec.Group = name
			if line, err = rec.line(); err != nil {
				return nil, err
			}
		}
		r.Written.add(rec.Text)
		if err := splits[b.side(entries[together.First(uint32(i))])].add(line, int64(len(rec.Text))); err != nil {
			return nil, firstError(err)
		}
		if b.Settings.TopWords > 0 {
			if err := words.add(rec.Text); err != nil {
				return nil, err
			}
		}
	}
	var shards []Shard
	for _, s := range splits {
		if err := s.closeShard(); err != nil {
			return nil, firstError(err)
		}
		r.Splits = append(r.Splits, SplitCount{s.split, s.count, len(s.shards)})
		shards = append(shards, s.shards...)
	}
	r.Words = topWords(words.counts, b.Settings.TopWords)
	return shards, nil
}

// dropped notes a near duplicate that is left out.
func (b Build) dropped(r *Report, rec Record, like likeness) {
	units := clean.Measure(rec.Text, false)
	r.Units -= int64(units.Units)
	r.Han -= int64(units.Han)
	e := Example{File: rec.File, Line: rec.Line}
	if len(r.Near.Examples) < maxExamples {
		e.Like, e.Where, e.Score = beginningOf(like.Text), fmt.Sprintf("%s:%d", like.File, like.Line), like.score
	}
	r.Near.add(rec.Text, e)
}

func writeJSON(path string, v any) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	e := json.NewEncoder(f)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return errors.Join(e.Encode(v), f.Sync(), f.Close())
}

// shardWriter writes the shards of a split.
type shardWriter struct {
	dir, split string
	max        int64
	gzip       bool
	shards     []Shard
	count      Count

	f       *os.File
	w       *bufio.Writer
	z       *gzip.Writer
	sum     hash.Hash
	written int64 // lines' bytes in this shard
	docs    int64
}

func (s *shardWriter) add(line []byte, textBytes int64) error {
	if s.f != nil && s.written+int64(len(line)) > s.max {
		if err := s.closeShard(); err != nil {
			return err
		}
	}
	if s.f == nil {
		name := fmt.Sprintf("%s-%05d.jsonl", s.split, len(s.shards))
		if s.gzip {
			name += ".gz"
		}
		f, err := os.Create(filepath.Join(s.dir, name))
		if err != nil {
			return err
		}
		s.sum = sha256.New()
		s.f, s.w = f, bufio.NewWriterSize(io.MultiWriter(f, s.sum), 1<<16)
		if s.gzip {
			s.z = gzip.NewWriter(s.w) // without a time: the same bytes every time
		}
		s.shards = append(s.shards, Shard{Name: name, Split: s.split})
	}
	var to io.Writer = s.w
	if s.z != nil {
		to = s.z
	}
	s.written += int64(len(line))
	s.docs++
	s.count.Documents++
	s.count.Bytes += textBytes
	_, err := to.Write(line)
	return err
}

func (s *shardWriter) closeShard() error {
	if s.f == nil {
		return nil
	}
	var errs []error
	if s.z != nil {
		errs = append(errs, s.z.Close())
	}
	errs = append(errs, s.w.Flush(), s.f.Sync())
	st, err := s.f.Stat()
	errs = append(errs, err, s.f.Close())
	if err := errors.Join(errs...); err != nil {
		return err
	}
	shard := &s.shards[len(s.shards)-1]
	shard.Documents, shard.Bytes, shard.SHA256 = s.docs, st.Size(), hex.EncodeToString(s.sum.Sum(nil))
	s.f, s.w, s.z, s.written, s.docs = nil, nil, nil, 0, 0
	return nil
}
