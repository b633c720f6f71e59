package suite

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/nearest"
	"github.com/ledge-run/ledge/runtime/strictyaml"
)

// Peer is another engine, measured in the same rounds as Ledge.
type Peer struct {
	Name    string
	Kind    Kind
	Program string            // of LlamaBench and OtherLedge; a folder's llama-bench
	Command []string          // of Command, with {placeholders}
	Args    []string          // added to Program's
	Figures map[string]Source // of Command: where its JSON has them
	Env     map[string]string
	Devices []string      // on which it is measured; none: all
	Timeout time.Duration // of a process; 0: the suite's
	Version string        // as the file says it
}

// Kind is how a peer is asked.
type Kind int

const (
	LlamaBench Kind = iota // llama.cpp's llama-bench, and llama-batched-bench beside it
	OtherLedge             // another build of ledge or ledge-bench
	Command                // any command
)

// Source is where a command's output has a figure.
type Source struct {
	Path  string  // "runs.0.tps": keys and places in lists, divided by dots; * is every entry
	Scale float64 // what the number is multiplied with; never 0
}

// Placeholders are the names that a command may have in braces.
var Placeholders = []string{"model", "threads", "prompt", "gen", "depth", "parallel", "context", "device", "repeat", "text"}

// resolve makes the peer's paths whole.
func (p *Peer) resolve(s *Suite) {
	p.Program = s.program(p.Program)
	if len(p.Command) > 0 {
		p.Command[0] = s.program(p.Command[0])
	}
}

// takes reports whether a peer can be asked for a case.
func (p *Peer) takes(c *Case) bool {
	set := c.Settings
	if len(p.Devices) > 0 && !slices.Contains(p.Devices, set.Device) {
		return false
	}
	switch p.Kind {
	case OtherLedge:
		return true
	case LlamaBench:
		return set.Quality == nil
	}
	uses := func(name string) bool {
		return slices.ContainsFunc(p.Command, func(a string) bool { return strings.Contains(a, "{"+name+"}") })
	}
	_, prefill := p.Figures[record.Prefill]
	_, decode := p.Figures[record.Decode]
	switch {
	case set.Start != "":
		return uses("text")
	case set.Quality != nil:
		_, has := p.Figures[record.Perplexity]
		return has
	case uses("text") || set.Depth > 0 && !uses("depth") || set.Parallel > 1 && !uses("parallel"):
		return false
	}
	return set.Prompt > 0 && prefill || set.Gen > 0 && decode
}

func (r *reader) readPeers(n *yaml.Node) ([]Peer, error) {
	if n.Kind != yaml.MappingNode {
		return nil, r.Errorf(n, "peers are written as NAME: {llama-bench: path}, not as %s", r.What(n))
	}
	var all []Peer
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		p, err := r.readPeer(key, strictyaml.Value(n.Content[i+1]))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(o Peer) bool { return o.Name == p.Name }) {
			return nil, r.Errorf(key, "two peers are called %s", r.Clip(p.Name))
		}
		all = append(all, p)
	}
	return all, nil
}

func (r *reader) readPeer(key, n *yaml.Node) (Peer, error) {
	p := Peer{Name: key.Value}
	if err := r.TextTo(&p.Name)(key); err != nil {
		return p, err
	}
	if p.Name == record.Ledge || p.Name == "none" {
		return p, r.Errorf(key, "no peer can be called %s: give another name", p.Name)
	}
	var ways []string
	way := func(name string, kind Kind, read func(*yaml.Node) error) func(*yaml.Node) error {
		return func(n *yaml.Node) error {
			ways, p.Kind = append(ways, name), kind
			return read(n)
		}
	}
	at := map[string]*yaml.Node{}
	known := strictyaml.Handlers{
		"llama-bench": way("llama-bench", LlamaBench, r.TextTo(&p.Program)),
		"ledge":       way("ledge", OtherLedge, r.TextTo(&p.Program)),
		"command":     way("command", Command, func(n *yaml.Node) (err error) { p.Command, err = r.readCommand(n); return err }),
		"args":        func(n *yaml.Node) (err error) { p.Args, err = r.texts(n, false); return err },
		"figures":     func(n *yaml.Node) (err error) { p.Figures, err = r.readSources(n); return err },
		"env":         func(n *yaml.Node) (err error) { p.Env, err = r.pairs(n, "env"); return err },
		"devices":     func(n *yaml.Node) (err error) { p.Devices, err = r.texts(n, true); return err },
		"timeout":     func(n *yaml.Node) (err error) { p.Timeout, err = r.duration(n); return err },
		"version":     r.TextTo(&p.Version),
	}
	for k, read := range known {
		known[k] = func(n *yaml.Node) error { at[k] = n; return read(n) }
	}
	if err := r.Fields(n, "a peer", known); err != nil {
		return p, err
	}
	switch {
	case len(ways) == 0:
		return p, r.Errorf(n, "peer %s says not how it is run: llama-bench, ledge or command", r.Clip(p.Name))
	case len(ways) > 1:
		return p, r.Errorf(n, "peer %s is run in two ways, %s: say one", r.Clip(p.Name), strings.Join(ways, " and "))
	case p.Kind == Command && len(p.Args) > 0:
		return p, r.Errorf(at["args"], "args belong to llama-bench; write them into the command")
	case p.Kind == OtherLedge && len(p.Args) > 0:
		return p, r.Errorf(at["args"], "another Ledge is asked as Ledge is: it takes env, not args")
	case p.Kind != Command && p.Figures != nil:
		return p, r.Errorf(at["figures"], "figures belong to a command: what %s prints is known", ways[0])
	}
	return p, nil
}

