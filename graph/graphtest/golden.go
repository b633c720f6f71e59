// Package graphtest has what tests of graphs share: golden files, decoders of
// the usual architectures in miniature, and a generator of random graphs.
//
// Everything here is deterministic: a seed always gives the same graph, so that
// a failing seed in a log is all that is needed to see the failure again.
package graphtest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph"
)

func init() {
	if flag.Lookup("update") == nil {
		flag.Bool("update", false, "rewrite the golden files with what the tests get")
	}
}

// updating reports whether the test run was started with -update.
func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

// Golden compares got with the file testdata/name of the package under test;
// with -update it writes the file instead.
func Golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if updating() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run the test with -update to make it)", err)
	}
	if d := Diff(string(want), got); d != "" {
		t.Errorf("%s differs (run the test with -update if that is meant):\n%s", path, d)
	}
}

// Diff shows the first place where two texts differ, with two lines around it,
// or is "" if they are equal. Trailing space of a line does not count.
func Diff(want, got string) string {
	w, g := lines(want), lines(got)
	for i := 0; i < len(w) || i < len(g); i++ {
		if at(w, i) == at(g, i) {
			continue
		}
		var b strings.Builder
		for j := max(0, i-2); j < i; j++ {
			b.WriteString("   " + w[j] + "\n")
		}
		for j := i; j < i+3; j++ {
			b.WriteString(" - " + at(w, j) + "\n")
		}
		for j := i; j < i+3; j++ {
			b.WriteString(" + " + at(g, j) + "\n")
		}
		return b.String()
	}
	return ""
}

func lines(s string) []string {
	l := strings.Split(strings.TrimRight(s, "\n \t"), "\n")
	for i := range l {
		l[i] = strings.TrimRight(l[i], " \t")
	}
	return l
}

func at(l []string, i int) string {
	if i < len(l) {
		return l[i]
	}
	return "(end)"
}

// Dedent strips the indentation of a text literal: the leading newline, and
// from each line the white space that the first one begins with.
func Dedent(s string) string {
	s = strings.Trim(s, "\n")
	indent := s[:len(s)-len(strings.TrimLeft(s, " \t"))]
	l := strings.Split(s, "\n")
	for i := range l {
		l[i] = strings.TrimPrefix(l[i], indent)
	}
	return strings.TrimRight(strings.Join(l, "\n"), " \t\n") + "\n"
}

// Parse reads a graph's text and fails the test if it is wrong.
func Parse(t testing.TB, text string) *graph.Graph {
	t.Helper()
	g, err := graph.Parse(Dedent(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, Dedent(text))
	}
	return g
}
