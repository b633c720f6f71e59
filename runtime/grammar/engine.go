package grammar

import "sync"

// Engine binds a grammar to a vocabulary and keeps what it has found out, for any
// number of matchers at once.
type Engine struct {
	g *Grammar
	v *Vocabulary

	mu      sync.Mutex
	configs map[string]*config
	callers map[string]*callers
	start   *config
	key     []byte // scratch, as are ids and the walker
	ids     []int32
	walker  walker
	bounded bool // some rule has a maximum of characters
	lastID  uint64
	spent   int // bytes in the caches, roughly
	epoch   uint32
	walked  []*dfa // whose walks are kept
	budget  int
}

// cacheBytes bounds what an Engine keeps.
const cacheBytes = 64 << 20

// NewEngine binds a finished grammar to a vocabulary.
func NewEngine(g *Grammar, v *Vocabulary) *Engine {
	e := &Engine{g: g.fork(), v: v, budget: cacheBytes}
	for i := range g.rules {
		e.bounded = e.bounded || g.rules[i].counted && g.rules[i].max >= 0
	}
	e.forget()
	return e
}

// fork gives the grammar automata of its own to note walks in.
func (g *Grammar) fork() *Grammar {
	f := &Grammar{rules: append([]rule(nil), g.rules...), root: g.root, states: g.states}
	own := map[*dfa]*dfa{}
	for i := range f.rules {
		d := f.rules[i].d
		if own[d] == nil {
			own[d] = &dfa{states: d.states, walks: make([]*walk, len(d.states))}
		}
		f.rules[i].d = own[d]
	}
	return f
}

// forget empties the caches. Matchers go on with what they hold, and find their
// place in the new ones: see Matcher.renew.
func (e *Engine) forget() {
	e.epoch++
	e.spent = 0
	e.configs, e.callers = map[string]*config{}, map[string]*callers{}
	for _, d := range e.walked {
		clear(d.walks)
	}
	e.walked = nil
	e.start = e.settle([]top{{rule: e.g.root}})
}

// spend accounts for memory. The caches are emptied between two calls only.
func (e *Engine) spend(bytes int) { e.spent += bytes }

// walk gives, cached, what the vocabulary's trie says of a state.
func (e *Engine) walk(d *dfa, state int32) *walk {
	if w := d.walks[state]; w != nil {
		return w
	}
	w := e.walker.walkFrom(e.v, d, state, e.bounded)
	d.walks[state] = w
	e.walked = append(e.walked, d)
	e.spend(w.bytes())
	return w
}

// collect appends the tokens of the trie that go on from a config at a node.
func (e *Engine) collect(ids []int32, n int32, c *config) []int32 {
	v := e.v
	for p, end := n+1, v.nodes[n].skip; p < end; p = v.nodes[p].skip {
		to := e.step(c, v.nodes[p].b)
		if to == nil {
			continue
		}
		ids = append(ids, v.at(p)...)
		if v.nodes[p].skip > p+1 {
			ids = e.collect(ids, p, to)
		}
	}
	return ids
}

// mask sets the bits of what may come next.
func (e *Engine) mask(c *config, allowed []uint64) {
	if p := c.plain; p != nil {
		if p.set == nil {
			e.ids = e.collect(e.ids[:0], 0, p)
			s := makeSet(e.ids, e.v.size)
			p.set = &s
			e.spend(s.bytes())
		}
		p.set.addTo(allowed)
	}
	for _, t := range c.tops {
		if e.g.rules[t.rule].terminal {
			e.maskRule(t, allowed)
		}
	}
	if c.complete {
		setBits(allowed, e.v.end)
	}
}

// maskRule is mask for a place in a rule without calls.
func (e *Engine) maskRule(t top, allowed []uint64) {
	r := &e.g.rules[t.rule]
	w := e.walk(r.d, t.state)
	room, need := int32(-1), int32(0)
	if r.counted {
		if need = r.min - t.count; r.max >= 0 {
			room = r.max - t.count
		}
	}
	w.allowed(room).addTo(allowed)
	after := e.popped(t.ctx)
	if need <= 0 && (room < 0 || room >= w.farthest) {
		s := after.behind[w]
		if s == nil {
			made := makeSet(e.exits(w, after, 0, -1), e.v.size)
			if s = &made; after.behind == nil {
				after.behind = map[*walk]*tokenSet{}
			}
			after.behind[w] = s
			e.spend(s.bytes() + 48)
		}
		s.addTo(allowed)
		return
	}
	setBits(allowed, e.exits(w, after, need, room))
}

// exits lists the tokens that leave a rule with need to room more characters and go
// on behind it; the list is good until the next.
func (e *Engine) exits(w *walk, after *config, need, room int32) []int32 {
	ids := e.ids[:0]
	for _, x := range w.exits {
		if x.count < need || room >= 0 && x.count > room {
			continue
		}
		ids = append(ids, e.v.at(x.node)...)
		if e.v.nodes[x.node].skip > x.node+1 {
			ids = e.collect(ids, x.node, after)
		}
	}
	e.ids = ids
	return ids
}

// popped is the config behind the end of a rule.
func (e *Engine) popped(ctx *callers) *config {
	if ctx == nil {
		return e.intern(nil, true)
	}
	if ctx.popped == nil || ctx.popped.epoch != e.epoch {
		ctx.popped = e.settle(append([]top(nil), ctx.frames...))
	}
	return ctx.popped
}

// SetBudget sets how many bytes the engine keeps before it empties its caches; the
// default is 64 MiB.
func (e *Engine) SetBudget(bytes int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.budget = bytes
}
