// Package model knows the architectures: from a file's metadata and tensor
// shapes it emits the graph of a transformer. One small folder for each
// architecture registers itself here; package all links them in. Nothing in
// here reads weights or computes.
package model

import (
	"fmt"
	"sort"
	"strings"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// Source is what a model is made from: a file's metadata, under GGUF's keys,
// and its tensors' types and shapes (outermost dimension first).
type Source interface {
	Value(key string) (any, bool)
	TensorType(name string) (d dtype.DType, shape []int, ok bool)
}

// Options shape the graph that a model emits.
type Options struct {
	Max     graph.Limits
	Cache   dtype.DType // stored type of keys and values: F16, F32
	Context int         // longest sequence; chooses between short and long rope factors
	Hidden  bool        // output the normed last hidden rows ("hidden") instead of "logits"
	Train   *Train      // the graph of training instead: without cache, ending in a loss

	// Adapters says which weights have a low-rank adapter; nil for none. It is asked
	// for every matrix, by the name of its tensor; for a tied output matrix by
	// "output.weight", so that the embedding has an adapter of its own.
	Adapters func(weight string) (Adapter, bool)
}

// Adapter is a low-rank change of a weight W [out, in] (LoRA, Hu et al.,
// https://arxiv.org/abs/2106.09685): a product with W also gives Scale B (A x), from
// the tensors W.lora_a [Rank, in] and W.lora_b [out, Rank]. Those of an embedding
// [vocab, size] are turned, as in llama.cpp: lora_a [vocab, Rank] is looked up and
// lora_b [size, Rank] multiplied with.
type Adapter struct {
	Rank  int
	Scale float32
	A, B  dtype.DType // types of the tensors; Invalid is F32
}

// Train shapes a graph of training. It attends within the segments of a batch,
// keeps no cache, and gives the loss of the rows asked for: inputs besides the
// decoder's are "labels" i32[R] (-1 for none) and, with dropout, "key" i32[2], the
// output is "loss" f32[R].
type Train struct {
	Dropout float32 // of embeddings and of what each part adds to the residual stream

	// Round trains a matrix for the type that it will be stored in: it is read rounded
	// to that (fake_quant), and the gradient goes to what was rounded. Nil rounds
	// nothing; so does false. A tied matrix is rounded once, for both of its uses.
	Round func(weight string) (dtype.DType, bool)

	Teacher *Teacher // what the loss takes from another model; nil for labels alone
}

// Teacher adds another model's probabilities to the loss: graph.CrossEntropyAttr says
// how. Inputs of the graph are "targets" i32[R, K], the ids that it finds likeliest after
// each row (-1 for none), and "target.probs" f32[R, K], their probabilities at the
// temperature.
type Teacher struct {
	K           int
	Temperature float32
	Mix         float32 // of the labels: from 0 to 1
}

// Info is what a model says about itself.
type Info struct {
	Architecture string
	Layers       int
	Embedding    int
	Heads        int
	KVHeads      int
	KeyDim       int
	ValueDim     int
	FeedForward  int
	Vocab        int
	Context      int // tokens it was trained for
	Window       int // sliding window of its local layers, 0 for none
}

// Model is one file's network.
type Model interface {
	Info() Info

	// Decoder emits the graph that reads tokens and gives the logits of the
	// rows asked for. Inputs: "tokens" i32[T], "positions" i32[T], "rows"
	// i32[R]. Output: "logits" f32[R, V], or "hidden" f32[R, D]; see Options.Train
	// for training.
	Decoder(o Options) (*graph.Graph, error)
}

// Architecture makes models of one kind.
type Architecture struct {
	Name string // general.architecture in GGUF
	New  func(s Source) (Model, error)
}

var architectures = map[string]Architecture{}

// Register makes an architecture known; its package calls it from init.
func Register(a Architecture) { architectures[a.Name] = a }

// Names lists the known architectures.
func Names() []string {
	var names []string
	for n := range architectures {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// New makes the model that the source describes.
func New(s Source) (Model, error) {
	if v, _ := s.Value("general.type"); v == "adapter" {
		return nil, fmt.Errorf("model: the file is an adapter, not a model: open the model that it was made for, with it as an adapter (ledge run -m MODEL --lora FILE)")
	}
	v, ok := s.Value("general.architecture")
	name, _ := v.(string)
	if !ok || name == "" {
		return nil, fmt.Errorf("model: the file has no general.architecture: is it a language model?")
	}
	a, ok := architectures[name]
	if !ok {
		return nil, fmt.Errorf("model: architecture %s is not known; known are: %s", Show(name), strings.Join(Names(), ", "))
	}
	m, err := a.New(s)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return m, nil
}
