package nvml

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/backend/internal/owned"
)

const soname = "libnvidia-ml.so.1"

// folders have the library where the system's loader may not look: JetPack, WSL,
// containers, NixOS.
var folders = []string{
	"/usr/lib/aarch64-linux-gnu/nvidia", "/usr/lib/aarch64-linux-gnu/tegra", "/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/run/opengl-driver/lib",
}

// How long the library may take, to begin and for a reading. Beginning wakes GPUs up.
const (
	initLimit = 10 * time.Second
	readLimit = 2 * time.Second
)

// maxCards is more than a machine has: a count above it is no count.
const maxCards = 256

// Library is the loaded library. Its readings are made one after the other, on a
// goroutine of its own.
type Library struct {
	Path string // as it was found

	lib   *dl.Library
	limit time.Duration // of a reading

	mu    sync.Mutex // one reading at a time
	lost  error      // it did not answer once
	jobs  chan func()
	done  chan struct{}
	words *words
	known map[string]uintptr // functions; 0: the library has none of that name
}

// words is memory that the library writes to. It has a place on the heap of its own, and
// room beyond what any function used here writes.
type words struct {
	number [8]uint64
	text   [256]byte
}

// Default is the machine's own library, loaded with the first call.
func Default() (*Library, error) { return standard() }

var standard = sync.OnceValues(func() (*Library, error) {
	if dl.Supported && owned.Env("LEDGE_LIBNVML") == "" && runtime.GOOS == "linux" && !slices.ContainsFunc(nodes, exists) {
		return nil, fmt.Errorf("%w: there is no %s", ErrNone, nodes[0])
	}
	return Open(names()...)
})

// nodes are what a driver of NVIDIA's shows of itself on Linux: on PCs and servers, on
// boards, and under Windows. Where there is none, looking for the library costs time
// and leaves memory behind that the C library keeps for its error.
var nodes = []string{"/dev/nvidiactl", "/dev/nvidia0", "/dev/nvhost-gpu", "/dev/nvmap", "/dev/nvgpu", "/dev/dxg"}

