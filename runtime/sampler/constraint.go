package sampler

// A Constraint limits which tokens may come next: a grammar, a JSON schema, a
// list of choices. Like its sampler it belongs to one sequence.
type Constraint interface {
	// Mask sets bit id%64 of allowed[id/64] for each token that may come next.
	// allowed arrives zeroed with (vocabulary+63)/64 words; bits beyond the
	// vocabulary are ignored.
	Mask(allowed []uint64) error
	// Accept moves on by the token that was chosen; an error means that the
	// token was not allowed.
	Accept(id int32) error
	// Reset returns to the state before the first Accept.
	Reset()
	// Clone returns an independent copy in the same state.
	Clone() Constraint
}

// SetConstraint makes c decide which tokens may be chosen; nil allows all. It
// applies before every other stage.
func (s *Sampler) SetConstraint(c Constraint) {
	s.constraint = c
	if c != nil && s.allowed == nil {
		s.allowed = make([]uint64, (s.vocab+63)/64)
	}
}
