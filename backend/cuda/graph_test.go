//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// TestDependencies: what comes after what, for calls that wait (w), run beside the one
// before them (f), and are skipped (capitals).
func TestDependencies(t *testing.T) {
	for _, c := range []struct {
		list []string // recordings
		of   []span
		last span
	}{
		{nil, nil, span{}},
		{[]string{"w"}, []span{{}}, span{0, 1}},
		{[]string{"www"}, []span{{}, {0, 1}, {1, 2}}, span{2, 3}},
		{[]string{"wffww"}, []span{{}, {}, {}, {0, 3}, {3, 4}}, span{4, 5}},
		{[]string{"wwffw"}, []span{{}, {0, 1}, {0, 1}, {0, 1}, {1, 4}}, span{4, 5}},
		{[]string{"wWfw"}, []span{{}, {0, 1}, {1, 2}}, span{2, 3}},         // beside the skipped one alone
		{[]string{"wWWWw"}, []span{{}, {0, 1}}, span{1, 2}},                // skipped ones are none to wait for
		{[]string{"wFw"}, []span{{}, {0, 1}}, span{1, 2}},                  //
		{[]string{"Wff"}, []span{{}, {}}, span{0, 2}},                      //
		{[]string{"wf", "fw"}, []span{{}, {}, {0, 2}, {2, 3}}, span{3, 4}}, // a recording waits for those before
		{[]string{"w", "W", "w"}, []span{{}, {0, 1}}, span{1, 2}},
		{[]string{"w", "W"}, []span{{}}, span{0, 1}},
		{[]string{"W", "F"}, nil, span{}},
	} {
		var list []*recording
		var calls []live
		for _, words := range c.list {
			r := &recording{calls: make([]call, len(words))}
			for i, w := range words {
				r.calls[i].free = i > 0 && (w == 'f' || w == 'F')
				if w == 'w' || w == 'f' {
					calls = append(calls, live{r: r, i: i})
				}
			}
			list = append(list, r)
		}
		of, last := dependencies(list, calls)
		if !slices.Equal(of, c.of) || last.to-last.from != c.last.to-c.last.from || last.from < last.to && last != c.last {
			t.Errorf("%q: %v, last %v; want %v, %v", c.list, of, last, c.of, c.last)
		}
	}
}

// TestOverlapping: a kernel overlaps the one before it where each is the other's only
// neighbour.
func TestOverlapping(t *testing.T) {
	for _, c := range []struct {
		of   []span
		want []bool
	}{
		{nil, []bool{}},
		{[]span{{}}, []bool{false}},
		{[]span{{}, {0, 1}, {1, 2}}, []bool{false, true, true}},
		{[]span{{}, {}, {0, 2}, {2, 3}}, []bool{false, false, false, true}},
		{[]span{{}, {0, 1}, {0, 1}, {1, 3}, {3, 4}}, []bool{false, false, false, false, true}},
		{[]span{{}, {0, 1}, {0, 1}}, []bool{false, false, false}},
	} {
		if early := overlapping(c.of); !slices.Equal(early, c.want) {
			t.Errorf("%v: %v, want %v", c.of, early, c.want)
		}
	}
}

// TestOverlap: kernels overlap on GPUs and with drivers that can, unless they are not to.
// A driver that refuses it, or the whole graph, is asked no more, and the results are
// there all the same.
func TestOverlap(t *testing.T) {
	const edges = "cuGraphAddDependencies_v2"
	blobs := accel.BlobsIn(t.TempDir())
	for _, c := range []struct {
		words, off  string
		edges       int // asked for; a life has two kernels, and one graph
		instantiate int
	}{
		{"capability=87", "", 0, 1},
		{"capability=90", "", 1, 1},
		{"capability=121", "1", 1, 1},
		{"capability=90", "0", 0, 1},
		{"capability=90", "off", 0, 1},
		{"capability=90 only=" + edges + " fail=1 code=801", "", 1, 1},
		{"capability=90 only=" + edges + " fail=1 code=1", "", 1, 1},
		{"capability=90 only=cuGraphInstantiate fail=1 code=801", "", 1, 2},
		{"capability=90 only=cuGraphInstantiate fail=1 null", "", 1, 2},
	} {
		useFake(t)
		t.Setenv(EnvOverlap, c.off)
		fake.Set(c.words)
		if err := life(blobs, time.Minute); err != nil {
			t.Errorf("%s, %q: %v", c.words, c.off, err)
		}
		if n, m := fake.Calls(edges), fake.Calls("cuGraphInstantiate"); n != c.edges || m != c.instantiate {
			t.Errorf("%s, %q: %d calls for edges, want %d; %d graphs instantiated, want %d", c.words, c.off, n, c.edges, m, c.instantiate)
		}
		nothingLeft(t, c.words)
	}
	// It is remembered; an error that a graph without has as well is one.
	d := opened(t, "capability=90 only="+edges+" fail=1 code=801")
	for range 2 {
		if err := work(d); err != nil {
			t.Fatal(err)
		}
	}
	if n := fake.Calls(edges); n != 1 || d.overlap {
		t.Errorf("%d calls for edges of a driver that refuses them; overlap %v", n, d.overlap)
	}
	fake.Set("capability=90 only=cuGraphInstantiate fail=1 code=700 sticky")
	if err := life(blobs, time.Minute); !isLost(err) {
		t.Errorf("of a lost device: %v", err)
	}
}

// TestWatchdogParts: where the system stops kernels that take long, all parts of a prompt
// are graphs that its next chunk finds again.
func TestWatchdogParts(t *testing.T) {
	for _, n := range []int{1, mostGraphs - 1, 97} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			d := opened(t, "")
			f, list := parts(t, d, n)
			run(t, d, f.all(), list...)
			built := d.built
			if built < n {
				t.Errorf("%d graphs", built)
			}
			for range 3 {
				run(t, d, f.all(), list...)
				run(t, d, nil, list...)
			}
			if more := d.built - built; more > 1 { // one: the last part without the read
				t.Errorf("%d graphs are built anew", more)
			}
		})
	}
}

// TestWatchdogOutOfMemory: that a later part finds no memory is no reason to give the
// device up.
func TestWatchdogOutOfMemory(t *testing.T) {
	for _, function := range []string{"cuGraphInstantiate", "cuGraphLaunch"} {
		t.Run(function, func(t *testing.T) {
			const card = "integrated=0 memory=209715200 "
			d := opened(t, card)
			f, list := parts(t, d, 3)
			fake.Set(card + "only=" + counted(t, function) + " fail=3 code=2")
			_, err := d.Submit(list, f.all())
			var oom *backend.ErrOutOfMemory
			if !errors.As(err, &oom) || isLost(err) {
				t.Errorf("%v", err)
			}
			fake.Set(card)
			run(t, d, f.all(), list...)
			if f.out.Host()[0] != 3 {
				t.Error("the next run is wrong")
			}
		})
	}
}
