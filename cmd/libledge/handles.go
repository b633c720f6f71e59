package main

import (
	"fmt"
	"sync"
)

// kind is what a handle stands for.
type kind uintptr

const (
	modelKind kind = 1 + iota
	sessionKind
	cancellerKind
)

func (k kind) String() string {
	switch k {
	case modelKind:
		return "model"
	case sessionKind:
		return "session"
	case cancellerKind:
		return "canceller"
	}
	return fmt.Sprintf("kind %d", uintptr(k))
}

// handles gives names to what C programs hold. A name is a number that no other thing
// has had or will have, so that one which is out of date is always found out; its last
// bits are the kind.
type handles struct {
	mu   sync.RWMutex
	last uintptr
	open map[uintptr]any
}

const kindBits = 3

// add names a thing.
func (h *handles) add(k kind, v any) uintptr {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == nil {
		h.open = map[uintptr]any{}
	}
	h.last++
	id := h.last<<kindBits | uintptr(k)
	h.open[id] = v
	return id
}

// get finds what a handle names.
func (h *handles) get(k kind, id uintptr) (any, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.find(k, id)
}

// take finds what a handle names and forgets the name: who takes it closes it.
func (h *handles) take(k kind, id uintptr) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, err := h.find(k, id)
	if err == nil {
		delete(h.open, id)
	}
	return v, err
}

func (h *handles) find(k kind, id uintptr) (any, error) {
	is, number := kind(id&(1<<kindBits-1)), id>>kindBits
	switch {
	case id == 0:
		return nil, &handleError{k, handleNull, 0}
	case is < modelKind || is > cancellerKind || number == 0 || number > h.last:
		return nil, &handleError{k, handleUnknown, 0}
	case is != k:
		return nil, &handleError{k, handleOther, is}
	}
	v, ok := h.open[id]
	if !ok {
		return nil, &handleError{k, handleClosed, 0}
	}
	return v, nil
}

// handleError is a handle that cannot be used.
type handleError struct {
	want kind
	why  handleFault
	is   kind // for handleOther
}

type handleFault int

const (
	handleNull handleFault = iota
	handleUnknown
	handleOther
	handleClosed
)

func (e *handleError) Error() string {
	switch e.why {
	case handleNull:
		return fmt.Sprintf("the %s is NULL", e.want)
	case handleOther:
		return fmt.Sprintf("a %s was given where a %s is wanted", e.is, e.want)
	case handleClosed:
		return fmt.Sprintf("the %s is closed", e.want)
	}
	return fmt.Sprintf("the %s is no handle of this library", e.want)
}
