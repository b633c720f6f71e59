package quantize

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/ledge-run/ledge/kernels/cpu"
	"github.com/ledge-run/ledge/runtime/engine"
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
	compareChunk = 512 // tokens, of which the second half is compared, as by llama-perplexity
	compareMost  = 160 // chunks: forty thousand positions
)

// Compare reads a text with two models of the same vocabulary, chunk by chunk: each
// chunk of 512 tokens begins anew, and positions of its second half are compared.
func Compare(ctx context.Context, before, after, text string, eo engine.Options, progress func(done, of int)) (l Loss, err error) {
	eo.Context, eo.Sequences, eo.PackCache, eo.Share = compareChunk, 1, nil, false
	a, err := engine.Open(ctx, before, eo)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	b, err := engine.Open(ctx, after, eo)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	chunks, err := cut(a, text, compareChunk, compareMost, false)
	if err != nil {
		return l, err
	}
	k, err := cpu.Select("")
	if err != nil {
		return l, err
	}
	m := &meter{kernels: k, vocab: a.Vocab(), from: compareChunk / 2, threads: max(1, eo.Threads)}
	var nll [2]float64
	var spent [2]time.Duration
	var rows [2][]float32
	for i, chunk := range chunks {
		for j, model := range []*engine.Model{a, b} {
			start := time.Now()
			if rows[j], err = m.logits(ctx, model, chunk, rows[j][:0]); err != nil {
				return l, err
			}
			spent[j] += time.Since(start)
		}
		sums, err := m.compare(rows[0], rows[1], chunk)
		if err != nil {
			return l, err
		}
		m.total.add(sums)
		nll[0] += sums.nllA
		nll[1] += sums.nllB
		if progress != nil {
			progress(i+1, len(chunks))
		}
	}
	t := m.total
	n := float64(t.n)
	l.Tokens, l.KL, l.SameTop = t.n, t.kl/n, float64(t.same)/n
	if t.n > 1 {
		l.KLError = math.Sqrt(max(0, t.squares/n-l.KL*l.KL) / (n - 1))
	}
	read := float64(len(chunks) * compareChunk)
	l.Before = Reading{math.Exp(nll[0] / n), read / spent[0].Seconds()}
	l.After = Reading{math.Exp(nll[1] / n), read / spent[1].Seconds()}
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
	total   sums
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
