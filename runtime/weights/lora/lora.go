// Package lora reads and writes low-rank adapters in llama.cpp's GGUF format, which
// convert_lora_to_gguf.py writes and llama-cli --lora reads.
//
// A file has general.type "adapter", adapter.type "lora", general.architecture of the
// model, adapter.lora.alpha (a float32), and for each weight W [out, in] it changes two
// tensors: W.lora_a [rank, in] and W.lora_b [out, rank], W being the tensor's name in
// the model's file. The weight becomes W + scale alpha/rank B A; an alpha of 0 stands
// for the rank. Of the embedding [vocab, size] lora_a is [vocab, rank] and lora_b
// [size, rank]: rows of it are looked up, not multiplied with.
package lora

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Suffixes of the names of an adapter's tensors.
const (
	SuffixA = ".lora_a"
	SuffixB = ".lora_b"
)

// The embedding, whose adapters are turned, and the output matrix, which a model with
// a tied embedding has no tensor of.
const (
	embedding = "token_embd.weight"
	output    = "output.weight"
)

// Keys of the metadata.
const (
	keyType         = "general.type"
	keyArchitecture = "general.architecture"
	keyAdapter      = "adapter.type"
	keyAlpha        = "adapter.lora.alpha"
	keyInvocation   = "adapter.alora.invocation_tokens"
)

// ErrNotAdapter is wrapped by the errors for GGUF files that are no adapters.
var ErrNotAdapter = errors.New("not a LoRA adapter")

// Pair is the change of one weight.
type Pair struct {
	Weight string // its name in the model's file
	A, B   *gguf.Tensor
	Rank   int
}

// Turned reports whether a weight's pair is turned, as the embedding's is: see the package.
func Turned(weight string) bool { return weight == embedding }

// Changed is the tensor of a model that an adapter of a weight changes. A model whose output
// matrix is its embedding has a change of that use alone.
func Changed(base *gguf.File, weight string) (*gguf.Tensor, bool) {
	t, ok := base.Tensor(weight)
	if !ok && weight == output {
		t, ok = base.Tensor(embedding)
	}
	return t, ok
}

// File is an open adapter. It may be used concurrently, Close last.
type File struct {
	Architecture string
	Alpha        float32
	Pairs        []Pair // in the order of the file's lora_a

	file *gguf.File
	name string
}

// Open opens the adapter at path. Errors are *gguf.FormatError, or those of the file
// system.
func Open(path string) (*File, error) {
	g, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := read(g, path)
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return f, nil
}

// Parse reads an adapter held in memory, which must not change while it is used.
func Parse(data []byte) (*File, error) {
	g, err := gguf.Parse(data)
	if err != nil {
		return nil, err
	}
	return read(g, "GGUF data")
}

// Name is the adapter's path, for messages.
func (f *File) Name() string { return f.name }

// Metadata is the value of a key.
func (f *File) Metadata(key string) (any, bool) { return f.file.Value(key) }

// Close frees the file.
func (f *File) Close() error { return f.file.Close() }

func (f *File) errorf(cause error, advice, format string, args ...any) error {
	return &gguf.FormatError{File: f.name, Offset: -1, Problem: fmt.Sprintf(format, args...), Advice: advice, Err: cause}
}

const (
	adviceConvert = "convert the adapter again, with a convert_lora_to_gguf.py of today"
	adviceBase    = "use it with the model that it was trained on"
)

