package faulttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/engine"
)

// hangLimit is LEDGE_GPU_TIMEOUT in tests of calls that do not come back.
const hangLimit = 2 * time.Second

// TestHang: a function of the driver does not come back, from the beginning or
// from the first run on. The limit passes, perhaps once more for closing, and a
// device that was named gives an error, one that was picked hands over.
func TestHang(t *testing.T) {
	list := func(d driver) []string {
		var out []string
		for i, name := range d.hangs {
			for k, c := range []string{"open named", "run picked", "open picked", "run named"} {
				if full || k/2 == i%2 {
					out = append(out, name+" "+c)
				}
			}
		}
		return out
	}
	eachCase(t, time.Minute, 6, list, func(f *faulty, c string) {
		want := f.right()
		f.Setenv("LEDGE_GPU_TIMEOUT", fmt.Sprint(hangLimit.Seconds()))
		words := strings.Fields(c)
		o := f.options(f.name)
		if words[2] == "picked" {
			o = f.options("")
		}
		start := time.Now()
		text, device, err := hanging(f, o, words[0], words[1] == "run")
		took := time.Since(start)
		if !slices.Equal(text, want[:min(len(text), len(want))]) || len(text) > len(want) {
			f.Errorf("wrong text: got %v, want %v (error %v)", text, want, err)
		}
		if words[2] == "picked" && (err != nil || len(text) != len(want)) {
			f.Errorf("picked automatically: got %v, want %v, error %v", text, want, err)
		}
		if err == nil && len(text) != len(want) {
			f.Errorf("got %v and no error", text)
		}
		if err != nil && !errors.Is(err, backend.ErrDeviceLost) {
			f.Errorf("not said to be lost: %v", err)
		}
		if took > 2*hangLimit+8*time.Second { // others may be busy
			f.Errorf("that took %v", took)
		}
		f.Logf("%.1f s, %d tokens on %q, error: %v", took.Seconds(), len(text), device, err)
	})
}

// hanging is a life in which a function hangs from opening on, or from generating.
func hanging(f *faulty, o engine.Options, function string, run bool) (text []int32, device string, err error) {
	if !run {
		f.tell("hang=%s", function)
	}
	m, err := engine.Open(context.Background(), f.model, o)
	if err != nil {
		return nil, "", err
	}
	if run {
		f.tell("hang=%s", function)
	}
	s := m.NewSession()
	text, err = collect(context.Background(), s, prompt, short())
	s.Close()
	device = m.Device().Name
	if closed := m.Close(); err == nil && o.Device != "" {
		err = closed
	}
	return text, device, err
}
