package prune

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// network is what a file says about its model.
type network struct {
	info   model.Info
	prefix string   // of the architecture's keys
	unit   int      // channels that go together: whole blocks of ffn_down in every layer
	kinds  []string // of the layers: what each computes besides its weights
}

// leastUnit keeps the number of channels one that quantises.
const leastUnit = 32

func readNetwork(f *gguf.File) (*network, error) {
	net, err := engine.Network(f)
	if err != nil {
		return nil, err
	}
	n := &network{info: net.Info(), unit: leastUnit}
	n.prefix = n.info.Architecture + "."
	if n.info.FeedForward < 2*leastUnit {
		n.unit = 1 // so many are too many for so small a model
	}
	for l := range n.info.Layers {
		t, ok := f.Tensor(down(l))
		if !ok {
			return nil, fmt.Errorf("layer %d has no ffn_down.weight: this kind of model cannot be pruned", l)
		}
		n.unit = max(n.unit, t.DType.BlockLen())
	}
	n.kinds, err = kinds(net)
	return n, err
}

// mostChannels is how many can go.
func (n *network) mostChannels() int {
	f, u := n.info.FeedForward, n.unit
	if f%u != 0 { // what stays is whole blocks
		return (f - u) / u * u
	}
	return f - u
}

// perGroup is how many query heads read a key-value head.
func (n *network) perGroup() int { return n.info.Heads / n.info.KVHeads }

// kinds tells the layers of a model apart by what they compute: windows, scales,
// rotations.
func kinds(m model.Model) ([]string, error) {
	g, err := m.Decoder(trainOptions(16, 16))
	if err != nil {
		return nil, err
	}
	texts := make([]strings.Builder, m.Info().Layers)
	for _, n := range g.Nodes {
		if n.Layer < 0 || n.Layer >= len(texts) {
			continue
		}
		switch n.Op {
		case graph.OpWeight, graph.OpInput, graph.OpReshape, graph.OpSlice:
		default:
			fmt.Fprintf(&texts[n.Layer], "%v %v;", n.Op, n.Attr)
		}
	}
	out := make([]string, len(texts))
	for i := range texts {
		out[i] = texts[i].String()
	}
	return out, nil
}

// trainOptions are those of the graph that everything is measured in: without a
// cache, ending in the loss of rows.
func trainOptions(tokens, rows int) model.Options {
	return model.Options{Max: graph.Limits{T: tokens, S: 1, R: rows}, Context: tokens, Train: &model.Train{}}
}

// inPlace tells whether layers, taken out of their order, compute what they did: those
// that stay must be of the kind that is at their new place.
func (n *network) inPlace(kept []int) bool {
	for i, l := range kept {
		if n.kinds[i] != n.kinds[l] {
			return false
		}
	}
	return true
}

// without are the layers but those.
func (n *network) without(removed []int) []int {
	var kept []int
	for l := range n.info.Layers {
		if !slices.Contains(removed, l) {
			kept = append(kept, l)
		}
	}
	return kept
}

// layerOf takes blk.N.REST apart; the number is -1 for other names.
func layerOf(name string) (layer int, rest string) {
	tail, ok := strings.CutPrefix(name, "blk.")
	if !ok {
		return -1, name
	}
	digits, rest, ok := strings.Cut(tail, ".")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 {
		return -1, name
	}
	return n, rest
}

// pruned is the source of the model that a plan makes: its metadata and shapes.
type pruned struct{ p *Plan }

func (s pruned) Value(key string) (any, bool) {
	if v, ok := s.p.values[key]; ok {
		return v, true
	}
	return s.p.file.Value(key)
}

func (s pruned) TensorType(name string) (d dtype.DType, shape []int, ok bool) {
	i := slices.IndexFunc(s.p.tensors, func(t tensor) bool { return t.name == name })
	if i < 0 {
		return dtype.Invalid, nil, false
	}
	return s.p.tensors[i].dtype, s.p.tensors[i].shape, true
}

// check has the architecture make the network of the plan, and compares what each
// layer computes with what it computed before: some architectures go by a layer's
// number, or by how many there are.
func (p *Plan) check() error {
	m, err := model.New(pruned{p})
	if err != nil {
		return fmt.Errorf("what would be left is no model: %w", err)
	}
	after, err := kinds(m)
	if err != nil {
		return fmt.Errorf("what would be left is no model: %w", err)
	}
	for i, c := range p.Choices {
		if after[i] != p.net.kinds[c.Layer] {
			return fmt.Errorf("layer %d would compute something else as layer %d: the architecture %s derives it from sizes or numbers of layers, so these cannot go", c.Layer, i, p.net.info.Architecture)
		}
	}
	return nil
}