func read(g *gguf.File, name string) (*File, error) {
	f := &File{file: g, name: name}
	text := func(key string) string { s, _ := g.String(key); return s }
	f.Architecture = text(keyArchitecture)
	switch {
	case text(keyType) != "adapter":
		return nil, f.errorf(ErrNotAdapter, "name a GGUF file that convert_lora_to_gguf.py or ledge finetune has written",
			"not an adapter: its general.type is %.60q", text(keyType))
	case text(keyAdapter) != "lora":
		return nil, f.errorf(ErrNotAdapter, "only adapters of the type lora can be used", "its adapter.type is %.60q", text(keyAdapter))
	case f.Architecture == "":
		return nil, f.errorf(nil, adviceConvert, "it has no general.architecture")
	}
	if _, ok := g.Value(keyInvocation); ok {
		return nil, f.errorf(nil, "use one without "+keyInvocation, "an activated LoRA, which begins to count in the middle of a text, is not supported")
	}
	if v, there := g.Value(keyAlpha); there {
		alpha, ok := g.Float(keyAlpha)
		if f.Alpha = float32(alpha); !ok || math.IsNaN(alpha) || math.IsInf(float64(f.Alpha), 0) {
			return nil, f.errorf(nil, adviceConvert, "its %s is %.60v: want a finite number", keyAlpha, v)
		}
	}
	return f, f.pair()
}

// pair puts the tensors together.
func (f *File) pair() error {
	all := f.file.Tensors()
	others := map[string]*gguf.Tensor{}
	for i := range all {
		t := &all[i]
		if len(t.Shape) != 2 || !t.DType.Computable() {
			return f.errorf(nil, adviceConvert, "tensor %.80q has type %v and shape %v: want a matrix of a type that Ledge computes with", t.Name, t.DType, t.Shape)
		}
		if weight, ok := strings.CutSuffix(t.Name, SuffixB); ok {
			others[weight] = t
		} else if !strings.HasSuffix(t.Name, SuffixA) {
			return f.errorf(nil, "use an adapter of matrices alone", "tensor %.80q is no part of a low-rank pair: what else an adapter brings along (norms, whole matrices) is not supported", t.Name)
		}
	}
	for i := range all {
		a := &all[i]
		weight, ok := strings.CutSuffix(a.Name, SuffixA)
		if !ok {
			continue
		}
		p := Pair{Weight: weight, A: a, B: others[weight]}
		if p.B == nil {
			return f.errorf(nil, adviceConvert, "tensor %.80q has no %s", a.Name, SuffixB)
		}
		delete(others, weight)
		if p.Rank = p.B.Shape[1]; p.A.Shape[0] != p.Rank && !Turned(weight) || Turned(weight) && p.A.Shape[1] != p.Rank {
			return f.errorf(nil, adviceConvert, "tensors %.80q %v and %s %v have different ranks", a.Name, a.Shape, SuffixB, p.B.Shape)
		}
		f.Pairs = append(f.Pairs, p)
	}
	for weight := range others {
		return f.errorf(nil, adviceConvert, "tensor %.80q has no %s", weight+SuffixB, SuffixA)
	}
	if len(f.Pairs) == 0 {
		return f.errorf(nil, adviceConvert, "it has no tensors")
	}
	return nil
}

// Scale is what a pair's product counts, at a scale of the user's.
func (f *File) Scale(p *Pair, user float32) float32 {
	if f.Alpha == 0 {
		return user
	}
	return user * f.Alpha / float32(p.Rank)
}

// Check says whether the adapter is for a model: its architecture, and the name and
// shape of every weight.
func (f *File) Check(base *gguf.File) error {
	if arch, _ := base.String(keyArchitecture); arch != f.Architecture {
		return f.errorf(nil, adviceBase, "it is for models of the architecture %.60q, this one is %.60q", f.Architecture, arch)
	}
	for i := range f.Pairs {
		p := &f.Pairs[i]
		t, ok := Changed(base, p.Weight)
		if !ok {
			return f.errorf(nil, adviceBase, "it changes %.80q, which the model does not have", p.Weight)
		}
		rows, cols := p.B.Shape[0], p.A.Shape[1]
		if Turned(p.Weight) {
			rows, cols = p.A.Shape[0], p.B.Shape[0]
		}
		if len(t.Shape) != 2 || t.Shape[0] != rows || t.Shape[1] != cols {
			return f.errorf(nil, adviceBase, "it changes %.80q as a matrix of %d by %d, which in this model has the shape %v", p.Weight, rows, cols, t.Shape)
		}
	}
	return nil
}
