package tokenizer_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// TestSpeedAgainstLlamaTokenize measures processor time on 1 MB of text in
// alternation: the first Encode of a new tokenizer here, and there a whole run
// of llama-tokenize less a run on one letter, which is loading. It is a
// measurement, made on request.
func TestSpeedAgainstLlamaTokenize(t *testing.T) {
	if os.Getenv("LEDGE_TEST_SPEED") == "" {
		t.Skip("LEDGE_TEST_SPEED is not set: no measurement asked for")
	}
	text := mixedText(1 << 20)
	median := func(ms []float64) float64 { slices.Sort(ms); return ms[len(ms)/2] }
	for _, path := range models(t) {
		switch readMetadata(t, path)["tokenizer.ggml.model"] {
		case "gpt2", "llama", "gemma4":
		default:
			continue
		}
		config := loadConfig(t, path)
		var cold, warm, build, theirs, load []float64
		for range 5 {
			short := cpuMS(syscall.RUSAGE_CHILDREN, func() { llamaTokenize(t, path, "a", "--no-parse-special") })
			long := cpuMS(syscall.RUSAGE_CHILDREN, func() { llamaTokenize(t, path, text, "--no-parse-special") })
			theirs, load = append(theirs, long-short), append(load, short)
			var tok *tokenizer.Tokenizer
			build = append(build, cpuMS(syscall.RUSAGE_SELF, func() { tok, _ = tokenizer.New(config) }))
			encode := func() { tok.Encode(text, tokenizer.EncodeOptions{AddSpecial: true}) }
			cold = append(cold, cpuMS(syscall.RUSAGE_SELF, encode))
			warm = append(warm, cpuMS(syscall.RUSAGE_SELF, encode))
		}
		ours, other := median(cold), median(theirs)
		t.Logf("%s: 1 MB in %.0f ms cold, %.0f ms warm, New %.0f ms; llama-tokenize %.0f ms and %.0f ms to load: %.1f times as fast",
			filepath.Base(path), ours, median(warm), median(build), other, median(load), other/ours)
	}
}

// cpuMS returns the processor time f takes, in ms, in this process or its
// children.
func cpuMS(who int, f func()) float64 {
	used := func() time.Duration {
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			return 0
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	before := used()
	f()
	return float64((used() - before).Microseconds()) / 1000
}
