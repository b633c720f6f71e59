package graph

import (
	"fmt"
	"math"
	"reflect"

	"github.com/ledge-run/ledge/graph/dtype"
)

// maxLayer bounds layer numbers; passes make tables of that length.
const maxLayer = 1 << 16

// Verify checks that g is well formed: IDs and topological order, every node's
// type against its inputs and attributes, sizes that can be laid out in memory,
// unique names of inputs, weights, outputs and states, each state written at
// most once (or added to), caches read only after their write and parameters only before,
// outputs that are computed. Models and passes call it, and so does a backend in
// its tests; the error names the node.
func Verify(g *Graph) error {
	fail := func(n *Node, err error) error { return fmt.Errorf("graph %s: %s: %w", g.Name, n, err) }
	if err := verifyStates(g); err != nil {
		return err
	}
	names, writer, reader := map[string]*Node{}, map[string]*Node{}, map[string]*Node{}
	for i, n := range g.Nodes {
		if n.ID != i {
			return fail(n, fmt.Errorf("stands at position %d", i))
		}
		for _, in := range n.In {
			if in == nil || in.ID >= i || in.ID < 0 || g.Nodes[in.ID] != in {
				return fail(n, fmt.Errorf("an input does not come before it in this graph"))
			}
		}
		t, err := inferNode(n, g)
		if err != nil {
			return fail(n, err)
		}
		if !t.Equal(n.Type) {
			return fail(n, fmt.Errorf("has type %s but its inputs give %s", n.Type, t))
		}
		if err := verifySize(n, g); err != nil {
			return fail(n, err)
		}
		if n.Layer < -1 || n.Layer > maxLayer {
			return fail(n, fmt.Errorf("layer %d lies outside -1 to %d", n.Layer, maxLayer))
		}
		if n.Op == OpInput || n.Op == OpWeight {
			key := n.Op.String() + " " + n.Name
			if names[key] != nil {
				return fail(n, fmt.Errorf("the name is taken by %s", names[key]))
			}
			names[key] = n
		}
		if n.Op == OpParam {
			if r := reader[n.State()]; r != nil {
				return fail(n, fmt.Errorf("state %q is already read by %s", n.State(), r))
			}
			reader[n.State()] = n
		}
		for _, in := range n.In {
			// A parameter is its state's memory: after a write there is no old value.
			if w := writer[in.State()]; in.Op == OpParam && w != nil && !(adds(n) && adds(w)) {
				return fail(n, fmt.Errorf("reads %s after %s has written its state", in, w))
			}
		}
		for _, s := range n.Writes() {
			if w := writer[s]; w != nil && !(adds(n) && adds(w)) {
				return fail(n, fmt.Errorf("state %q is already written by %s", s, w))
			}
			writer[s] = n
		}
	}
	return verifyOutputs(g)
}

// adds reports whether what n does to states is adding to them.
func adds(n *Node) bool { return n.Op.Accumulates() || n.Op == OpLinearLoss }

// verifySize asks that the value can be laid out at the graph's limits: constant
// dimensions are positive, rows are whole blocks, and the bytes fit an int.
func verifySize(n *Node, g *Graph) error {
	if n.Type.IsZero() {
		return nil
	}
	for _, d := range n.Type.Shape {
		if d.IsConst() && d.N <= 0 {
			return fmt.Errorf("type %s has a dimension of %d", n.Type, d.N)
		}
	}
	_, err := n.Type.Shape.Bytes(n.Type.DType, g.Max.Binding())
	return err
}

func verifyStates(g *Graph) error {
	seen := map[string]bool{}
	for _, s := range g.States {
		fail := func(format string, args ...any) error {
			return fmt.Errorf("graph %s: state %q: %s", g.Name, s.Name, fmt.Sprintf(format, args...))
		}
		if s.Name == "" || seen[s.Name] {
			return fail("the name is empty or taken")
		}
		seen[s.Name] = true
		switch s.Kind {
		case Paged, Ring:
			if s.KVHeads <= 0 || s.KeyDim <= 0 || s.ValueDim <= 0 {
				return fail("%d heads, key %d, value %d: all must be positive", s.KVHeads, s.KeyDim, s.ValueDim)
			}
			if (s.Window > 0) != (s.Kind == Ring) {
				return fail("a window belongs to %s states, this is %s with window %d", Ring, s.Kind, s.Window)
			}
			if s.DType != dtype.F16 && s.DType != dtype.F32 && s.DType != dtype.Q8_0 {
				return fail("stored as %s: want f16, f32 or q8_0", s.DType)
			}
		case Fixed:
			if s.Bytes <= 0 {
				return fail("fixed state of %d bytes", s.Bytes)
			}
		case Tensor:
			if s.Elems <= 0 || s.DType != dtype.F32 {
				return fail("a tensor of %d elements of %s: want at least one of f32", s.Elems, s.DType)
			}
		default:
			return fail("unknown kind %q", s.Kind)
		}
	}
	return nil
}

func verifyOutputs(g *Graph) error {
	seen := map[string]bool{}
	for _, o := range g.Outputs {
		if o.Name == "" || seen[o.Name] {
			return fmt.Errorf("graph %s: output %q: the name is empty or taken", g.Name, o.Name)
		}
		seen[o.Name] = true
		if o.Node == nil || o.Node.ID < 0 || o.Node.ID >= len(g.Nodes) || g.Nodes[o.Node.ID] != o.Node {
			return fmt.Errorf("graph %s: output %q is not a node of this graph", g.Name, o.Name)
		}
		if o.Node.Op.IsGiven() {
			return fmt.Errorf("graph %s: output %q: %s is given, not computed", g.Name, o.Name, o.Node)
		}
		if o.Node.Type.DType != dtype.F32 {
			return fmt.Errorf("graph %s: output %q: %s has no value in f32", g.Name, o.Name, o.Node)
		}
	}
	return nil
}

// inferNode checks the attribute's type, then asks the operation's own rule.
func inferNode(n *Node, g *Graph) (Type, error) {
	if n.Op == OpInvalid || n.Op >= opCount {
		return Type{}, fmt.Errorf("unknown operation")
	}
	info := &ops[n.Op]
	if fmt.Sprintf("%T", n.Attr) != fmt.Sprintf("%T", info.attr) && (n.Attr != nil || !info.bare) {
		return Type{}, fmt.Errorf("attributes are %T, want %T", n.Attr, info.attr)
	}
	for i, in := range n.In {
		// Only attention reads a node without a value: the write it follows.
		if in.Type.IsZero() && (n.Op != OpAttention || i != 1) {
			return Type{}, fmt.Errorf("input %d (%s) has no value", i, in)
		}
	}
	if n.Attr != nil {
		if err := finite(n.Attr); err != nil {
			return Type{}, err
		}
	}
	if err := n.checkRound(); err != nil {
		return Type{}, err
	}
	return info.infer(n, g)
}

// finite asks that an attribute's numbers are numbers.
func finite(a Attr) (err error) {
	eachField(reflect.ValueOf(a), "", func(name string, f reflect.Value) {
		if f.Kind() == reflect.Float32 && (math.IsNaN(f.Float()) || math.IsInf(f.Float(), 0)) {
			err = fmt.Errorf("%s is %g", name, f.Float())
		}
	})
	return err
}

// Infer gives the type that n's inputs and attributes make, for passes that
// put nodes together themselves.
func Infer(n *Node, g *Graph) (Type, error) { return inferNode(n, g) }
