package backendtest

import (
	"bytes"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/graphtest"
)

func stateGraph() *graph.Graph {
	d := graphtest.Architectures()[0]
	d.Max = graph.Limits{T: 70, S: 3, R: 4, P: 3}
	return d.Must()
}

// testState copies, saves and restores pages, and closes what is open.
func testState(t *testing.T, dev backend.Device) {
	g := stateGraph()
	if why := unsupported(dev, g); why != "" {
		t.Skip(why)
	}
	specs := weightsFor(t, g, 5)
	m := compile(t, dev, g, specs, true)
	last := step{segs: []seg{{0, 70, 1}}}
	run := func(t *testing.T, m *machine, s step) []float32 {
		t.Helper()
		a, err := m.execute(s)
		if err != nil {
			t.Fatal(err)
		}
		return a.Outputs[0].F32
	}
	run(t, m, prompt(70))
	saved := readPages(t, m.state, pagesFor(g, 0, 70))
	want := run(t, m, last)

	t.Run("layout", func(t *testing.T) {
		if m.state.Layout() == "" || m.state.PageBytes() <= 0 {
			t.Errorf("layout %q, %d bytes a page", m.state.Layout(), m.state.PageBytes())
		}
		other, err := dev.NewState(backend.StateSpec{Decls: g.States, Pages: 2, Sequences: 1})
		if err != nil {
			t.Fatal(err)
		}
		if other.Layout() != m.state.Layout() || other.PageBytes() != m.state.PageBytes() {
			t.Errorf("a second state of the same model has layout %q, not %q", other.Layout(), m.state.Layout())
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		changed := append([]graph.StateDecl(nil), g.States...)
		changed[0].KVHeads *= 2
		third, err := dev.NewState(backend.StateSpec{Decls: changed, Pages: 1, Sequences: 1})
		if err != nil {
			t.Fatal(err)
		}
		if third.Layout() == m.state.Layout() {
			t.Error("a state with other heads claims the same layout")
		}
		if err := third.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("cleared", func(t *testing.T) {
		s, err := dev.NewState(backend.StateSpec{Decls: g.States, Pages: 2, Sequences: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, p := range readPages(t, s, []int32{0, 1}) {
			if len(bytes.Trim(p, "\x00")) != 0 {
				t.Error("a new state's page is not zero")
			}
		}
	})
	t.Run("restore", func(t *testing.T) {
		// Into another state, at other pages.
		m2 := compile(t, dev, g, specs, true)
		for i, p := range pagesFor(g, 0, 70) {
			if err := m2.state.WritePage(int(p), saved[i]); err != nil {
				t.Fatal(err)
			}
		}
		if got := run(t, m2, last); !sameBits(got, want) {
			t.Error("a restored cache gives another result")
		}
	})
	t.Run("copy", func(t *testing.T) {
		run(t, m, prompt(70))
		from, to := pagesFor(g, 0, 70), pagesFor(g, 2, 70)
		for i := range from {
			if err := m.state.CopyPage(int(to[i]), int(from[i])); err != nil {
				t.Fatal(err)
			}
		}
		a := args(g, last, m.state)
		a.Segments[0].Pages = to
		if err := m.submit(a); err != nil {
			t.Fatal(err)
		}
		if !sameBits(a.Outputs[0].F32, want) {
			t.Error("a copied cache gives another result")
		}
	})
	t.Run("misuse", func(t *testing.T) {
		buf := make([]byte, m.state.PageBytes())
		n := pagesOf(g)
		for name, err := range map[string]error{
			"CopyPage to a page that is not there":    m.state.CopyPage(n, 0),
			"CopyPage from a page that is not there":  m.state.CopyPage(0, -1),
			"ReadPage of a page that is not there":    m.state.ReadPage(n, buf),
			"ReadPage into too few bytes":             m.state.ReadPage(0, buf[1:]),
			"WritePage to a page that is not there":   m.state.WritePage(-1, buf),
			"WritePage of too few bytes":              m.state.WritePage(0, buf[:len(buf)-1]),
			"WritePage of more bytes than a page has": m.state.WritePage(0, make([]byte, len(buf)+1)),
		} {
			if err == nil {
				t.Errorf("%s is no error", name)
			}
		}
		bad := g.States[0]
		bad.Kind = "spiral"
		if s, err := dev.NewState(backend.StateSpec{Decls: []graph.StateDecl{bad}, Pages: 1, Sequences: 1}); err == nil {
			t.Error("a state of an unknown kind is no error")
			s.Close()
		}
		if s, err := dev.NewState(backend.StateSpec{Decls: g.States, Pages: -1, Sequences: 1}); err == nil {
			t.Error("a state of -1 pages is no error")
			s.Close()
		}
	})
	t.Run("close twice", func(t *testing.T) {
		s, err := dev.NewState(backend.StateSpec{Decls: g.States, Pages: 1, Sequences: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("the second time: %v", err)
		}
		if err := s.ReadPage(0, make([]byte, m.state.PageBytes())); err == nil {
			t.Error("reading a closed state is no error")
		}
		a := args(g, prompt(1), s)
		if err := m.submit(a); err == nil {
			t.Error("running with a closed state is no error")
		}
	})
}

func readPages(t *testing.T, s backend.State, pages []int32) [][]byte {
	t.Helper()
	var all [][]byte
	for _, p := range pages {
		b := make([]byte, s.PageBytes())
		if err := s.ReadPage(int(p), b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}
