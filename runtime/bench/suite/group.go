package suite

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/nearest"
	"github.com/ledge-run/ledge/runtime/strictyaml"
)

// group is a set of cases: what stands at the top of the file, or an entry of cases,
// which inherits it.
type group struct {
	name                                    string
	models                                  []Model
	devices                                 []string
	threads, prompts, gens, depths, streams []int
	envs                                    []map[string]string
	context, repeat, batch, busy, rounds    int
	cache, start                            string
	quality                                 *quality
	greedy                                  *record.Greedy
	against                                 []string // names of peers; nil: all
	bars                                    map[string]Bar
	slow                                    bool

	at map[string]*yaml.Node // the keys' values, where they stand in the file
}

// quality is what is read to judge a model.
type quality struct {
	text, reference string
	context, chunks int
}

// keys are the handlers of what both the top and the entries of cases may say.
func (g *group) keys(r *reader) strictyaml.Handlers {
	g.at = map[string]*yaml.Node{}
	h := strictyaml.Handlers{
		"models":   func(n *yaml.Node) (err error) { g.models, err = r.readModels(n); return err },
		"devices":  func(n *yaml.Node) (err error) { g.devices, err = r.texts(n, true); return err },
		"threads":  r.numbersTo(&g.threads, 0, maxThreads),
		"prompt":   r.numbersTo(&g.prompts, 0, maxTokens),
		"gen":      r.numbersTo(&g.gens, 0, maxTokens),
		"depth":    r.numbersTo(&g.depths, 0, maxTokens),
		"parallel": r.numbersTo(&g.streams, 1, maxParallel),
		"context":  r.NumberTo(&g.context, 1, maxTokens),
		"repeat":   r.NumberTo(&g.repeat, 1, maxRepeat),
		"batch":    r.NumberTo(&g.batch, 1, maxBatch),
		"busy":     r.NumberTo(&g.busy, 1, maxThreads),
		"rounds":   r.NumberTo(&g.rounds, 1, 10000),
		"slow":     r.BoolTo(&g.slow),
		"start":    func(n *yaml.Node) (err error) { g.start, err = r.readStart(n); return err },
		"env":      func(n *yaml.Node) (err error) { g.envs, err = r.readEnvs(n); return err },
		"quality":  func(n *yaml.Node) (err error) { g.quality, err = r.readQuality(n); return err },
		"greedy":   func(n *yaml.Node) (err error) { g.greedy, err = r.readGreedy(n); return err },
		"bars":     func(n *yaml.Node) (err error) { g.bars, err = r.readBars(n); return err },
		"cache": func(n *yaml.Node) error {
			s, err := r.Text(n)
			if err == nil && !slices.Contains(cacheTypes, s) {
				return r.Errorf(n, "%q is no type of cache: it must be one of %s", r.Clip(s), strings.Join(cacheTypes, ", "))
			}
			g.cache = s
			return err
		},
	}
	for key, read := range h {
		h[key] = func(n *yaml.Node) error { g.at[key] = n; return read(n) }
	}
	return h
}

// says reports whether the group itself, not the top, has a key.
func (g *group) says(keys ...string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return g.at[k] != nil })
}

// entry is an empty entry of cases, which has what the top says until it says
// something else.
func (g group) entry() *group {
	g.at, g.name, g.against = nil, "", nil
	return &g
}

// divide clears what was inherited although the entry measures something else:
// speed, the start of a process and quality are cases apart.
func (g *group) divide() {
	speed := g.says("prompt", "gen", "depth", "parallel", "busy", "greedy")
	if speed && !g.says("start") || g.says("quality") && !g.says("start") {
		g.start = ""
	}
	if speed && !g.says("quality") || g.says("start") && !g.says("quality") {
		g.quality = nil
	}
	if !g.says("start", "quality") {
		return
	}
	for key, clear := range map[string]func(){
		"prompt": func() { g.prompts = nil }, "gen": func() { g.gens = nil }, "depth": func() { g.depths = nil }, "parallel": func() { g.streams = nil },
		"busy": func() { g.busy = 0 }, "greedy": func() { g.greedy = nil },
	} {
		if !g.says(key) {
			clear()
		}
	}
}

func (r *reader) readModels(n *yaml.Node) ([]Model, error) {
	nodes, err := r.list(n)
	if err != nil {
		return nil, err
	}
	var all []Model
	for _, n := range nodes {
		var m Model
		if n.Kind == yaml.MappingNode {
			err = r.Fields(n, "a model", strictyaml.Handlers{"file": r.TextTo(&m.File), "name": r.TextTo(&m.Name)})
			if err == nil && m.File == "" {
				err = r.Errorf(n, "the model has no file")
			}
		} else {
			err = r.TextTo(&m.File)(n)
		}
		if err != nil {
			return nil, err
		}
		if m.Name == "" {
			base := m.File[strings.LastIndexAny(m.File, `/\`)+1:]
			m.Name = strings.TrimSuffix(base, ".gguf")
		}
		if slices.ContainsFunc(all, func(o Model) bool { return o.Name == m.Name }) {
			return nil, r.Errorf(n, "two models are called %s: give one another name, as {file: ..., name: ...}", r.Clip(m.Name))
		}
		all = append(all, m)
	}
	return all, nil
}

// readEnvs reads one set of variables or a list of them; each is measured apart.
func (r *reader) readEnvs(n *yaml.Node) ([]map[string]string, error) {
	nodes, err := r.list(n)
	if err != nil {
		return nil, err
	}
	var all []map[string]string
	for _, n := range nodes {
		m, err := r.pairs(n, "env")
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// readStart reads a prompt, or true for the usual one.
func (r *reader) readStart(n *yaml.Node) (string, error) {
	s, err := r.Text(n)
	switch {
	case err != nil:
		return "", err
	case n.Tag == "!!bool" && s == "true":
		return DefaultStart, nil
	case strings.TrimSpace(s) == "" || n.Tag == "!!bool":
		return "", r.Errorf(n, "start is a prompt, or true for %q", DefaultStart)
	}
	return s, nil
}

func (r *reader) readQuality(n *yaml.Node) (*quality, error) {
	q := &quality{context: 512}
	err := r.Fields(n, "quality", strictyaml.Handlers{
		"text": r.TextTo(&q.text), "reference": r.TextTo(&q.reference), "context": r.NumberTo(&q.context, minChunk, maxTokens), "chunks": r.NumberTo(&q.chunks, 1, maxTokens),
	})
	if err == nil && q.text == "" {
		return nil, r.Errorf(n, "quality needs a text: the file that is read")
	}
	return q, err
}

func (r *reader) readGreedy(n *yaml.Node) (*record.Greedy, error) {
	g := &record.Greedy{Prompt: DefaultStart, Tokens: 32}
	return g, r.Fields(n, "greedy", strictyaml.Handlers{"prompt": r.TextTo(&g.Prompt), "tokens": r.NumberTo(&g.Tokens, 1, maxGreedy)})
}

// readAgainst reads the names of peers in an entry of cases; "none" is none.
func (r *reader) readAgainst(s *Suite, n *yaml.Node) ([]string, error) {
	names, err := r.texts(n, true)
	if err != nil || len(names) == 1 && names[0] == "none" {
		return []string{}, err
	}
	var known []string
	for _, p := range s.Peers {
		known = append(known, p.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, r.Errorf(n, "no peer is called %q%s; peers: %s", r.Clip(name), nearest.Hint(r.Clip(name), known), strings.Join(known, ", "))
		}
	}
	return names, nil
}
