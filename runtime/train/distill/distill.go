// Package distill lets a model in training learn from another: for every token that is
// to be learnt it gives the ids that a teacher finds likeliest, with their
// probabilities. The teacher runs as any model does; what it has said is kept in a file,
// so that it is asked once for each document, however often that is trained on. See
// docs/distill.md.
package distill

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/files"
	"github.com/ledge-run/ledge/runtime/train/step"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Options of a teacher.
type Options struct {
	K           int     // ids of each token that are learnt
	Temperature float32 // at which probabilities are taken
	Longest     int     // tokens of the longest document

	// Engine opens the teacher; Context, Sequences and Batch are chosen here.
	Engine engine.Options

	// Store is the file that keeps what the teacher says, of at most Most bytes; ""
	// keeps nothing.
	Store string
	Most  int64

	// Note is told what the user should know; may be nil.
	Note func(text string)
}

// together is how many documents are under way at once. A batch that gives all its
// logits is of one document, so that a second is all it takes for the teacher to compute
// while the rows of another are gone through; each has rows of logits of its own.
const together = 2

// batchRows bounds the rows of full logits that a document has at once.
const batchRows = 128

// Teacher gives targets. It is used by one goroutine at a time.
type Teacher struct {
	o     Options
	m     *engine.Model
	vocab int // ids that the student knows
	store *store
	key   [sha256.Size]byte
	Counts
}

// Key tells apart teachers of which one would say other words.
func (t *Teacher) Key() [sha256.Size]byte { return t.key }

// Counts are what a teacher has done, in tokens.
type Counts struct {
	Asked int64 // that the teacher read
	Kept  int64 // whose targets were in the store
}

// Open opens the teacher of a student whose vocabulary is in the file vocabulary, and
// whose output has so many ids. Both have to have one tokenizer.
func Open(ctx context.Context, path string, vocabulary *gguf.File, ids int, o Options) (_ *Teacher, err error) {
	if o.Note == nil {
		o.Note = func(string) {}
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the teacher: %w", err)
	}
	owned := false
	defer func() {
		if err != nil && !owned {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := SameTokenizer(f, vocabulary); err != nil {
		return nil, fmt.Errorf("teacher %s: %w", path, err)
	}
	net, err := engine.Network(f)
	if err != nil {
		return nil, fmt.Errorf("teacher %s: %w", path, err)
	}
	info := net.Info()
	switch {
	case o.K < 1 || o.K > min(ids, info.Vocab):
		return nil, fmt.Errorf("distill: %d ids of a teacher that has %d: want 1 or more, and no more than there are", o.K, min(ids, info.Vocab))
	case !(o.Temperature > 0 && o.Temperature <= math.MaxFloat32):
		return nil, fmt.Errorf("distill: temperature %g: it must be positive and finite", o.Temperature)
	case o.Longest > info.Context:
		return nil, fmt.Errorf("teacher %s was trained for %d tokens, the student is to learn from documents of %d: take a shorter context, or another teacher", path, info.Context, o.Longest)
	}
	t := &Teacher{o: o, vocab: ids}
	if t.key, err = keyOf(ctx, f, vocabulary, o, ids); err != nil {
		return nil, err
	}
	if o.Store != "" {
		var stale error
		if t.store, stale, err = openStore(o.Store, t.key, o.K, ids, o.Most); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, t.store.close())
			}
		}()
		if stale != nil {
			o.Note(fmt.Sprintf("%s is made anew: %v", o.Store, stale))
		}
	}
	eo := o.Engine
	eo.Context, eo.Sequences, eo.Batch = max(o.Longest, 1), together, batchRows
	owned = true // closed by the engine, also on failure
	if t.m, err = engine.OpenFile(ctx, f, eo); err != nil {
		return nil, fmt.Errorf("teacher %s: %w", path, err)
	}
	return t, nil
}

