package suite

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/runtime/bench/record"
)

// expand adds the cases of an entry, or of the top itself if n is nil.
func (r *reader) expand(s *Suite, top *group, n, root *yaml.Node) error {
	g, at := top, root
	if n != nil {
		g, at = top.entry(), n
		known := g.keys(r)
		known["name"] = r.TextTo(&g.name)
		known["peers"] = func(n *yaml.Node) (err error) {
			g.at["peers"] = n
			g.against, err = r.readAgainst(s, n)
			return err
		}
		if err := r.Fields(n, "an entry of cases", known); err != nil {
			return err
		}
		g.divide()
	}
	if strings.ContainsAny(g.name, "/ \t\n") {
		return r.Errorf(at, "name %q: it becomes a part of identifiers, and must have neither spaces nor slashes", r.Clip(g.name))
	}
	if err := r.possible(s, g, at); err != nil {
		return err
	}
	all, err := r.product(g, at)
	if err != nil {
		return err
	}
	for i, c := range all {
		c.Group, c.Bars, c.Slow, c.Rounds = g.name, g.bars, g.slow, cmp.Or(g.rounds, s.Rounds)
		if q := g.quality; q != nil {
			c.Text = s.Path(q.text)
			c.Settings.Quality = &record.Quality{Text: filepath.Base(c.Text), Context: q.context, Chunks: q.chunks}
			if q.reference != "" {
				c.Reference = s.Path(q.reference)
				c.Settings.Quality.Reference = filepath.Base(c.Reference)
			}
		}
		c.ID = c.identifier()
		for _, p := range s.Peers {
			if (g.against == nil || slices.Contains(g.against, p.Name)) && p.takes(&c) {
				c.Peers = append(c.Peers, p.Name)
			}
		}
		all[i] = c
		if other, ok := s.Case(c.ID); ok {
			return r.Errorf(at, "the case %s is there twice: give one of the entries that ask for it another name%s", c.ID, named(other.Group))
		}
		if s.Cases = append(s.Cases, c); len(s.Cases) > maxCases {
			return r.Errorf(at, "there are more than %d cases", maxCases)
		}
	}
	return r.reachable(g, all)
}

func named(group string) string {
	if group == "" {
		return ""
	}
	return " than " + group
}

// possible explains combinations that make no sense.
func (r *reader) possible(s *Suite, g *group, at *yaml.Node) error {
	where := func(keys ...string) *yaml.Node {
		for _, k := range keys {
			if n := g.at[k]; n != nil {
				return n
			}
		}
		return at
	}
	if len(g.models) == 0 {
		return r.Errorf(at, "there are no models: models: [path/to/model.gguf]")
	}
	lengths := slices.Concat(g.prompts, g.gens, g.depths)
	switch {
	case g.start != "" && g.quality != nil:
		return r.Errorf(where("quality", "start"), "start and quality are measured apart: make two entries of cases")
	case g.start != "" && (len(lengths) > 0 || len(g.streams) > 0 || g.busy > 0 || g.greedy != nil):
		return r.Errorf(where("start", "prompt", "gen"), "start measures a whole process with a prompt of its own: prompt, gen, depth, parallel, busy and greedy belong into another entry of cases")
	case g.quality != nil && (len(lengths) > 0 || len(g.streams) > 0 || g.busy > 0 || g.greedy != nil || g.context > 0):
		return r.Errorf(where("quality", "prompt", "gen"), "quality reads a text in chunks of its own context: prompt, gen, depth, parallel, busy, greedy and context belong into another entry of cases")
	case g.start == "" && g.quality == nil && len(g.prompts) == 0 && len(g.gens) == 0:
		g.prompts, g.gens = []int{DefaultPrompt}, []int{DefaultGen}
	}
	if g.start != "" || g.quality != nil {
		return nil
	}
	if g.busy > 0 && !slices.ContainsFunc(g.gens, func(n int) bool { return n > 0 }) {
		return r.Errorf(where("busy"), "busy slows generation down, and gen is 0")
	}
	if g.context > 0 {
		for _, l := range pair(g.prompts, g.gens) {
			for _, d := range orZero(g.depths) {
				if need := d + max(l[0], l[1]); need > g.context {
					return r.Errorf(where("context"), "a depth of %d and %d tokens more need a context of %d", d, max(l[0], l[1]), need)
				}
			}
		}
	}
	return nil
}

// reachable sees to it that the bars of an entry are held against something: that
// one of its cases at least measures the figure, and has a peer for a ratio.
func (r *reader) reachable(g *group, all []Case) error {
	n := g.at["bars"]
	if n == nil {
		return nil // those of the top are for whom they fit
	}
	for _, name := range slices.Sorted(maps.Keys(g.bars)) {
		has := func(c Case) bool { return slices.Contains(c.Figures(), name) }
		if !slices.ContainsFunc(all, has) {
			return r.Errorf(n, "there is a bar for %s, which these cases do not measure; they measure %s", name, strings.Join(all[0].Figures(), ", "))
		}
		if g.bars[name].Ratio > 0 && !slices.ContainsFunc(all, func(c Case) bool { return has(c) && len(c.Peers) > 0 }) {
			return r.Errorf(n, "the bar for %s is a ratio, and these cases have no peer", name)
		}
	}
	return nil
}

