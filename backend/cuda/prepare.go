//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"gorgonia.org/cu"

	"github.com/ledge-run/ledge/backend/cuda/internal/driver"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/installed"
	"github.com/ledge-run/ledge/kernels/cuda"
)

// mostCompilers is how many threads have kernels compiled, if there are as many processors.
// The driver compiles one at a time (docs/cuda.md); meanwhile the next text is unpacked, and
// what was compiled is written.
const mostCompilers = 2

// code is what the driver makes of PTX.
type code struct {
	binary []byte
	kept   bool // in the folder of compiled programs: only a hope, for the driver may refuse it
}

// Prepare finds the code of kernels that are not loaded yet, or has it compiled, on
// several threads. Program loads it. What a thread cannot compile Program tries once
// more, alone, and says what is wrong: there are drivers whose compiler is not found
// when several threads ask for it first.
func (d *device) Prepare(ctx context.Context, kernels []accel.Kernel, progress func()) error {
	if err := d.alive(); err != nil {
		return err
	}
	list := d.missing(kernels)
	if len(list) == 0 {
		return ctx.Err()
	}
	c := &compilers{d: d, ctx: ctx, list: list, workers: min(len(list), mostCompilers, runtime.GOMAXPROCS(0))}
	c.results, c.ended = make(chan result, len(list)), make(chan error, c.workers)
	for range c.workers {
		go c.work()
	}
	defer cuda.Forget()
	return c.collect(progress)
}

// missing are the kernels whose code is not here, each once, and the largest first, so
// that none of those is alone in the end.
func (d *device) missing(kernels []accel.Kernel) (list []cuda.Binary) {
	seen := map[string]bool{}
	for _, k := range kernels {
		b, err := cuda.Find(k.Name, k.Constants, d.prop.capability)
		if err != nil || seen[b.Name] { // Program says what is wrong
			continue
		}
		seen[b.Name] = true
		_, loaded := d.modules[b.Name]
		_, ready := d.prepared[b.Name]
		if loaded || ready {
			continue
		}
		list = append(list, b)
	}
	slices.SortStableFunc(list, func(a, b cuda.Binary) int { return b.Size - a.Size })
	return list
}

// compilers are threads that share a list. None waits for anybody: should the driver
// not come back on one, it is left where it is.
type compilers struct {
	d       *device
	ctx     context.Context
	list    []cuda.Binary
	workers int
	next    atomic.Int64
	results chan result
	ended   chan error // one of each worker
}

type result struct {
	name string
	code
}

// work is one of the threads. Without a context of its own, which only compiling
// needs, it leaves the rest of the list to Program.
func (c *compilers) work() {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and with what the driver keeps of it
	pushed := false
	for c.ctx.Err() == nil && !c.d.stuck.Load() {
		i := int(c.next.Add(1)) - 1
		if i >= len(c.list) {
			break
		}
		b := &c.list[i]
		found := c.d.kept(b)
		if !found.kept {
			if !pushed && cu.PushCurrentCtx(c.d.context) != nil {
				break
			}
			pushed = true
			found, _ = c.d.compiled(b)
		}
		c.results <- result{b.Name, found}
	}
	var err error
	if pushed && !c.d.stuck.Load() {
		_, err = cu.PopCurrentCtx()
		err = c.d.released("cuCtxPopCurrent", err)
	}
	c.ended <- err
}

// collect takes what the threads make until all have ended. The device is lost if none
// gets on within the time limit.
func (c *compilers) collect(progress func()) error {
	d := c.d
	var steps int64 // of the compilers: nothing else runs
	quiet := accel.NewQuiet(d.limits.Timeout, steps)
	timer := time.NewTimer(quiet.Half)
	defer timer.Stop()
	take := func(r result) {
		if len(r.binary) > 0 {
			d.prepared[r.name] = r.code
		}
		if progress != nil {
			progress()
		}
	}
	var errs []error
	for running := c.workers; running > 0; timer.Reset(quiet.Half) {
		select {
		case r := <-c.results:
			take(r)
			steps++
		case err := <-c.ended:
			errs = append(errs, err)
			running--
			steps++
		case <-timer.C:
			if quiet.Over(steps) {
				return d.hangs("compile kernels")
			}
		}
	}
	for len(c.results) > 0 {
		take(<-c.results)
	}
	return errors.Join(append(errs, c.ctx.Err())...)
}

// codeOf gives a kernel's code, on the device's own thread.
func (d *device) codeOf(b *cuda.Binary) (code, error) {
	if c, ok := d.prepared[b.Name]; ok {
		delete(d.prepared, b.Name)
		return c, nil
	}
	if c := d.kept(b); c.kept {
		return c, nil
	}
	return d.compiled(b)
}

// kept looks for a source's code in the folder of compiled programs.
func (d *device) kept(b *cuda.Binary) code {
	binary := d.blobs.Get(d.cacheKey(b.Sum))
	return code{binary, len(binary) > 0}
}

// compiled has a source compiled, for the GPU of the context that is current.
func (d *device) compiled(b *cuda.Binary) (code, error) {
	text, err := b.PTX()
	if err != nil {
		return code{}, err
	}
	binary, err := compile(text)
	if err != nil {
		return code{}, err
	}
	_ = d.blobs.Put(d.cacheKey(b.Sum), binary) // what is not kept is compiled again
	return code{binary: binary}, nil
}

// cacheKey names what a driver makes of PTX: another device, driver or text, another
// key. The number at its head stands for what overlap.go of kernels/cuda makes of texts. The device's name is quoted, so that none runs into the next.
func (d *device) cacheKey(sum cuda.Sum) string {
	p := &d.prop
	return fmt.Sprintf("cuda 4 %s %d %q %s %x", p.arch(), p.version, p.name, d.driver, sum)
}

// driverFiles tells drivers apart that say the same version of CUDA: by the files of the
// library and of its compiler.
func driverFiles() string {
	files, _ := installed.CUDA(driver.Libraries()...) // there is one: it is open
	h := sha256.New()
	for _, f := range files {
		if st, err := os.Stat(f); err == nil {
			fmt.Fprintf(h, "%q %d %d\n", f, st.Size(), st.ModTime().UnixNano())
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}
