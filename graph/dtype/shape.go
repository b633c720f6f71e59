package dtype

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Symbol names a size that is only known when a batch is run.
type Symbol uint8

// The symbols. The zero Symbol marks a constant dimension.
const (
	constant Symbol = iota
	T               // rows in the batch
	S               // sequences in the batch
	R               // rows read out
	P               // pages of the longest sequence
)

var symbolNames = [...]string{constant: "const", T: "T", S: "S", R: "R", P: "P"}

// Symbols returns T, S, R and P.
func Symbols() []Symbol { return []Symbol{T, S, R, P} }

func (s Symbol) String() string {
	if int(s) < len(symbolNames) {
		return symbolNames[s]
	}
	return fmt.Sprintf("symbol(%d)", uint8(s))
}

// Dim is one dimension of a shape: the constant N, or the symbol Sym if that is
// set, with N zero. Dims compare with ==. The zero Dim is the constant 0.
type Dim struct {
	Sym Symbol
	N   int
}

// Const is a dimension of constant size n.
func Const(n int) Dim { return Dim{N: n} }

// Sym is a dimension of the size that s is bound to.
func Sym(s Symbol) Dim { return Dim{Sym: s} }

// IsConst reports whether the dimension's size is known without a binding.
func (d Dim) IsConst() bool { return d.Sym == constant }

// String is the number, or the symbol's letter.
func (d Dim) String() string {
	if d.IsConst() {
		return strconv.Itoa(d.N)
	}
	return d.Sym.String()
}

// Binding gives each symbol its size: that of one run, or the largest one may
// have. A size of 0 is allowed (a batch that reads out nothing).
type Binding struct{ T, S, R, P int }

// Size is what d stands for under the binding. Sizes are never negative.
func (b Binding) Size(d Dim) (int, error) {
	n := d.N
	switch d.Sym {
	case constant:
	case T:
		n = b.T
	case S:
		n = b.S
	case R:
		n = b.R
	case P:
		n = b.P
	default:
		return 0, fmt.Errorf("dtype: unknown dimension %v", d)
	}
	if n < 0 {
		return 0, fmt.Errorf("dtype: dimension %v has the negative size %d", d, n)
	}
	return n, nil
}

// Shape is the dimensions of a tensor in row-major order: outermost first, the
// last one contiguous in memory. A scalar has no dimensions.
type Shape []Dim

// MaxRank is the most dimensions ParseShape accepts.
const MaxRank = 8

// ConstShape is a shape of constant dimensions.
func ConstShape(sizes ...int) Shape {
	s := make(Shape, len(sizes))
	for i, n := range sizes {
		s[i] = Const(n)
	}
	return s
}

// String writes the shape as ParseShape reads it: "[T, 576]", "[]".
func (s Shape) String() string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// ParseShape reads a shape such as "[T, 576]". Spaces around the parts are free;
// sizes are decimal, non-negative and written without sign or leading zeros.
func ParseShape(text string) (Shape, error) {
	fail := func(why string) (Shape, error) {
		return nil, fmt.Errorf("dtype: shape %q: %s; write it like [T, 576]", clip(text), why)
	}
	body, ok := strings.CutPrefix(strings.TrimSpace(text), "[")
	if !ok {
		return fail("no opening bracket")
	}
	body, ok = strings.CutSuffix(body, "]")
	if !ok {
		return fail("no closing bracket")
	}
	s := Shape{}
	if strings.TrimSpace(body) == "" {
		return s, nil
	}
	for part := range strings.SplitSeq(body, ",") {
		if len(s) == MaxRank {
			return fail(fmt.Sprintf("more than %d dimensions", MaxRank))
		}
		d, err := ParseDim(strings.TrimSpace(part))
		if err != nil {
			return fail(fmt.Sprintf("dimension %d: %q is neither a size nor one of T, S, R, P", len(s), clip(part)))
		}
		s = append(s, d)
	}
	return s, nil
}

// ParseDim reads one dimension: a size or a symbol's letter.
func ParseDim(text string) (Dim, error) {
	for _, sym := range Symbols() {
		if text == sym.String() {
			return Sym(sym), nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || strconv.Itoa(n) != text {
		return Dim{}, fmt.Errorf("dtype: dimension %q is neither a size nor one of T, S, R, P", clip(text))
	}
	return Const(n), nil
}

// Equal reports whether both shapes have the same dimensions.
func (s Shape) Equal(o Shape) bool {
	if len(s) != len(o) {
		return false
	}
	for i := range s {
		if s[i] != o[i] {
			return false
		}
	}
	return true
}

// Clone returns a copy that shares nothing with s.
func (s Shape) Clone() Shape { return append(Shape{}, s...) }

// IsConst reports whether no dimension is a symbol.
func (s Shape) IsConst() bool {
	for _, d := range s {
		if !d.IsConst() {
			return false
		}
	}
	return true
}

// Sizes are the dimensions under the binding.
func (s Shape) Sizes(b Binding) ([]int, error) {
	sizes := make([]int, len(s))
	for i, d := range s {
		n, err := b.Size(d)
		if err != nil {
			return nil, fmt.Errorf("shape %v: %w", s, err)
		}
		sizes[i] = n
	}
	return sizes, nil
}

// NumElems is the number of elements under the binding, 1 for a scalar. It is
// an error if the number does not fit an int.
func (s Shape) NumElems(b Binding) (int, error) {
	sizes, err := s.Sizes(b)
	if err != nil {
		return 0, err
	}
	n, ok := Product(sizes)
	if !ok {
		return 0, fmt.Errorf("dtype: shape %v: the number of elements overflows", s)
	}
	return n, nil
}

// Bytes is the size in bytes of a contiguous tensor of the shape and type under
// the binding; rows (the last dimension) must be whole blocks.
func (s Shape) Bytes(d DType, b Binding) (int, error) {
	sizes, err := s.Sizes(b)
	if err != nil {
		return 0, err
	}
	n, err := ByteSize(d, sizes)
	if err != nil {
		return 0, fmt.Errorf("shape %v: %w", s, err)
	}
	return n, nil
}

// ByteSize is the size in bytes of a contiguous tensor with the given sizes,
// outermost first. The last size must be a whole number of blocks.
func ByteSize(d DType, sizes []int) (int, error) {
	row, outer := 1, sizes
	if n := len(sizes); n > 0 {
		row, outer = sizes[n-1], sizes[:n-1]
	}
	rowBytes, err := d.RowBytes(row)
	if err != nil {
		return 0, err
	}
	rows, ok := Product(outer)
	if !ok || rowBytes > 0 && rows > math.MaxInt/rowBytes {
		return 0, fmt.Errorf("dtype: the size of a %v tensor of %v overflows", d, sizes)
	}
	return rows * rowBytes, nil
}

// Product multiplies non-negative sizes; ok is false if the product does not
// fit an int or a size is negative. A zero anywhere makes it 0.
func Product(sizes []int) (n int, ok bool) {
	zero := false
	for _, v := range sizes {
		if v < 0 {
			return 0, false
		}
		zero = zero || v == 0
	}
	if zero {
		return 0, true
	}
	n = 1
	for _, v := range sizes {
		if n > math.MaxInt/v {
			return 0, false
		}
		n *= v
	}
	return n, true
}