func names() []string {
	if l := owned.Env("LEDGE_LIBNVML"); l != "" {
		return []string{l}
	}
	all := []string{soname}
	for _, f := range folders {
		if path := filepath.Join(f, soname); exists(path) {
			all = append(all, path)
		}
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// ErrNone is wrapped by the error of Open where there is no library to load.
var ErrNone = errors.New("no NVIDIA driver")

// Open loads the first library of these names that there is, and has it begin.
func Open(names ...string) (*Library, error) {
	return openWithin(initLimit, readLimit, names...)
}

func openWithin(begin, read time.Duration, names ...string) (*Library, error) {
	if !dl.Supported {
		_, err := dl.Open(names...)
		return nil, err // says that this build loads none
	}
	l := &Library{limit: begin, jobs: make(chan func()), done: make(chan struct{}, 1), words: &words{}, known: map[string]uintptr{}}
	go l.work()
	var loaded error
	var code int32
	err := l.do(func() { // loading runs its code, too
		var found *dl.Library
		for _, n := range names {
			if found, loaded = dl.Open(n); loaded == nil {
				break
			}
		}
		if loaded != nil {
			return
		}
		l.lib, l.Path = found, found.Name
		for _, need := range []string{"nvmlInit_v2", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2"} {
			if l.symbol(need) == 0 {
				loaded = fmt.Errorf("%s has no function %s: it is another library, or a driver that is too old", l.Path, need)
				return
			}
		}
		code = l.call("nvmlInit_v2")
	})
	switch {
	case err != nil:
		return nil, err
	case loaded != nil && l.lib == nil:
		l.close()
		return nil, missing(names, loaded)
	case loaded != nil:
		l.close()
		return nil, loaded
	case code != 0:
		l.close()
		return nil, fmt.Errorf("%s does not begin: %w", filepath.Base(l.Path), status(code))
	}
	l.limit = read
	return l, nil
}

// missing says why nothing was loaded: mostly because there is nothing.
func missing(names []string, err error) error {
	for _, n := range names {
		if strings.Contains(n, "/") && exists(n) {
			return fmt.Errorf("%s cannot be loaded: %s", n, strings.Join(strings.Fields(err.Error()), " "))
		}
	}
	return fmt.Errorf("%w: %s was not found", ErrNone, strings.Join(names, ", "))
}

// work does the jobs. A job that never ends keeps it for ever.
func (l *Library) work() {
	for f := range l.jobs {
		f()
		l.done <- struct{}{}
	}
}

// close ends the goroutine of a library that is not used.
func (l *Library) close() { close(l.jobs) }

// do has a job done, within the limit. l.words belongs to the job.
func (l *Library) do(f func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost != nil {
		return l.lost
	}
	l.jobs <- f
	t := time.NewTimer(l.limit)
	defer t.Stop()
	select {
	case <-l.done:
		return nil
	case <-t.C:
		l.lost = fmt.Errorf("NVIDIA's management library did not answer within %v", l.limit)
		return l.lost
	}
}

// symbol is a function's address; 0 if there is none.
func (l *Library) symbol(name string) uintptr {
	at, ok := l.known[name]
	if !ok {
		at, _ = l.lib.Symbol(name) // 0 is the answer
		l.known[name] = at
	}
	return at
}

// call calls a function that gives an nvmlReturn_t, within a job.
func (l *Library) call(name string, args ...uintptr) int32 {
	at := l.symbol(name)
	if at == 0 {
		return codeNoFunction
	}
	return int32(uint32(dl.CallWords(at, args...))) // the upper half is undefined
}

// at is the address of the n-th number.
func (w *words) at(n int) uintptr { return uintptr(unsafe.Pointer(&w.number[n])) }

// read calls a function that writes one number as its last argument, and gives the
// number.
func (l *Library) read(name string, args ...uintptr) (uint64, error) {
	var code int32
	var value uint64
	err := l.do(func() {
		l.words.number[0] = 0
		code = l.call(name, append(args, l.words.at(0))...)
		value = l.words.number[0]
	})
	if err != nil {
		return 0, err
	}
	if code != 0 {
		return 0, fmt.Errorf("%s: %w", name, status(code))
	}
	return value, nil
}

// text calls a function that writes a string.
func (l *Library) text(name string, device uintptr) (string, error) {
	var code int32
	var value []byte
	err := l.do(func() {
		l.words.text = [256]byte{}
		const room = 96 // what every driver accepts
		code = l.call(name, device, uintptr(unsafe.Pointer(&l.words.text[0])), room)
		value = append(value, l.words.text[:room]...)
	})
	if err != nil {
		return "", err
	}
	if code != 0 {
		return "", fmt.Errorf("%s: %w", name, status(code))
	}
	s, _, _ := strings.Cut(string(value), "\x00")
	return strings.TrimSpace(strings.Map(printable, s)), nil
}

func printable(r rune) rune {
	if r < ' ' || r >= 0x7f {
		return -1
	}
	return r
}

// status is an nvmlReturn_t in words.
type status int32

// codeNoFunction is NVML_ERROR_FUNCTION_NOT_FOUND, which a driver gives, too.
const codeNoFunction = 13

// NotSupported is what a GPU gives that has no such sensor.
const NotSupported status = 3

var codes = map[status]string{
	1: "the library was not initialised", 2: "invalid argument", NotSupported: "this GPU does not have it", 4: "permission denied (root may read it)",
	6: "not found", 9: "the driver is not loaded", 10: "the driver did not answer in time", 12: "a library of the driver was not found",
	codeNoFunction: "this driver does not have it", 15: "the GPU has fallen off the bus", 17: "the system does not let it",
	18: "the driver and its library are of different versions: restart the machine", 20: "insufficient memory", 999: "unknown error of the driver",
}

func (s status) Error() string {
	if text, ok := codes[s]; ok {
		return text
	}
	return fmt.Sprintf("error %d", int32(s))
}
