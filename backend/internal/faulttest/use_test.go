package faulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/runtime/engine"
)

// open opens a model for a test that closes it.
func (f *faulty) open(path string, o engine.Options) *engine.Model {
	f.Helper()
	m, err := engine.Open(context.Background(), path, o)
	if err != nil {
		f.Fatal(err)
	}
	return m
}

func (f *faulty) close(m *engine.Model) {
	f.Helper()
	if err := m.Close(); err != nil {
		f.Error(err)
	}
}

// TestLeaks: devices that fail, in opening or later, a hundred of them in full tests,
// leave no goroutine and no object of the driver behind.
func TestLeaks(t *testing.T) {
	each(t, 10*time.Minute, func(f *faulty) {
		want := f.right()
		objects := f.objects()
		before := 0
		held := objects()
		total := 0
		f.tell("")
		generate(f.model, f.options(f.name))
		total = f.calls()
		devices := 30
		if full {
			devices = 100
		}
		for i := range devices {
			nth := 1 + i*total/devices
			if i == 5 { // what is kept for good is there
				before = runtime.NumGoroutine()
			}
			f.tell(f.fails[0], nth)
			device := []string{f.name, ""}[i%2]
			generate(f.model, f.options(device))
			f.tell("")
			if n := objects(); n != held {
				f.Errorf("call %d fails: %d objects are left", nth, n-held)
				held = n
			}
		}
		end := time.Now().Add(10 * time.Second)
		for runtime.NumGoroutine() > before && time.Now().Before(end) {
			time.Sleep(10 * time.Millisecond)
		}
		if n := runtime.NumGoroutine(); n > before {
			stacks := make([]byte, 1<<16)
			f.Errorf("%d goroutines, %d before\n%s", n, before, stacks[:runtime.Stack(stacks, true)])
		}
		f.after(want)
	})
}

// objects counts what the driver has made and not destroyed, if the faulty library
// does.
func (f *faulty) objects() func() int {
	l, err := dl.Open(f.path)
	if err != nil {
		f.Fatal(err)
	}
	at, err := l.Symbol("fake_handles")
	if err != nil {
		at, err = l.Symbol("fake_live") // of all kinds, where none is named
	}
	if err != nil {
		return func() int { return 0 }
	}
	return func() int { return int(dl.Call(at, 0)) }
}

// TestLayers: every number of layers on the device, the others on the CPU.
func TestLayers(t *testing.T) {
	each(t, 10*time.Minute, func(f *faulty) {
		want := f.right()
		for n := 0; n <= 3; n++ {
			o := f.options(f.name)
			o.GPULayers = &n
			m := f.open(f.model, o)
			places := m.Places()
			if got := use(m); got.err != nil || got.closed != nil || !slices.Equal(got.text, want) {
				f.Errorf("%d layers, %v: %+v, want %v", n, places, got, want)
			}
			if len(places) != map[int]int{0: 1, 1: 2, 2: 1, 3: 1}[n] {
				f.Errorf("%d layers: %v", n, places)
			}
		}
		// The device fails with one of the layers on it.
		n := 1
		o := f.options("")
		o.GPULayers = &n
		for k := 1; k < 12; k++ {
			m := f.open(f.model, o)
			f.tell(f.fails[1], 1+3*k)
			if got := use(m); got.err != nil || !slices.Equal(got.text, want) {
				f.Errorf("one layer, call %d fails: %+v, want %v", 1+3*k, got, want)
			}
			f.tell("")
		}
	})
}

// TestCancelled: a generation that is given up after some tokens, or while the
// prompt is read, leaves the session and the device as they should be.
func TestCancelled(t *testing.T) {
	each(t, 10*time.Minute, func(f *faulty) {
		want := f.right()
		m := f.open(f.model, f.options(f.name))
		defer f.close(m)
		for after := 0; after < 4; after++ {
			s := m.NewSession()
			ctx, cancel := context.WithCancel(context.Background())
			if after == 0 {
				time.AfterFunc(time.Millisecond, cancel)
			}
			var got []int32
			var failed error
			for p, err := range s.Generate(ctx, prompt, short()) {
				if failed = err; err != nil {
					break
				}
				if got = append(got, p.ID); len(got) == after {
					cancel()
				}
			}
			cancel()
			if failed != nil && !errors.Is(failed, context.Canceled) || !slices.Equal(got, want[:len(got)]) {
				f.Errorf("cancelled after %d: %v, %v", after, got, failed)
			}
			if got, err := collect(context.Background(), s, prompt, short()); err != nil || !slices.Equal(got, want) {
				f.Errorf("cancelled after %d, then %v, %v", after, got, err)
			}
			s.Close()
		}
		if d := m.Device(); d.Backend != f.name {
			f.Errorf("on %s", d.Name)
		}
	})
}

// TestTwo: two models on one device at once, one of which comes and goes.
func TestTwo(t *testing.T) {
	each(t, 10*time.Minute, func(f *faulty) {
		want := f.right()
		other := unpack(f.T, "qwen3")
		o := f.options(f.name)
		wantOther := generate(other, o)
		if wantOther.err != nil {
			f.Fatal(wantOther.err)
		}
		m := f.open(f.model, o)
		defer f.close(m)
		var all sync.WaitGroup
		all.Go(func() {
			for range 4 {
				if got := generate(other, o); got.err != nil || got.closed != nil || !slices.Equal(got.text, wantOther.text) {
					f.Errorf("the other: %+v, want %v", got, wantOther.text)
				}
			}
		})
		for i := range 2 {
			all.Go(func() {
				for n := range 10 {
					s := m.NewSession()
					if n%2 == 0 { // whatever is in the cache
						_, _ = collect(context.Background(), s, tokens(uint64(n+i), 12), short())
					}
					if got, err := collect(context.Background(), s, prompt, short()); err != nil || !slices.Equal(got, want) {
						f.Errorf("got %v, want %v: %v", got, want, err)
					}
					s.Close()
				}
			})
		}
		all.Wait()
	})
}

// TestSaved: a session that was saved on the device is loaded on the device and
// goes on there; on the CPU it is refused.
func TestSaved(t *testing.T) {
	each(t, 10*time.Minute, func(f *faulty) {
		want := f.right()
		m := f.open(f.model, f.options(f.name))
		defer f.close(m)
		s := m.NewSession()
		if _, err := collect(context.Background(), s, prompt, short()); err != nil {
			f.Fatal(err)
		}
		var saved bytes.Buffer
		if err := s.Save(&saved); err != nil {
			f.Fatal(err)
		}
		s.Close()
		again := f.open(f.model, f.options(f.name))
		defer f.close(again)
		cpu := f.open(f.model, f.options("cpu"))
		defer f.close(cpu)
		for _, m := range []*engine.Model{again, cpu} {
			s := m.NewSession()
			err := s.Load(bytes.NewReader(saved.Bytes()))
			what := fmt.Sprintf("loaded on %s (error %v)", m.Device().Name, err)
			if (err != nil) != (m == cpu) {
				f.Error(what)
			}
			got, err := collect(context.Background(), s, prompt, short())
			if err != nil || !slices.Equal(got, want) {
				f.Errorf("%s: got %v, want %v: %v", what, got, want, err)
			}
			if n := s.Usage().CachedTokens; m == again && n != len(prompt)-1 || m == cpu && n != 0 {
				f.Errorf("%s: %d tokens from the cache", what, n)
			}
			s.Close()
		}
	})
}
