package run

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/tokenizer"
	"github.com/ledge-run/ledge/runtime/train/recipe"
	"github.com/ledge-run/ledge/runtime/train/step"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Network is what a run trains: its shape, its first weights, and its vocabulary.
type Network struct {
	Model     model.Model
	Open      step.Open
	Tokenizer *tokenizer.Tokenizer

	base  *gguf.File // whose weights it begins with; nil for random ones
	vocab *gguf.File // which has the vocabulary
	src   *recipe.Source
}

// OpenNetwork makes the network of a recipe.
func OpenNetwork(r *recipe.Recipe) (n *Network, err error) {
	n = &Network{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
			n = nil
		}
	}()
	if r.From != "" {
		if n.base, err = gguf.Open(r.From); err != nil {
			return n, err
		}
		n.vocab = n.base
	}
	if r.Tokenizer != "" {
		if n.vocab, err = gguf.Open(r.Tokenizer); err != nil {
			return n, err
		}
	}
	if n.Tokenizer, err = engine.Tokenizer(n.vocab); err != nil {
		return n, fmt.Errorf("%s: %w", n.vocab.Paths()[0], err)
	}
	if n.base != nil {
		if n.Model, err = engine.Network(n.base); err != nil {
			return n, fmt.Errorf("%s: %w", r.From, err)
		}
		n.Open = step.FromFile(n.base)
		if r.Round != nil {
			// What is trained rounded begins as float32, whatever the file has.
			n.Open = dequantized(n.base)
			if n.Model, err = model.New(asF32{n.base}); err != nil {
				return n, fmt.Errorf("%s: %w", r.From, err)
			}
		}
		if r.Adapters != nil {
			n.Open = step.NewAdapters(uint64(r.Seed), n.Open)
		}
		if have, want := n.Tokenizer.Size(), n.Model.Info().Vocab; have > want {
			return n, fmt.Errorf("%s has %d tokens, the model %s only %d: leave tokenizer away, and the model's own is taken", r.Tokenizer, have, r.From, want)
		}
		return n, nil
	}
	n.src = r.Model.Source(n.Tokenizer.Size())
	n.Open = step.Random(uint64(r.Seed), r.Model.Deviation, r.Model.Layers)
	n.Model, err = model.New(n.src)
	return n, err
}

// Close closes the files. They must stay open as long as a trainer reads from them.
func (n *Network) Close() error {
	var errs []error
	for i, f := range []*gguf.File{n.base, n.vocab} {
		if f != nil && (i == 0 || f != n.base) {
			errs = append(errs, f.Close())
		}
	}
	n.base, n.vocab = nil, nil
	return errors.Join(errs...)
}

// TensorType is the type and the shape of a tensor that the network begins with.
func (n *Network) TensorType(name string) (dtype.DType, []int, bool) {
	if n.base == nil {
		return n.src.TensorType(name)
	}
	t, ok := n.base.Tensor(name)
	if !ok {
		return dtype.Invalid, nil, false
	}
	return t.DType, t.Shape, true
}

// vocabKey tells vocabularies apart.
func (n *Network) vocabKey() (key [sha256.Size]byte) {
	h := sha256.New()
	for k, v := range n.vocab.Metadata() {
		if strings.HasPrefix(k, "tokenizer.ggml.") {
			fmt.Fprintf(h, "%s=%q\n", k, fmt.Sprint(v))
		}
	}
	h.Sum(key[:0])
	return key
}

// metadata is what the model's file says: of its shape as the network began, of its
// vocabulary as the tokenizer's file has it.
func (n *Network) metadata() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		of := func(k string) bool { return strings.HasPrefix(k, "tokenizer.") }
		if n.base != nil {
			for k, v := range n.base.Whole() {
				if of(k) && n.vocab != n.base {
					continue
				}
				if !yield(k, v) {
					return
				}
			}
		} else {
			for _, k := range n.src.Keys() {
				if v, _ := n.src.Value(k); !yield(k, v) {
					return
				}
			}
		}
		if n.vocab == n.base {
			return
		}
		for k, v := range n.vocab.Metadata() {
			if of(k) && !yield(k, v) {
				return
			}
		}
	}
}
