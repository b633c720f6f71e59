package faulttest

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/trust"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sampler"
)

// modelFile unpacks the model: two layers, random, of 263 tokens.
func modelFile(t testing.TB) string {
	t.Helper()
	return unpack(t, "llama-gqa")
}

func unpack(t testing.TB, name string) string {
	t.Helper()
	f, err := os.Open("../../../runtime/model/testdata/" + name + ".gguf.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".gguf")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// options are those of short generations on a device; "" is the best.
func (f *faulty) options(device string) engine.Options {
	return engine.Options{Device: device, Batch: 16, Context: 128, Threads: 1, Sequences: 2, Prover: trusting}
}

// trusting tries no driver: what it opens has passed. It is a process of its own
// that says so, as ever; see TestMain.
var trusting = &trust.Prover{Program: []string{os.Args[0]}}

// assured is what trusting's process does: all devices that can be opened pass.
func assured(driver string) error {
	for _, d := range backend.Drivers() {
		if d.Name != driver {
			continue
		}
		v := backend.Verdict{Driver: driver, When: time.Now()}
		infos, err := d.Probe(context.Background())
		if err != nil {
			v.Reason = err.Error()
		}
		for _, i := range infos {
			dev, err := d.Open(context.Background(), i.Name, backend.Options{})
			if err != nil {
				return err
			}
			v.Devices = append(v.Devices, backend.Proof{Info: dev.Info(), Passed: true})
			if err := dev.Close(); err != nil {
				return err
			}
		}
		return trust.Report(os.Stdout, &v)
	}
	return fmt.Errorf("no driver %q", driver)
}

// prompt is more than a batch, so that there are runs of many rows and of one.
var prompt = tokens(3, 21)

func tokens(seed uint64, n int) []int32 {
	rng := rand.New(rand.NewPCG(seed, 5))
	out := make([]int32, n)
	for i := range out {
		out[i] = rng.Int32N(263)
	}
	return out
}

// short are the settings of a short generation.
func short() engine.Settings {
	p := sampler.DefaultParams()
	p.Temperature, p.RepeatPenalty = 0, 1
	return engine.Settings{Sampler: p, MaxTokens: 4, IgnoreEOG: true}
}

// outcome is what a user sees of a generation.
type outcome struct {
	text   []int32
	device string
	said   string // notes, and why devices were not taken
	err    error
	closed error // of closing
}

// generate opens the model, generates and closes it.
func generate(path string, o engine.Options) (out outcome) {
	m, err := engine.Open(context.Background(), path, o)
	if err != nil {
		return outcome{err: err}
	}
	return use(m)
}

// use generates with a model and closes it.
func use(m *engine.Model) (out outcome) {
	s := m.NewSession()
	out.text, out.err = collect(context.Background(), s, prompt, short())
	s.Close()
	out.device = m.Device().Name
	out.said = strings.Join(m.Notes(), "; ")
	for _, c := range m.Candidates() {
		if !c.Picked {
			out.said += "; " + c.Driver + ": " + c.Reason
		}
	}
	out.closed = m.Close()
	return out
}

func collect(ctx context.Context, s *engine.Session, prompt []int32, set engine.Settings) (text []int32, err error) {
	for p, err := range s.Generate(ctx, prompt, set) {
		if err != nil {
			return text, err
		}
		text = append(text, p.ID)
	}
	return text, nil
}

// right is the text of an undisturbed generation, which is the same on the device
// and on the processor.
func (f *faulty) right() []int32 {
	f.Helper()
	f.tell("")
	cpu := generate(f.model, f.options("cpu"))
	dev := generate(f.model, f.options(f.name))
	if err := errors.Join(cpu.err, cpu.closed, dev.closed); err != nil {
		f.Fatal(err)
	}
	if dev.err != nil {
		if len(dev.text) == 0 && strings.Contains(dev.err.Error(), "not here") {
			f.Skip(dev.err)
		}
		f.Fatal(dev.err)
	}
	if len(cpu.text) != 4 || !slices.Equal(cpu.text, dev.text) || !strings.HasPrefix(dev.device, f.name) {
		f.Fatalf("undisturbed: %v on the CPU, %v on %s: the test needs a prompt for which they agree", cpu.text, dev.text, dev.device)
	}
	return cpu.text
}

// one asks an error to be one line that says something.
func one(err error) error {
	if text := err.Error(); len(text) < 10 || strings.Contains(text, "\n") {
		return fmt.Errorf("not one clear line: %q", text)
	}
	return nil
}
