package runner

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/runtime/bench/process"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
)

// command is any program that prints its figures as JSON.
type command struct {
	peer *suite.Peer
	hash *hashes
}

func (m *command) identity(c *suite.Case) (record.Engine, error) {
	path, err := found(m.peer.Command[0])
	if err != nil {
		return record.Engine{}, err
	}
	sum, err := m.hash.of(path)
	words := append([]string{path}, fill(m.peer.Command[1:], c, input{model: "MODEL"})...)
	return record.Engine{Name: m.peer.Name, Version: m.peer.Version, SHA256: sum, Args: short(words)}, err
}

// fill puts a case's settings in place of {names}.
func fill(words []string, c *suite.Case, in input) []string {
	set := c.Settings
	n := strconv.Itoa
	replace := strings.NewReplacer("{model}", in.model, "{threads}", n(set.Threads), "{prompt}", n(set.Prompt), "{gen}", n(set.Gen), "{depth}", n(set.Depth),
		"{parallel}", n(max(1, set.Parallel)), "{context}", n(max(set.Context, set.Depth+max(set.Prompt, set.Gen))), "{device}", set.Device,
		"{repeat}", n(max(1, set.Repeat)), "{text}", cmp.Or(set.Start, c.Text))
	out := slices.Clone(words)
	for i := range out {
		out[i] = replace.Replace(out[i])
	}
	return out
}

func (m *command) measure(ctx context.Context, c *suite.Case, in input, r *record.Run) error {
	path, err := found(m.peer.Command[0])
	if err != nil {
		return err
	}
	run := process.Command{Path: path, Args: fill(m.peer.Command[1:], c, in), Env: m.peer.Variables(), Timeout: cmp.Or(m.peer.Timeout, in.timeout)}
	times := 1
	if c.Settings.Start != "" {
		times = c.Settings.Repeat + 1
	}
	var all []process.Result
	for i := range times {
		p, err := process.Run(ctx, run)
		if err != nil {
			return err
		}
		if i == 0 && times > 1 {
			continue // the first one finds the file's pages cold
		}
		all = append(all, p)
	}
	if c.Settings.Start == "" {
		if err := figuresOf(all[0].Stdout, m.peer.Figures, c, r); err != nil {
			return err
		}
	}
	processFigures(r, all)
	return nil
}

// figuresOf reads a command's figures. Those that the case does not ask for are left
// out: a program may print them all the same.
func figuresOf(out []byte, sources map[string]suite.Source, c *suite.Case, r *record.Run) error {
	root, err := parseJSON(out)
	if err != nil {
		return err
	}
	asked := c.Figures()
	for _, name := range record.Names() {
		s, ok := sources[name]
		if !ok || !slices.Contains(asked, name) {
			continue
		}
		var samples []float64
		if err := collect(root, strings.Split(s.Path, "."), &samples); err != nil {
			return fmt.Errorf("no figure for %s at %s: %w", name, s.Path, err)
		}
		for i := range samples {
			samples[i] *= s.Scale
			if err := plausible(name, samples[i]); err != nil {
				return err
			}
		}
		r.Figures[name] = record.NewFigure(name, samples...)
	}
	return nil
}

// parseJSON reads the output as a whole, or its last line that is JSON.
func parseJSON(out []byte) (any, error) {
	var root any
	if json.Unmarshal(out, &root) == nil {
		return root, nil
	}
	lines := bytes.Split(out, []byte("\n"))
	for _, line := range slices.Backward(lines) {
		if line = bytes.TrimSpace(line); len(line) > 0 && (line[0] == '{' || line[0] == '[') && json.Unmarshal(line, &root) == nil {
			return root, nil
		}
	}
	return nil, fmt.Errorf("it printed no JSON: %q", clip(process.LastLine(out)))
}

// maxSamples bounds what a figure takes from a program.
const maxSamples = 10000

// collect follows a path to a number or a list of numbers.
func collect(v any, path []string, to *[]float64) error {
	if len(path) == 0 {
		switch v := v.(type) {
		case float64:
			if len(*to) >= maxSamples {
				return fmt.Errorf("there are more than %d numbers", maxSamples)
			}
			*to = append(*to, v)
			return nil
		case []any:
			if len(v) == 0 {
				return fmt.Errorf("the list is empty")
			}
			for _, e := range v {
				n, ok := e.(float64)
				if !ok {
					return fmt.Errorf("the list has more than numbers")
				}
				if err := collect(n, nil, to); err != nil {
					return err
				}
			}
			return nil
		}
		return fmt.Errorf("there is no number, but %s", kind(v))
	}
	key, rest := path[0], path[1:]
	switch v := v.(type) {
	case map[string]any:
		next, ok := v[key]
		if !ok {
			return fmt.Errorf("there is no %q", key)
		}
		return collect(next, rest, to)
	case []any:
		if key == "*" {
			if len(v) == 0 {
				return fmt.Errorf("the list is empty")
			}
			for _, e := range v {
				if err := collect(e, rest, to); err != nil {
					return err
				}
			}
			return nil
		}
		i, err := strconv.Atoi(key)
		if err == nil && i < 0 {
			i += len(v)
		}
		if err != nil || i < 0 || i >= len(v) {
			return fmt.Errorf("a list of %d has no place %q", len(v), key)
		}
		return collect(v[i], rest, to)
	}
	return fmt.Errorf("%q is looked for in %s", key, kind(v))
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case string:
		return "a text"
	case float64:
		return "a number"
	case []any:
		return "a list"
	}
	return "an object"
}

// plausible refuses what no engine reaches: a wrong path or a wrong unit.
func plausible(name string, v float64) error {
	f := record.NewFigure(name)
	most := map[string]float64{"tokens/s": 1e8, "share": 1, "s": 1e6, "ms": 1e8, "MB": 1e8, "nats": 100, "J": 1e6, "tokens/J": 1e8, "W": 1e5, "": 1e9}[f.Unit]
	least := 0.0
	if name == record.KL {
		least = -1e-6 // rounding
	} else if v == 0 && name != record.TopOne {
		return fmt.Errorf("%s is 0: that is no figure", name)
	}
	if math.IsNaN(v) || v < least || v > most {
		return fmt.Errorf("%s of %g %s is absurd: look at the path and the unit (scale)", name, v, f.Unit)
	}
	return nil
}
