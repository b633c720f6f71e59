package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// className names everything that a cached key or value depends on: the
// weights, the graph (whether it is fused, its rope factors)
// and the device's numerics. Saved caches carry it, and the cache's
// layout besides. All of the weights are hashed, when it is first asked for:
// files that differ in a few rows are different models.
func (m *Model) className() string {
	m.classOnce.Do(func() {
		numerics := m.device.Info().Numerics.String()
		h := sha256.New()
		_, _ = io.WriteString(h, numerics) // a hash never fails
		for _, p := range m.runner.first {
			for _, n := range p.Graph.Nodes { // not the graph's text: limits change nothing
				_, _ = io.WriteString(h, n.Text())
			}
		}
		for _, t := range m.File.Tensors() {
			_, _ = io.WriteString(h, t.Name)
			_, _ = h.Write(t.Data)
		}
		m.class = numerics + " " + hex.EncodeToString(h.Sum(nil)[:16])
	})
	return m.class
}
