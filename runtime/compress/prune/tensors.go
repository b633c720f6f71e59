package prune

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// tensor is one of the new file.
type tensor struct {
	name           string
	from           *gguf.Tensor
	dtype          dtype.DType
	shape          []int
	rows, columns  []int        // of from that stay, in order; nil: all
	zeros          *mask        // values that become zero; nil: none
	pruned, healed *gguf.Tensor // as it was written, and what training has made of that; nil: nothing
}

// layOut decides on every tensor and on the metadata.
func (p *Plan) layOut() error {
	p.tensors, p.Recoded = nil, 0
	p.values = map[string]any{}
	place := map[int]int{} // of a layer of the source among those that stay
	for i, c := range p.Choices {
		place[c.Layer] = i
	}
	for i := range p.file.Tensors() {
		from := &p.file.Tensors()[i]
		t := tensor{name: from.Name, from: from, dtype: from.DType, shape: slices.Clone(from.Shape)}
		if l, rest := layerOf(from.Name); l >= 0 && l < p.net.info.Layers {
			at, stays := place[l]
			if !stays {
				continue
			}
			t.name = fmt.Sprintf("blk.%d.%s", at, rest)
			if err := p.cut(&t, rest, &p.Choices[at]); err != nil {
				return err
			}
		}
		p.tensors = append(p.tensors, t)
	}
	return p.metadata()
}

// cut says which rows and columns of a layer's tensor stay.
func (p *Plan) cut(t *tensor, rest string, c *Choice) error {
	i, name := p.net.info, strings.TrimSuffix(strings.TrimSuffix(rest, ".weight"), ".bias")
	vector := strings.HasSuffix(rest, ".bias")
	per := p.net.perGroup()
	switch {
	case c.keptGroups != nil && name == "attn_q":
		t.rows = units(c.keptGroups, per*i.KeyDim, 0)
	case c.keptGroups != nil && name == "attn_k":
		t.rows = units(c.keptGroups, i.KeyDim, 0)
	case c.keptGroups != nil && name == "attn_v":
		t.rows = units(c.keptGroups, i.ValueDim, 0)
	case c.keptGroups != nil && name == "attn_qkv":
		t.rows = slices.Concat(units(c.keptGroups, per*i.KeyDim, 0), units(c.keptGroups, i.KeyDim, i.Heads*i.KeyDim),
			units(c.keptGroups, i.ValueDim, (i.Heads+i.KVHeads)*i.KeyDim))
	case c.keptGroups != nil && name == "attn_output" && !vector:
		t.columns = units(c.keptGroups, per*i.ValueDim, 0)
	case c.keptChannels != nil && name == "ffn_gate":
		t.rows = c.keptChannels
	case c.keptChannels != nil && name == "ffn_up":
		t.rows = c.keptChannels
		if _, apart := p.file.Tensor(fmt.Sprintf("blk.%d.ffn_gate.weight", c.Layer)); !apart {
			t.rows = slices.Concat(c.keptChannels, units(c.keptChannels, 1, i.FeedForward))
		}
	case c.keptChannels != nil && name == "ffn_down" && !vector:
		t.columns = c.keptChannels
	}
	return p.shaped(t)
}

// shaped gives a tensor its new shape.
func (p *Plan) shaped(t *tensor) error {
	rows, columns := t.from.NumRows(), t.from.RowLen()
	if len(t.shape) == 1 { // a vector of a value for each row of a matrix
		rows, columns = columns, 1
	}
	for _, k := range []struct {
		kept []int
		of   int
	}{{t.rows, rows}, {t.columns, columns}} {
		if k.kept != nil && (len(t.shape) > 2 || k.kept[len(k.kept)-1] >= k.of) {
			return fmt.Errorf("%s has the shape %v, which does not fit the metadata", t.from.Name, t.from.Shape)
		}
	}
	if t.rows != nil {
		t.shape[0] = len(t.rows)
	}
	if t.columns == nil {
		return nil
	}
	t.shape[1] = len(t.columns)
	if _, whole := blocks(t.columns, t.dtype.BlockLen()); whole {
		return nil
	}
	if len(t.columns)%t.dtype.BlockLen() != 0 {
		return fmt.Errorf("%s would have rows of %d values, which are no whole blocks of %v: remove more heads or fewer, or start from a file in F16 or BF16", t.from.Name, len(t.columns), t.dtype)
	}
	if !t.dtype.Computable() {
		return fmt.Errorf("%s is of type %v, whose columns Ledge cannot take apart: start from F16, BF16 or another type", t.from.Name, t.dtype)
	}
	if t.dtype.Quantized() {
		p.Recoded++
	}
	return nil
}

// units are the rows of parts that have so many rows each, the first at from.
func units(parts []int, size, from int) []int {
	out := make([]int, 0, len(parts)*size)
	for _, n := range parts {
		for i := range size {
			out = append(out, from+n*size+i)
		}
	}
	return out
}

