package eval

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// minChunk is the least size of a chunk.
const minChunk = 8

// Divergence is how far a model's predictions are from a reference's on the same
// text. The figures and their errors are those of llama-perplexity
// --kl-divergence.
type Divergence struct {
	Reference Perplexity `json:"reference"`
	Model     Perplexity `json:"model"`

	LogRatio    float64 `json:"log_ppl_ratio"` // ln(PPL / PPL of the reference)
	LogRatioErr float64 `json:"log_ppl_ratio_stderr"`

	KL        float64            `json:"kl"` // mean Kullback-Leibler divergence, in nats
	KLErr     float64            `json:"kl_stderr"`
	KLMax     float64            `json:"kl_max"`
	Quantiles map[string]float64 `json:"kl_quantiles"` // "0.5", "0.9", "0.95", "0.99", "0.999"

	SameTop    float64 `json:"same_top"` // share of positions with the same likeliest token
	SameTopErr float64 `json:"same_top_stderr"`

	ProbabilityRMS float64 `json:"probability_rms"` // root mean square of the change in the right token's probability
	Positions      int     `json:"positions"`
	Partial        bool    `json:"partial,omitempty"` // of a measurement that was interrupted
}

// softmax is what a row of logits has in common: the likeliest token, the greatest
// and the least logit and the logarithm of the sum of exponentials.
type softmax struct {
	top         int
	best, least float32
	logSum      float64
}

func softmaxOf(logits []float32) (softmax, error) {
	s := softmax{best: logits[0], least: logits[0]}
	for i, x := range logits {
		if x > s.best {
			s.best, s.top = x, i
		}
		if x < s.least {
			s.least = x
		}
		if x != x {
			return s, errNoNumber
		}
	}
	if s.best-s.best != 0 { // infinite
		return s, errNoNumber
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x - s.best))
	}
	s.logSum = float64(s.best) + math.Log(sum)
	return s, nil
}

// position is what comparing one position gives.
type position struct {
	nll, base, kl, change float64
	same                  bool
	err                   error
}

// negligible is the log-probability from which on a reference's token counts: what
// a file holds below it is rounding.
const negligible = -16

// compareRow compares a row of logits with a reference's log-probabilities.
func compareRow(logits, reference []float32, next int32, floor float32) (p position) {
	s, err := softmaxOf(logits)
	if err != nil {
		return position{err: err}
	}
	top := 0
	for i, lp := range reference {
		if lp > reference[top] {
			top = i
		}
		if lp > floor {
			p.kl += math.Exp(float64(lp)) * (float64(lp) - float64(logits[i]) + s.logSum)
		}
	}
	p.same = top == s.top
	p.nll, p.base = s.logSum-float64(logits[next]), -float64(reference[next])
	p.change = math.Exp(-p.nll) - math.Exp(-p.base)
	// A probability of nothing makes divergence and perplexity infinite.
	for _, x := range []float64{p.kl, p.nll, p.base} {
		if !(math.Abs(x) <= math.MaxFloat32) {
			return position{err: fmt.Errorf("%w for a token that the text or the reference has: %s", errNoNumber, damaged)}
		}
	}
	return p
}

// Text is a text cut into chunks of tokens.
type Text struct {
	Size   int // tokens of a chunk
	Tokens []int32
}

// NewText encodes a text and cuts it; chunks of 0 takes all.
func NewText(m *engine.Model, text string, size, chunks int) (Text, error) {
	return CutText(m.Tokenizer, text, size, chunks)
}

// CutText does what NewText does, before a model is open.
func CutText(k *tokenizer.Tokenizer, text string, size, chunks int) (Text, error) {
	if size < minChunk {
		return Text{}, fmt.Errorf("chunks of %d tokens are too small: at least %d are needed", size, minChunk)
	}
	tokens := k.Encode(text, tokenizer.EncodeOptions{AddSpecial: true})
	if len(tokens)/2 < size {
		return Text{}, fmt.Errorf("the text has %d tokens; chunks of %d need at least twice as many", len(tokens), size)
	}
	most := len(tokens) / size
	if chunks <= 0 || chunks > most {
		chunks = most
	}
	return Text{size, tokens[:chunks*size]}, nil
}

