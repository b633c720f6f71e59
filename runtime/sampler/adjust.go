package sampler

import (
	"math"
	"slices"
)

// An adjustment is what the biases, the penalties and DRY do to one token.
type adjustment struct {
	id     int32
	count  int32 // occurrences in the penalties' window
	repeat int32 // longest sequence that the token would continue, plus 1; 0 is none
	bias   float32
	seen   bool // among the items, while adjustUnseen works
}

// collect lists the tokens to adjust in s.adj, and notes their places in
// s.slot (place + 1, by id). release undoes it.
func (s *Sampler) collect() {
	if s.slot == nil {
		return
	}
	for _, b := range s.bias {
		s.adjustmentOf(b.id).bias = b.bias
	}
	if slices.Contains(s.plan, StagePenalties) {
		for _, id := range s.window(s.params.RepeatLastN) {
			s.adjustmentOf(id).count++
		}
	}
	if slices.Contains(s.plan, StageDRY) {
		s.collectDRY()
	}
}

func (s *Sampler) adjustmentOf(id int32) *adjustment {
	if s.slot[id] == 0 {
		s.adj = append(s.adj, adjustment{id: id})
		s.slot[id] = int32(len(s.adj))
	}
	return &s.adj[s.slot[id]-1]
}

func (s *Sampler) release() {
	for _, a := range s.adj {
		s.slot[a.id] = 0
	}
	s.adj = s.adj[:0]
}

// window returns the last n accepted tokens (all for -1).
func (s *Sampler) window(n int) []int32 {
	if n < 0 || n > len(s.history) {
		n = len(s.history)
	}
	return s.history[len(s.history)-n:]
}

// adjusted returns logit l of token a.id after a stage; touched is false when
// the stage has nothing to do with that token. For a given a it never falls
// as l rises.
func (s *Sampler) adjusted(st Stage, a *adjustment, l float32) (v float32, touched bool) {
	p := &s.params
	v64 := float64(l)
	switch st {
	case stageBias:
		if a.bias == 0 {
			return l, false
		}
		if a.bias == negInf {
			return negInf, true
		}
		v64 += float64(a.bias)
	case StagePenalties:
		if a.count == 0 {
			return l, false
		}
		if v64 <= 0 {
			v64 = float64(v64 * p.RepeatPenalty)
		} else {
			v64 = float64(v64 / p.RepeatPenalty)
		}
		v64 -= float64(float64(a.count)*p.FrequencyPenalty) + p.PresencePenalty
	case StageDRY:
		if a.repeat == 0 {
			return l, false
		}
		n := min(int(a.repeat)-1-p.DRY.AllowedLength, math.MaxInt16)
		v64 -= float64(p.DRY.Multiplier * powInt(p.DRY.Base, n))
	}
	return finite(v64), true
}

// lowers reports whether the stage can only lower logits, whatever they are.
func (s *Sampler) lowers(st Stage, a *adjustment) bool {
	switch st {
	case stageBias:
		return a.bias <= 0
	case StagePenalties:
		p := &s.params
		return p.RepeatPenalty >= 1 && float64(float64(a.count)*p.FrequencyPenalty)+p.PresencePenalty >= 0
	}
	return true
}

// adjust applies the biases, the penalties or DRY.
func (s *Sampler) adjust(st Stage) {
	if len(s.adj) == 0 {
		return
	}
	t := &s.cur
	s.applyScale()
	if t.row != nil {
		s.ownRow()
		t.items, t.sorted = nil, 0
		for i := range s.adj {
			a := &s.adj[i]
			if l := t.row[a.id]; l > negInf && l <= math.MaxFloat32 {
				t.row[a.id], _ = s.adjusted(st, a, l)
			}
		}
		return
	}
	floor := t.floor
	if t.open {
		floor = s.adjustUnseen(st)
	}
	// Adjust the items; keep those that are certain to be above what is unseen.
	kept := t.items[:0]
	for _, it := range t.items {
		if place := s.slot[it.id()]; place != 0 {
			v, _ := s.adjusted(st, &s.adj[place-1], it.logit())
			if v == negInf {
				continue
			}
			it = makeItem(it.id(), v)
		}
		if t.open && it.logit() <= floor {
			m := t.mass(it)
			t.tailLo += m
			t.tailHi += m
			continue
		}
		kept = append(kept, it)
	}
	t.items, t.sorted, t.floor = kept, 0, floor
}

// adjustUnseen bounds what a stage does to the tokens of an open set that are
// not among its items, and returns the new floor.
func (s *Sampler) adjustUnseen(st Stage) float32 {
	t := &s.cur
	for _, it := range t.items {
		if place := s.slot[it.id()]; place != 0 {
			s.adj[place-1].seen = true
		}
	}
	floor := t.floor
	for i := range s.adj {
		a := &s.adj[i]
		if a.seen {
			a.seen = false
			continue
		}
		v, touched := s.adjusted(st, a, t.floor)
		if !touched {
			continue
		}
		t.tailLo = max(0, t.tailLo-t.floorMass())
		if !s.lowers(st, a) {
			t.tailHi += exp(float64((float64(v) - t.ref) * t.scale))
			floor = max(floor, v)
		}
	}
	return floor
}

// applyScale divides the logits by a temperature that came earlier.
func (s *Sampler) applyScale() {
	t := &s.cur
	if t.scale == 1 {
		return
	}
	scaled := func(l float32) float32 {
		if l > negInf && l <= math.MaxFloat32 {
			return finite(float64(float64(l) * t.scale))
		}
		return l
	}
	if t.row != nil {
		s.ownRow()
		for i, l := range t.row {
			t.row[i] = scaled(l)
		}
		t.items = nil
	}
	for i, it := range t.items {
		t.items[i] = makeItem(it.id(), scaled(it.logit()))
	}
	t.floor = scaled(t.floor)
	t.sorted, t.scale = 0, 1
}
