package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// proportional is the memory of a process in bytes, with what it shares divided
// among those who share it.
func proportional(t *testing.T, pid int) (n int64) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Skip("this system does not tell what processes share: ", err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			if _, err := fmt.Sscan(rest, &n); err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("no Pss in %q", data)
	return 0
}

// TestShare runs a real model in two processes at once: together they have its
// weights in memory once with --share, and twice without.
func TestShare(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS does not name a folder with the real models")
	}
	m := filepath.Join(dir, "smollm2-135m-instruct-q4_1.gguf")
	st, err := os.Stat(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LEDGE_PACK_CACHE", t.TempDir())
	must(t, "run", "-q", "-m", m, "--raw", "-n", "1", "hi")
	together := func(flags ...string) (sum int64) {
		args := append([]string{"run", "-q", "-m", m, "--raw", "--ignore-eos", "-n", "4000", "-t", "1", "hi"}, flags...)
		var running []*exec.Cmd
		for range 2 {
			c := program(t, args...)
			out, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			running = append(running, c)
			defer func() {
				_ = c.Process.Kill()
				_ = c.Wait()
			}()
			if _, err := bufio.NewReader(out).ReadByte(); err != nil { // it generates
				t.Fatal(err)
			}
		}
		for _, c := range running {
			sum += proportional(t, c.Process.Pid)
		}
		return sum
	}
	own, shared := together(), together("--share")
	t.Logf("file %d MB; two processes %d MB, with --share %d MB", st.Size()>>20, own>>20, shared>>20)
	if own < 2*st.Size() || own-shared < st.Size()*8/10 {
		t.Errorf("two processes of a model of %d MB take %d MB, with --share %d MB", st.Size()>>20, own>>20, shared>>20)
	}
}

// TestPeakMemory: the most memory a process ever has, packing or reading the
// weights and then reading a prompt of 512 tokens, is that of the weights and 40
// MB, besides the context's cache. The model is a copy written in one piece: the
// page cache then has it in large folios, each of which is mapped whole.
func TestPeakMemory(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS does not name a folder with the real models")
	}
	for _, name := range []string{"smollm2-135m-instruct-q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"} {
		m := filepath.Join(t.TempDir(), name)
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(m, data, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Setenv("LEDGE_PACK_CACHE", t.TempDir())
		info := decode[struct {
			Memory struct{ Weights, Cache int64 }
		}](t, must(t, "info", "--json", m))
		for _, start := range []string{"first", "second"} {
			out, err := program(t, "run", "-q", "-m", m, "--json", "--raw", "-n", "2", strings.Repeat("one two three four ", 128)).Output()
			if err != nil {
				t.Fatal(err)
			}
			r := decode[runResult](t, string(out))
			t.Logf("%s, %s start: %d prompt tokens, weights %.1f MB, cache %.1f MB, peak %.1f MB", name, start,
				r.Usage.Prompt, float64(info.Memory.Weights)/1e6, float64(info.Memory.Cache)/1e6, float64(r.Memory)/1e6)
			if r.Usage.Prompt < 512 {
				t.Errorf("a prompt of %d tokens", r.Usage.Prompt)
			}
			if limit := info.Memory.Weights + 40e6 + info.Memory.Cache; r.Memory > limit {
				t.Errorf("%s, %s start: peak of %d MB, allowed %d", name, start, r.Memory/1e6, limit/1e6)
			}
		}
	}
}
