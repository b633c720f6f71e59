//go:build unix && !aix && !solaris

package packcache

import "golang.org/x/sys/unix"

// canMap says whether Map works on this system.
const canMap = true

// Map maps the block for reading, shared with other processes; unmap gives the
// memory back. Nothing is checked yet. If somebody cuts the file off while it is
// mapped, touching what is gone ends the process: that is the price of sharing.
func (e *Entry) Map() (block []byte, unmap func() error, err error) {
	if e.size == 0 {
		return nil, func() error { return nil }, nil
	}
	block, err = unix.Mmap(int(e.f.Fd()), e.at, e.size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return block, func() error { return unix.Munmap(block) }, nil
}
