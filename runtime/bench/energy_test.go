package bench_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/power"
	"github.com/ledge-run/ledge/runtime/power/powertest"
)

func TestEnergy(t *testing.T) {
	m := open(t)
	if bench.Beside(m) {
		t.Error("the processor is said to be beside itself")
	}
	meter := power.OpenAt(powertest.TenWatts(time.Now()))
	for _, x := range []bench.Test{{Prompt: 100}, {Gen: 20, Parallel: 3}} {
		r, err := bench.RunMetered(context.Background(), m, x, 5, meter, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.JoulesPerToken == nil || r.EnergySource != "RAPL package-0" || r.EnergyCovers != power.Package || r.EnergyMethod != "counter" || r.EnergyNote != "" {
			t.Fatalf("%+v", r.EnergyFigures)
		}
		tokens := float64(5 * (x.Prompt + x.Gen) * max(1, x.Parallel))
		timed := 0.0
		for _, ns := range r.Ns {
			timed += float64(ns) / 1e9
		}
		if joules := *r.JoulesPerToken * tokens; joules < 9.9*timed || math.Abs(joules / *r.AvgWatts / r.Energy.Seconds - 1) > 1e-9 || math.Abs(*r.JoulesPerToken**r.TokensPerJoule-1) > 1e-9 {
			t.Errorf("%s: %g J for %g s, %g W, %g tokens for a joule", x, joules, timed, *r.AvgWatts, *r.TokensPerJoule)
		}
	}
	r, err := bench.RunMetered(context.Background(), m, bench.Test{Gen: 1}, 1, power.OpenAt(fstest.MapFS{}), nil)
	if err != nil || r.JoulesPerToken != nil || r.TokensPerJoule != nil || r.AvgWatts != nil || !strings.Contains(r.EnergyNote, "RAPL: no package domain") {
		t.Errorf("%+v, %v", r.EnergyFigures, err)
	}
}
