//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"errors"
	"fmt"
	"reflect"

	"gorgonia.org/cu"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cuda/internal/driver"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// Errors of the driver that are looked at.
const (
	outOfMemory driver.Error = 2
	notReady    driver.Error = 600
)

// sticky are the errors after which a context does nothing any more: kernels that went
// wrong, hardware that did.
var sticky = map[driver.Error]bool{
	4:   true, // deinitialized: the process is ending
	214: true, // ECC error
	220: true, // NVLink error
	700: true, // illegal address
	702: true, // launch timeout
	709: true, // context is destroyed
	710: true, // assertion
	714: true, // hardware stack error
	715: true, // illegal instruction
	716: true, // misaligned address
	717: true, // invalid address space
	718: true, // invalid program counter
	719: true, // launch failed
	999: true, // unknown
}

var errNull = errors.New("the driver gives no handle and no error")

// check is the error of a call, nil if it went well: call names the function, err is
// what package cu or the driver gave.
func check(call string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", call, plain(err))
}

// plain is an error of package cu, whose type has no name outside of it, as the
// driver's.
func plain(err error) error {
	if v := reflect.ValueOf(err); err != nil && v.Type() == reflect.TypeOf(cu.Success) {
		return driver.Error(v.Int())
	}
	return err
}

// is reports whether an error is the driver's of that number.
func is(err error, e driver.Error) bool {
	var have driver.Error
	return errors.As(err, &have) && have == e
}

// fail is the error of what was to be done: the device is lost, memory is out, or the
// driver refuses.
func (d *device) fail(what string, err error) error {
	if err == nil {
		return nil
	}
	var e driver.Error
	if errors.As(err, &e) && sticky[e] {
		return d.lose(lost(what, err))
	}
	return fmt.Errorf("cuda: %s: %w", what, accel.OneLine(err))
}

// full is the error of an allocation of n bytes.
func (d *device) full(what string, n int, err error) error {
	if is(err, outOfMemory) {
		free, _ := d.memory()
		return fmt.Errorf("cuda: %w (%w)", &backend.ErrOutOfMemory{What: what, Need: uint64(n), Have: free}, err)
	}
	return d.fail("allocate "+what, err)
}

// lost is the error of a device that stopped working.
func lost(what string, err error) error {
	return fmt.Errorf("cuda: %s: %w (%w)", what, backend.ErrDeviceLost, accel.OneLine(err))
}
