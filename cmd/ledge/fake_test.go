package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
)

// Environment of the fake drivers that the program has in tests.
const (
	fakeDrivers = "LEDGE_TEST_DRIVERS" // name:behaviour, ...
	fakeLibrary = "LEDGE_TEST_LIBRARY" // the file that they are said to be in
	fakeLog     = "LEDGE_TEST_LOG"     // gets a line for every call of a driver
)

// registerFakes registers drivers that behave as drivers of GPUs do: well, or not.
// Their devices compute with the processor's.
func registerFakes(list string) {
	for _, f := range strings.Split(list, ",") {
		name, how, ok := strings.Cut(f, ":")
		if !ok {
			continue
		}
		backend.Register(backend.Driver{
			Name: name,
			Probe: func(ctx context.Context) ([]backend.Info, error) {
				note("probe", name)
				if how == "interrupted" || how == "terminated" {
					return endItself(ctx, how)
				}
				return misbehave(name, how)
			},
			Open: func(_ context.Context, device string, o backend.Options) (backend.Device, error) {
				note("open", name)
				d, err := cpu.Open(o)
				if err != nil {
					return nil, err
				}
				return &fakeDevice{d, name, how}, nil
			},
			Foreign: &backend.Foreign{
				Files: func() ([]string, error) {
					path := os.Getenv(fakeLibrary)
					if _, err := os.Stat(path); err != nil {
						return nil, fmt.Errorf("no library lib%s.so", name)
					}
					return []string{path}, nil
				},
				Kernels: func() string { return "1" },
			},
		})
	}
}

// note logs a call, with whether it was made in a process of its own.
func note(call, driver string) {
	f, err := os.OpenFile(os.Getenv(fakeLog), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	where := "command"
	if len(os.Args) > 1 && os.Args[1] == "probe" {
		where = "child"
	}
	fmt.Fprintf(f, "%s %s %s\n", where, call, driver)
	f.Close()
}

// endItself is a driver whose process somebody ends while it works.
func endItself(ctx context.Context, how string) ([]backend.Info, error) {
	s := syscall.SIGINT
	if how == "terminated" {
		s = syscall.SIGTERM
	}
	p, _ := os.FindProcess(os.Getpid())
	_ = p.Signal(s)
	<-ctx.Done()
	return nil, ctx.Err()
}

func misbehave(name, how string) ([]backend.Info, error) {
	switch how {
	case "nil":
		var p *int
		*p = 1
	case "exit":
		os.Exit(0)
	case "segv":
		p, _ := os.FindProcess(os.Getpid())
		_ = p.Signal(syscall.SIGSEGV)
		select {}
	case "hang":
		select {}
	case "garbage":
		fmt.Println("\x00\xff{\"driver\"")
		fmt.Println(`ledge-verdict {"driver":"` + name + `","devices":[{"info":{"name":7}}]}`)
		os.Exit(0)
	case "other": // speaks for another driver
		fmt.Println(`ledge-verdict {"driver":"cpu","devices":[{"info":{"name":"cpu","backend":"cpu"},"passed":true}]}`)
		os.Exit(0)
	case "chatter":
		for {
			fmt.Println(strings.Repeat("all work and no play ", 100))
		}
	case "none":
		return nil, errors.New("no device is plugged in")
	}
	d := fakeDevice{name: name, how: how}
	return []backend.Info{d.Info()}, nil
}

type fakeDevice struct {
	backend.Device
	name, how string
}

func (d *fakeDevice) Info() backend.Info {
	return backend.Info{
		Name: d.name + "0", Backend: d.name, Description: "Fake GPU", Kind: backend.GPU, Score: 50, Features: []string{"fake", "half"},
		Quirks: []string{"subgroups (a known fault)"}, Numerics: backend.Numerics{Device: d.name, Level: "fake", Version: "1"},
	}
}

func (d *fakeDevice) Compile(ctx context.Context, s backend.CompileSpec) (backend.Executable, error) {
	e, err := d.Device.Compile(ctx, s)
	if err != nil || d.how != "wrong" && d.how != "varies" {
		return e, err
	}
	return &spoiled{e, d.how}, nil
}

// spoiled gives results that are wrong, or right and not always the same.
type spoiled struct {
	backend.Executable
	how string
}

func (e *spoiled) Submit(ctx context.Context, a *backend.Args) (backend.Fence, error) {
	f, err := e.Executable.Submit(ctx, a)
	if err != nil {
		return nil, err
	}
	err = f.Wait()
	rows := 0
	for _, s := range a.Segments {
		rows += s.Rows
	}
	for _, o := range a.Outputs {
		for i := range o.F32 {
			switch {
			case e.how == "wrong" && i%3 == 0:
				o.F32[i] = -o.F32[i]
			case e.how == "varies":
				o.F32[i] *= 1 + 1e-6*float32(rows)
			}
		}
	}
	return done{err}, nil
}

type done struct{ err error }

func (d done) Wait() error { return d.err }
