package quantize

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Loss is how far a model has moved from its source on a text, measured by
// eval.Compare: what ledge eval --reference gives.
type Loss struct {
	Tokens    int     `json:"tokens"` // positions that were compared
	Chunks    int     `json:"chunks"`
	ChunkSize int     `json:"chunk_size"`        // tokens; the second half of each is compared
	KL        float64 `json:"kl"`                // mean Kullback-Leibler divergence of the next token, in nats, from the source
	KLError   float64 `json:"kl_stderr"`         // standard error of the mean
	SameTop   float64 `json:"same_first_choice"` // share of positions whose likeliest token is the same
	Before    Reading `json:"before"`            // of the source
	After     Reading `json:"after"`             // of the other
}

// Reading is how a model read the text.
type Reading struct {
	Perplexity      float64 `json:"perplexity"`        // as ledge perplexity gives it
	TokensPerSecond float64 `json:"tokens_per_second"` // with logits of every token
}

const (
	compareChunk = 512 // tokens: what ledge perplexity has
	timedChunks  = 4   // that the speed of reading is measured with
)

// CompareOptions of a comparison.
type CompareOptions struct {
	Engine   engine.Options
	Chunks   int // the first of the text; 0 for all
	Progress func(done, of int)
}

// Enough tells whether a text is long enough for Compare.
func Enough(f *gguf.File, text string) error {
	size, err := chunkSize(f, compareChunk)
	if err != nil {
		return err
	}
	return enough(f, text, size)
}

func enough(f *gguf.File, text string, size int) error {
	k, err := engine.Tokenizer(f)
	if err != nil {
		return err
	}
	_, err = eval.CutText(k, text, size, 0)
	return err
}

// Compare reads a text with a model and another of the same tokenizer, and tells how
// far the second has moved from the first. The text is cut into chunks of 512 tokens
// (or what the model was trained for, if that is less), each of which begins anew;
// the second half of each is compared, as llama-perplexity does.
func Compare(ctx context.Context, before, after, text string, o CompareOptions) (l Loss, err error) {
	f, err := gguf.Open(before)
	if err != nil {
		return l, err
	}
	size, err := chunkSize(f, compareChunk)
	if err := errors.Join(err, f.Close()); err != nil {
		return l, err
	}
	eo := o.Engine
	eo.Context, eo.Sequences, eo.PackCache, eo.Share = size, 1, nil, false
	var models [2]*engine.Model
	for i, path := range []string{before, after} {
		if models[i], err = engine.Open(ctx, path, eo); err != nil {
			return l, fmt.Errorf("%s: %w", path, err)
		}
		defer func() { err = errors.Join(err, models[i].Close()) }()
	}
	t, err := eval.NewText(models[0], text, size, o.Chunks)
	if err != nil {
		return l, err
	}
	so, err := eval.Compare(ctx, models[1], t, eval.ModelReference{M: models[0]}, func(done, of int, _ eval.Divergence) {
		if o.Progress != nil {
			o.Progress(done, of)
		}
	})
	if err != nil {
		return l, err
	}
	if err := finite(so); err != nil {
		return l, err
	}
	l = Loss{Tokens: so.Positions, Chunks: t.Chunks(), ChunkSize: size, KL: so.KL, KLError: so.KLErr, SameTop: so.SameTop}
	l.Before.Perplexity, l.After.Perplexity = so.Reference.PPL, so.Model.PPL
	return l, l.speed(ctx, models, t)
}

// speed lets the models take turns.
func (l *Loss) speed(ctx context.Context, models [2]*engine.Model, t eval.Text) error {
	n := min(timedChunks, t.Chunks())
	var spent [2]time.Duration
	for c := range n {
		for i, m := range models {
			start := time.Now()
			if err := m.Logits(ctx, t.Tokens[c*t.Size:(c+1)*t.Size], func(int, []float32) error { return nil }); err != nil {
				return err
			}
			spent[i] += time.Since(start)
		}
	}
	read := float64(n * t.Size)
	l.Before.TokensPerSecond, l.After.TokensPerSecond = read/spent[0].Seconds(), read/spent[1].Seconds()
	return nil
}

// finite refuses figures that are none: a model that holds impossible what the
// other does not.
func finite(so eval.Divergence) error {
	for _, v := range []float64{so.KL, so.Model.PPL, so.Reference.PPL} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("the divergence is %g, the perplexities %g and %g: one of the files is damaged, or its metadata does not fit its weights", so.KL, so.Reference.PPL, so.Model.PPL)
		}
	}
	return nil
}

// HoldOut divides a text into the part that choices may go by and the last third,
// which what they come to is measured on: at the end of a line if there is one near,
// else of a word.
func HoldOut(text string) (use, rest string) {
	at := len(text) / 3 * 2
	near := text[:at]
	if i := strings.LastIndexByte(near, '\n'); i > at/2 {
		at = i + 1
	} else if i := strings.LastIndexByte(near, ' '); i > at/2 {
		at = i + 1
	}
	for at < len(text) && !utf8.RuneStart(text[at]) {
		at++
	}
	return text[:at], text[at:]
}
