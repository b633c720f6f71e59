package quantize

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/ledge-run/ledge/kernels/cpu"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Loss is how far a model has moved from its source on a text.
type Loss struct {
	Tokens  int     `json:"tokens"`            // positions that were compared
	KL      float64 `json:"kl"`                // mean Kullback-Leibler divergence of the next token, in nats, from the source
	KLError float64 `json:"kl_stderr"`         // standard error of the mean
	SameTop float64 `json:"same_first_choice"` // share of positions whose likeliest token is the same
	Before  Reading `json:"before"`            // of the source
	After   Reading `json:"after"`             // of the other
}

// Reading is how a model read the text.
type Reading struct {
	Perplexity      float64 `json:"perplexity"`
	TokensPerSecond float64 `json:"tokens_per_second"` // with logits of every token
}

const (
	compareChunk = 512 // tokens
	compareFrom  = 32  // positions before are not compared: they know too little
	compareMost  = 84  // chunks: forty thousand positions
)

// Compare reads a text with a model and others of the same vocabulary, and tells how
// far each of these has moved from the first. The text is cut into chunks of 512
// tokens, each of which begins anew; positions from 32 on are compared.
func Compare(ctx context.Context, before string, after []string, text string, eo engine.Options, progress func(done, of int)) (l []Loss, err error) {
	f, err := gguf.Open(before)
	if err != nil {
		return nil, err
	}
	size, err := chunkSize(f, compareChunk)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	eo.Context, eo.Sequences, eo.PackCache, eo.Share = size, 1, nil, false
	var models []*engine.Model
	defer func() {
		for _, m := range models {
			err = errors.Join(err, m.Close())
		}
	}()
	for _, path := range append([]string{before}, after...) {
		m, err := engine.Open(ctx, path, eo)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		models = append(models, m)
		if m.Vocab() != models[0].Vocab() {
			return nil, fmt.Errorf("%s has %d tokens, %s %d: they cannot be compared", path, m.Vocab(), before, models[0].Vocab())
		}
	}
	chunks, err := cut(models[0], text, size, compareMost, false)
	if err != nil {
		return nil, err
	}
	k, err := cpu.Select("")
	if err != nil {
		return nil, err
	}
	m := &meter{kernels: k, vocab: models[0].Vocab(), from: compareFrom, threads: max(1, runtime.GOMAXPROCS(0))}
	total, spent := make([]sums, len(models)), make([]time.Duration, len(models))
	var reference, rows []float32
	for i, chunk := range chunks {
		for j, model := range models {
			start := time.Now()
			if rows, err = m.logits(ctx, model, chunk, rows[:0]); err != nil {
				return nil, err
			}
			spent[j] += time.Since(start)
			if j == 0 {
				reference = append(reference[:0], rows...)
				continue
			}
			s, err := m.compare(reference, rows, chunk)
			if err != nil {
				return nil, err
			}
			total[j].add(s)
		}
		if progress != nil {
			progress(i+1, len(chunks))
		}
	}
	read := float64(len(chunks) * size)
	for j := 1; j < len(models); j++ {
		t := total[j]
		n := float64(t.n)
		one := Loss{Tokens: t.n, KL: t.kl / n, SameTop: float64(t.same) / n}
		if t.n > 1 {
			one.KLError = math.Sqrt(max(0, t.squares/n-one.KL*one.KL) / (n - 1))
		}
		one.Before = Reading{math.Exp(t.nllA / n), read / spent[0].Seconds()}
		one.After = Reading{math.Exp(t.nllB / n), read / spent[j].Seconds()}
		l = append(l, one)
	}
	return l, nil
}

// cut makes chunks of a text: the first of them, or as many spread over it.
func cut(m *engine.Model, text string, size, most int, spread bool) ([][]int32, error) {
	tokens := m.Encode(text, true, false)
	n := len(tokens) / size
	if n == 0 {
		return nil, fmt.Errorf("the text has %d tokens: at least %d are needed to measure with", len(tokens), size)
	}
	var chunks [][]int32
	take := min(n, most)
	for i := range take {
		at := i * size
		if spread {
			at = i * (n / take) * size
		}
		chunk := append([]int32(nil), tokens[at:at+size]...)
		if m.Tokenizer.AddsBOS() {
			chunk[0] = m.Tokenizer.BOS()
		}
		chunks = append(chunks, chunk)
	}
	return chunks, nil
}

// meter compares logits.
type meter struct {
	kernels *cpu.Kernels
	vocab   int
	from    int // first position of a chunk that counts
	threads int
}

type sums struct {
	n, same     int
	kl, squares float64
	nllA, nllB  float64
	notFinite   bool
}

func (s *sums) add(o sums) {
	s.n, s.same = s.n+o.n, s.same+o.same
	s.kl, s.squares = s.kl+o.kl, s.squares+o.squares
	s.nllA, s.nllB = s.nllA+o.nllA, s.nllB+o.nllB
	s.notFinite = s.notFinite || o.notFinite
}

// logits appends the logits of the positions that count, but the last, which has
// no next token in the chunk.
func (m *meter) logits(ctx context.Context, model *engine.Model, chunk []int32, rows []float32) ([]float32, error) {
	err := model.Logits(ctx, chunk, func(first int, logits []float32) error {
		for i := range len(logits) / m.vocab {
			if at := first + i; at >= m.from && at < len(chunk)-1 {
				rows = append(rows, logits[i*m.vocab:(i+1)*m.vocab]...)
			}
		}
		return nil
	})
	return rows, err
}

// compare adds up what differs between rows of logits a, of the source, and b.
func (m *meter) compare(a, b []float32, chunk []int32) (sums, error) {
	n := len(a) / m.vocab
	parts := make([]sums, m.threads)
	var wg sync.WaitGroup
	for id := range m.threads {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p, q := make([]float32, m.vocab), make([]float32, m.vocab)
			for i := id; i < n; i += m.threads {
				parts[id].row(m.kernels, a[i*m.vocab:(i+1)*m.vocab], b[i*m.vocab:(i+1)*m.vocab], p, q, int(chunk[m.from+i+1]))
			}
		}()
	}
	wg.Wait()
	var all sums
	for _, s := range parts {
		all.add(s)
	}
	if all.notFinite {
		return all, fmt.Errorf("a model computed logits that are no numbers: the file is damaged, or its metadata does not fit its weights")
	}
	return all, nil
}

// row: KL(p || q) = sum p (a - b) - (lse a - lse b), with p = exp(a - lse a).
func (s *sums) row(k *cpu.Kernels, a, b, p, q []float32, next int) {
	k.Softmax(p, a, len(a))
	k.Softmax(q, b, len(b))
	i, j := k.ArgMax(a), k.ArgMax(b)
	if i < 0 || j < 0 {
		s.notFinite = true
		return
	}
	lseA, lseB := float64(a[i])-math.Log(float64(p[i])), float64(b[j])-math.Log(float64(q[j]))
	kl := 0.0
	for at := 0; at < len(a); {
		// Float32 is enough within a run.
		end, part := min(at+1024, len(a)), float32(0)
		for ; at < end; at++ {
			part += p[at] * (a[at] - b[at])
		}
		kl += float64(part)
	}
	kl = max(0, kl-(lseA-lseB))
	if math.IsNaN(kl) || math.IsInf(kl, 0) {
		s.notFinite = true
		return
	}
	s.n++
	s.kl += kl
	s.squares += kl * kl
	if i == j {
		s.same++
	}
	s.nllA += lseA - float64(a[next])
	s.nllB += lseB - float64(b[next])
}
