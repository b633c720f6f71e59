package evalset

import (
	"math"
	"testing"
)

func TestJaccard(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{
		{"turn it off", "Turn it off!", 1},
		{"abc", "abd", 1.0 / 5},           // " ab" of " ab" "abc" "bc " and " ab" "abd" "bd "
		{"开灯", "开灯吧", 1.0 / 4},            // " 开灯" "开灯 " and " 开灯" "开灯吧" "灯吧 "
		{"light on", "on light", 7.0 / 9}, // 8 each, of which "t o" and "n l" are of one only
		{"", "x", 0},
		{"。。", "!", 0},
	} {
		if got := Jaccard(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%q and %q: %g, not %g", c.a, c.b, got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	x := NewIndex("turn on the lamp", "开灯", "turn on the light", "turn on the light")
	if i, s := x.Nearest("turn on the lights"); i != 2 || s < TooNear || s == 1 {
		t.Errorf("%d %g", i, s)
	}
	if i, s := x.Nearest("开灯。"); i != 1 || s != 1 {
		t.Errorf("%d %g", i, s)
	}
	if i, s := x.Nearest("xyz"); i != -1 || s != 0 {
		t.Errorf("%d %g", i, s)
	}
}
