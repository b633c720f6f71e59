package prune

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/tokenizer"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// text is a text in chunks of tokens, each with the token after it.
type text struct{ chunks []chunk }

type chunk struct {
	tokens []int32
	next   int32
}

// newText takes at most so many chunks from all over a text. As everywhere, each
// begins with the token that begins a text, if the model wants one, in place of its
// first.
func newText(f *gguf.File, s string, size, most int) (*text, error) {
	if s == "" {
		return nil, errors.New("a text is needed to measure with")
	}
	k, err := engine.Tokenizer(f)
	if err != nil {
		return nil, err
	}
	tokens := k.Encode(s, tokenizer.EncodeOptions{AddSpecial: true})
	n := (len(tokens) - 1) / size
	if n < 1 {
		return nil, fmt.Errorf("the text has %d tokens, a chunk %d: give a longer text", len(tokens), size)
	}
	t := &text{}
	for i := range min(n, most) {
		at := i * n / min(n, most) * size
		c := chunk{append([]int32(nil), tokens[at:at+size]...), tokens[at+size]}
		if k.AddsBOS() {
			c.tokens[0] = k.BOS()
		}
		t.chunks = append(t.chunks, c)
	}
	return t, nil
}
