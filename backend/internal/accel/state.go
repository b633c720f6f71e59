package accel

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// cacheLayout names how a page's bytes lie: package shader's KV.
const cacheLayout = "gpu-pages-1"

// state is the caches of all layers: for each layer a buffer of keys and one of
// values, in which pages follow each other. A page's bytes, as they are read and
// written, are those of all layers in the order of the declarations.
type state struct {
	device *device
	decls  []graph.StateDecl
	layers []layer
	layout string
	bytes  int // of a page, in all layers
	pages  int
	closed bool
	page   []byte               // for copying
	users  map[*executable]bool // whose recordings name the buffers
}

// layer is one layer's cache.
type layer struct {
	keys, values           Buffer
	keysBytes, valuesBytes int // of a page
}

// NewState allocates the caches.
func (d *device) NewState(spec backend.StateSpec) (_ backend.State, err error) {
	s := &state{device: d, decls: spec.Decls, pages: spec.Pages, layout: cacheLayout, users: map[*executable]bool{}}
	if spec.Pages < 0 {
		return nil, fmt.Errorf("%s: a cache of %d pages", d.info.Name, spec.Pages)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, decl := range spec.Decls {
		if err := supportsState(decl); err != nil {
			return nil, fmt.Errorf("%s: %w", d.info.Name, err)
		}
		c := cacheOf(decl)
		l := layer{keysBytes: 4 * c.PageKeys(), valuesBytes: 4 * c.PageValues()}
		s.layout += fmt.Sprintf(";%s:%dx%d,%d:%s", decl.Name, decl.KVHeads, decl.KeyDim, decl.ValueDim, decl.DType)
		s.bytes += l.keysBytes + l.valuesBytes
		if l.keys, err = d.cache(decl, "keys", l.keysBytes, spec.Pages); err == nil {
			l.values, err = d.cache(decl, "values", l.valuesBytes, spec.Pages)
		}
		s.layers = append(s.layers, l)
		if err != nil {
			return nil, err
		}
	}
	s.page = make([]byte, s.bytes)
	return s, nil
}

// cache allocates the keys or values of one layer.
func (d *device) cache(decl graph.StateDecl, what string, page, pages int) (Buffer, error) {
	size, ok := dtype.Product([]int{page, pages})
	if !ok || size > d.limits.Range {
		return nil, fmt.Errorf("%s: a shorter context or fewer sequences would fit: %w", d.info.Name, &backend.ErrOutOfMemory{
			What: fmt.Sprintf("the %s of state %q for %d tokens in one buffer", what, decl.Name, pages*backend.PageTokens),
			Need: uint64(page) * uint64(pages), Have: uint64(d.limits.Range)})
	}
	return d.allocate(fmt.Sprintf("the %s of state %q", what, decl.Name), size, Local)
}

func (s *state) Layout() string { return s.layout }
func (s *state) PageBytes() int { return s.bytes }

func (s *state) check(pages ...int) error {
	if s.closed {
		return fmt.Errorf("%s: the cache is closed", s.device.info.Name)
	}
	for _, p := range pages {
		if p < 0 || p >= s.pages {
			return fmt.Errorf("%s: page %d of a cache of %d", s.device.info.Name, p, s.pages)
		}
	}
	return nil
}

// each calls f for each part of a page: its buffer, where it begins there, and its
// bytes in the page as a whole.
func (s *state) each(page int, whole []byte, f func(b Buffer, at int, part []byte) error) error {
	return s.device.do(func() error {
		for _, l := range s.layers {
			if err := f(l.keys, page*l.keysBytes, whole[:l.keysBytes]); err != nil {
				return err
			}
			whole = whole[l.keysBytes:]
			if err := f(l.values, page*l.valuesBytes, whole[:l.valuesBytes]); err != nil {
				return err
			}
			whole = whole[l.valuesBytes:]
		}
		return nil
	})
}

func (s *state) ReadPage(page int, dst []byte) error {
	if err := s.check(page); err != nil {
		return err
	}
	if len(dst) != s.bytes {
		return fmt.Errorf("%s: a page has %d bytes, not %d", s.device.info.Name, s.bytes, len(dst))
	}
	return s.each(page, dst, func(b Buffer, at int, part []byte) error { return b.Read(at, part) })
}

func (s *state) WritePage(page int, src []byte) error {
	if err := s.check(page); err != nil {
		return err
	}
	if len(src) != s.bytes {
		return fmt.Errorf("%s: a page has %d bytes, not %d", s.device.info.Name, s.bytes, len(src))
	}
	return s.each(page, src, func(b Buffer, at int, part []byte) error { return b.Write(at, part) })
}

func (s *state) CopyPage(dst, src int) error {
	if err := s.check(dst, src); err != nil {
		return err
	}
	if err := s.ReadPage(src, s.page); err != nil {
		return err
	}
	return s.WritePage(dst, s.page)
}

// Close frees the caches, and what executables have recorded with them.
func (s *state) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for e := range s.users {
		errs = append(errs, e.forget(s))
	}
	var all []interface{ Close() error }
	for _, l := range s.layers {
		for _, b := range []Buffer{l.keys, l.values} {
			if b != nil {
				all = append(all, b)
			}
		}
	}
	s.layers, s.page = nil, nil
	return errors.Join(append(errs, s.device.release(all...))...)
}
