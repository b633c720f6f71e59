package step

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
)

// Memory says what a trainer has taken, in bytes.
type Memory struct {
	Parameters int64 // what is trained
	Gradients  int64
	Moments    int64 // AdamW's, two a parameter
	Weights    int64 // what is not trained, as the device holds it
	Step       int64 // forward and backward: values in between, and scratch
	Update     int64
	Loss       int64 // evaluation; 0 before the first
}

// Total is all of it.
func (m Memory) Total() int64 {
	return m.Parameters + m.Gradients + m.Moments + m.Weights + m.Step + m.Update + m.Loss
}

// String names the parts in MiB.
func (m Memory) String() string {
	mib := func(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }
	return fmt.Sprintf("%s MiB: parameters %s, gradients %s, moments %s, frozen weights %s, a step %s, the update %s, evaluation %s",
		mib(m.Total()), mib(m.Parameters), mib(m.Gradients), mib(m.Moments), mib(m.Weights), mib(m.Step), mib(m.Update), mib(m.Loss))
}

// Memory is what the trainer has taken so far.
func (t *Trainer) Memory() Memory {
	var m Memory
	for _, p := range t.params {
		m.Parameters += 4 * int64(p.Elems())
	}
	m.Gradients, m.Moments = m.Parameters, 2*m.Parameters
	m.Step, m.Update, m.Loss = t.run.bytes(), t.update.bytes(), t.forward.bytes()
	m.Weights = t.weights.Bytes()
	return m
}

// bytes is what a program holds besides weights and states.
func (p *program) bytes() int64 {
	if p == nil {
		return 0
	}
	if s, ok := p.exe.(backend.Sized); ok {
		return s.Bytes()
	}
	return int64(p.arena)
}
