package cpu

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSelect(t *testing.T) {
	t.Setenv(EnvLevel, "")
	k, err := Select("")
	if err != nil {
		t.Fatal(err)
	}
	if best := Levels()[len(Levels())-1]; k.Level() != best {
		t.Errorf("picked %v of %v", k.Level(), Levels())
	}
	for l := range numLevels {
		can := slices.Contains(Levels(), l)
		k, err := Select(strings.ToUpper(l.String()))
		switch {
		case can && (err != nil || k.Level() != l):
			t.Errorf("%v: got %v, %v", l, k, err)
		case !can && (err == nil || !strings.Contains(strings.ToLower(err.Error()), l.String()) || !strings.Contains(err.Error(), "[generic")):
			t.Errorf("%v, which cannot run here: %v", l, err)
		}
	}
	if _, err := Select("mmx"); err == nil || !strings.Contains(err.Error(), `"mmx" is not a level`) {
		t.Errorf("unknown level: %v", err)
	}
	t.Setenv(EnvLevel, "generic")
	if k, err := Select(""); err != nil || k.Level() != Generic {
		t.Errorf("by environment: %v, %v", k, err)
	}
}

func TestSelfCheck(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		if err := k.SelfCheck(); err != nil {
			t.Error(err)
		}
	})
	if len(Levels()) == 1 {
		t.Skip("no level with assembly on this processor: nothing to break")
	}
	broken := *levelTable(Levels()[1])
	broken.max = func(x *float32, n int) float32 { return *x }
	k := &Kernels{level: Levels()[1], asm: &broken}
	if err := k.SelfCheck(); err == nil || !strings.Contains(err.Error(), "the largest value") {
		t.Errorf("a broken kernel passes: %v", err)
	}
}

func BenchmarkSelfCheck(b *testing.B) {
	k := kernelsOf(Levels()[len(Levels())-1])
	fastest := time.Hour
	for b.Loop() {
		t := time.Now()
		if err := k.SelfCheck(); err != nil {
			b.Fatal(err)
		}
		fastest = min(fastest, time.Since(t))
	}
	b.ReportMetric(fastest.Seconds()*1e3, "fastest-ms")
}