// Chunks is how many there are.
func (t Text) Chunks() int { return len(t.Tokens) / t.Size }

// chunk gives the tokens of a chunk as a model reads them.
func (t Text) chunk(m *engine.Model, i int) []int32 {
	c := slices.Clone(t.Tokens[i*t.Size : (i+1)*t.Size])
	if m.Tokenizer.AddsBOS() {
		c[0] = m.Tokenizer.BOS()
	}
	return c
}

// next is the token after the i-th scored position of a chunk.
func (t Text) next(chunk, i int) int32 { return t.Tokens[chunk*t.Size+t.Size/2+i+1] }

// rows gives the logits of the scored positions of a chunk, valid until the next.
func (t Text) rows(ctx context.Context, m *engine.Model, i int) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		v := m.Vocab()
		err := m.Logits(ctx, t.chunk(m, i), func(first int, logits []float32) error {
			for k := range len(logits) / v {
				if at := first + k; at >= t.Size/2 && at < t.Size-1 && !yield(logits[k*v:(k+1)*v:(k+1)*v], nil) {
					return errEnough
				}
			}
			return nil
		})
		if err != nil && err != errEnough {
			yield(nil, err)
		}
	}
}

var errEnough = errors.New("enough")

// SaveLogits writes a model's log-probabilities of a text, in the format of
// llama-perplexity --kl-divergence-base.
func SaveLogits(ctx context.Context, m *engine.Model, t Text, w io.Writer, progress func(done, of int)) error {
	out, err := newLogitsWriter(w, LogitsHeader{t.Size, m.Vocab(), t.Chunks(), t.Tokens})
	if err != nil {
		return err
	}
	for c := range t.Chunks() {
		for logits, err := range t.rows(ctx, m, c) {
			if err != nil {
				return err
			}
			s, err := softmaxOf(logits)
			if err == nil {
				err = out.row(logits, s)
			}
			if err != nil {
				return err
			}
		}
		if progress != nil {
			progress(c+1, t.Chunks())
		}
	}
	return out.w.Flush()
}

// A Reference gives the log-probabilities that a model is compared with.
type Reference interface {
	// logProbs gives those of the scored positions of the next chunk.
	logProbs(ctx context.Context, t Text, chunk int, vocab int) iter.Seq2[[]float32, error]

	// floor is the log-probability above which a token counts.
	floor() float32
}

// ModelReference is another model with the same tokenizer.
type ModelReference struct{ M *engine.Model }

func (r ModelReference) floor() float32 { return float32(math.Inf(-1)) }

func (l *LogitsReader) floor() float32 { return negligible }

