package delta

import (
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Facts are what a file says without being run.
type Facts struct {
	FileBytes     int64   `json:"file_bytes,omitempty"` // of all its parts; 0 if there is none yet
	Bytes         int64   `json:"tensor_bytes"`
	Weights       int64   `json:"weights"`
	BitsPerWeight float64 `json:"bits_per_weight"`

	// Zeros is the share of weights that are zero, where somebody has counted them.
	Zeros *float64 `json:"zeros,omitempty"`

	// MultiplyAdds are those of a token with the model's matrices: all that are
	// executed, of zeros, too. Attention takes AttentionMultiplyAdds more for each
	// token of the context. Both are 0 for architectures that Ledge does not run.
	MultiplyAdds          int64 `json:"multiply_adds,omitempty"`
	AttentionMultiplyAdds int64 `json:"attention_multiply_adds,omitempty"`
}

// FactsOf reads them.
func FactsOf(f *gguf.File) Facts {
	so := Facts{FileBytes: f.Size()}
	for i := range f.Tensors() {
		t := &f.Tensors()[i]
		so.Weights += int64(t.NumElems())
		so.Bytes += int64(len(t.Data))
	}
	so.SetBytes(so.Bytes)
	so.MultiplyAdds, so.AttentionMultiplyAdds = multiplyAdds(f)
	return so
}

// SetBytes changes what the tensors take.
func (f *Facts) SetBytes(n int64) {
	f.Bytes = n
	if f.Weights > 0 {
		f.BitsPerWeight = 8 * float64(n) / float64(f.Weights)
	}
}

// multiplyAdds counts them in the graph that runs.
func multiplyAdds(f *gguf.File) (matrices, attention int64) {
	net, err := engine.Network(f)
	if err != nil {
		return 0, 0
	}
	g, err := net.Decoder(model.Options{Max: graph.Limits{T: 1, S: 1, R: 1, P: 1}, Cache: dtype.F16, Context: 1})
	if err != nil {
		return 0, 0
	}
	for _, n := range g.Nodes {
		switch n.Op {
		case graph.OpLinear:
			w := n.In[1].Type.Shape
			matrices += int64(w[0].N) * int64(w[1].N)
		case graph.OpAttention:
			q, y := n.In[0].Type.Shape, n.Type.Shape // [T H Dk], [T H Dv]
			attention += int64(q[1].N) * int64(q[2].N+y[2].N)
		}
	}
	return matrices, attention
}
