package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"

	"github.com/ledge-run/ledge/runtime/sched"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// className names everything that a cached key or value depends on: the
// weights, adapters', too, the graph (whether it is fused, its rope factors)
// and the devices' numerics. Saved caches carry it, and the cache's
// layout besides. All of the weights are hashed, when it is first asked for:
// files that differ in a few rows are different models.
func (m *Model) className() (string, error) {
	m.fileMu.Lock() // Close waits before it takes the file away
	defer m.fileMu.Unlock()
	r := m.current()
	if m.class != "" && m.classOf == r {
		return m.class, nil
	}
	var names []string
	for i := range r.devices {
		if runs(r.parts, i) {
			names = append(names, r.numerics[i])
		}
	}
	numerics := strings.Join(names, " ")
	h := sha256.New()
	_, _ = io.WriteString(h, numerics) // a hash never fails
	for _, p := range r.parts {
		for _, n := range p.Graph.Nodes { // not the graph's text: limits change nothing
			_, _ = io.WriteString(h, n.Text())
		}
	}
	var tensors []*gguf.Tensor
	for i := range m.File.Tensors() {
		tensors = append(tensors, &m.File.Tensors()[i])
	}
	if s := m.Options.adapters; s != nil { // their scales are in the graph
		for _, w := range s.Weights() {
			tensors = append(tensors, m.tensor(w+lora.SuffixA), m.tensor(w+lora.SuffixB))
		}
	}
	for _, t := range tensors {
		if m.closing.Load() {
			return "", sched.ErrClosed
		}
		_, _ = io.WriteString(h, t.Name)
		_, _ = h.Write(t.Data)
		_ = t.Advise(gguf.DontNeed) // only a hint: the device has what it needs
	}
	if m.closing.Load() {
		return "", sched.ErrClosed
	}
	m.classOf = r
	m.class = numerics + " " + hex.EncodeToString(h.Sum(nil)[:16])
	return m.class, nil
}
