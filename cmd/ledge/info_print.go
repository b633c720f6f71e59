package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/hub"
)

// elements is the number of values of a constant shape.
func elements(s dtype.Shape) int {
	n := 1
	for _, d := range s {
		n *= d.N
	}
	return n
}

// print writes the description for people.
func (m *modelInfo) print(w io.Writer) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-14s %s\n", name, oneLine(fmt.Sprintf(format, args...)))
	}
	row("model", "%s", m.Model)
	for _, f := range m.Files {
		row("file", "%s", f)
	}
	row("size", "%s, GGUF version %d", hub.FormatBytes(m.Size), m.GGUF)
	if m.Name != "" {
		row("name", "%s", m.Name)
	}
	if m.Licence != "" {
		row("licence", "%s", m.Licence)
	}
	supported := "supported"
	if !m.Supported {
		supported = "not supported"
	}
	row("architecture", "%s (%s)", m.Architecture, supported)
	if m.Problem != "" {
		row("problem", "%s", m.Problem)
	}
	row("parameters", "%s", count(m.Parameters))
	for _, f := range []struct {
		name  string
		value int
	}{
		{"layers", m.Layers}, {"embedding", m.Embedding}, {"feed-forward", m.FeedForward}, {"vocabulary", m.Vocab},
		{"context", m.Context}, {"window", m.Window},
	} {
		if f.value > 0 {
			row(f.name, "%d", f.value)
		}
	}
	if m.Heads > 0 {
		heads := fmt.Sprint(m.Heads)
		if m.KVHeads > 0 {
			heads += fmt.Sprintf(", %d for keys and values", m.KVHeads)
		}
		if m.KeyDim > 0 {
			heads += fmt.Sprintf(", of %d", m.KeyDim)
		}
		row("heads", "%s", heads)
	}
	for i, t := range m.Types {
		name := "weights"
		if i > 0 {
			name = ""
		}
		note := ""
		if !t.Computable {
			note = ", cannot be computed with"
		}
		row(name, "%-7s %10s  %3.0f %%  %d tensors%s", t.Type, hub.FormatBytes(t.Bytes), percent(t.Bytes, m.Types), t.Tensors, note)
	}
	m.printText(row)
	if m.MemoryProblem != "" {
		row("memory", "%s", m.MemoryProblem)
	}
	if e := m.Memory; e != nil {
		mapped := ""
		if e.Mapped > 0 {
			mapped = "; " + hub.FormatBytes(e.Mapped) + " stay in the file"
		}
		row("memory", "%s for a context of %d on %s: weights %s, cache (%s) %s, work %s%s",
			hub.FormatBytes(e.Total), e.Context, e.Device, hub.FormatBytes(e.Weights), e.CacheType, hub.FormatBytes(e.Cache), hub.FormatBytes(e.Work), mapped)
		if len(e.Places) > 1 {
			row("devices", "%s", engine.DescribePlaces(e.Places))
		}
	}
	for _, t := range m.Tensors {
		fmt.Fprintf(w, "%-40s %-8s %-20s %d\n", oneLine(t.Name), t.Type, fmt.Sprint(t.Shape), t.Bytes)
	}
}

func (m *modelInfo) printText(row func(name, format string, args ...any)) {
	t := m.Tokenizer
	text := t.Model
	if t.Pre != "" {
		text += ", " + t.Pre
	}
	if t.Size > 0 {
		text += fmt.Sprintf(", %d tokens", t.Size)
	}
	if t.AddBOS {
		text += ", adds BOS"
	}
	if t.AddEOS {
		text += ", adds EOS"
	}
	row("tokenizer", "%s", text)
	if t.Problem != "" {
		row("problem", "%s", t.Problem)
	}
	var special, ends []string
	for _, s := range t.Special {
		special = append(special, fmt.Sprintf("%s %d %q", s.Role, s.ID, s.Text))
	}
	for _, s := range t.Ends {
		ends = append(ends, fmt.Sprintf("%d %q", s.ID, s.Text))
	}
	if len(special) > 0 {
		row("special", "%s", strings.Join(special, ", "))
	}
	if len(ends) > 0 {
		row("ends", "%s", strings.Join(ends, ", "))
	}
	switch c := m.Template; {
	case !c.Present:
		row("chat template", "none (ChatML stands in)")
	case c.Problem != "":
		row("chat template", "%d bytes, cannot be used: %s", c.Bytes, c.Problem)
	case c.Capabilities != nil:
		var can []string
		for _, k := range []struct {
			has  bool
			name string
		}{{c.Capabilities.System, "system message"}, {c.Capabilities.Tools, "tools"}, {c.Capabilities.ToolCalls, "tool calls"}} {
			if k.has {
				can = append(can, k.name)
			}
		}
		row("chat template", "%d bytes; takes: %s", c.Bytes, strings.Join(append(can, "messages"), ", "))
	default:
		row("chat template", "%d bytes", c.Bytes)
	}
}

func percent(n int64, types []typeInfo) float64 {
	var sum int64
	for _, t := range types {
		sum += t.Bytes
	}
	return 100 * float64(n) / float64(max(sum, 1))
}

// count writes a number of parameters: 134.5 M.
func count(n int64) string {
	switch f := float64(n); {
	case n >= 1e9:
		return fmt.Sprintf("%.2f B", f/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f M", f/1e6)
	default:
		return fmt.Sprint(n)
	}
}