func (r ModelReference) logProbs(ctx context.Context, t Text, chunk, vocab int) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		row := make([]float32, vocab)
		for logits, err := range t.rows(ctx, r.M, chunk) {
			var s softmax
			if err == nil {
				s, err = softmaxOf(logits)
			}
			if err != nil {
				yield(nil, fmt.Errorf("the reference: %w", err))
				return
			}
			for i, x := range logits {
				row[i] = float32(float64(x) - s.logSum)
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func (l *LogitsReader) logProbs(_ context.Context, t Text, chunk, vocab int) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		row := make([]float32, vocab)
		for i := range scored(t.Size) {
			err := l.Row(row)
			if err != nil {
				yield(nil, fmt.Errorf("the reference: %w", cutOff(err, "in position %d of chunk %d", i+1, chunk+1)))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// SameTokenizer reports the first difference between two tokenizers, so that
// models are not compared whose tokens mean different things.
func SameTokenizer(a, b *tokenizer.Tokenizer) error {
	switch {
	case a.Model() != b.Model() || a.Pre() != b.Pre():
		return fmt.Errorf("the tokenizers differ: %s (%s) and %s (%s)", a.Model(), a.Pre(), b.Model(), b.Pre())
	case a.Size() != b.Size():
		return fmt.Errorf("the tokenizers differ: %d and %d tokens", a.Size(), b.Size())
	case a.AddsBOS() != b.AddsBOS() || a.BOS() != b.BOS():
		return fmt.Errorf("the tokenizers differ: one begins a text with token %d (%v), the other with %d (%v)", a.BOS(), a.AddsBOS(), b.BOS(), b.AddsBOS())
	}
	for id := range int32(a.Size()) {
		if x, y := a.TokenText(id), b.TokenText(id); x != y {
			return fmt.Errorf("the tokenizers differ: token %d is %.40q and %.40q", id, x, y)
		}
	}
	return nil
}

// Compare measures a model against a reference on a text. If ctx ends, the result
// is of the chunks that were finished, marked as partial, with the context's error.
// Quantiles, for which all is sorted, are in the result only, not in what progress is
// told.
func Compare(ctx context.Context, m *engine.Model, t Text, ref Reference, progress func(done, of int, so Divergence)) (Divergence, error) {
	if other, ok := ref.(ModelReference); ok {
		if err := SameTokenizer(m.Tokenizer, other.M.Tokenizer); err != nil {
			return Divergence{}, err
		}
		if m.Vocab() != other.M.Vocab() {
			return Divergence{}, fmt.Errorf("the models differ: %d and %d logits for a token", m.Vocab(), other.M.Vocab())
		}
	}
	if file, ok := ref.(*LogitsReader); ok && file.Vocab != m.Vocab() {
		return Divergence{}, fmt.Errorf("the reference has %d log-probabilities for a position, the model %d logits: they must have the same tokenizer", file.Vocab, m.Vocab())
	}
	var all sums
	for c := range t.Chunks() {
		got, err := compareChunk(ctx, m, t, ref, c)
		if err != nil {
			so := all.result()
			so.Partial = ctx.Err() != nil
			return so, err
		}
		for _, p := range got {
			all.add(p)
		}
		all.chunks++
		so := all.far()
		if err := errors.Join(so.Model.check(), so.Reference.check()); err != nil {
			return so, err
		}
		if progress != nil {
			progress(c+1, t.Chunks(), so)
		}
	}
	return all.result(), nil
}

// compareChunk compares rows on several processors: exponentials of a vocabulary
// take about as long as the model does.
func compareChunk(ctx context.Context, m *engine.Model, t Text, ref Reference, c int) ([]position, error) {
	v, n := m.Vocab(), scored(t.Size)
	out := make([]position, n)
	type job struct {
		at           int
		logits, base []float32
	}
	workers := max(1, runtime.GOMAXPROCS(0))
	free, jobs := make(chan job, workers+1), make(chan job)
	for range workers + 1 {
		free <- job{logits: make([]float32, v), base: make([]float32, v)}
	}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for j := range jobs {
				out[j.at] = compareRow(j.logits, j.base, t.next(c, j.at), ref.floor())
				free <- j
			}
		})
	}
	base, stop := iter.Pull2(ref.logProbs(ctx, t, c, v))
	defer stop()
	at := 0
	var failed error
	for logits, err := range t.rows(ctx, m, c) {
		if failed = err; err != nil {
			break
		}
		row, err, _ := base()
		if failed = err; err != nil {
			break
		}
		j := <-free
		j.at = at
		copy(j.logits, logits)
		copy(j.base, row)
		jobs <- j
		at++
	}
	close(jobs)
	all.Wait()
	if failed != nil {
		return nil, failed
	}
	for _, p := range out {
		if p.err != nil {
			return nil, fmt.Errorf("chunk %d: %w", c+1, p.err)
		}
	}
	return out, nil
}
