package step

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// FromFile opens a file's weights.
func FromFile(f *gguf.File) Open {
	return func(w backend.WeightSpec) ([]byte, func(), error) {
		t, ok := f.Tensor(w.Name)
		if !ok {
			return nil, nil, fmt.Errorf("the file has no tensor %q", w.Name)
		}
		return t.Data, func() {}, nil
	}
}

// Random makes weights for training from nothing, the same for a seed: matrices of
// normal distribution with the given deviation, which is divided by sqrt(2 layers)
// for those that add to the residual stream (Radford et al., GPT-2); norms of 1,
// biases of 0. A weight's values depend on its name, not on the others.
func Random(seed uint64, deviation float64, layers int) Open {
	return func(w backend.WeightSpec) ([]byte, func(), error) {
		if w.DType != dtype.F32 {
			return nil, nil, fmt.Errorf("weight %q is %s: random weights are f32", w.Name, w.DType)
		}
		n, ok := dtype.Product(w.Shape)
		if !ok {
			return nil, nil, fmt.Errorf("weight %q: shape %v is too large", w.Name, w.Shape)
		}
		rng := randomOf(seed, w.Name)
		scale := deviation
		if strings.HasSuffix(w.Name, ".attn_output.weight") || strings.HasSuffix(w.Name, ".ffn_down.weight") {
			scale /= math.Sqrt(2 * float64(max(1, layers)))
		}
		data := make([]byte, 4*n)
		for i := range n {
			v := float32(1)
			switch {
			case len(w.Shape) > 1:
				v = float32(scale * rng.NormFloat64())
			case strings.HasSuffix(w.Name, ".bias"):
				v = 0
			}
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
		}
		return data, func() {}, nil
	}
}

// randomOf gives the numbers that a weight begins with: by its name, not by the others.
func randomOf(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
