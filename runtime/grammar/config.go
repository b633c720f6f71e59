package grammar

import (
	"encoding/binary"
	"slices"
)

// A config is where a text has got to: all places in the rules that it may stand
// for. Configs are interned, and remember where bytes lead.
type config struct {
	tops     []top   // sorted; only those from which a byte leads on
	plain    *config // the tops outside of rules without calls; may be the config itself
	complete bool    // the text is a word of the root
	first    [4]uint64
	next     []step // sorted by byte, as they are found
	epoch    uint32 // of the cache it is in

	set    *tokenSet           // what may come next, of the plain config
	behind map[*walk]*tokenSet // tokens that leave a rule and go on from here: see exits
}

type step struct {
	b  byte
	to *config // nil for nowhere
}

// top is a place in a rule, with who called it.
type top struct {
	rule, state int32
	count       int32 // characters so far, of a counted rule
	ctx         *callers
}

// callers are all that wait for a rule which began at one byte; the root's are nil.
type callers struct {
	id     uint64
	frames []top   // where they go on; sorted
	popped *config // there, when the rule has ended
}

// ends says that the rule may end at a top.
func (e *Engine) ends(t top) bool {
	r := &e.g.rules[t.rule]
	return r.d.states[t.state].accept && (!r.counted || t.count >= r.min)
}

func compareTops(a, b top) int {
	switch {
	case a.rule != b.rule:
		return int(a.rule - b.rule)
	case a.state != b.state:
		return int(a.state - b.state)
	case a.count != b.count:
		return int(a.count - b.count)
	}
	x, y := ctxID(a.ctx), ctxID(b.ctx)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func ctxID(c *callers) uint64 {
	if c == nil {
		return 0
	}
	return c.id
}

func appendTop(key []byte, t top) []byte {
	key = binary.LittleEndian.AppendUint32(key, uint32(t.rule))
	key = binary.LittleEndian.AppendUint32(key, uint32(t.state))
	key = binary.LittleEndian.AppendUint32(key, uint32(t.count))
	return binary.LittleEndian.AppendUint64(key, ctxID(t.ctx))
}

// callersOf interns who waits for a call.
func (e *Engine) callersOf(frames []top) *callers {
	slices.SortFunc(frames, compareTops)
	frames = slices.CompactFunc(frames, func(a, b top) bool { return a == b })
	key := e.key[:0]
	for _, t := range frames {
		key = appendTop(key, t)
	}
	e.key = key
	if c, ok := e.callers[string(key)]; ok {
		return c
	}
	e.lastID++
	c := &callers{id: e.lastID, frames: slices.Clone(frames)}
	e.callers[string(key)] = c
	e.spend(len(key) + 24*len(frames) + 64)
	return c
}

// settle makes a config of the places that a byte led to: it returns from rules
// that may end, and enters those that are called.
func (e *Engine) settle(tops []top) *config {
	complete := false
	for i := 0; i < len(tops); i++ { // returns; tops grows
		t := tops[i]
		if !e.ends(t) {
			continue
		}
		if t.ctx == nil {
			complete = true
			continue
		}
		for _, f := range t.ctx.frames {
			if !slices.Contains(tops, f) {
				tops = append(tops, f)
			}
		}
	}
	type pending struct {
		rule   int32
		frames []top
	}
	var calls []pending // by falling rank, so that the next to enter is the last
	add := func(t top) {
		for _, k := range e.g.rules[t.rule].d.states[t.state].calls {
			f := top{rule: t.rule, state: k.to, ctx: t.ctx}
			i, found := slices.BinarySearchFunc(calls, k.rule, func(p pending, rule int32) int {
				return int(e.g.rules[rule].rank - e.g.rules[p.rule].rank)
			})
			if !found {
				calls = slices.Insert(calls, i, pending{rule: k.rule})
			}
			calls[i].frames = append(calls[i].frames, f)
		}
	}
	for _, t := range tops {
		add(t)
	}
	for len(calls) > 0 {
		p := calls[len(calls)-1]
		calls = calls[:len(calls)-1]
		t := top{rule: p.rule, ctx: e.callersOf(p.frames)}
		tops = append(tops, t)
		add(t)
	}
	tops = slices.DeleteFunc(tops, func(t top) bool { return len(e.g.rules[t.rule].d.states[t.state].edges) == 0 })
	slices.SortFunc(tops, compareTops)
	return e.intern(slices.Compact(tops), complete)
}

// intern gives the one config with these tops; it copies them.
func (e *Engine) intern(tops []top, complete bool) *config {
	key := e.key[:0]
	for _, t := range tops {
		key = appendTop(key, t)
	}
	if complete {
		key = append(key, 1)
	}
	e.key = key
	if c, ok := e.configs[string(key)]; ok {
		return c
	}
	c := &config{tops: slices.Clone(tops), complete: complete, epoch: e.epoch}
	e.configs[string(key)] = c
	e.spend(len(key) + 32*len(tops) + 256)
	var plain []top
	for _, t := range tops {
		for _, g := range e.g.rules[t.rule].d.states[t.state].edges {
			for b := int(g.lo); b <= int(g.hi); b++ {
				c.first[b/64] |= 1 << (b % 64)
			}
		}
		if !e.g.rules[t.rule].terminal {
			plain = append(plain, t)
		}
	}
	if len(plain) == len(tops) && !complete {
		c.plain = c
	} else if len(plain) > 0 {
		c.plain = e.intern(plain, false)
	}
	return c
}

// step gives the config after a byte, nil if it may not come.
func (e *Engine) step(c *config, b byte) *config {
	if c.first[b/64]>>(b%64)&1 == 0 {
		return nil
	}
	i, found := slices.BinarySearchFunc(c.next, b, func(s step, b byte) int { return int(s.b) - int(b) })
	if found {
		return c.next[i].to
	}
	tops := make([]top, 0, len(c.tops)+4)
	for _, t := range c.tops {
		r := &e.g.rules[t.rule]
		s := &r.d.states[t.state]
		to := s.next(b)
		if to < 0 {
			continue
		}
		n := top{rule: t.rule, state: to, count: t.count, ctx: t.ctx}
		if r.counted && s.mark && !r.d.states[to].accept {
			if n.count++; r.max >= 0 && n.count > r.max {
				continue
			}
			if r.max < 0 {
				n.count = min(n.count, r.min) // more makes no difference
			}
		}
		if r.counted && r.d.states[to].accept && n.count < r.min {
			continue
		}
		tops = append(tops, n)
	}
	var to *config
	if len(tops) > 0 {
		to = e.settle(tops)
	}
	c.next = slices.Insert(c.next, i, step{b, to})
	e.spend(16)
	return to
}
