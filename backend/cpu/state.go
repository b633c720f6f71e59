package cpu

import (
	"errors"
	"fmt"
	"math"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// state holds all layers' pages in one block: page p is at p*stride, and in it
// each layer's keys and values at their offsets.
//
// Tensors lie after all pages, one after another.
type state struct {
	memory  memory
	layout  string
	stride  int
	pages   int
	layers  map[string]layerState
	tensors map[string]tensorState
}

type tensorState struct {
	off  int // bytes from the beginning
	decl graph.StateDecl
}

type layerState struct {
	kv    kernels.KV
	key   int // offsets in a page
	value int
	decl  graph.StateDecl
}

func (d *device) NewState(spec backend.StateSpec) (backend.State, error) {
	s, size, err := layOut(spec)
	if err != nil {
		return nil, err
	}
	if s.memory, err = allocate("the states", size); err != nil {
		return nil, err
	}
	return s, nil
}

// StateBytes is what NewState takes.
func (d *device) StateBytes(spec backend.StateSpec) (int64, error) {
	_, size, err := layOut(spec)
	return int64(size), err
}

// layOut gives every layer its place in a page, and the size of all pages.
func layOut(spec backend.StateSpec) (*state, int, error) {
	s := &state{pages: spec.Pages, layers: map[string]layerState{}, tensors: map[string]tensorState{}, layout: "cpu-pages-1"}
	if spec.Pages < 0 {
		return nil, 0, fmt.Errorf("cpu: a cache of %d pages", spec.Pages)
	}
	for _, decl := range spec.Decls {
		if err := supportsState(decl); err != nil {
			return nil, 0, fmt.Errorf("cpu: %w", err)
		}
		if decl.Kind == graph.Tensor {
			continue
		}
		l := layerState{kv: kvOf(decl), decl: decl}
		l.key = s.stride
		l.value = l.key + roundUp(l.kv.KPageBytes(), align)
		s.stride = l.value + roundUp(l.kv.VPageBytes(), align)
		s.layers[decl.Name] = l
		s.layout += fmt.Sprintf(";%s:%dx%d,%d:%s", decl.Name, decl.KVHeads, decl.KeyDim, decl.ValueDim, decl.DType)
	}
	size, ok := dtype.Product([]int{s.stride, s.pages})
	if !ok {
		return nil, 0, fmt.Errorf("cpu: a cache of %d pages of %d bytes is too large", s.pages, s.stride)
	}
	for _, decl := range spec.Decls {
		if decl.Kind != graph.Tensor {
			continue
		}
		s.tensors[decl.Name] = tensorState{size, decl}
		if decl.Elems > (math.MaxInt-size)/4-align {
			return nil, 0, fmt.Errorf("cpu: state %q of %d elements is too large", decl.Name, decl.Elems)
		}
		size += roundUp(4*decl.Elems, align)
	}
	return s, size, nil
}

// decl is the declaration that a state was made from.
func (s *state) decl(name string) (graph.StateDecl, bool) {
	if t, ok := s.tensors[name]; ok {
		return t.decl, true
	}
	l, ok := s.layers[name]
	return l.decl, ok
}

// tensor is the memory of a tensor.
func (s *state) tensor(name string) []float32 {
	t := s.tensors[name]
	return floatsOf(s.memory.bytes[t.off : t.off+4*t.decl.Elems])
}

// find is tensor for callers from outside.
func (s *state) find(name string, elems int) ([]float32, error) {
	if s.layers == nil {
		return nil, errors.New("cpu: the state is closed")
	}
	t, ok := s.tensors[name]
	if !ok {
		return nil, fmt.Errorf("cpu: the state has no tensor %q", name)
	}
	if t.decl.Elems != elems {
		return nil, fmt.Errorf("cpu: tensor %q has %d elements, not %d", name, t.decl.Elems, elems)
	}
	return s.tensor(name), nil
}

// ReadTensor copies a tensor out.
func (s *state) ReadTensor(name string, dst []float32) error {
	x, err := s.find(name, len(dst))
	copy(dst, x)
	return err
}

// WriteTensor sets a tensor.
func (s *state) WriteTensor(name string, src []float32) error {
	x, err := s.find(name, len(src))
	copy(x, src)
	return err
}

// kvOf is what the kernels see of a layer's cache.
func kvOf(d graph.StateDecl) kernels.KV {
	return kernels.KV{Heads: d.KVHeads, KDim: d.KeyDim, VDim: d.ValueDim, Type: d.DType}
}

func (s *state) Layout() string { return s.layout }
func (s *state) PageBytes() int { return s.stride }

func (s *state) page(p int) ([]byte, error) {
	if s.layers == nil {
		return nil, errors.New("cpu: the cache is closed")
	}
	if p < 0 || p >= s.pages {
		return nil, fmt.Errorf("cpu: page %d of a cache of %d", p, s.pages)
	}
	return s.memory.bytes[p*s.stride : (p+1)*s.stride], nil
}

func (s *state) CopyPage(dst, src int) error {
	to, err := s.page(dst)
	if err != nil {
		return err
	}
	from, err := s.page(src)
	if err != nil {
		return err
	}
	copy(to, from)
	return nil
}

func (s *state) ReadPage(page int, dst []byte) error {
	from, err := s.page(page)
	if err == nil && len(dst) != len(from) {
		err = fmt.Errorf("cpu: a page has %d bytes, not %d", len(from), len(dst))
	}
	if err != nil {
		return err
	}
	copy(dst, from)
	return nil
}

func (s *state) WritePage(page int, src []byte) error {
	to, err := s.page(page)
	if err == nil && len(src) != len(to) {
		return fmt.Errorf("cpu: a page has %d bytes, not %d", len(to), len(src))
	}
	copy(to, src)
	return err
}

func (s *state) Close() error {
	m := s.memory
	s.memory, s.layers, s.tensors = memory{}, nil, nil
	return m.free()
}
