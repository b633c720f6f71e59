package gguf

import (
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Tensor is one tensor of a file.
type Tensor struct {
	Name  string
	DType dtype.DType

	// Shape has the sizes in row-major order, outermost first: the reverse of
	// the order in the file. A matrix that maps K inputs to N outputs is [N, K],
	// and each of its N rows of K values is contiguous. A scalar has no sizes.
	// No size is zero.
	Shape []int

	// Data holds the values as stored: exactly the bytes of Shape and DType,
	// little-endian, aligned in the file to at least 8 bytes. It is read-only:
	// writing to a mapping is a memory fault.
	Data []byte

	part   *part
	offset int // of Data in the part
}

// RowLen is the innermost size: the number of values in a row, 1 for a scalar.
func (t *Tensor) RowLen() int {
	if len(t.Shape) == 0 {
		return 1
	}
	return t.Shape[len(t.Shape)-1]
}

// NumRows is the product of all sizes but the innermost.
func (t *Tensor) NumRows() int {
	rows := 1
	for i := 0; i+1 < len(t.Shape); i++ {
		rows *= t.Shape[i]
	}
	return rows
}

// NumElems is the number of values.
func (t *Tensor) NumElems() int { return t.NumRows() * t.RowLen() }

// Dequantize decodes all values to float32. Types that are known but cannot be
// computed with give an error that names the type and the tensor.
func (t *Tensor) Dequantize() ([]float32, error) {
	if err := t.computable(); err != nil {
		return nil, err
	}
	dst := make([]float32, t.NumElems())
	return dst, t.DequantizeRows(dst, 0, t.NumRows())
}

// DequantizeRows decodes n rows from the row first on into dst, which must have
// length n*RowLen.
func (t *Tensor) DequantizeRows(dst []float32, first, n int) error {
	if err := t.computable(); err != nil {
		return err
	}
	if first < 0 || n < 0 || first > t.NumRows() || n > t.NumRows()-first {
		return fmt.Errorf("gguf: tensor %s: rows %d to %d of %d", quote(t.Name), first, first+n, t.NumRows())
	}
	if t.Data == nil {
		return fmt.Errorf("gguf: tensor %s: its file is closed", quote(t.Name))
	}
	row, err := t.DType.RowBytes(t.RowLen())
	if err != nil {
		return fmt.Errorf("gguf: tensor %s: %w", quote(t.Name), err)
	}
	if err := dtype.Dequantize(t.DType, dst, t.Data[first*row:(first+n)*row]); err != nil {
		return fmt.Errorf("gguf: tensor %s: %w", quote(t.Name), err)
	}
	return nil
}

func (t *Tensor) computable() error {
	if !t.DType.Computable() {
		return fmt.Errorf("gguf: tensor %s has the type %v, which Ledge cannot compute with: use a file in another quantisation, such as Q4_K_M or Q8_0",
			quote(t.Name), t.DType)
	}
	return nil
}

// Advice is what Advise tells the system.
type Advice int

const (
	WillNeed Advice = iota // read the pages ahead, they are used soon
	DontNeed               // give the memory back; the pages are read again when touched
)

// Advise tells the system how the tensor's pages will be used. It does nothing
// where the data is not mapped. DontNeed is also said of the neighbourhood: for
// one byte that is read, Linux maps the whole folio of the page cache that has it,
// up to two mebibytes, so that a small tensor brings its neighbours along.
func (t *Tensor) Advise(a Advice) error {
	if t.part == nil {
		return nil
	}
	from, to := t.offset, t.offset+len(t.Data)
	if a == DontNeed {
		const folio = 2 << 20
		from, to = from/folio*folio, min((to+folio-1)/folio*folio, len(t.part.data))
	}
	return t.part.advise(from, to, a)
}

// AdviseRange is Advise for the bytes [from, to) of Data alone: DontNeed leaves
// the pages be that they share with others.
func (t *Tensor) AdviseRange(from, to int, a Advice) error {
	if t.part == nil || from < 0 || to > len(t.Data) {
		return nil
	}
	return t.part.advise(t.offset+from, t.offset+to, a)
}

func (p *part) advise(from, to int, a Advice) error {
	if !p.mapped || p.data == nil || from >= to {
		return nil
	}
	page := pageSize()
	if a == DontNeed {
		from = (from + page - 1) / page * page
		if to < len(p.data) { // the last page of the file is ours to its end
			to = to / page * page
		}
	} else {
		from = from / page * page
	}
	if from >= to {
		return nil
	}
	if err := madvise(p.data[from:to], a); err != nil {
		return fmt.Errorf("gguf: %s: advise: %w", p.path, err)
	}
	return nil
}
