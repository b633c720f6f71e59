package opencl

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"runtime"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/dl"
)

// cacheKey names what a driver makes of a text: another device, driver or text,
// another key. Fields are quoted, so that none runs into the next.
func (d *device) cacheKey(text string) string {
	p := &d.prop
	return fmt.Sprintf("opencl 1 %d %q %q %q %q %q %q %x", bits.UintSize, p.platformName, p.vendor, p.name, p.version, p.driver,
		buildOptions, sha256.Sum256([]byte(text)))
}

// compile gives a program of a text: from the folder of compiled programs, or by
// the driver's compiler. What is kept is only a hope: the driver may refuse it.
func (d *device) compile(p *program, text string) error {
	key := d.cacheKey(text)
	if blob := d.blobs.Get(key); blob != nil {
		h, err := d.fromBinary(blob)
		if err == nil {
			p.handle = h
			if err = d.checkProgram(p); err == nil {
				d.kept++
				return nil
			}
			_ = d.release(d.lib.releaseProgram, h, "clReleaseProgram")
			p.handle = 0
		}
	}
	h, err := d.build(text)
	if err != nil {
		return err
	}
	p.handle = h
	if err := d.checkProgram(p); err != nil {
		return err
	}
	d.compiled++
	if blob, err := d.binary(h); err == nil {
		_ = d.blobs.Put(key, blob) // what is not kept is compiled again
	}
	return nil
}

// fromBinary makes a program of what binary gave.
func (d *device) fromBinary(blob []byte) (uintptr, error) {
	if len(blob) == 0 {
		return 0, fmt.Errorf("an empty binary")
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&blob[0])
	list, sizes, data := []uintptr{d.prop.device}, []uintptr{uintptr(len(blob))}, []uintptr{uintptr(unsafe.Pointer(&blob[0]))}
	var status, c int32
	h := dl.Call(d.lib.createProgramWithBinary, d.context, 1, uintptr(unsafe.Pointer(&list[0])), uintptr(unsafe.Pointer(&sizes[0])),
		uintptr(unsafe.Pointer(&data[0])), uintptr(unsafe.Pointer(&status)), uintptr(unsafe.Pointer(&c)))
	if err := d.made(&h, c, "clCreateProgramWithBinary"); err != nil {
		return 0, err
	}
	err := code(status).err("clCreateProgramWithBinary")
	if err == nil {
		err = d.buildProgram(h)
	}
	if err != nil {
		_ = d.release(d.lib.releaseProgram, h, "clReleaseProgram")
		return 0, err
	}
	return h, nil
}

// binary is what the driver made of a program.
func (d *device) binary(h uintptr) ([]byte, error) {
	n, err := infoNumber(d.lib.getProgramInfo, programNumDevices, h)
	if err != nil {
		return nil, err
	}
	if n != 1 {
		return nil, fmt.Errorf("a program for %d devices", n)
	}
	sizes, err := infoBytes(64, d.lib.getProgramInfo, programBinarySizes, h)
	if err != nil {
		return nil, err
	}
	var size uint64
	switch len(sizes) {
	case 4:
		size = uint64(binary.NativeEndian.Uint32(sizes))
	case 8:
		size = binary.NativeEndian.Uint64(sizes)
	}
	if size == 0 || size > maxBinary {
		return nil, fmt.Errorf("a binary of %d bytes", size)
	}
	blob := make([]byte, size)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&blob[0])
	data := []uintptr{uintptr(unsafe.Pointer(&blob[0]))}
	c := code(int32(dl.Call(d.lib.getProgramInfo, h, programBinaries, unsafe.Sizeof(data[0]), uintptr(unsafe.Pointer(&data[0])), 0)))
	return blob, c.err("clGetProgramInfo")
}
