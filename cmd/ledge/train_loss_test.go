package main

import (
	"bytes"
	"flag"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	training "github.com/ledge-run/ledge/runtime/train/run"
)

// TestShowTrained: only a loss that was measured is told.
func TestShowTrained(t *testing.T) {
	for _, c := range []struct {
		loss float64
		want string
	}{{0.5, " M tokens, loss 0.5000, "}, {0, " M tokens, 0s"}} {
		var out bytes.Buffer
		a := &app{out: console.NewOutput(&out)}
		ctx := cli.NewContext(nil, flag.NewFlagSet("train", flag.ContinueOnError), nil)
		if err := a.showTrained(ctx, &training.Result{Model: "m", Loss: c.loss}); err != nil || !strings.Contains(out.String(), c.want) {
			t.Errorf("a loss of %g: %q, %v", c.loss, &out, err)
		}
	}
}
