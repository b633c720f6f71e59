package delta

import (
	"context"
	"fmt"
	"math"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Chunk is the number of tokens of a chunk: what ledge perplexity has.
const Chunk = 512

// ChunkSize is a number of tokens, or what the model was trained for if that is less.
func ChunkSize(f *gguf.File, most int) (int, error) {
	net, err := engine.Network(f)
	if err != nil {
		return 0, err
	}
	return min(most, net.Info().Context), nil
}

// Enough tells whether a text is long enough to be measured on in chunks of that
// size.
func Enough(f *gguf.File, text string, most int) error {
	size, err := ChunkSize(f, most)
	if err != nil {
		return err
	}
	k, err := engine.Tokenizer(f)
	if err != nil {
		return err
	}
	_, err = eval.CutText(k, text, size, 0)
	return err
}

// compare reads the text with both models. It is cut into chunks of 512 tokens (or
// what the model was trained for, if that is less), each of which begins anew; the
// second half of each is compared, as llama-perplexity does.
func (o *Options) compare(ctx context.Context, r *Report, models [2]*engine.Model, size int) error {
	t, err := eval.NewText(models[0], o.Text, size, o.Chunks)
	if err != nil {
		return err
	}
	so, err := eval.Compare(ctx, models[1], t, eval.ModelReference{M: models[0]}, func(done, of int, _ eval.Divergence) {
		o.Progress("measuring", done, of)
	})
	if err != nil {
		return err
	}
	if err := Finite(so); err != nil {
		return err
	}
	r.Quality = &Quality{On: o.Name, Tokens: so.Positions, Chunks: t.Chunks(), ChunkSize: size, KL: so.KL, KLError: so.KLErr, SameTop: so.SameTop}
	r.Before.Perplexity, r.After.Perplexity = &so.Reference.PPL, &so.Model.PPL
	return nil
}

// Finite refuses figures that are none: a model that holds impossible what the
// other does not.
func Finite(so eval.Divergence) error {
	for _, v := range []float64{so.KL, so.Model.PPL, so.Reference.PPL} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("the divergence is %g, the perplexities %g and %g: one of the files is damaged, or its metadata does not fit its weights", so.KL, so.Reference.PPL, so.Model.PPL)
		}
	}
	return nil
}
