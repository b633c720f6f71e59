package accel

import (
	"fmt"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/kernels/shader"
)

var activations = map[string]shader.Activation{
	"": shader.NoActivation, "silu": shader.Silu, "gelu": shader.Gelu, "gelu_erf": shader.GeluErf, "relu": shader.Relu,
}

// product is a linear or fused_linear node.
func (l *lowering) product(n *graph.Node, a graph.FusedLinearAttr, parts graph.FusedLinearParts) (_ []shader.Call, err error) {
	rows, cols := cut(parts.X.Type.Shape)
	act, ok := activations[a.Act]
	if !ok {
		return nil, fmt.Errorf("there is no kernel for the activation %q", a.Act)
	}
	p := shader.Product{X: l.value(parts.X), Out: l.value(n), Scale: a.Scale, Act: act, Gated: a.Gated, SoftCap: a.SoftCap}
	if p.K, err = constant(cols, "a row of x"); err != nil {
		return nil, err
	}
	if p.Rows, err = l.rowsOf(rows); err != nil {
		return nil, err
	}
	for i, w := range parts.Weights {
		pieces, err := l.matrixOf(w)
		if err != nil {
			return nil, err
		}
		p.Pieces = append(p.Pieces, pieces...)
		if !a.Bias {
			continue
		}
		bias, err := l.vectorOf(parts.Biases[i])
		if err != nil {
			return nil, err
		}
		for _, piece := range pieces {
			p.Bias = append(p.Bias, bias)
			bias += uint32(piece.Rows)
		}
	}
	if a.Norm {
		p.Norm = &shader.NormIn{HasWeight: a.NormWeight, Eps: a.Eps}
		if a.NormWeight {
			if p.Norm.Weight, err = l.vectorOf(parts.Norm); err != nil {
				return nil, err
			}
		}
	}
	if a.Residual {
		r := l.value(parts.Residual)
		p.Residual = &r
	}
	if add := l.folded(n); add != nil {
		p.X = l.value(add.In[0])
		p.Add = &shader.AddIn{HasWeight: true, Weight: l.vector(add.In[1]), Eps: add.Attr.(graph.NormAttr).Eps, Y: l.value(add.In[2]), Out: l.value(add)}
	}
	p.Scratch = l.scratch(p.ScratchFloats(l.features))
	return p.Calls(l.features, p.Rows.Max > shader.Few)
}