// blocks are the numbers of the blocks that columns make up; whole is false if they
// are no whole blocks.
func blocks(columns []int, size int) (numbers []int, whole bool) {
	if len(columns)%size != 0 {
		return nil, false
	}
	for at := 0; at < len(columns); at += size {
		first := columns[at]
		if first%size != 0 || columns[at+size-1] != first+size-1 {
			return nil, false
		}
		numbers = append(numbers, first/size)
	}
	return numbers, true
}

// metadata finds the keys whose values change.
func (p *Plan) metadata() error {
	i, o := p.net.info, p.options
	if o.Layers > 0 {
		if err := p.set("block_count", len(p.Choices)); err != nil {
			return err
		}
		for key, value := range p.file.Metadata() {
			if !strings.HasPrefix(key, p.net.prefix) {
				continue
			}
			if list, ok := p.listOf(value); ok {
				p.values[key] = list
			}
		}
	}
	if o.Groups > 0 {
		// What files leave out is derived from the number of heads, which changes.
		rope := i.KeyDim
		if n, ok := p.file.Int(p.net.prefix + "rope.dimension_count"); ok {
			rope = int(n)
		}
		for _, k := range []struct {
			key string
			n   int
		}{{"attention.head_count", (i.KVHeads - o.Groups) * p.net.perGroup()}, {"attention.head_count_kv", i.KVHeads - o.Groups},
			{"attention.key_length", i.KeyDim}, {"attention.value_length", i.ValueDim}, {"rope.dimension_count", rope}} {
			if err := p.set(k.key, k.n); err != nil {
				return err
			}
		}
	}
	if n := p.keptChannels(); n < i.FeedForward {
		if err := p.set("feed_forward_length", n); err != nil {
			return err
		}
	}
	if _, ok := p.file.Value("general.parameter_count"); ok {
		sum := uint64(0)
		for _, t := range p.tensors {
			n, _ := dtype.Product(t.shape)
			sum += uint64(n)
		}
		p.values["general.parameter_count"] = sum
	}
	return nil
}

// keptChannels is how many stay of each layer.
func (p *Plan) keptChannels() int {
	f := p.net.info.FeedForward - p.options.Channels
	if p.options.Channels > 0 {
		f -= f % p.net.unit
	}
	return f
}

// set changes one of the architecture's numbers; where there was a list with one for
// each layer, they are all the same.
func (p *Plan) set(key string, n int) error {
	key = p.net.prefix + key
	old, ok := p.values[key]
	if !ok {
		old, _ = p.file.Value(key)
	}
	switch old.(type) {
	case []int32, []uint32, []int64, []uint64:
		p.values[key] = slices.Repeat([]uint32{uint32(n)}, len(p.Choices))
	default:
		p.values[key] = uint32(n)
	}
	return nil
}

// listOf is a list with a value for each layer without those of layers that go.
func (p *Plan) listOf(value any) (any, bool) {
	switch v := value.(type) {
	case []int32:
		return pick(p, v)
	case []uint32:
		return pick(p, v)
	case []int64:
		return pick(p, v)
	case []uint64:
		return pick(p, v)
	case []float32:
		return pick(p, v)
	case []float64:
		return pick(p, v)
	case []bool:
		return pick(p, v)
	}
	return nil, false
}

func pick[T any](p *Plan, list []T) (any, bool) {
	if len(list) != p.net.info.Layers {
		return nil, false
	}
	var out []T
	for _, c := range p.Choices {
		out = append(out, list[c.Layer])
	}
	return out, true
}

// size is that of the file if as many parts go as asked for, whichever; of the layers
// those that are chosen, or the largest.
func (p *Plan) size() (int64, error) {
	q := *p
	q.Choices = nil
	layers := p.largest()[p.options.Layers:]
	if len(p.Choices) > 0 {
		layers = nil
		for _, c := range p.Choices {
			layers = append(layers, c.Layer)
		}
	}
	slices.Sort(layers)
	groups, channels := first(q.net.info.KVHeads, q.net.info.KVHeads-q.options.Groups), first(q.net.info.FeedForward, q.keptChannels())
	for _, l := range layers {
		q.Choices = append(q.Choices, Choice{Layer: l, keptGroups: groups, keptChannels: channels})
	}
	if err := q.layOut(); err != nil {
		return 0, err
	}
	w, err := q.Writer(context.Background(), WriteOptions{})
	if err != nil {
		return 0, err
	}
	_, _, size, err := w.Layout()
	return size, err
}

// largest are all layers, those of the most bytes first.
func (p *Plan) largest() []int {
	bytes := make([]int, p.net.info.Layers)
	for _, t := range p.file.Tensors() {
		if l, _ := layerOf(t.Name); l >= 0 && l < len(bytes) {
			bytes[l] += len(t.Data)
		}
	}
	layers := span(0, len(bytes))
	slices.SortStableFunc(layers, func(a, b int) int { return cmp.Compare(bytes[b], bytes[a]) })
	return layers
}

// first are the first n of so many; nil if that is all.
func first(of, n int) []int {
	if n == of {
		return nil
	}
	return span(0, n)
}
