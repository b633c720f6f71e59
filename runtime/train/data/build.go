package data

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/train/data/clean"
	"github.com/ledge-run/ledge/runtime/train/data/mask"
	"github.com/ledge-run/ledge/runtime/train/data/neardup"
	"github.com/ledge-run/ledge/runtime/train/data/source"
)

// Progress tells how far a build is.
type Progress struct {
	Stage    string  // "reading", "comparing", "writing"
	Fraction float64 // of the stage
	Docs     int64   // read, or written
}

// Build is one run.
type Build struct {
	Out      string
	Paths    []string
	Settings Settings
	Threads  int            // 0: as many as there are processors
	Restart  bool           // forget an interrupted build
	Progress func(Progress) // may be nil
	Note     func(string)   // for the user; may be nil
	// Interval between points from which an interrupted build goes on; 0 is 5 s.
	Interval time.Duration
}

// ErrExists is wrapped by the error for an output that is there already.
var ErrExists = errors.New("name another folder, or remove it first")

// Run makes the output folder and returns its report. If ctx ends, or something fails, what is done is kept in
// Out+".part", and the same Build goes on from there.
func (b Build) Run(ctx context.Context) (*Report, error) {
	if err := b.Settings.Check(); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if err := b.vacant(); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	found, err := source.Find(b.Paths)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if found.Files, err = b.outside(found.Files); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if b.Progress == nil {
		b.Progress = func(Progress) {}
	}
	if b.Note == nil {
		b.Note = func(string) {}
	}
	if b.Threads <= 0 {
		b.Threads = runtime.GOMAXPROCS(0)
	}
	if b.Interval <= 0 {
		b.Interval = 5 * time.Second
	}
	k, err := key(b.Settings, found.Files)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	unlock, err := b.lock()
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	done := false
	defer func() { unlock(done) }()
	if err := b.vacant(); err != nil { // of whoever had the lock
		done = true
		return nil, fmt.Errorf("data: %w", err)
	}
	w, resumed, err := openWork(b.work(), k, b.Restart)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if resumed {
		b.Note(fmt.Sprintf("goes on with %s: %d documents are done", w.dir, w.state.Report.Read.Documents))
	}
	r := w.state.Report
	r.Files, r.Ignored, r.Hidden = len(found.Files), found.Ignored, found.Hidden
	err = b.read(ctx, w, found.Files)
	if err == nil {
		err = b.finish(ctx, w, found.Files)
	}
	if err = errors.Join(err, w.close()); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if err := w.clear(); err != nil {
		return nil, fmt.Errorf("data: %s is complete, but: %w", b.Out, err)
	}
	done = true
	return r, nil
}

// work is the folder of what an interrupted build has done.
func (b Build) work() string { return b.Out + ".part" }

// vacant refuses an output that is there already.
func (b Build) vacant() error {
	if entries, err := os.ReadDir(b.Out); err == nil && len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: %w", b.Out, ErrExists)
	}
	return nil
}

// item is a document on its way through the first phase, or a bad record.
type item struct {
	file     int
	doc      source.Document
	bad      *source.BadRecord
	read     int // bytes before anything was done
	changed  bool
	measures clean.Measures
	rule     string // that it breaks
	masked   map[mask.Kind]int
	line     []byte // as it will be written
	hash     [16]byte
	group    uint64
	sign     neardup.Signature
	err      error
}

// batch is some items that one worker handles.
type batch struct {
	items    []*item
	done     chan struct{}
	fraction float64 // of all input bytes, before it
}

const (
	batchDocs  = 64
	batchBytes = 1 << 20
)

// process does what needs no knowledge of other documents.
func (b Build) process(m *mask.Masker, it *item) {
	if it.bad != nil {
		return
	}
	it.read = len(it.doc.Text)
	text := b.Settings.Normalize.Apply(it.doc.Text)
	it.changed = text != strings.TrimRight(it.doc.Text, " \t\r\n") // the end of a line or file does not count
	it.doc.Text = text
	if it.measures, it.rule = b.Settings.Rules.Judge(text); it.rule != "" {
		return
	}
	it.masked = map[mask.Kind]int{}
	it.doc.Text = m.Apply(text, it.masked)
	r := Record{Text: it.doc.Text, File: it.doc.File, Line: it.doc.Line, Group: m.Apply(it.doc.Group, it.masked)}
	for _, f := range it.doc.Extra {
		if r.Fields == nil {
			r.Fields = map[string]rawJSON{}
		}
		if r.Fields[f.Name], it.err = maskedJSON(m, f.Value, it.masked); it.err != nil {
			return
		}
	}
	if it.line, it.err = r.line(); it.err != nil {
		return
	}
	sum := sha256.Sum256([]byte(it.doc.Text))
	copy(it.hash[:], sum[:])
	it.group = groupHash(it.doc.Group)
	it.sign = neardup.Sign(neardup.Shingles(it.doc.Text, b.Settings.Shingle))
}

