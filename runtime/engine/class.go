package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"

	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// className names everything that a cached key or value depends on: the
// weights, the graph (whether it is fused, its rope factors, the cache's type)
// and the device's numerics. Saved caches carry it.
func className(f *gguf.File, parts []pass.Part, numerics string) string {
	h := sha256.New()
	_, _ = io.WriteString(h, numerics) // a hash never fails
	for _, p := range parts {
		for _, s := range p.Graph.States {
			_, _ = io.WriteString(h, s.Name)
		}
		for _, n := range p.Graph.Nodes {
			_, _ = io.WriteString(h, n.Text())
		}
	}
	for _, t := range f.Tensors() {
		_, _ = io.WriteString(h, t.Name)
		var size [8]byte
		binary.LittleEndian.PutUint64(size[:], uint64(len(t.Data)))
		_, _ = h.Write(size[:])
		for _, part := range samples(t.Data) {
			_, _ = h.Write(part)
		}
	}
	return numerics + " " + hex.EncodeToString(h.Sum(nil)[:16])
}

// samples are a few places of a tensor: two files whose weights differ do not
// agree in all of them, and reading whole files would cost more than loading.
func samples(data []byte) [][]byte {
	const places, size = 4, 256
	if len(data) <= places*size {
		return [][]byte{data}
	}
	var out [][]byte
	for i := range places {
		at := i * (len(data) - size) / (places - 1)
		out = append(out, data[at:at+size])
	}
	return out
}
