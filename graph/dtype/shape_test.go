package dtype

import (
	"math"
	"strings"
	"testing"
)

func TestShapeText(t *testing.T) {
	cases := []struct {
		text string
		want Shape
	}{
		{"[]", Shape{}},
		{"[T, 576]", Shape{Sym(T), Const(576)}},
		{"[0]", ConstShape(0)},
		{"[S, R, P, 1]", Shape{Sym(S), Sym(R), Sym(P), Const(1)}},
	}
	for _, c := range cases {
		got, err := ParseShape(c.text)
		if err != nil || !got.Equal(c.want) {
			t.Errorf("ParseShape(%q) = %v, %v", c.text, got, err)
		}
		if c.want.String() != c.text {
			t.Errorf("%#v prints as %q, want %q", c.want, c.want, c.text)
		}
	}
	if got, err := ParseShape("  [ T,576 ]\n"); err != nil || got.String() != "[T, 576]" {
		t.Errorf("free spacing: %v, %v", got, err)
	}
	for _, bad := range []string{
		"", "[", "]", "T, 576", "[T, 576", "[T 576]", "[T,]", "[,]", "[-1]", "[+1]", "[01]", "[t]", "[X]", "[const]",
		"[1e3]", "[99999999999999999999]", "[[1]]", "[1]]", "[1,1,1,1,1,1,1,1,1]", "[" + strings.Repeat("1,", 1e5) + "1]",
	} {
		if got, err := ParseShape(bad); err == nil {
			t.Errorf("ParseShape(%.20q) = %v, want an error", bad, got)
		} else if len(err.Error()) > 200 {
			t.Errorf("ParseShape(%.20q): error of %d bytes", bad, len(err.Error()))
		}
	}
}

func TestShapeEqual(t *testing.T) {
	a := Shape{Sym(T), Const(4)}
	b := a.Clone()
	if !a.Equal(b) || a.Equal(a[:1]) || a.Equal(Shape{Sym(S), Const(4)}) || a.Equal(Shape{Sym(T), Const(5)}) {
		t.Error("Equal is wrong")
	}
	b[1] = Const(9)
	if a[1] != Const(4) {
		t.Error("Clone shares memory")
	}
	if a.IsConst() || !a[1:].IsConst() || !(Shape{}).IsConst() {
		t.Error("IsConst is wrong")
	}
}

func TestShapeSizes(t *testing.T) {
	b := Binding{T: 3, S: 2, R: 0, P: 7}
	huge := ConstShape(math.MaxInt/2, 3)
	cases := []struct {
		s    Shape
		b    Binding
		want int // -1: error
	}{
		{Shape{}, b, 1},
		{Shape{Sym(T), Const(5)}, b, 15},
		{Shape{Sym(S), Sym(P)}, b, 14},
		{Shape{Sym(R), Const(100)}, b, 0},
		{huge, b, -1},
		{append(Shape{Const(0)}, huge...), b, 0},
		{append(huge.Clone(), Const(0)), b, 0},
		{Shape{Sym(T)}, Binding{T: -1}, -1},
		{ConstShape(-2, -3), b, -1},
		{Shape{Dim{Sym: 77}}, b, -1},
	}
	for _, c := range cases {
		got, err := c.s.NumElems(c.b)
		if c.want < 0 && err == nil || c.want >= 0 && (err != nil || got != c.want) {
			t.Errorf("%v.NumElems(%+v) = %d, %v; want %d", c.s, c.b, got, err, c.want)
		}
	}
	if n, err := (Shape{Sym(T), Const(64)}).Bytes(Q8_0, b); err != nil || n != 3*68 {
		t.Errorf("Bytes = %d, %v", n, err)
	}
	if n, err := (Shape{}).Bytes(F32, b); err != nil || n != 4 {
		t.Errorf("scalar Bytes = %d, %v", n, err)
	}
	for _, s := range []Shape{{Sym(T), Const(33)}, ConstShape(math.MaxInt/16, 32), {}} {
		if n, err := s.Bytes(Q8_0, b); err == nil {
			t.Errorf("%v of q8_0: %d bytes, want an error", s, n)
		}
	}
}

func FuzzParseShape(f *testing.F) {
	for _, s := range []string{"[T, 576]", "[]", "[1,2,S]", "[-1]", "[", "[T,,]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseShape(text)
		if err != nil {
			return
		}
		again, err := ParseShape(s.String())
		if err != nil || !again.Equal(s) {
			t.Fatalf("%q reads as %v, which reads as %v, %v", text, s, again, err)
		}
		s.NumElems(Binding{T: 1, S: 1, R: 1, P: 1})
	})
}
