//go:build !unix || aix || solaris

package packcache

import "errors"

// canMap says whether Map works on this system.
const canMap = false

// Map would map the block: there is no mapping here.
func (e *Entry) Map() (block []byte, unmap func() error, err error) {
	return nil, nil, errors.ErrUnsupported
}
