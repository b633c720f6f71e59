package graphtest

import (
	"fmt"
	"math/rand/v2"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// Random is a valid graph for a seed: in turn a decoder with random options and
// a random network of single operations. Values stay of moderate size, so that
// its results can be compared.
func Random(seed uint64) *graph.Graph {
	if seed%2 == 0 {
		return RandomDecoder(seed).Must()
	}
	return RandomOps(seed)
}

// RandomOps is a random directed graph of operations without attention: inputs,
// weights and products of any shape, everything element by element, norms,
// data movement, several outputs.
func RandomOps(seed uint64) *graph.Graph {
	r := rand.New(rand.NewPCG(seed, 0x0b5))
	b := graph.NewBuilder(fmt.Sprintf("ops%d", seed), graph.Limits{T: 1 + r.IntN(20), R: 1 + r.IntN(5)})
	s := &soup{Builder: b, r: r, types: []dtype.DType{dtype.F32}}
	if r.IntN(2) == 0 {
		s.types = []dtype.DType{dtype.F32, dtype.F16, dtype.Q8_0, dtype.Q4_0, dtype.Q4_1}
	}
	t := dtype.Sym(dtype.T)
	d := 2 * (1 + r.IntN(40))
	if r.IntN(2) == 0 {
		d = 32 * (1 + r.IntN(3))
	}
	s.add(b.Input("x", graph.F32(t, dtype.Const(d))))
	if r.IntN(2) == 0 {
		v := 5 + r.IntN(60)
		s.add(b.Embed(b.Weight("table", s.typeFor(d), v, d), b.Input("ids", graph.I32(t))))
	}
	if r.IntN(3) == 0 { // numbers of rows that do not change
		s.add(b.Input("fixed", graph.F32(dtype.Const(1+r.IntN(4)), dtype.Const(d))))
	}
	for i := range 4 + r.IntN(24) {
		b.SetLayer(i/6 - 1)
		s.step()
	}
	b.SetLayer(-1)
	s.outputs()
	g, err := b.Graph()
	if err != nil {
		panic(fmt.Sprintf("graphtest: seed %d: %v", seed, err))
	}
	return g
}

// soup is a graph in the making and the values that later nodes may read.
type soup struct {
	*graph.Builder
	r      *rand.Rand
	types  []dtype.DType
	values []*graph.Node
	named  int
}

func (s *soup) add(n *graph.Node) { s.values = append(s.values, n) }

func (s *soup) any() *graph.Node {
	// Later values are likelier, so that graphs get deep.
	i := max(s.r.IntN(len(s.values)), s.r.IntN(len(s.values)))
	return s.values[i]
}

// like is a value of x's type; x itself if there is no other.
func (s *soup) like(x *graph.Node) *graph.Node {
	for range 8 {
		if y := s.any(); y.Type.Equal(x.Type) {
			return y
		}
	}
	return x
}

func (s *soup) typeFor(cols int) dtype.DType {
	t := s.types[s.r.IntN(len(s.types))]
	if cols%t.BlockLen() != 0 {
		return dtype.F32
	}
	return t
}

func (s *soup) weight(t dtype.DType, shape ...int) *graph.Node {
	s.named++
	return s.Weight(fmt.Sprintf("w%d", s.named), t, shape...)
}

func (s *soup) step() {
	x := s.any()
	shape := x.Type.Shape
	cols := shape[len(shape)-1].N
	switch s.r.IntN(14) {
	case 0, 1, 2: // products, often several of one value
		n := 1 + s.r.IntN(70)
		for range 1 + s.r.IntN(3) {
			y := s.Linear(x, s.weight(s.typeFor(cols), n, cols))
			if s.r.IntN(2) == 0 {
				y = s.Add(graph.OpAdd, nil, y, s.weight(dtype.F32, n))
			}
			y = s.bound(y)
			s.add(y)
		}
	case 3:
		s.add(s.RMSNorm(x, s.weight(dtype.F32, cols), 1e-3))
	case 4:
		in := []*graph.Node{x, s.weight(dtype.F32, cols), s.weight(dtype.F32, cols)}
		s.add(s.Add(graph.OpLayerNorm, graph.NormAttr{Eps: 1e-2}, in[:1+s.r.IntN(3)]...))
	case 5: // element by element
		op := pick(s.r, graph.OpSilu, graph.OpGelu, graph.OpGeluErf, graph.OpRelu, graph.OpTanh, graph.OpSigmoid)
		s.add(s.Add(op, nil, x))
	case 6:
		s.add(s.Scale(x, pick[float32](s.r, 0.5, -1, 1.25)))
		s.add(s.SoftCap(x, 4))
	case 7: // two values of one shape
		s.add(s.bound(s.Add(pick(s.r, graph.OpAdd, graph.OpSub, graph.OpMul), nil, x, s.like(x))))
	case 8: // a suffix repeats
		s.add(s.bound(s.Add(pick(s.r, graph.OpAdd, graph.OpSub, graph.OpMul), nil, x, s.weight(dtype.F32, cols))))
	case 9:
		s.add(s.Add(graph.OpSoftmax, nil, x))
		e := s.Add(graph.OpExp, nil, s.Add(graph.OpTanh, nil, x)) // between 0.37 and 2.7
		s.add(s.bound(s.Add(graph.OpDiv, nil, x, e)))
	case 10:
		s.reshape(x, cols)
	case 11: // a slice, and the two parts joined again the other way round
		if cols < 2 {
			return
		}
		cut := 1 + s.r.IntN(cols-1)
		a, b := s.Slice(x, len(shape)-1, 0, cut), s.Slice(x, len(shape)-1, cut, cols-cut)
		s.add(a)
		s.add(s.Add(graph.OpConcat, graph.AxisAttr{Axis: len(shape) - 1}, b, a))
	case 12: // the gated unit
		y := s.like(x)
		s.add(s.bound(s.Add(graph.OpMul, nil, s.Add(pick(s.r, graph.OpSilu, graph.OpGelu), nil, x), y)))
	case 13: // norm, then sum
		s.add(s.bound(s.Add(graph.OpAdd, nil, s.RMSNorm(x, s.weight(dtype.F32, cols), 1e-3), s.like(x))))
	}
}

// bound keeps growing values small.
func (s *soup) bound(x *graph.Node) *graph.Node { return s.SoftCap(x, 8) }

// reshape goes to three dimensions, does what needs them, and comes back.
func (s *soup) reshape(x *graph.Node, cols int) {
	if len(x.Type.Shape) != 2 || cols%2 != 0 {
		return
	}
	rows := x.Type.Shape[0]
	y := s.Reshape(x, rows, dtype.Const(2), dtype.Const(cols/2))
	switch s.r.IntN(3) {
	case 0: // [X 2 c] -> [X c 2]
		y = s.Add(graph.OpTranspose, graph.PermAttr{Perm: []int{0, 2, 1}}, y)
	case 1: // scores of the two halves: [X 2 c] x [X c 2] -> [X 2 2], then applied
		z := s.Add(graph.OpTranspose, graph.PermAttr{Perm: []int{0, 2, 1}}, y)
		p := s.Add(graph.OpSoftmax, nil, s.bound(s.Add(graph.OpMatMul, nil, y, z)))
		y = s.Add(graph.OpMatMul, nil, p, y)
	case 2:
		y = s.RMSNorm(y, s.weight(dtype.F32, cols/2), 1e-3)
	}
	s.add(s.Reshape(y, rows, dtype.Const(cols)))
}

func (s *soup) outputs() {
	var made []*graph.Node
	for _, v := range s.values {
		if v.Op != graph.OpInput {
			made = append(made, v)
		}
	}
	if made == nil {
		made = append(made, s.Scale(s.values[0], 0.5))
	}
	last := made[len(made)-1]
	if len(last.Type.Shape) == 2 && last.Type.Shape[0] == dtype.Sym(dtype.T) && s.r.IntN(2) == 0 {
		last = s.Add(graph.OpGatherRows, nil, last, s.Input("rows", graph.I32(dtype.Sym(dtype.R))))
	}
	s.Output("last", last)
	for i := range s.r.IntN(3) {
		s.Output(fmt.Sprintf("also%d", i), made[s.r.IntN(len(made))])
	}
}
