package graph

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/graph/dtype"
)

// The text form, one line a node:
//
//	graph "tiny" T=8 R=4
//	state "kv.0" paged heads=1 key=8 value=8 type=f16
//	%0 = weight "token_embd.weight" : q8_0[32, 8]
//	%1 = input "tokens" : i32[T]
//	%2 = embed(%0, %1) : f32[T, 8]
//	%3 = rms_norm(%2, %7) eps=1e-05 : f32[T, 8] @0 "blk.0.attn_norm"
//	output "logits" %9
//
// After the type come the layer (@n), the label in quotes, and what the passes
// set: device=..., kernel=..., format=....

// String prints the graph.
func (g *Graph) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "graph %q", g.Name)
	for _, l := range []struct {
		name string
		n    int
	}{{"T", g.Max.T}, {"S", g.Max.S}, {"R", g.Max.R}, {"P", g.Max.P}} {
		if l.n != 0 {
			fmt.Fprintf(&b, " %s=%d", l.name, l.n)
		}
	}
	b.WriteByte('\n')
	for _, s := range g.States {
		b.WriteString(s.text() + "\n")
	}
	for _, n := range g.Nodes {
		b.WriteString(n.Text() + "\n")
	}
	for _, o := range g.Outputs {
		fmt.Fprintf(&b, "output %q %%%d\n", o.Name, o.Node.ID)
	}
	return b.String()
}

func (s StateDecl) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "state %q %s", s.Name, s.Kind)
	for _, f := range []struct {
		name string
		n    int
	}{{"heads", s.KVHeads}, {"key", s.KeyDim}, {"value", s.ValueDim}, {"window", s.Window}, {"bytes", s.Bytes}, {"elems", s.Elems}} {
		if f.n != 0 {
			fmt.Fprintf(&b, " %s=%d", f.name, f.n)
		}
	}
	if s.DType != dtype.Invalid {
		fmt.Fprintf(&b, " type=%s", s.DType)
	}
	return b.String()
}

// Text prints the node as one line.
func (n *Node) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%%%d = %s", n.ID, n.Op)
	named := n.Op == OpInput || n.Op == OpWeight
	if named {
		fmt.Fprintf(&b, " %q", n.Name)
	} else {
		b.WriteByte('(')
		for i, in := range n.In {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%%%d", in.ID)
		}
		b.WriteByte(')')
	}
	if n.Attr != nil {
		writeFields(&b, reflect.ValueOf(n.Attr))
	}
	fmt.Fprintf(&b, " : %s", n.Type)
	if n.Layer >= 0 {
		fmt.Fprintf(&b, " @%d", n.Layer)
	}
	if n.Name != "" && !named {
		fmt.Fprintf(&b, " %q", n.Name)
	}
	for _, f := range []struct{ name, v string }{{"device", n.Device}, {"kernel", n.Kernel}, {"format", n.Format}} {
		if f.v != "" {
			fmt.Fprintf(&b, " %s=%s", f.name, quoteWord(f.v))
		}
	}
	return b.String()
}

// writeFields prints " name=value" for each field that is not zero; a struct
// inside prints its fields as outer.inner.
func writeFields(b *strings.Builder, v reflect.Value) {
	eachField(v, "", func(name string, f reflect.Value) {
		if f.IsZero() || f.Kind() == reflect.Slice && f.Len() == 0 {
			return
		}
		fmt.Fprintf(b, " %s=%s", name, fieldText(f))
	})
}

func eachField(v reflect.Value, prefix string, do func(name string, f reflect.Value)) {
	for i := range v.NumField() {
		name := prefix + snake(v.Type().Field(i).Name)
		if f := v.Field(i); f.Kind() == reflect.Struct {
			eachField(f, name+".", do)
		} else {
			do(name, f)
		}
	}
}

func fieldText(f reflect.Value) string {
	switch x := f.Interface().(type) {
	case dtype.Shape:
		return strings.ReplaceAll(x.String(), " ", "")
	case []int:
		return strings.ReplaceAll(fmt.Sprint(x), " ", ",")
	case float32:
		return strconv.FormatFloat(float64(x), 'g', -1, 32)
	}
	if f.Kind() == reflect.String {
		return quoteWord(f.String())
	}
	return fmt.Sprint(f.Interface())
}

// quoteWord leaves a plain word as it is and quotes anything else.
func quoteWord(s string) string {
	if s == "" {
		return `""`
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-+/", r)) {
			return strconv.Quote(s)
		}
	}
	return s
}

// snake turns a field's Go name into the text's: KeyDim -> key_dim, QOff -> q_off.
func snake(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
