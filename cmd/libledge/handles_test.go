package main

import (
	"slices"
	"sync"
	"testing"
)

// TestHandles: names are never used twice, and each fault of one is told from others.
func TestHandles(t *testing.T) {
	var h handles
	faultOf := func(k kind, id uintptr) handleFault {
		t.Helper()
		v, err := h.get(k, id)
		e, ok := err.(*handleError)
		if !ok || v != nil || e.Error() == "" {
			t.Fatalf("%d as a %s: %v, %v", id, k, v, err)
		}
		return e.why
	}
	a, b := h.add(modelKind, "a"), h.add(sessionKind, "b")
	if v, err := h.get(modelKind, a); v != "a" || err != nil {
		t.Error(v, err)
	}
	if f := faultOf(sessionKind, a); f != handleOther {
		t.Error(f)
	}
	if _, err := h.take(sessionKind, a); err == nil {
		t.Error("a model was taken as a session")
	}
	if v, err := h.take(modelKind, a); v != "a" || err != nil { // it is still there
		t.Error(v, err)
	}
	if f := faultOf(modelKind, a); f != handleClosed {
		t.Error(f)
	}
	if f := faultOf(modelKind, 0); f != handleNull {
		t.Error(f)
	}
	for _, id := range []uintptr{1, 7, 8, uintptr(modelKind), a | 7, b + 8*100, ^uintptr(0), 0xdeadbee0} {
		if f := faultOf(modelKind, id); f != handleUnknown {
			t.Errorf("%#x: %d", id, f)
		}
	}
	if v, err := h.get(sessionKind, b); v != "b" || err != nil {
		t.Error(v, err)
	}
}

func TestHandlesAtOnce(t *testing.T) {
	var h handles
	var wg sync.WaitGroup
	ids := make([][]uintptr, 8)
	for i := range ids {
		wg.Go(func() {
			for range 1000 {
				id := h.add(cancellerKind, i)
				if v, err := h.take(cancellerKind, id); v != i || err != nil {
					t.Error(v, err)
				}
				if _, err := h.take(cancellerKind, id); err == nil {
					t.Error("taken twice")
				}
				ids[i] = append(ids[i], id)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(ids...)
	slices.Sort(all)
	if len(slices.Compact(all)) != 8000 || len(h.open) != 0 {
		t.Errorf("%d names, %d are left", len(all), len(h.open))
	}
}