// readCommand reads the words of a command and looks at its placeholders.
func (r *reader) readCommand(n *yaml.Node) ([]string, error) {
	if n.Kind == yaml.ScalarNode && strings.ContainsAny(n.Value, " \t") {
		return nil, r.Errorf(n, "a command is a list of words, [program, -m, \"{model}\"]: no shell divides it")
	}
	words, err := r.texts(n, false)
	if err != nil {
		return nil, err
	}
	if words[0] == "" {
		return nil, r.Errorf(n, "the command has no program")
	}
	for _, w := range words {
		for _, name := range braces(w) {
			if !slices.Contains(Placeholders, name) {
				return nil, r.Errorf(n, "{%s} stands for nothing%s; there are {%s}", r.Clip(name), nearest.Hint(r.Clip(name), Placeholders), strings.Join(Placeholders, "} {"))
			}
		}
	}
	return words, nil
}

// braces lists the names of small letters that stand in braces.
func braces(w string) []string {
	var names []string
	for {
		_, after, ok := strings.Cut(w, "{")
		if !ok {
			return names
		}
		name, _, ok := strings.Cut(after, "}")
		if ok && name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") == "" {
			names = append(names, name)
		}
		w = after
	}
}

// readSources reads where a command's JSON has its figures.
func (r *reader) readSources(n *yaml.Node) (map[string]Source, error) {
	if n.Kind != yaml.MappingNode {
		return nil, r.Errorf(n, "figures are written as FIGURE: path, not as %s", r.What(n))
	}
	all := map[string]Source{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], strictyaml.Value(n.Content[i+1])
		if !slices.Contains(record.Names(), key.Value) {
			return nil, r.Errorf(key, "no figure is called %q%s; figures: %s", r.Clip(key.Value), nearest.Hint(r.Clip(key.Value), record.Names()), strings.Join(record.Names(), ", "))
		}
		s := Source{Scale: 1}
		var err error
		if v.Kind == yaml.MappingNode {
			err = r.Fields(v, "a figure", strictyaml.Handlers{"path": r.TextTo(&s.Path), "scale": func(n *yaml.Node) (err error) { s.Scale, err = r.positive(n); return err }})
			if err == nil && s.Path == "" {
				err = r.Errorf(v, "the figure has no path")
			}
		} else {
			err = r.TextTo(&s.Path)(v)
		}
		if err != nil {
			return nil, err
		}
		if _, twice := all[key.Value]; twice {
			return nil, r.Errorf(key, "%s is said twice", key.Value)
		}
		all[key.Value] = s
	}
	return all, nil
}

// Needs are the files that a peer cannot do without.
func (p *Peer) Needs(c *Case) string {
	switch p.Kind {
	case Command:
		return p.Command[0]
	case LlamaBench:
		if c.Settings.Parallel > 1 {
			return filepath.Join(p.folder(), "llama-batched-bench")
		}
		if base(p.Program) == "llama-bench" {
			return p.Program
		}
		return filepath.Join(p.folder(), "llama-bench")
	}
	return p.Program
}

// folder is where llama.cpp's programs lie.
func (p *Peer) folder() string {
	if base(p.Program) == "llama-bench" {
		return filepath.Dir(p.Program)
	}
	return p.Program
}

// Variables are the peer's environment in a fixed order.
func (p *Peer) Variables() []string {
	var env []string
	for _, k := range slices.Sorted(maps.Keys(p.Env)) {
		env = append(env, k+"="+p.Env[k])
	}
	return env
}

// base is a program's name.
func base(program string) string { return strings.TrimSuffix(filepath.Base(program), ".exe") }
