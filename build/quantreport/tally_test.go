package main

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/eval"
)

// Lots put together give the mean and the standard error of all positions; what was
// measured is read again, but for a line that was cut off.
func TestTally(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quality.jsonl")
	h := header{Model: "m", Text: "t", Calibration: "c", Lot: 2}
	a, err := openTally(path, h)
	if err != nil {
		t.Fatal(err)
	}
	f := made{kind: "Q4_0", by: "ledge"}
	r := rand.New(rand.NewPCG(1, 2))
	var every []float64
	for lot, n := range []int{10, 30, 7} {
		var kl []float64
		for range n {
			kl = append(kl, r.ExpFloat64()*float64(lot+1))
		}
		every = append(every, kl...)
		mean, stderr := moments(kl)
		d := eval.Divergence{KL: mean, KLErr: stderr, SameTop: 0.5, Positions: n}
		d.Model.PPL, d.Reference.PPL = 3, 2
		if err := a.add(f, lot, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"type":"Q4_0","by":"ledge","lot":3,"posi`); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time without the line
		b, err := openTally(path, h)
		if err != nil {
			t.Fatal(err)
		}
		mean, stderr := moments(every)
		s := b.total(f)
		if s.n != len(every) || math.Abs(s.kl-mean) > 1e-9 || math.Abs(s.klErr-stderr) > 1e-9 || math.Abs(s.ppl-3) > 1e-9 || math.Abs(b.base()-2) > 1e-9 {
			t.Errorf("%+v, base %g; want %d, %g, %g", s, b.base(), len(every), mean, stderr)
		}
		if !b.has(f, 2) || b.has(f, 3) || b.has(made{kind: "Q4_0", by: "other"}, 2) {
			t.Error("has is wrong")
		}
		if err := b.close(); err != nil {
			t.Fatal(err)
		}
	}
	h.Text = "other"
	if _, err := openTally(path, h); err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("another text: %v", err)
	}
}

// moments are the mean and its standard error, as eval has it.
func moments(v []float64) (mean, stderr float64) {
	n := float64(len(v))
	for _, x := range v {
		mean += x / n
	}
	for _, x := range v {
		stderr += (x - mean) * (x - mean) / n
	}
	return mean, math.Sqrt(stderr / (n - 1))
}
