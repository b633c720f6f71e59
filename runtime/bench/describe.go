package bench

import (
	"fmt"
	"strings"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// describe fills in what a result says about the model and the device.
func describe(m *engine.Model) Result {
	d := m.Device()
	r := Result{
		Backends: d.Backend, Batch: m.Options.Batch, UBatch: m.Options.Batch, Threads: m.Options.Threads,
		TypeK: m.Options.CacheType.String(), TypeV: m.Options.CacheType.String(),
	}
	var names []string
	for _, p := range m.Places() {
		names = append(names, p.Device)
	}
	r.Device = strings.Join(names, "/")
	if d.Kind == backend.CPU {
		r.CPU = d.Description
	} else {
		r.GPU, r.Layers = d.Description, m.Places()[0].Layers
	}
	if paths := m.File.Paths(); len(paths) > 0 {
		r.File = paths[0]
	}
	for _, t := range m.File.Tensors() {
		r.Size += int64(len(t.Data))
		r.Params += int64(t.NumElems())
	}
	r.Type = typeOf(m.File, m.Network.Info().Architecture)
	return r
}

// typeOf is a model's kind as llama-bench writes it: architecture, number of
// parameters, and the type that most bytes are of.
func typeOf(f *gguf.File, architecture string) string {
	bytes := map[string]int64{}
	params := int64(0)
	for _, t := range f.Tensors() {
		bytes[t.DType.String()] += int64(len(t.Data))
		params += int64(t.NumElems())
	}
	main := ""
	for name, n := range bytes {
		if n > bytes[main] || n == bytes[main] && name < main {
			main = name
		}
	}
	return fmt.Sprintf("%s %s %s", architecture, Millions(params), main)
}

// Millions writes a number of parameters as llama-bench does: 134.52 M.
func Millions(n int64) string {
	if n >= 1e9 {
		return fmt.Sprintf("%.2f B", float64(n)/1e9)
	}
	return fmt.Sprintf("%.2f M", float64(n)/1e6)
}