// pair puts lengths of prompts and generations together: each is measured once, so
// that lists stand side by side instead of being multiplied.
func pair(prompts, gens []int) [][2]int {
	all := make([][2]int, max(len(prompts), len(gens)))
	for i := range all {
		if i < len(prompts) {
			all[i][0] = prompts[i]
		}
		if i < len(gens) {
			all[i][1] = gens[i]
		}
	}
	return slices.DeleteFunc(all, func(l [2]int) bool { return l[0]+l[1] == 0 })
}

func orZero(x []int) []int {
	if len(x) == 0 {
		return []int{0}
	}
	return x
}

// product is every combination of the group's lists.
func (r *reader) product(g *group, at *yaml.Node) ([]Case, error) {
	devices, envs, lengths := g.devices, g.envs, pair(g.prompts, g.gens)
	if len(devices) == 0 {
		devices = []string{""}
	}
	if len(envs) == 0 {
		envs = []map[string]string{nil}
	}
	if g.start != "" || g.quality != nil {
		lengths = [][2]int{{}}
	}
	context := g.context
	if g.start != "" && context == 0 {
		context = DefaultContext
	}
	if len(lengths) == 0 {
		return nil, r.Errorf(at, "nothing is measured: prompt and gen are both 0")
	}
	threads, depths, streams := orZero(g.threads), orZero(g.depths), orZero(g.streams)
	if n := uint64(len(g.models)*len(devices)) * uint64(len(threads)*len(depths)) * uint64(len(streams)*len(envs)) * uint64(len(lengths)); n > maxCases {
		return nil, r.Errorf(at, "these lists are %d cases; %d are the most", n, maxCases)
	}
	var all []Case
	for _, m := range g.models {
		for _, device := range devices {
			for _, env := range envs {
				for _, t := range threads {
					for _, x := range streams {
						for _, d := range depths {
							for _, l := range lengths {
								all = append(all, Case{Model: m, Settings: record.Settings{
									Device: device, Threads: t, Prompt: l[0], Gen: l[1], Depth: d, Parallel: x, Context: context, Repeat: max(1, g.repeat),
									Batch: g.batch, Cache: g.cache, Busy: g.busy, Start: g.start, Greedy: g.greedy, Env: env,
								}})
							}
						}
					}
				}
			}
		}
	}
	return all, nil
}

// identifier is made of what the case fixes, so that it stays the same when the file
// gets longer.
func (c *Case) identifier() string {
	set := c.Settings
	parts := []string{c.Group, strings.ReplaceAll(c.Model.Name, "/", "-"), set.Device}
	if set.Threads > 0 {
		parts = append(parts, fmt.Sprintf("t%d", set.Threads))
	}
	parts = append(parts, TestName(set))
	if set.Context > 0 {
		parts = append(parts, fmt.Sprintf("c%d", set.Context))
	}
	parts = append(parts, set.Cache)
	if set.Batch > 0 {
		parts = append(parts, fmt.Sprintf("b%d", set.Batch))
	}
	for _, k := range slices.Sorted(maps.Keys(set.Env)) {
		parts = append(parts, k+"="+set.Env[k])
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	for i, p := range parts {
		parts[i] = strings.Join(strings.Fields(p), "-")
	}
	return strings.Join(parts, "/")
}

// TestName says what is measured, lengths as llama-bench writes them.
func TestName(set record.Settings) string {
	switch {
	case set.Start != "":
		return "start"
	case set.Quality != nil:
		s := fmt.Sprintf("quality-c%d", set.Quality.Context)
		if set.Quality.Chunks > 0 {
			s += fmt.Sprintf("x%d", set.Quality.Chunks)
		}
		return s + "-" + set.Quality.Text
	}
	s := strings.ReplaceAll(set.Test(), " ", "") // a part of identifiers
	if set.Busy > 0 {
		s += fmt.Sprintf("-busy%d", set.Busy)
	}
	return s
}

// Figures lists what Ledge measures in the case, as reports order it; energy where
// the machine measures it.
func (c *Case) Figures() []string {
	has := map[string]bool{record.Load: true, record.PeakMemory: true, record.Wall: true, record.CPUTime: true}
	set := c.Settings
	switch {
	case set.Start != "":
		has[record.FirstToken] = true
	case set.Quality != nil:
		has[record.Perplexity] = true
		has[record.KL], has[record.TopOne] = c.Reference != "", c.Reference != ""
	default:
		has[record.Prefill], has[record.Decode], has[record.Kept] = set.Prompt > 0, set.Gen > 0, set.Busy > 0
		for _, f := range []string{record.TokenP50, record.TokenP95, record.TokenP99} {
			has[f] = set.Gen > 0
		}
		for _, f := range []string{record.Joules, record.TokensPerJ, record.Watts} {
			has[f] = true
		}
	}
	return slices.DeleteFunc(record.Names(), func(f string) bool { return !has[f] })
}