// read is the first phase.
func (b Build) read(ctx context.Context, w *work, files []source.File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo, ordered := make(chan *batch, b.Threads), make(chan *batch, 2*b.Threads)
	m := mask.New(b.Settings.Mask...)
	for range b.Threads {
		go func() {
			for k := range todo {
				for _, it := range k.items {
					b.process(m, it)
				}
				close(k.done)
			}
		}()
	}
	var readErr error // set before ordered is closed
	go func() {
		defer close(ordered)
		defer close(todo)
		readErr = b.feed(ctx, w.state.File, w.state.Item, files, func(k *batch) bool {
			for _, c := range []chan *batch{ordered, todo} {
				select {
				case c <- k:
				case <-ctx.Done():
					return false
				}
			}
			return true
		})
	}()
	last := time.Now()
	for k := range ordered {
		select {
		case <-k.done:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), w.save())
		}
		for _, it := range k.items {
			if err := b.take(w, it); err != nil {
				return errors.Join(err, w.save())
			}
			w.done(it)
		}
		b.Progress(Progress{"reading", k.fraction, w.state.Report.Read.Documents})
		if time.Since(last) > b.Interval {
			if err := w.save(); err != nil {
				return err
			}
			last = time.Now()
		}
	}
	if err := context.Cause(ctx); err != nil {
		readErr = err
	}
	if readErr == nil {
		w.state.File, w.state.Item = len(files), 0
	}
	return errors.Join(readErr, w.save())
}

// feed reads the files from an item on and hands out batches.
func (b Build) feed(ctx context.Context, first int, skip int64, files []source.File, give func(*batch) bool) error {
	var total, done int64
	for i, f := range files {
		total += f.Size
		if i < first {
			done += f.Size
		}
	}
	k, size, at := &batch{done: make(chan struct{})}, 0, int64(0)
	flush := func() bool {
		if len(k.items) == 0 {
			return true
		}
		k.fraction = float64(done+at) / float64(max(total, 1))
		ok := give(k)
		k, size = &batch{done: make(chan struct{})}, 0
		return ok
	}
	for i := first; i < len(files); i++ {
		n := int64(0)
		for doc, err := range source.Read(files[i], b.Settings.Source, func(bytes int64) { at = bytes }) {
			var bad *source.BadRecord
			if err != nil && !errors.As(err, &bad) {
				flush()
				return err
			}
			if n++; i == first && n <= skip {
				continue
			}
			k.items = append(k.items, &item{file: i, doc: doc, bad: bad})
			if size += len(doc.Text); len(k.items) >= batchDocs || size >= batchBytes {
				if !flush() {
					return context.Cause(ctx)
				}
			}
		}
		if !flush() {
			return context.Cause(ctx)
		}
		done, at = done+files[i].Size, 0
	}
	return nil
}

// take enters a processed item into the work folder and the report. It is what decides in order.
func (b Build) take(w *work, it *item) error {
	r := w.state.Report
	if it.err != nil {
		return it.err
	}
	if it.bad != nil {
		if !b.Settings.SkipBad {
			return it.bad
		}
		if r.BadCount++; len(r.Bad) < 10 {
			shown := *it.bad // a problem may show what is in the file, as names of columns that are none
			shown.Problem = mask.New(b.Settings.Mask...).Apply(shown.Problem, nil)
			r.Bad = append(r.Bad, shown.Error())
		}
		return nil
	}
	r.Read.Documents++
	r.Read.Bytes += int64(it.read)
	example := Example{File: it.doc.File, Line: it.doc.Line}
	if it.changed {
		r.Changed++
	}
	if it.rule != "" {
		r.Normalized.add(it.doc.Text)
		removed := r.Filtered[it.rule]
		if removed == nil {
			removed = &Removed{}
			r.Filtered[it.rule] = removed
		}
		removed.Count.add(it.doc.Text)
		if len(removed.Examples) < maxExamples {
			removed.show(b.maskedBeginning(it.doc.Text), example)
		}
		return nil
	}
	// Bytes are counted before masking, so that the steps before it add up.
	r.Normalized.Documents++
	r.Normalized.Bytes += int64(it.measures.Bytes)
	r.Kept.Documents++
	r.Kept.Bytes += int64(it.measures.Bytes)
	if len(it.masked) > 0 {
		r.MaskedDocs++
		for kind, n := range it.masked {
			r.Masked[kind] += n
		}
	}
	if _, twice := w.seen[it.hash]; twice && b.Settings.Exact {
		r.Exact.add(it.doc.Text, example)
		return w.addCopy(it.hash, it.group)
	}
	r.Unique.add(it.doc.Text)
	r.Units += int64(it.measures.Units)
	r.Han += int64(it.measures.Han)
	return w.add(it.line, it.hash, it.group, it.sign)
}

// done notes that an item is dealt with.
func (w *work) done(it *item) {
	if it.file != w.state.File {
		w.state.File, w.state.Item = it.file, 0
	}
	w.state.Item++
}
