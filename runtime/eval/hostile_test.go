package eval_test

import (
	"context"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/eval"
)

// tiny opens a tiny random model after its output matrix has been changed.
func tiny(t *testing.T, change func(output []byte)) *engine.Model {
	t.Helper()
	return tinyWith(t, change, engine.Options{Threads: 1})
}

func tinyWith(t *testing.T, change func(output []byte), o engine.Options) *engine.Model {
	t.Helper()
	f := goldentest.Parse(t, "../model/testdata", "llama-gqa.gguf.gz")
	w, ok := f.Tensor("output.weight")
	if !ok {
		t.Fatal("the file has no output.weight")
	}
	change(w.Data)
	m, err := engine.OpenFile(context.Background(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func fill(v float32) func([]byte) {
	return func(b []byte) {
		for i := 0; i < len(b); i += 4 {
			binary.LittleEndian.PutUint32(b[i:], math.Float32bits(v))
		}
	}
}

// scale makes all differences between logits enormous.
func scale(b []byte) {
	for i := 0; i < len(b); i += 4 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))
		binary.LittleEndian.PutUint32(b[i:], math.Float32bits(v*1e6))
	}
}

func TestBadLogits(t *testing.T) {
	text := strings.Repeat("the other, thin inner ", 30)
	for what, change := range map[string]func([]byte){
		"NaN": fill(float32(math.NaN())), "infinity": fill(float32(math.Inf(1))), "a perplexity beyond all numbers": scale,
	} {
		p, err := eval.MeasurePerplexity(context.Background(), tiny(t, change), text, 32, 2, nil)
		if err == nil || !strings.Contains(err.Error(), "no probability") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
}

// TestImpossibleTokens: options of no probability, and divergences beyond all numbers,
// are errors; what was finished before stays.
func TestImpossibleTokens(t *testing.T) {
	plain := tiny(t, func([]byte) {})
	d := readData(t, `{"text":"the","label":0,"options":["in","then"]}`+"\n"+`{"text":"the","label":0,"options":["in","rain"]}`)
	tokens := plain.Encode("the rain", true, false)
	only := int(tokens[len(tokens)-2]) // "a", which the first item has not
	kept := 0
	for column := range 8 {
		for _, sign := range []int{-1, 1} {
			m := tiny(t, func(b []byte) {
				row := len(b) / plain.Vocab()
				binary.LittleEndian.PutUint32(b[only*row+4*column:], math.Float32bits(float32(math.Inf(sign))))
			})
			r, err := eval.Run(context.Background(), m, d, eval.Plan{Prompting: eval.Prompting{Raw: true}})
			if err == nil || !strings.Contains(err.Error(), "no probability") || !r.Partial {
				t.Errorf("%+v, %v", r, err)
			}
			if r.Items == 1 && r.Of == 2 && len(r.Outcomes) == 1 && r.Outcomes[0].Line == 1 {
				kept++
			}
			toJSON(t, r)
		}
	}
	if kept == 0 {
		t.Error("the first item is lost with the second")
	}
	text := newText(t, plain)
	so, err := eval.Compare(context.Background(), tiny(t, scale), text, eval.ModelReference{M: plain}, nil)
	if err == nil || !strings.Contains(err.Error(), "no probability") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%+v, %v", so, err)
	}
}

func TestBadRequests(t *testing.T) {
	m := tiny(t, func([]byte) {})
	long := strings.Repeat("the other ", 100)
	for _, c := range []struct {
		text string
		size int
		say  string
	}{
		{long, 7, "too small"}, {long, -1, "too small"}, {"", 32, "need at least"}, {"the", 32, "need at least"},
		{"\xff\xfe", 8, "need at least"}, {long, 1 << 30, "chunks of"}, {long, math.MaxInt, "chunks of"}, {long, 200, "128"},
	} {
		p, err := eval.MeasurePerplexity(context.Background(), m, c.text, c.size, 0, nil)
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("chunks of %d: %+v, %v; want it to say %q", c.size, p, err, c.say)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := eval.MeasurePerplexity(ctx, m, long, 32, 0, nil); err == nil {
		t.Error("a cancelled measurement succeeds")
	}
	p, err := eval.MeasurePerplexity(context.Background(), m, long, 32, 0, nil)
	if err != nil || p.Tokens != p.Chunks*15 || !(p.PPL > 1) || !(p.Stderr > 0) {
		t.Errorf("%+v, %v", p, err)
	}
}
