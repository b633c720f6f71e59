package step

import (
	"math"
	"strings"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// IsAdapter tells the tensors of low-rank adapters from others: as Options.Train it
// trains the adapters alone.
func IsAdapter(name string) bool {
	return strings.HasSuffix(name, lora.SuffixA) || strings.HasSuffix(name, lora.SuffixB)
}

// NewAdapters opens the tensors of adapters that begin to be trained, and by base all
// others. As is usual (Hu et al., 2021), lora_b is zero, so that at first nothing is
// changed, and lora_a random: uniform from -1/sqrt(in) to 1/sqrt(in), which is PyTorch's
// and PEFT's choice for a matrix of in columns. A tensor's values depend on the seed and
// its name.
func NewAdapters(seed uint64, base Open) Open {
	return func(w backend.WeightSpec) ([]byte, func(), error) {
		if !IsAdapter(w.Name) {
			return base(w)
		}
		n, err := dtype.ByteSize(w.DType, w.Shape)
		if err != nil {
			return nil, nil, err
		}
		data := make([]byte, n)
		if strings.HasSuffix(w.Name, lora.SuffixA) {
			rng := randomOf(seed, w.Name)
			count, _ := dtype.Product(w.Shape) // it has a size
			x := make([]float32, count)
			most := 1 / math.Sqrt(float64(w.Shape[len(w.Shape)-1]))
			for i := range x {
				x[i] = float32(most * (2*rng.Float64() - 1))
			}
			if err := dtype.Quantize(w.DType, data, x); err != nil {
				return nil, nil, err
			}
		}
		return data, func() {}, nil
	}
}
