package eval_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/tokenizer"
)

var prose = strings.Repeat("the other, thin inner thing in the rain then ", 12)

func newText(t *testing.T, m *engine.Model) eval.Text {
	t.Helper()
	text, err := eval.NewText(m, prose, 32, 3)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// twist changes a model a little.
func twist(b []byte) {
	for i := 0; i < len(b); i += 4 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))
		binary.LittleEndian.PutUint32(b[i:], math.Float32bits(v*(1+.2*float32(i/4%7))))
	}
}

// naive computes mean divergence, the share of equal best tokens and perplexities
// from all rows of logits, as the definitions say.
func naive(t *testing.T, m, ref *engine.Model, text eval.Text) (kl, same, ppl, refPPL float64) {
	t.Helper()
	rows := func(m *engine.Model, tokens []int32) (out [][]float64) {
		err := m.Logits(context.Background(), tokens, func(_ int, logits []float32) error {
			for ; len(logits) > 0; logits = logits[m.Vocab():] {
				sum, row := 0.0, make([]float64, m.Vocab())
				for _, x := range logits[:m.Vocab()] {
					sum += math.Exp(float64(x))
				}
				for i := range row {
					row[i] = float64(logits[i]) - math.Log(sum)
				}
				out = append(out, row)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	n := 0.0
	for c := range text.Chunks() {
		tokens := append([]int32(nil), text.Tokens[c*text.Size:(c+1)*text.Size]...)
		if m.Tokenizer.AddsBOS() {
			tokens[0] = m.Tokenizer.BOS()
		}
		q, p := rows(m, tokens), rows(ref, tokens)
		for at := text.Size / 2; at < text.Size-1; at++ {
			bestP, bestQ := 0, 0
			for i := range p[at] {
				kl += math.Exp(p[at][i]) * (p[at][i] - q[at][i])
				if p[at][i] > p[at][bestP] {
					bestP = i
				}
				if q[at][i] > q[at][bestQ] {
					bestQ = i
				}
			}
			if bestP == bestQ {
				same++
			}
			ppl -= q[at][tokens[at+1]]
			refPPL -= p[at][tokens[at+1]]
			n++
		}
	}
	return kl / n, same / n, math.Exp(ppl / n), math.Exp(refPPL / n)
}

func TestCompare(t *testing.T) {
	m, ref := tiny(t, twist), tiny(t, func([]byte) {})
	text := newText(t, m)
	kl, same, ppl, refPPL := naive(t, m, ref, text)
	got, err := eval.Compare(context.Background(), m, text, eval.ModelReference{M: ref}, nil)
	if err != nil {
		t.Fatal(err)
	}
	close := func(a, b float64) bool { return math.Abs(a-b) <= 2e-6*(1+math.Abs(b)) }
	if !close(got.KL, kl) || got.SameTop != same || !close(got.Model.PPL, ppl) || !close(got.Reference.PPL, refPPL) || got.Positions != 45 || !(got.KL > 1e-4) || !(same < 1) {
		t.Errorf("%+v; want KL %g, same %g, PPL %g and %g", got, kl, same, ppl, refPPL)
	}
	if got.Quantiles["0.5"] > got.Quantiles["0.99"] || got.Quantiles["0.999"] > got.KLMax || !(got.KLErr > 0) {
		t.Errorf("%+v", got)
	}
	own, err := eval.Compare(context.Background(), ref, text, eval.ModelReference{M: ref}, nil)
	if err != nil || math.Abs(own.KL) > 1e-6 || own.SameTop != 1 || math.Abs(own.LogRatio) > 1e-6 {
		t.Errorf("a model and itself: %+v, %v", own, err)
	}
	// The same by a file, which holds log-probabilities in 16 bits.
	var file bytes.Buffer
	if err := eval.SaveLogits(context.Background(), ref, text, &file, nil); err != nil {
		t.Fatal(err)
	}
	l, err := eval.NewLogitsReader(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := eval.Compare(context.Background(), m, eval.Text{Size: l.Size, Tokens: l.Tokens}, l, nil)
	if err != nil || math.Abs(stored.KL-kl) > 1e-3*kl || math.Abs(stored.Reference.PPL/refPPL-1) > 1e-3 || stored.Model.PPL != got.Model.PPL {
		t.Errorf("by a file: %+v, %v; want %+v", stored, err, got)
	}
	for _, cut := range []int{0, 4, 19, 60, 500, file.Len() - 1} {
		l, err := eval.NewLogitsReader(bytes.NewReader(file.Bytes()[:cut]))
		if err == nil {
			_, err = eval.Compare(context.Background(), m, eval.Text{Size: l.Size, Tokens: l.Tokens}, l, nil)
		}
		if err == nil || !strings.Contains(err.Error(), "cut off") && !strings.Contains(err.Error(), "no file of log-probabilities") {
			t.Errorf("cut to %d bytes: %v", cut, err)
		}
	}
}

func TestSameTokenizer(t *testing.T) {
	m := tiny(t, func([]byte) {})
	c, err := tokenizer.FromMetadata(m.File.Value)
	if err != nil {
		t.Fatal(err)
	}
	same := func(change func(*tokenizer.Config)) error {
		k := c
		k.Tokens = slices.Clone(c.Tokens)
		change(&k)
		other, err := tokenizer.New(k)
		if err != nil {
			t.Fatal(err)
		}
		return eval.SameTokenizer(m.Tokenizer, other)
	}
	if err := same(func(*tokenizer.Config) {}); err != nil {
		t.Error(err)
	}
	last := len(c.Tokens) - 1
	for say, change := range map[string]func(*tokenizer.Config){
		"token " + strconv.Itoa(last): func(k *tokenizer.Config) { k.Tokens[last] += "x" },
		"tokens":                      func(k *tokenizer.Config) { k.Tokens = append(k.Tokens, "onemore"); k.Types, k.Scores = nil, nil },
		"begins a text":               func(k *tokenizer.Config) { k.AddBOS = !k.AddBOS },
	} {
		if err := same(change); err == nil || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v; want it to say %q", err, say)
		}
	}
}

func TestCompareStops(t *testing.T) {
	m := tiny(t, func([]byte) {})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	so, err := eval.Compare(ctx, m, newText(t, m), eval.ModelReference{M: m}, func(done, _ int, _ eval.Divergence) {
		if done == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || !so.Partial || so.Positions != 30 || so.Model.Chunks != 2 {
		t.Errorf("%+v, %v", so, err)
	}
	nan := tiny(t, fill(float32(math.NaN())))
	if _, err := eval.Compare(context.Background(), nan, newText(t, nan), eval.ModelReference{M: m}, nil); err == nil || !strings.Contains(err.Error(), "no probability") {
		t.Error(err)
	}
}

func FuzzLogitsReader(f *testing.F) {
	var good bytes.Buffer
	good.WriteString("_logits_")
	for _, n := range []int32{8, 3, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0} {
		_ = binary.Write(&good, binary.LittleEndian, n) // a buffer takes everything
	}
	good.Write(make([]byte, 6*16))
	f.Add(good.Bytes())
	f.Add(good.Bytes()[:30])
	f.Add([]byte("_logits_\xff\xff\xff\x7f\xff\xff\xff\x7f\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := eval.NewLogitsReader(bytes.NewReader(data))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q", err)
			}
			return
		}
		if len(l.Tokens) != l.Size*l.Chunks || l.Vocab > 1<<16 {
			return
		}
		row := make([]float32, l.Vocab)
		for l.Row(row) == nil {
			for _, x := range row {
				if x != x || x > 70000 {
					t.Fatalf("a log-probability of %g", x)
				}
			}
		}
	})
}

// TestLlamaDivergence compares with llama-perplexity --kl-divergence: Ledge reads its
// base file and it reads Ledge's. What the file says is the same to the last digit
// shown; the model's part differs with the engines' rounding.
func TestLlamaDivergence(t *testing.T) {
	llama, models := os.Getenv("LEDGE_TEST_LLAMA"), os.Getenv("LEDGE_TEST_MODELS")
	program := filepath.Join(llama, "bin", "llama-perplexity")
	_, err := os.Stat(program)
	file := filepath.Join(models, "smollm2-135m-instruct-q4_1.gguf")
	if llama == "" || models == "" || err != nil {
		t.Skip("LEDGE_TEST_LLAMA and LEDGE_TEST_MODELS do not name llama.cpp (bin/llama-perplexity) and the real models")
	}
	const text = "/usr/share/common-licenses/GPL-3"
	if _, err := os.Stat(text); err != nil {
		t.Skip("this system has no such text: ", err)
	}
	base := filepath.Join(t.TempDir(), "base")
	run := func(args ...string) string {
		out, err := exec.Command(program, append([]string{"-m", file, "-t", "2"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	figure := func(out, what string) float64 {
		m := regexp.MustCompile(regexp.QuoteMeta(what) + `\s*:\s*([0-9.]+)`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no %q in\n%s", what, out)
		}
		x, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	run("-f", text, "-c", "128", "--chunks", "3", "--kl-divergence-base", base)
	theirs := run("-c", "128", "--kl-divergence-base", base, "--kl-divergence")
	m, err := engine.Open(context.Background(), file, engine.Options{Context: 128})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	f, err := os.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := eval.NewLogitsReader(f)
	if err != nil {
		t.Fatal(err)
	}
	read := eval.Text{Size: l.Size, Tokens: l.Tokens}
	ours, err := eval.Compare(context.Background(), m, read, l, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := figure(theirs, "Mean PPL(base)"); math.Abs(ours.Reference.PPL-want) > 2e-6*want {
		t.Errorf("the reference's perplexity is %.6f, llama.cpp says %.6f", ours.Reference.PPL, want)
	}
	if want := figure(theirs, "Mean PPL(Q)"); math.Abs(ours.Model.PPL/want-1) > .02 {
		t.Errorf("the model's perplexity is %.4f, llama.cpp's %.4f", ours.Model.PPL, want)
	}
	// The same model in two engines: its divergence is their rounding.
	if ours.KL > .02 || ours.SameTop < .9 {
		t.Errorf("%+v", ours)
	}
	out, err := os.Create(base + ".own")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(eval.SaveLogits(context.Background(), m, read, out, nil), out.Close()); err != nil {
		t.Fatal(err)
	}
	theirs = run("-c", "128", "--kl-divergence-base", base+".own", "--kl-divergence")
	if want := figure(theirs, "Mean PPL(base)"); math.Abs(ours.Model.PPL/want-1) > 1e-4 {
		t.Errorf("llama.cpp reads a perplexity of %.6f from what has %.6f", want, ours.Model.PPL)
	}
	if kl := figure(theirs, "Mean    KLD"); kl > .02 {
		t.Errorf("llama.cpp finds a divergence of %g from its own results", kl)
	}
}
