package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/build/internal/synthmodel"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// makeTiny writes a tiny model of a type and returns its path.
func makeTiny(t *testing.T, quant string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), quant+".gguf")
	var log bytes.Buffer
	if err := run(append(flags, "tiny", quant, path), &log); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWeights: each type is where it belongs, and every matrix keeps the scale of
// its input.
func TestWeights(t *testing.T) {
	for quant, r := range recipes {
		f, err := gguf.Open(makeTiny(t, quant))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want := map[string]dtype.DType{
			"token_embd.weight": r.most, "output.weight": r.output, "output_norm.weight": dtype.F32,
			"blk.0.attn_q.weight": r.most, "blk.0.ffn_down.weight": r.most, "blk.1.attn_v.weight": r.most,
		}
		if quant == "q4_k_m" { // of two layers the last has more bits
			want["blk.1.attn_v.weight"], want["blk.1.ffn_down.weight"] = dtype.Q6_K, dtype.Q6_K
		}
		for name, d := range want {
			if got, ok := f.Tensor(name); !ok || got.DType != d {
				t.Errorf("%s: %s is %v, want %v", quant, name, got.DType, d)
			}
		}
		for _, tensor := range f.Tensors() {
			x, err := tensor.Dequantize()
			if err != nil {
				t.Fatal(err)
			}
			var sum, squares float64
			for _, v := range x {
				sum += float64(v)
				squares += float64(v) * float64(v)
			}
			n := float64(len(x))
			if len(tensor.Shape) == 1 {
				if sum != n || squares != n {
					t.Errorf("%s: %s is not all ones", quant, tensor.Name)
				}
				continue
			}
			cols := float64(tensor.Shape[1])
			if v := squares / n * cols; !(v > 0.9 && v < 1.1) {
				t.Errorf("%s: the variance of %s times its %v columns is %v, want 1", quant, tensor.Name, cols, v)
			}
			if mean := sum / n * math.Sqrt(cols); !(math.Abs(mean) < 0.03) {
				t.Errorf("%s: the mean of %s is %v deviations off", quant, tensor.Name, mean)
			}
		}
	}
}

