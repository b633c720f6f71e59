//go:build !unix || aix || solaris

package packcache

import "errors"

// Map would map the block: there is no mapping here.
func (e *Entry) Map() (block []byte, unmap func() error, err error) {
	return nil, nil, errors.ErrUnsupported
}