// keyOf is a hash of all that the teacher's words depend on but the documents: its
// file, the vocabulary, how many ids are kept of how many, and the temperature.
func keyOf(ctx context.Context, teacher, vocabulary *gguf.File, o Options, ids int) (key [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, path := range teacher.Paths() {
		if err := files.CopyTo(ctx, h, path); err != nil {
			return key, err
		}
	}
	v := VocabularyKey(vocabulary)
	fmt.Fprintf(h, "%x k=%d of %d at %g\n", v, o.K, ids, o.Temperature)
	h.Sum(key[:0])
	return key, nil
}

// Fill gives parts their targets.
func (t *Teacher) Fill(ctx context.Context, parts []step.Part) error {
	for i := range parts {
		if err := t.fill(ctx, &parts[i]); err != nil {
			return err
		}
	}
	return nil
}

// document is one of a part: its tokens, their labels, and where the targets belong.
type document struct {
	tokens, labels []int32
	key            docKey
	ids            []int32
	probs          []float32
}

func (t *Teacher) fill(ctx context.Context, p *step.Part) error {
	docs, soft, err := t.documents(p)
	if err != nil {
		return err
	}
	var missing []*document
	for i := range docs {
		d := &docs[i]
		if len(d.ids) == 0 {
			continue
		}
		if t.store != nil {
			if ok, err := t.store.get(d.key, d.ids, d.probs); err != nil {
				return err
			} else if ok {
				t.Kept += int64(len(d.tokens))
				continue
			}
		}
		missing = append(missing, d)
	}
	if err := t.ask(ctx, missing); err != nil {
		return err
	}
	for _, d := range missing {
		t.Asked += int64(len(d.tokens))
		if t.store == nil {
			continue
		}
		full, err := t.store.put(d.key, d.ids, d.probs)
		if err != nil {
			// What is not kept is asked for again.
			t.o.Note(fmt.Sprintf("the teacher's words are no longer kept: %v", err))
		} else if full {
			t.o.Note(fmt.Sprintf("%s has reached its size: from now on the teacher's words are not kept", t.o.Store))
		}
	}
	p.Targets = soft
	return nil
}

// documents takes a part apart.
func (t *Teacher) documents(p *step.Part) ([]document, *step.Soft, error) {
	lengths := p.Lengths
	if lengths == nil {
		lengths = []int{len(p.Tokens)}
	}
	labels := 0
	for _, l := range p.Labels {
		if l >= 0 {
			labels++
		}
	}
	soft := &step.Soft{K: t.o.K, IDs: make([]int32, labels*t.o.K), Probs: make([]float32, labels*t.o.K)}
	docs, at, row := make([]document, len(lengths)), 0, 0
	for i, n := range lengths {
		if n < 0 || n > len(p.Tokens)-at || len(p.Labels) != len(p.Tokens) {
			return nil, nil, fmt.Errorf("distill: document %d of a part has %d tokens of the %d that are left", i, n, len(p.Tokens)-at)
		}
		d := &docs[i]
		d.tokens, d.labels = p.Tokens[at:at+n], p.Labels[at:at+n]
		d.key = docKeyOf(d.tokens, d.labels)
		from := row
		for _, l := range d.labels {
			if l >= 0 {
				row++
			}
		}
		d.ids, d.probs = soft.IDs[from*t.o.K:row*t.o.K], soft.Probs[from*t.o.K:row*t.o.K]
		at += n
	}
	return docs, soft, nil
}

// ask runs the teacher over documents, some of them at once.
func (t *Teacher) ask(ctx context.Context, docs []*document) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	next := make(chan *document)
	rows := make(chan struct{}, runtime.GOMAXPROCS(0)) // rows that are gone through at once
	for range min(together, len(docs)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for d := range next {
				if err := t.one(ctx, d, rows); err != nil {
					cancel(err)
				}
			}
		}()
	}
	for _, d := range docs {
		next <- d
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// one runs the teacher over one document.
func (t *Teacher) one(ctx context.Context, d *document, rows chan struct{}) error {
	if ctx.Err() != nil {
		return nil // another has failed
	}
	at := make([]int, len(d.labels)) // of each token the place of its targets, or -1
	n := 0
	for i, l := range d.labels {
		if at[i] = -1; l >= 0 {
			at[i] = n
			n++
		}
	}
	v, k := t.m.Vocab(), t.o.K
	return t.m.Logits(ctx, d.tokens, func(first int, logits []float32) error {
		var wg sync.WaitGroup
		var once sync.Once
		var failed error
		for i := range len(logits) / v {
			r := at[first+i]
			if r < 0 {
				continue
			}
			rows <- struct{}{}
			wg.Add(1)
			go func() {
				defer func() { <-rows; wg.Done() }()
				row := logits[i*v : (i+1)*v]
				if err := top(row, t.vocab, float64(t.o.Temperature), d.ids[r*k:(r+1)*k], d.probs[r*k:(r+1)*k]); err != nil {
					once.Do(func() { failed = fmt.Errorf("the teacher, at token %d of a document: %w", first+i, err) })
				}
			}()
		}
		wg.Wait()
		return failed
	})
}

// Close frees the teacher.
func (t *Teacher) Close() error {
	var errs []error
	if t.m != nil {
		errs = append(errs, t.m.Close())
	}
	if t.store != nil {
		errs = append(errs, t.store.close())
	}
	return errors.Join(errs...)
}