// TestSameFile: a file is the same each time and for any number of threads, and no
// two rows of a matrix are.
func TestSameFile(t *testing.T) {
	var want [32]byte
	for i, threads := range []string{"1", "3", "3"} {
		data, err := os.ReadFile(makeTiny(t, "f16", "-threads", threads))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); i == 0 {
			want = sum
		} else if sum != want {
			t.Errorf("the file of %s threads differs from that of one", threads)
		}
	}
	f, err := gguf.Open(makeTiny(t, "q4_0"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := map[string]string{}
	for _, tensor := range f.Tensors() {
		if len(tensor.Shape) != 2 || tensor.Shape[1]/tensor.DType.BlockLen() < 4 {
			continue // a norm, or so few blocks that chance repeats them
		}
		bytes := len(tensor.Data) / tensor.Shape[0]
		for r := range tensor.Shape[0] {
			row := string(tensor.Data[r*bytes : (r+1)*bytes])
			if other, ok := rows[row]; ok {
				t.Fatalf("a row of %s is one of %s again", tensor.Name, other)
			}
			rows[row] = tensor.Name
		}
	}
}

// TestChunks: chunks are a tensor's bytes, each once, and what fails to be written
// ends all threads.
func TestChunks(t *testing.T) {
	p, err := newPool(dtype.Q4_0, 64)
	if err != nil {
		t.Fatal(err)
	}
	const size = 5*(chunkBytes/18)*18 + 7*18
	var f file
	f.split(p, 1, 100, size)
	at := int64(100)
	for _, c := range f.chunks {
		if c.at != at || c.bytes%18 != 0 || c.bytes < 1 || c.bytes > chunkBytes {
			t.Errorf("%d bytes at %d, want whole blocks at %d", c.bytes, c.at, at)
		}
		at += int64(c.bytes)
	}
	if at != 100+size || len(f.chunks) != 6 {
		t.Errorf("%d chunks to %d, want 6 to %d", len(f.chunks), at, 100+size)
	}
	full := &failing{after: 2}
	if err := f.write(full, 3); !errors.Is(err, errFull) {
		t.Errorf("error %v, want %v", err, errFull)
	}
	if full.calls.Load() > 5 { // the head, one, and a last one of each thread
		t.Errorf("%d writes though the third failed", full.calls.Load())
	}
}

var errFull = errors.New("the disk is full")

// failing fails all writes after some.
type failing struct {
	after int64
	calls atomic.Int64
}

func (f *failing) WriteAt(b []byte, _ int64) (int, error) {
	if f.calls.Add(1) > f.after {
		return 0, errFull
	}
	return len(b), nil
}

// TestLedge: the engine loads each type, and logits are finite and no constant.
func TestLedge(t *testing.T) {
	for quant := range recipes {
		m, err := engine.Open(context.Background(), makeTiny(t, quant), engine.Options{Context: 64, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		var rows int
		err = m.Logits(context.Background(), []int32{257, 'a', 'b', 300}, func(_ int, logits []float32) error {
			rows += len(logits) / m.Vocab()
			var squares float64
			for _, v := range logits {
				squares += float64(v) * float64(v)
			}
			if d := math.Sqrt(squares / float64(len(logits))); !(d > 0.5 && d < 2) {
				t.Errorf("%s: the logits' deviation is %v, want about 1", quant, d)
			}
			return nil
		})
		if err := errors.Join(err, m.Close()); err != nil || rows != 4 {
			t.Errorf("%s: %d rows of logits, %v", quant, rows, err)
		}
	}
}

// TestLlama: llama.cpp loads each type, and its logits are finite.
func TestLlama(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_LLAMA")
	if dir == "" {
		t.Skip("LEDGE_TEST_LLAMA is not set: no folder with llama.cpp (bin/ and src/)")
	}
	text, logits := filepath.Join(t.TempDir(), "text"), filepath.Join(t.TempDir(), "logits")
	if err := os.WriteFile(text, []byte(strings.Repeat("the weather then. ", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	for quant := range recipes {
		out, err := exec.Command(filepath.Join(dir, "bin", "llama-perplexity"), "-m", makeTiny(t, quant), "-f", text,
			"-c", "128", "--chunks", "1", "-t", "1", "--save-all-logits", logits).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", quant, err, out)
		}
		data, err := os.ReadFile(logits)
		if err != nil {
			t.Fatal(err)
		}
		// Magic, 3 numbers and 128 tokens; then, of each token of the last half but the
		// last, how much a step of its log-probabilities is, the lowest of them, and all
		// of 16 bits each. A single logit that's not finite makes the lowest so.
		const head, row, rows = 8 + 4*(3+128), 2 * (4 + 512), 63
		if len(data) != head+rows*row {
			t.Fatalf("%s: %d bytes of logits, want %d", quant, len(data), head+rows*row)
		}
		for r := range rows {
			b := data[head+r*row:]
			step, lowest := float(b), float(b[4:])
			if !(step > 0 && step < 16./65535) || !(lowest < -5 && lowest > -20) {
				t.Errorf("%s: row %d has steps of %v from %v", quant, r, step, lowest)
			}
		}
	}
}

func float(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

// TestShapes: the models have the sizes that their names say.
func TestShapes(t *testing.T) {
	for name, want := range map[string]float64{"1b": 1.24e9, "8b": 8.03e9, "wide": 7.37e9} {
		params := 0
		for _, tensor := range synthmodel.Shapes[name].Tensors() {
			n, _ := dtype.Product(tensor.Shape)
			params += n
		}
		if off := float64(params)/want - 1; math.Abs(off) > 0.005 {
			t.Errorf("%s has %d parameters, want about %v", name, params, want)
		}
	}
}

func TestArguments(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	for _, c := range []struct{ args, want string }{
		{"tiny q4_0", "SHAPE TYPE FILE"},
		{"7b q4_0 " + path, "tiny"},
		{"tiny q3 " + path, "q4_k_m"},
		{"-threads 0 tiny q4_0 " + path, "positive"},
		{"tiny q4_0 " + filepath.Join(path, "no", "m.gguf"), "no such file"},
	} {
		var log bytes.Buffer
		if err := run(strings.Fields(c.args), &log); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one with %q", c.args, err, c.want)
		}
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	f, err := gguf.Open(makeTiny(t, "q8_0", "-context", "777"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, _ := f.Uint("llama.context_length"); n != 777 {
		t.Errorf("a context of %d, want 777", n)
	}
}
