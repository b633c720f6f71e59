package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// TestHostileFiles runs commands on damaged copies of a tiny model: truncated,
// with changed bytes in the header, with tensors that point elsewhere. Each
// command works or fails with one line, soon.
func TestHostileFiles(t *testing.T) {
	whole, err := os.ReadFile(golden(t, "llama-gqa"))
	if err != nil {
		t.Fatal(err)
	}
	offsets := tensorOffsets(t, whole)
	header := offsets[len(offsets)-1] + 8
	flips, cuts := 200, 40
	if testing.Short() {
		flips, cuts = 40, 10
	}
	r := rand.New(rand.NewPCG(1, 2))
	h := hostile{t: t, dir: t.TempDir()}

	for i := range cuts {
		// Half of them in the header, where most can go wrong.
		at := header * i / cuts
		if i%2 == 1 {
			at = len(whole) * i / cuts
		}
		h.check(fmt.Sprintf("cut at byte %d", at), whole[:at], true)
	}
	for range flips {
		at := r.IntN(header)
		if r.IntN(4) == 0 { // the names, lists and texts are long, the numbers few
			at = r.IntN(200)
		}
		bit := byte(1) << r.IntN(8)
		data := bytes.Clone(whole)
		data[at] ^= bit
		h.check(fmt.Sprintf("byte %d with bit %#x flipped", at, bit), data, false)
	}
	for i := range offsets {
		for _, f := range []struct {
			what   string
			offset uint64
			refuse bool
		}{
			{"where the one before it lies", binary.LittleEndian.Uint64(whole[offsets[(i+len(offsets)-1)%len(offsets)]:]), true},
			{"at a byte that is not aligned", binary.LittleEndian.Uint64(whole[offsets[i]:]) + 1, true},
			{"behind the file's end", uint64(len(whole)), true},
			{"at the end of all numbers", ^uint64(31), true},
		} {
			if i%5 != 0 && testing.Short() {
				continue
			}
			data := bytes.Clone(whole)
			binary.LittleEndian.PutUint64(data[offsets[i]:], f.offset)
			h.check(fmt.Sprintf("tensor %d %s", i, f.what), data, f.refuse)
		}
	}
	// Two tensors of one size that change places are another valid model.
	data := bytes.Clone(whole)
	a, b := offsets[1], offsets[4] // attn_q and attn_output
	copy(data[a:a+8], whole[b:b+8])
	copy(data[b:b+8], whole[a:a+8])
	if codes := h.check("two tensors change places", data, false); codes != [3]int{} {
		t.Errorf("two tensors change places: exit codes %v", codes)
	}
}

// tensorOffsets finds where the header says each tensor's offset.
func tensorOffsets(t *testing.T, whole []byte) []int {
	t.Helper()
	f, err := gguf.Parse(whole)
	if err != nil {
		t.Fatal(err)
	}
	var at []int
	for _, x := range f.Tensors() {
		i := bytes.Index(whole, append(binary.LittleEndian.AppendUint64(nil, uint64(len(x.Name))), x.Name...))
		if i < 0 {
			t.Fatalf("%s is not in the header", x.Name)
		}
		at = append(at, i+8+len(x.Name)+4+8*len(x.Shape)+4)
	}
	return at
}

// hostile runs commands on files that nobody should have made.
type hostile struct {
	t   *testing.T
	dir string
	n   int
}

// check runs three commands on the file and gives their exit codes. With
// refused, none may succeed.
func (h *hostile) check(what string, data []byte, refused bool) (codes [3]int) {
	h.t.Helper()
	path := filepath.Join(h.dir, fmt.Sprintf("%d.gguf", h.n))
	h.n++
	if err := os.WriteFile(path, data, 0o644); err != nil {
		h.t.Fatal(err)
	}
	defer os.Remove(path)
	for i, args := range [][]string{
		{"run", "--raw", "-q", "-n", "2", "-t", "1", "-m", path, "the other"},
		{"info", path},
		{"tokenize", "-m", path, "the other"},
	} {
		start := time.Now()
		r, panicked := guarded(args)
		codes[i] = r.code
		if d := time.Since(start); d > 30*time.Second { // it takes milliseconds, where nothing else runs
			h.t.Errorf("%s: ledge %s took %v", what, args[0], d)
		}
		if panicked != nil {
			h.t.Errorf("%s: ledge %s: panic: %v", what, args[0], panicked)
			continue
		}
		lines := strings.Split(strings.TrimSuffix(r.err, "\n"), "\n")
		switch {
		case r.code == exitOK:
			if refused {
				h.t.Errorf("%s: ledge %s succeeds: %.200q", what, args[0], r.out)
			}
			if r.err != "" {
				h.t.Errorf("%s: ledge %s says %.300q", what, args[0], r.err)
			}
		case r.code != exitFailed:
			h.t.Errorf("%s: ledge %s: exit code %d, %.300q", what, args[0], r.code, r.err)
		case len(lines) != 1 || !strings.HasPrefix(r.err, "ledge: ") || len(r.err) > 1000 || strings.Contains(r.err, "goroutine "):
			h.t.Errorf("%s: ledge %s: no clear line: %.1100q", what, args[0], r.err)
		case r.out != "":
			h.t.Errorf("%s: ledge %s fails but writes %.200q", what, args[0], r.out)
		}
	}
	return codes
}

// guarded runs a command line and catches its panic.
func guarded(args []string) (r result, panicked any) {
	defer func() { panicked = recover() }()
	return ledge(args...), nil
}
