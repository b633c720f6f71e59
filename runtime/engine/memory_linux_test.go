package engine_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/engine"
)

// memory reads a line of /proc/self/status, in bytes.
func memory(t *testing.T, line string) int64 {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Skip("memory cannot be measured here: ", err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), line+":"); ok {
			var kib int64
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Skip("this system does not tell " + line)
	return 0
}

// TestMemory: after loading, the file's pages are given back, so that a model
// takes little more than its packed weights and what of its cache is in use;
// closed, it takes nothing but what Go has not given back yet.
func TestMemory(t *testing.T) {
	for _, name := range []string{"smollm2-135m-instruct-q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"} {
		t.Run(name, func(t *testing.T) {
			before := memory(t, "VmRSS")
			m := realModel(t, name, engine.Options{})
			opened := memory(t, "VmRSS") - before
			start := time.Now()
			s := m.NewSession()
			collect(t, s, m.Encode("The capital of France is", true, false), engine.Settings{Sampler: greedy(), MaxTokens: 1})
			first := time.Since(start)
			used := memory(t, "VmRSS") - before
			s.Close()
			size := m.File.Size()
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			t.Logf("file %d MB, open %d MB, after a token %d MB, closed %d MB, peak of the process %d MB; loaded in %v, first token %v later",
				size>>20, opened>>20, used>>20, (memory(t, "VmRSS")-before)>>20, memory(t, "VmHWM")>>20, m.LoadTime, first)
			if limit := size*115/100 + 48<<20; opened > limit || used > limit+16<<20 {
				t.Errorf("an open model takes %d MB, then %d MB; its file has %d MB", opened>>20, used>>20, size>>20)
			}
		})
	}
}
