package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sampler"
)

// fakeBar is one that is seen, or not, and writes down what it is told.
type fakeBar struct {
	seen bool
	told []string
}

func (b *fakeBar) Bar() bool                             { return b.seen }
func (b *fakeBar) After(time.Duration)                   {}
func (b *fakeBar) Show(_ string, _ float64, text string) { b.told = append(b.told, text) }
func (b *fakeBar) Log(line string)                       { b.told = append(b.told, line) }
func (b *fakeBar) Done()                                 { b.told = append(b.told, "done") }

// TestReading: a bar shows every chunk of a prompt and is gone before the first token, and
// changes nothing else: no token and no figure.
func TestReading(t *testing.T) {
	open := func() *engine.Model { // anew each time: a model remembers prompts
		m, err := engine.Open(t.Context(), golden(t, "llama-gqa"), engine.Options{Device: "cpu", Threads: 1, Batch: 16})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	var notes []string
	a := &app{tell: func(s string) { notes = append(notes, s) }, out: console.NewOutput(io.Discard), stderr: io.Discard, getenv: os.Getenv}
	set := engine.Settings{Sampler: sampler.DefaultParams(), MaxTokens: 4}
	set.Sampler.Seed = 7
	first := open()
	long := first.Encode(strings.Repeat("the other, thin ", 12), true, false)[:40]
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		prompts [][]int32
		want    []string
	}{
		{"short", [][]int32{long[:9]}, []string{"0 of 9 tokens"}},
		{"one chunk", [][]int32{long[:16]}, []string{"0 of 16 tokens"}},
		{"three chunks", [][]int32{long}, []string{"0 of 40 tokens", "16 of 40 tokens", "32 of 40 tokens"}},
		{"goes on", [][]int32{long[:10], long}, []string{"10 of 40 tokens", "26 of 40 tokens"}},
		{"too long", [][]int32{make([]int32, 4096)}, nil},
		{"empty", [][]int32{{}}, nil},
	} {
		var ids [2][]int32
		var usage [2]engine.Usage
		var told []string
		for i := range ids {
			m, b := open(), &fakeBar{}
			notes = nil
			r := a.newReader(m)
			r.bar = func() bar { return b }
			for j, prompt := range c.prompts {
				last := j == len(c.prompts)-1
				b.seen, b.told = i == 1 && last, nil
				s := set
				if !last {
					s.MaxTokens = 1
				}
				for p, err := range r.Generate(t.Context(), prompt, s) {
					if last && err == nil {
						if a.tell("noted"); len(notes) == 0 {
							t.Errorf("%s: a note goes elsewhere when the bar is gone", c.name)
						}
						ids[i], told = append(ids[i], p.ID), slices.Clone(b.told)
					}
				}
			}
			usage[i] = r.Usage()
			usage[i].PromptTime, usage[i].GenerateTime = 0, 0
			r.Close()
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(ids[0], ids[1]) || usage[0] != usage[1] {
			t.Errorf("%s: %v %+v with a bar, %v %+v without", c.name, ids[1], usage[1], ids[0], usage[0])
		}
		if c.want != nil {
			c.want = append(c.want, "done")
			if n := len(c.want); len(told) < n || !slices.Equal(told[:n], c.want) || slices.ContainsFunc(told[n:], func(s string) bool { return s != "done" }) {
				t.Errorf("%s: the bar was told %q, want %q", c.name, told, c.want)
			}
		}
	}
}
