package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/ledge-run/ledge/runtime/engine"
)

// unhurried is how long a prompt is read before a bar shows how far that is.
const unhurried = time.Second

// reader is a session that shows on a terminal how far it has read a prompt.
type reader struct {
	*engine.Session
	a   *app
	bar func() bar
}

// bar is what a reader needs of console.Progress.
type bar interface {
	Bar() bool
	After(time.Duration)
	Show(what string, fraction float64, text string)
	Log(line string)
	Done()
}

func (a *app) newReader(m *engine.Model) *reader {
	return &reader{m.NewSession(), a, func() bar { return a.newProgress() }}
}

// Generate is the engine's, with a bar that is gone before the first piece.
func (r *reader) Generate(ctx context.Context, ids []int32, set engine.Settings) iter.Seq2[engine.Piece, error] {
	bar := r.bar()
	if !bar.Bar() {
		return r.Session.Generate(ctx, ids, set)
	}
	return func(yield func(engine.Piece, error) bool) {
		tell := r.a.tell
		r.a.tell = func(note string) { bar.Log("note: " + note) } // above the bar
		end := func() {
			bar.Done()
			r.a.tell = tell
		}
		defer end()
		bar.After(unhurried)
		set.Progress = func(done int) {
			bar.Show("reading", fraction(done, len(ids)), fmt.Sprintf("%d of %d tokens", done, len(ids)))
		}
		for p, err := range r.Session.Generate(ctx, ids, set) {
			end()
			if !yield(p, err) {
				return
			}
		}
	}
}
