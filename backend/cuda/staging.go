//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"errors"
	"unsafe"

	"gorgonia.org/cu"
)

// staging is two pieces of pinned memory through which Write and Read go in turn, so
// that one is copied while the other moves.
type staging struct {
	pieces [2]piece
}

type piece struct {
	host   []byte
	event  cu.Event
	moving bool
	size   int // of what moves
}

const stagePiece = 1 << 20 // uploads come in fours of it

// prepare makes the pieces large enough for n bytes, small ones for small moves.
func (s *staging) prepare(d *device, n int) error {
	size := min(n, stagePiece)
	if size > 64<<10 {
		size = stagePiece
	}
	for i := range s.pieces {
		p := &s.pieces[i]
		if handleOf(&p.event) == nil {
			var err error
			if p.event, err = d.makeEvent(cu.DisableTiming); err != nil {
				return d.fail("prepare copies", check("cuEventCreate", err))
			}
		}
		if len(p.host) >= size {
			continue
		}
		host, err := pinned(size)
		if err != nil {
			return d.full("memory for copies", size, err)
		}
		err = d.unpin(p.host)
		p.host = host
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *staging) write(b *buffer, at int, data []byte) error {
	d := b.d
	if err := s.prepare(d, len(data)); err != nil {
		return err
	}
	for turn := 0; len(data) > 0; turn ^= 1 {
		p := &s.pieces[turn]
		if err := p.join(d, "write "+b.what); err != nil {
			return err
		}
		if d.stuck.Load() { // the caller has gone, and data may have
			return d.loss()
		}
		n := copy(p.host, data)
		err := check("cuMemcpyHtoDAsync", cu.MemcpyHtoDAsync(b.memory+cu.DevicePtr(at), unsafe.Pointer(&p.host[0]), int64(n), d.stream))
		if err := p.move(d, "write "+b.what, n, err); err != nil {
			return errors.Join(err, s.settle(d))
		}
		at, data = at+n, data[n:]
	}
	return errors.Join(s.pieces[0].join(d, "write "+b.what), s.pieces[1].join(d, "write "+b.what))
}

func (s *staging) read(b *buffer, at int, dst []byte) error {
	d := b.d
	if err := s.prepare(d, len(dst)); err != nil {
		return err
	}
	asked, got := 0, 0
	ask := func(turn int) error {
		p := &s.pieces[turn]
		n := min(len(p.host), len(dst)-asked)
		if n == 0 {
			return nil
		}
		from := b.memory + cu.DevicePtr(at+asked)
		asked += n
		err := check("cuMemcpyDtoHAsync", cu.MemcpyDtoHAsync(unsafe.Pointer(&p.host[0]), from, int64(n), d.stream))
		return p.move(d, "read "+b.what, n, err)
	}
	err := ask(0)
	for turn := 0; err == nil && got < len(dst); turn ^= 1 {
		if err = ask(turn ^ 1); err != nil {
			break
		}
		p := &s.pieces[turn]
		if err = p.join(d, "read "+b.what); err == nil && d.stuck.Load() { // the caller has gone, and dst may have
			err = d.loss()
		}
		if err == nil {
			got += copy(dst[got:], p.host[:p.size])
		}
	}
	if err != nil {
		return errors.Join(err, s.settle(d))
	}
	return nil
}

// move notes that n bytes have begun to move, unless err says that they have not.
func (p *piece) move(d *device, what string, n int, err error) error {
	d.busy = true
	if err == nil {
		p.moving, p.size = true, n
		err = check("cuEventRecord", p.event.Record(d.stream))
	}
	if err != nil {
		return d.lose(lost(what, err)) // the memory may be written at any time
	}
	return nil
}

// join waits for a piece's move, if there was one.
func (p *piece) join(d *device, what string) error {
	if !p.moving {
		return nil
	}
	p.moving = false
	return d.await(what, p.event)
}

// settle waits for what moves when something went wrong; the first error says it.
func (s *staging) settle(d *device) error {
	for i := range s.pieces {
		_ = s.pieces[i].join(d, "wait for copies")
	}
	return nil
}

func (s *staging) free(d *device) error {
	var errs []error
	for i := range s.pieces {
		errs = append(errs, d.unpin(s.pieces[i].host))
		s.pieces[i] = piece{}
	}
	return errors.Join(errs...)
}
