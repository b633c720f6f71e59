package graphtest

import (
	"testing"

	"github.com/ledge-run/ledge/graph"
)

func TestGeneratorsGiveValidGraphs(t *testing.T) {
	ops := map[graph.Op]bool{}
	for _, d := range Architectures() {
		if _, err := d.Graph(); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
	}
	for seed := range uint64(400) {
		g := Random(seed)
		if err := graph.Verify(g); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, g)
		}
		if g.String() != Random(seed).String() {
			t.Fatalf("seed %d gives two different graphs", seed)
		}
		for _, n := range g.Nodes {
			ops[n.Op] = true
		}
	}
	for _, op := range graph.Ops() {
		if op.Stage() == graph.Built && !ops[op] {
			t.Errorf("no random graph has a %s", op)
		}
	}
}

func TestDiff(t *testing.T) {
	if d := Diff("a\nb \n", "a\nb\n\n"); d != "" {
		t.Errorf("trailing space counts: %q", d)
	}
	if d := Diff("a\nb\n", "a\nc\n"); d == "" {
		t.Error("a difference is not seen")
	}
	if got := Dedent("\n\t\ta\n\t\t  b\n\t"); got != "a\n  b\n" {
		t.Errorf("Dedent gives %q", got)
	}
}
