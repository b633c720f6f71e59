package jinja

import "fmt"

// Limits bound what one template may use. Steps, Memory and Output are what a
// template may spend on its own; the variables handed to Render add to them
// (a long conversation legitimately costs more than a short one), see the
// constants below. A zero field takes its default.
type Limits struct {
	Source  int   // bytes of template text; default 256 KiB
	Nesting int   // brackets, operators and blocks inside each other in the text; default 100
	Steps   int64 // evaluation steps; default 1,000,000 (about 0.1 s)
	Depth   int   // evaluation depth: nested expressions, statements and macro calls; default 1,500
	Output  int   // bytes of output; default 4 MiB
	Memory  int64 // bytes of values built, garbage included; default 12 MiB
}

// What each value and byte of the caller's variables adds to the budget. Some
// templates walk all messages once per message, hence the steps.
const (
	stepsPerValue  = 4000
	stepsPerByte   = 8
	memoryPerValue = 1024 // bytes
	memoryPerByte  = 64
	outputPerByte  = 16
	// Fixed bounds that no sensible template meets.
	maxRange     = 100_000 // elements, the limit of jinja2's own sandbox
	maxDataDepth = 100     // containers inside each other when printed, compared or encoded
	maxItems     = 1 << 20 // elements of one list or dictionary
)

func (l Limits) withDefaults() Limits {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.Source, 256<<10)
	def(&l.Nesting, 100)
	def(&l.Depth, 1500)
	def(&l.Output, 4<<20)
	if l.Steps <= 0 {
		l.Steps = 1_000_000
	}
	if l.Memory <= 0 {
		l.Memory = 12 << 20
	}
	return l
}

// LimitError says that a template exceeded a bound.
type LimitError struct {
	What  string // "steps", "memory", "output", ...
	Limit int64
	Unit  string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the template exceeds the limit on %s (%d %s)", e.What, e.Limit, e.Unit)
}

// Usage is what a rendering spent.
type Usage struct {
	Steps  int64
	Memory int64 // bytes of values built, garbage included
	Depth  int   // deepest evaluation
}

// state is one rendering: its output, its budget and what it has spent.
type state struct {
	limits  Limits
	out     *output
	steps   int64
	memory  int64
	depth   int
	deepest int
}

// step spends n evaluation steps.
func (st *state) step(n int) error {
	st.steps += int64(n)
	if st.steps > st.limits.Steps || n < 0 {
		return &LimitError{What: "evaluation steps", Limit: st.limits.Steps, Unit: "steps"}
	}
	return nil
}

// scan spends the steps of walking n bytes of existing text.
func (st *state) scan(n int) error { return st.step(1 + n/16) }

// alloc spends memory for n bytes about to be built, and the steps of writing
// them. It must be called before the memory is taken.
func (st *state) alloc(n int) error {
	if n < 0 || int64(n) > st.limits.Memory-st.memory {
		return &LimitError{What: "memory", Limit: st.limits.Memory, Unit: "bytes"}
	}
	st.memory += int64(n)
	return st.step(1 + n/64)
}

// allocN is alloc for n things of size bytes each, safe from overflow.
func (st *state) allocN(n, size int) error {
	if n < 0 || size > 0 && int64(n) > st.limits.Memory/int64(size) {
		return st.alloc(-1)
	}
	return st.alloc(n * size)
}

// Sizes charged for elements of containers: what Go takes for them, with the
// slack of growing slices and maps.
const (
	listItemBytes = 48
	dictItemBytes = 256
)

// enter and leave bracket every nested evaluation.
func (st *state) enter() error {
	st.depth++
	if st.depth > st.deepest {
		st.deepest = st.depth
	}
	if st.depth > st.limits.Depth {
		return &LimitError{What: "evaluation depth", Limit: int64(st.limits.Depth), Unit: "levels; a macro that calls itself without end?"}
	}
	return nil
}

func (st *state) leave() { st.depth-- }

// allow widens the budget by the size of the caller's variables.
func (st *state) allow(vars *Dict) {
	values, bytes := weigh(vars, 0)
	st.limits.Steps += stepsPerValue*int64(values) + stepsPerByte*int64(bytes)
	st.limits.Memory += memoryPerValue*int64(values) + memoryPerByte*int64(bytes)
	st.limits.Output += outputPerByte * bytes
}

// weigh counts the values and the text bytes in v.
func weigh(v Value, depth int) (values, bytes int) {
	if depth > maxDataDepth {
		return 0, 0
	}
	switch v := v.(type) {
	case string:
		return 1, len(v)
	case *List:
		for _, e := range v.items {
			n, b := weigh(e, depth+1)
			values, bytes = values+n, bytes+b
		}
	case *Dict:
		if v == nil {
			return 0, 0
		}
		for i, k := range v.keys {
			_, kb := weigh(k, depth+1)
			n, b := weigh(v.vals[i], depth+1)
			values, bytes = values+n, bytes+b+kb
		}
	}
	return values + 1, bytes
}
