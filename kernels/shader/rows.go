package shader

// Size says which size of a run counts the rows of an operand.
type Size uint8

const (
	SizeT   Size = iota // rows of the batch
	SizeR               // rows read out
	SizeOne             // neither: the number is constant
	SizeS               // sequences
	SizeP               // pages of the longest sequence
)

// Rows is the number of rows of an operand: Times for each row of the batch that
// Count counts, or Times alone. A [T, 3, 64] value normed over its last dimension
// has {SizeT, 3}.
type Rows struct {
	Count Size
	Times int
	Max   int // of a run, for what is planned ahead; products need it
}

// Of is the number of rows of a run.
func (r Rows) Of(s Sizes) int {
	switch r.Count {
	case SizeT:
		return r.Times * s.T
	case SizeR:
		return r.Times * s.R
	case SizeS:
		return r.Times * s.S
	case SizeP:
		return r.Times * s.P
	}
	return r.Times
}

// constantRows in a kernel's parameter stands for SizeOne; common.comp's ROWS_OF
// reads it.
const constantRows = 0xffffffff

// params are the arguments of ROWS_OF: where in the run's header the count is,
// and the factor.
func (r Rows) params() (count, times uint32) {
	switch r.Count {
	case SizeT:
		return RunT, uint32(r.Times)
	case SizeR:
		return RunR, uint32(r.Times)
	case SizeS:
		return RunS, uint32(r.Times)
	case SizeP:
		return RunP, uint32(r.Times)
	}
	return constantRows, uint32(r.Times)
}
