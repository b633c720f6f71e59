package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/compress/quantize"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

var errorTypes = []string{"Q8_0", "Q6_K", "Q5_K", "Q5_0", "Q4_K", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS", "MXFP4", "Q3_K", "Q2_K"}

// synthetic writes a model whose tensors have weights of several distributions:
// normal, Laplace, Student's t with four degrees of freedom, and normal with a few
// columns twenty times as large; columns differ in size besides.
func synthetic(path string, rows, columns int) error {
	w := &gguf.Writer{}
	for key, v := range map[string]any{
		"general.architecture": "llama", "llama.block_count": uint32(1), "llama.context_length": uint32(512),
		"llama.embedding_length": uint32(columns), "llama.feed_forward_length": uint32(columns), "llama.vocab_size": uint32(64),
		"llama.attention.head_count": uint32(8), "llama.attention.head_count_kv": uint32(2), "llama.attention.layer_norm_rms_epsilon": float32(1e-5),
	} {
		if err := w.Set(key, v); err != nil {
			return err
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	scale := make([]float64, columns)
	for i := range scale {
		scale[i] = 0.02 * math.Exp(0.3*r.NormFloat64())
	}
	for kind, name := range []string{"attn_q", "attn_output", "ffn_up", "ffn_down"} {
		x := make([]float32, rows*columns)
		for i := range x {
			v := r.NormFloat64()
			switch kind {
			case 1:
				v = r.ExpFloat64() * float64(1-2*r.IntN(2))
			case 2:
				v /= math.Sqrt((r.ExpFloat64() + r.ExpFloat64()) / 2)
			case 3:
				if i%columns%97 == 0 {
					v *= 20
				}
			}
			x[i] = float32(v * scale[i%columns])
		}
		data := make([]byte, 4*len(x))
		if err := dtype.Quantize(dtype.F32, data, x); err != nil {
			return err
		}
		if err := w.Add("blk.0."+name+".weight", dtype.F32, []int{rows, columns}, data); err != nil {
			return err
		}
	}
	return w.Save(context.Background(), path, true)
}

// pure writes every matrix of a file in one type, as llama-quantize --pure does.
func pure(ctx context.Context, from, to, t string, threads int) (err error) {
	f, err := gguf.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	o, err := quantize.ParseOverride("weight=" + t)
	if err != nil {
		return err
	}
	p, err := quantize.NewPlan(f, quantize.Recipes[0], quantize.PlanOptions{Overrides: []quantize.Override{o}})
	if err != nil {
		return err
	}
	return p.Write(ctx, to, quantize.WriteOptions{Replace: true, Threads: threads})
}

func llamaType(t string) string {
	if t == "MXFP4" {
		return "MXFP4_MOE"
	}
	return t
}

// errors compares the errors of every tensor of a synthetic file.
func (r *job) errors(ctx context.Context) (string, error) {
	source := r.path("synthetic.gguf")
	if err := synthetic(source, 256, 4096); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| Type | normal | Laplace | Student's t | outliers |\n|---|--:|--:|--:|--:|\n")
	for _, t := range r.list(errorTypes) {
		ours, theirs := r.path("pure-ledge.gguf"), r.path("pure-llama.gguf")
		if err := pure(ctx, source, ours, t, r.thread); err != nil {
			return "", err
		}
		if err := r.program(ctx, "llama-quantize", "--pure", source, theirs, llamaType(t), fmt.Sprint(r.thread)); err != nil {
			return "", err
		}
		a, err := nmse(source, ours)
		if err != nil {
			return "", err
		}
		c, err := nmse(source, theirs)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s |", t)
		for i := range a {
			fmt.Fprintf(&b, " %.3e / %.3e (%.2f) |", a[i], c[i], a[i]/c[i])
		}
		b.WriteString("\n")
		if err := errors.Join(os.Remove(ours), os.Remove(theirs)); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// nmse is the sum of squared errors over that of squares, for each tensor.
func nmse(source, other string) (list []float64, err error) {
	f, err := gguf.Open(source)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	g, err := gguf.Open(other)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	for i := range f.Tensors() {
		t := &f.Tensors()[i]
		u, ok := g.Tensor(t.Name)
		if !ok {
			return nil, fmt.Errorf("%s has no tensor %s", other, t.Name)
		}
		x, err := t.Dequantize()
		if err != nil {
			return nil, err
		}
		y, err := u.Dequantize()
		if err != nil {
			return nil, err
		}
		loss, energy := 0.0, 0.0
		for i := range x {
			d := float64(x[i]) - float64(y[i])
			loss += d * d
			energy += float64(x[i]) * float64(x[i])
		}
		list = append(list, loss/energy)
	}
	return list, nil
}
