package all_test

import (
	"context"
	"os"
	"testing"

	"github.com/ledge-run/ledge/backend"
	_ "github.com/ledge-run/ledge/backend/all"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
)

// TestGoldenModels compares the logits of the golden models, on every device of
// this build but the processor, with those of the transformers library. OpenCL's and
// OpenGL ES' software drivers compile slowly: there each fourth model runs, and all
// with LEDGE_TEST_FULL.
func TestGoldenModels(t *testing.T) {
	full := os.Getenv("LEDGE_TEST_FULL") != ""
	eachDevice(t, func(t *testing.T, i backend.Info) {
		for n, g := range goldentest.Models(t, "../../runtime/model/testdata") {
			if !full && i.Backend != "vulkan" && n%4 != 0 {
				continue
			}
			t.Run(g.Name, func(t *testing.T) {
				g.Check(t, goldentest.Variant{Options: engine.Options{Device: i.Name, CacheType: dtype.F32}})
				g.Check(t, goldentest.Variant{Options: engine.Options{Device: i.Name, CacheType: dtype.F32, Batch: 7, NoFuse: true}})
				if full || i.Backend == "vulkan" {
					g.Check(t, goldentest.Variant{Options: engine.Options{Device: i.Name, CacheType: dtype.F16, Sequences: 3}, Batch: true})
					g.CheckGreedy(t, engine.Options{Device: i.Name})
				}
			})
		}
	})
}

// eachDevice runs a test on every device that is here but the processor, which
// runtime/engine tests.
func eachDevice(t *testing.T, test func(t *testing.T, i backend.Info)) {
	emulateCUDA(t)
	for _, d := range backend.Drivers() {
		infos, err := d.Probe(context.Background())
		if err != nil {
			t.Logf("%s: %v", d.Name, err)
			continue
		}
		for _, i := range infos {
			if !i.Processor() {
				t.Run(i.Name, func(t *testing.T) { test(t, i) })
			}
		}
	}
}
