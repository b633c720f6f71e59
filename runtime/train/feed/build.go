package feed

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/ledge-run/ledge/runtime/files"
	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// Settings say how files become examples.
type Settings struct {
	Template string
	Context  int    // tokens that an example may have, its last label apart
	Long     string // what becomes of longer ones: cut, skip, refuse
	SkipBad  bool   // leave malformed lines out, and count them
}

// Source is what Open reads.
type Source struct {
	Files     []string
	Tokenizer *tokenizer.Tokenizer
	Vocab     [sha256.Size]byte // tells vocabularies apart
	Settings  Settings
	Cache     string // the file that keeps the tokenized examples
	Threads   int    // 0 for all processors

	// Progress, if set, is told how many of the files' bytes are read.
	Progress func(done, total int64)
}

// Open gives the examples of files. They are tokenized only if the cache does not have
// those of the same bytes, tokenizer and settings.
func Open(ctx context.Context, s Source) (*Data, error) {
	if len(s.Files) == 0 {
		return nil, errors.New("there is no file to read")
	}
	key, total, err := s.key(ctx)
	if err != nil {
		return nil, err
	}
	d, err := openCache(s.Cache, key, s.Settings.Context)
	if err == nil {
		files.Sweep(s.Cache) // nothing else will replace it
		return d, nil
	}
	// Whatever is wrong with the file, it is made anew.
	if err := s.build(ctx, key, total); err != nil {
		return nil, err
	}
	if d, err = openCache(s.Cache, key, s.Settings.Context); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Cache, err)
	}
	return d, nil
}

// key is a hash of all that the examples depend on: of the files their bytes, not
// their names or times.
func (s *Source) key(ctx context.Context) (key [sha256.Size]byte, total int64, err error) {
	h := sha256.New()
	settings, err := json.Marshal(s.Settings)
	if err != nil {
		return key, 0, err
	}
	fmt.Fprintf(h, "%s%s\n%x\n", magic, settings, s.Vocab)
	for _, path := range s.Files {
		f, err := os.Open(path)
		if err != nil {
			return key, 0, err
		}
		sum := sha256.New()
		n, err := io.Copy(sum, files.Until(ctx, f))
		if err = errors.Join(err, f.Close()); err != nil {
			return key, 0, fmt.Errorf("%s: %w", path, err)
		}
		fmt.Fprintf(h, "%x %v\n", sum.Sum(nil), strings.HasSuffix(path, ".gz"))
		total += n
	}
	h.Sum(key[:0])
	return key, total, nil
}

// build writes the cache, which gets its name when it is whole.
func (s *Source) build(ctx context.Context, key [sha256.Size]byte, total int64) error {
	enc, err := newEncoder(s.Tokenizer, s.Settings)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.Cache), 0o755); err != nil {
		return err
	}
	width := 4
	if s.Tokenizer.Size() <= 1<<16 {
		width = 2
	}
	err = files.Replace(s.Cache, func(f *os.File) error {
		w, err := newCacheWriter(f, key, width)
		if err != nil {
			return err
		}
		b := &builder{source: s, enc: enc, w: w, total: total}
		if err := b.run(ctx); err != nil {
			return err
		}
		return w.finish(b.counts)
	})
	var pe *fs.PathError
	if errors.As(err, &pe) {
		if of, ok := files.PartOf(pe.Path); ok && of == s.Cache {
			return fmt.Errorf("cannot write %s: %w", s.Cache, pe.Err)
		}
	}
	return err
}

// builder reads, encodes and writes, a batch of lines after the other: lines of a batch
// are encoded at once, and written in their order.
type builder struct {
	source *Source
	enc    *encoder
	w      *cacheWriter
	counts Counts
	batch  []line
	bytes  int
	done   int64
	total  int64
}

type line struct {
	file   string
	number int
	text   []byte
}

// Sizes of a batch.
const (
	batchLines = 4096
	batchBytes = 4 << 20
)

func (b *builder) run(ctx context.Context) error {
	for _, path := range b.source.Files {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		err = each(path, &counting{files.Until(ctx, f), &b.done}, func(text []byte, number int) error {
			b.batch = append(b.batch, line{path, number, append([]byte(nil), text...)})
			if b.bytes += len(text); len(b.batch) < batchLines && b.bytes < batchBytes {
				return nil
			}
			return b.flush()
		})
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if err := b.flush(); err != nil {
		return err
	}
	if b.counts.Examples == 0 {
		return fmt.Errorf("there is nothing to learn in %s: %d lines, %d malformed, %d longer than the context", strings.Join(b.source.Files, ", "),
			b.counts.Lines, b.counts.Bad, b.counts.Long)
	}
	return nil
}

// counting adds up what is read.
type counting struct {
	r io.Reader
	n *int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	*c.n += int64(n)
	return n, err
}

// result is what came of a line.
type result struct {
	examples []example
	counts   Counts // Long and Cut
	err      error
}

func (b *builder) flush() error {
	out := make([]result, len(b.batch))
	threads := b.source.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var wg sync.WaitGroup
	for id := range threads {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := id; i < len(out); i += threads {
				r, err := parse(b.batch[i].text)
				if err == nil {
					out[i].examples, err = b.enc.encode(r, &out[i].counts)
				}
				out[i].err = err
			}
		}()
	}
	wg.Wait()
	for i, r := range out {
		b.counts.Lines++
		if r.err != nil {
			bad := &BadLine{b.batch[i].file, b.batch[i].number, r.err}
			var long *tooLong
			if errors.As(r.err, &long) {
				return fmt.Errorf("%s, line %d: %w", bad.File, bad.Line, long) // no BadLine, which may be left out
			}
			if !b.source.Settings.SkipBad {
				return bad
			}
			if b.counts.Bad++; b.counts.Bad == 1 {
				b.counts.FirstBad = bad.Error()
			}
			continue
		}
		b.counts.Long += r.counts.Long
		b.counts.Cut += r.counts.Cut
		for _, e := range r.examples {
			b.counts.Examples++
			b.counts.Tokens += int64(len(e.tokens) - 1)
			if err := b.w.add(e); err != nil {
				return err
			}
		}
	}
	b.batch, b.bytes = b.batch[:0], 0
	if b.source.Progress != nil {
		b.source.Progress(b.done, b.total)
	}
	return nil
}
