package faulttest

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestNamed: a device that was asked for by name fails in one call of a
// generation, from opening the model to closing it. Then there is the right text,
// if the call did not matter, or one clear error after a part of it.
func TestNamed(t *testing.T) {
	each(t, 20*time.Minute, func(f *faulty) {
		want := f.right()
		f.tell("")
		if o := generate(f.model, f.options(f.name)); o.err != nil || !slices.Equal(o.text, want) {
			f.Fatalf("warm: %+v", o)
		}
		total := f.calls()
		tried, failed := 0, 0
		f.ways(total, func(what string) {
			tried++
			o := generate(f.model, f.options(f.name))
			switch {
			case len(o.text) > len(want) || !slices.Equal(o.text, want[:len(o.text)]):
				f.Errorf("%s: wrong text: got %v, want %v (error %v)", what, o.text, want, o.err)
			case o.err == nil && len(o.text) != len(want):
				f.Errorf("%s: text %v and no error", what, o.text)
			}
			for _, err := range []error{o.err, o.closed} {
				if err == nil {
					continue
				}
				failed++
				if err := one(err); err != nil {
					f.Errorf("%s: %v", what, err)
				}
			}
		})
		f.Logf("%d calls; of %d failures %d are errors", total, tried, failed)
		if total < 100 || failed < tried/2 {
			f.Error("too few")
		}
		f.after(want)
	})
}

// TestPicked: the same of a device that was picked automatically. The text is
// always right; where the device gave up, it says so.
func TestPicked(t *testing.T) {
	each(t, 20*time.Minute, func(f *faulty) {
		want := f.right()
		f.tell("")
		if o := generate(f.model, f.options("")); o.err != nil || !slices.Equal(o.text, want) || o.device == "cpu" {
			f.Fatalf("%+v", o)
		}
		f.tell("")
		if o := generate(f.model, f.options("")); o.err != nil || !slices.Equal(o.text, want) {
			f.Fatalf("warm: %+v", o)
		}
		total := f.calls()
		tried, gave := 0, 0
		f.ways(total, func(what string) {
			tried++
			o := generate(f.model, f.options(""))
			if o.err != nil || !slices.Equal(o.text, want) {
				f.Errorf("%s: got %v, want %v, error %v (%s)", what, o.text, want, o.err, o.said)
			}
			if o.device == "cpu" {
				gave++
				if o.said == "" {
					f.Errorf("%s: nothing is said of the device", what)
				}
			}
			if o.closed != nil {
				if err := one(o.closed); err != nil {
					f.Errorf("%s: %v", what, err)
				}
			}
		})
		f.Logf("%d calls; of %d failures %d have the CPU do it", total, tried, gave)
		if total < 100 || gave < tried/2 {
			f.Error("too few")
		}
		f.after(want)
	})
}

// ways has calls fail, in every way or in turns.
func (f *faulty) ways(total int, do func(what string)) {
	i := 0
	for _, n := range some(total) {
		for k, way := range f.fails {
			if !full && k != i%len(f.fails) {
				continue
			}
			f.tell(way, n)
			do(fmt.Sprintf("call %d of %d, %s", n, total, fmt.Sprintf(way, n)))
		}
		i++
	}
	f.tell("")
}

// after: in the end a well driver is used as ever.
func (f *faulty) after(want []int32) {
	f.Helper()
	f.tell("")
	if o := generate(f.model, f.options(f.name)); o.err != nil || !slices.Equal(o.text, want) {
		f.Errorf("afterwards: %+v", o)
	}
}
