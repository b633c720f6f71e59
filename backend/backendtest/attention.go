package backendtest

import (
	"fmt"
	"slices"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// attnCase are the parameters of an attention layer under test.
type attnCase struct {
	kvHeads, group int
	keyDim, valDim int // valDim 0: keyDim
	cache          dtype.DType
	window         int
	softCap        float32
	mask           graph.MaskKind
	steps          []step

	fused        bool // by rope_cache instead of cache_write
	rope         graph.RopeAttr
	qNorm, kNorm bool
	factors      bool
}

// decode is a prompt, single tokens after it, and a chunk.
var decode = []step{
	prompt(1),
	prompt(17),
	{segs: []seg{{0, 17, 1}}},
	{segs: []seg{{0, 18, 5}}},
}

// long crosses pages (64) and splits (256) at odd places.
var long = []step{
	prompt(63),
	{segs: []seg{{0, 63, 1}}},
	{segs: []seg{{0, 64, 65}}},
	{segs: []seg{{0, 129, 65}}},
	{segs: []seg{{0, 194, 61}}}, // 255
	{segs: []seg{{0, 255, 1}}},
	{segs: []seg{{0, 256, 1}}},
	{segs: []seg{{0, 257, 65}}},
	{segs: []seg{{0, 322, 65}}},
	{segs: []seg{{0, 387, 65}}},
	{segs: []seg{{0, 452, 59}}},
	{segs: []seg{{0, 511, 3}}}, // 511 to 513
}

// several are batches of three users, prompts and single tokens mixed.
var several = []step{
	{segs: []seg{{0, 0, 5}, {1, 0, 1}, {2, 0, 33}}},
	{segs: []seg{{2, 33, 1}, {0, 5, 1}, {1, 1, 1}}},
	{segs: []seg{{1, 2, 40}, {0, 6, 1}}},
	{segs: []seg{{0, 7, 1}, {1, 42, 1}, {2, 34, 31}}},
}

// empty are batches with segments without rows before, between and after others, as many
// of them as make the number of the last one with rows what it is where each has one row.
var empty = []step{
	{segs: []seg{{1, 0, 0}, {0, 0, 2}}},
	{segs: []seg{{0, 2, 3}, {1, 0, 0}, {0, 5, 0}, {1, 0, 0}, {2, 0, 2}}},
	{segs: []seg{{2, 2, 0}, {0, 5, 3}, {1, 0, 0}, {1, 0, 0}, {1, 0, 0}, {2, 2, 3}, {0, 8, 0}}},
	{segs: append(slices.Repeat([]seg{{1, 0, 0}}, 18), seg{0, 8, 19}, seg{1, 0, 0})},
	{segs: []seg{{1, 0, 0}, {0, 27, 1}, {2, 5, 1}}},
}

func attentionCases() []opCase {
	var cases []attnCase
	for _, cache := range []dtype.DType{dtype.F16, dtype.F32, dtype.Q8_0} {
		for _, size := range []int{16, 32, 64, 80, 96, 128, 256} {
			cases = append(cases, attnCase{kvHeads: 2, group: 2, keyDim: size, cache: cache, steps: decode})
		}
		for group := 1; group <= 8; group++ {
			cases = append(cases, attnCase{kvHeads: 1 + group%3, group: group, keyDim: 32, cache: cache, steps: several})
		}
		for _, window := range []int{0, 1, 7, 64, 300} {
			cases = append(cases,
				attnCase{kvHeads: 1, group: 3, keyDim: 16, cache: cache, window: window, steps: long},
				attnCase{kvHeads: 2, group: 1, keyDim: 16, cache: cache, window: window, mask: graph.Bidirectional, steps: several, softCap: 20},
			)
		}
		cases = append(cases,
			attnCase{kvHeads: 1, group: 1, keyDim: 16, cache: cache, steps: long, softCap: 5},
			attnCase{kvHeads: 9, group: 1, keyDim: 24, cache: cache, steps: several},
			attnCase{kvHeads: 3, group: 5, keyDim: 48, valDim: 32, cache: cache, steps: several},
			attnCase{kvHeads: 2, group: 2, keyDim: 10, valDim: 7, cache: cache, steps: decode},
			attnCase{kvHeads: 1, group: 4, keyDim: 64, cache: cache, steps: long, mask: graph.Bidirectional},
		)
	}
	var all []opCase
	for _, c := range cases {
		all = append(all, c.build())
	}
	for _, mode := range []graph.RopeMode{graph.RopePairs, graph.RopeHalves} {
		for _, size := range []int{16, 64, 80, 96} {
			for i, dims := range []int{size, size / 2} {
				all = append(all, attnCase{
					kvHeads: 2, group: 3, keyDim: size, cache: dtype.F16, steps: several, fused: true,
					rope: graph.RopeAttr{Mode: mode, Dims: dims, Base: 10000}, qNorm: i == 0, kNorm: i == 0 || size == 64, factors: i == 1,
				}.build())
			}
		}
		all = append(all,
			attnCase{kvHeads: 1, group: 2, keyDim: 32, valDim: 20, cache: dtype.F32, steps: long, fused: true, window: 100,
				rope: graph.RopeAttr{Mode: mode, Dims: 32, Base: 1e6, Scaling: graph.RopeYarn, Factor: 4, OrigCtx: 128, BetaFast: 32, BetaSlow: 1, Ext: 1}}.build(),
		)
	}
	c := attnCase{kvHeads: 2, group: 4, keyDim: 64, cache: dtype.F16, steps: empty}.build()
	c.name, c.always = c.name+"-empty", true
	return append(all, c)
}

func (c attnCase) build() opCase {
	if c.valDim == 0 {
		c.valDim = c.keyDim
	}
	if c.mask == "" {
		c.mask = graph.Causal
	}
	op, heads := graph.OpAttention, c.kvHeads*c.group
	name := fmt.Sprintf("%s-%dx%d-k%d-v%d", c.cache, c.kvHeads, c.group, c.keyDim, c.valDim)
	if c.window > 0 {
		name += fmt.Sprintf("-window%d", c.window)
	}
	if c.softCap > 0 {
		name += "-cap"
	}
	if c.mask != graph.Causal {
		name += "-" + string(c.mask)
	}
	if c.fused {
		op = graph.OpRopeCache
		name += fmt.Sprintf("-%s-%d", c.rope.Mode, c.rope.Dims)
	}
	most, pages := 0, 0
	for _, s := range c.steps {
		most = max(most, s.rows())
		for _, g := range s.segs {
			pages = max(pages, (g.start+g.rows+63)/64)
		}
	}
	b := graph.NewBuilder(name, graph.Limits{T: most, S: 3, P: pages})
	b.State(graph.StateDecl{Name: "kv", Kind: graph.Paged, KVHeads: c.kvHeads, KeyDim: c.keyDim, ValueDim: c.valDim, DType: c.cache})
	attr := graph.AttentionAttr{State: "kv", Scale: 0.3, SoftCap: c.softCap, Window: c.window, Mask: c.mask}
	if c.fused {
		b.Output("y", c.ropeCache(b, heads, attr))
	} else {
		q := b.Input("q", graph.F32(T, C(heads), C(c.keyDim)))
		k := b.Input("k", graph.F32(T, C(c.kvHeads), C(c.keyDim)))
		v := b.Input("v", graph.F32(T, C(c.kvHeads), C(c.valDim)))
		b.Output("y", b.Attention(q, b.CacheWrite(k, v, "kv"), attr))
	}
	g, err := b.Graph()
	if err != nil {
		panic(fmt.Sprintf("backendtest: %s: %v", name, err))
	}
	bound := 1e-10
	if c.cache == dtype.F16 {
		bound = 1e-7
	} else if c.cache != dtype.F32 {
		bound = 1e-4
	}
	return opCase{op: op, name: name, graph: g, steps: c.steps, bound: bound}
}

// ropeCache makes the fused form: columns in the order v, k, q with a gap, so
// that offsets matter.
func (c attnCase) ropeCache(b *graph.Builder, heads int, attr graph.AttentionAttr) *graph.Node {
	nq, nk, nv := heads*c.keyDim, c.kvHeads*c.keyDim, c.kvHeads*c.valDim
	a := graph.RopeCacheAttr{
		Rope: c.rope, State: "kv", Heads: heads, VOff: 0, KOff: nv + 3, QOff: nv + nk + 3,
		QNorm: c.qNorm, KNorm: c.kNorm, Factors: c.factors,
	}
	in := []*graph.Node{b.Input("x", graph.F32(T, C(nq+nk+nv+3))), b.Input("pos", graph.I32(T))}
	for _, w := range []struct {
		on   bool
		name string
		size int
	}{{c.qNorm, "qn", c.keyDim}, {c.kNorm, "kn", c.keyDim}, {c.factors, "factors", c.rope.Dims / 2}} {
		if w.on {
			in = append(in, b.Weight(w.name, dtype.F32, w.size))
		}
	}
	if c.qNorm || c.kNorm {
		a.Eps = 1e-6
	}
	w := b.Add(graph.OpRopeCache, a, in...)
	return b.Attention(w, w, attr)
}
