package fakedriver

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/dl"
)

// EnvLibrary names the driver's library to load.
const EnvLibrary = "LEDGE_LIBCUDA"

// Fake is a fake driver in this process, which has been loaded, or will be by
// EnvLibrary.
type Fake struct {
	Path    string
	library *dl.Library
	symbols map[string]uintptr
}

// Open loads a library of Library, and has the driver in it used by what the test does
// from here on, as long as no other driver was before it in this process. When the test
// ends it is as it was.
func Open(t testing.TB, path string) *Fake {
	t.Helper()
	if !dl.Supported {
		t.Skip("this build loads no libraries")
	}
	l, err := dl.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &Fake{Path: path, library: l, symbols: map[string]uintptr{}}
	for _, name := range []string{"fake_control", "fake_calls", "fake_live", "fake_bytes", "fake_peak", "fake_pushed", "fake_abandoned", "fake_ran", "fake_moved", "fake_violations"} {
		if f.symbols[name], err = l.Symbol(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(EnvLibrary, path)
	f.Set("")
	t.Cleanup(func() { f.Set("") })
	return f
}

// Set tells it how to be, in the words that driver/control.cpp lists, and begins to
// count anew.
func (f *Fake) Set(words string) { f.ask("fake_control", words) }

// Calls are those of a function since Set, by its name in cuda.h; for "" all that fail=N
// counts.
func (f *Fake) Calls(function string) int { return f.ask("fake_calls", function) }

// Live are objects that there are now: of a kind (context, module, link, memory, host,
// registered, stream, event, graph, exec), or all of them for "".
func (f *Fake) Live(kind string) int { return f.ask("fake_live", kind) }

// Bytes is the size of the device's memory in use, Peak the most of it since Set.
func (f *Fake) Bytes() int { return f.ask("fake_bytes", "") }
func (f *Fake) Peak() int  { return f.ask("fake_peak", "") }

// Pushed are contexts that are current on threads.
func (f *Fake) Pushed() int { return f.ask("fake_pushed", "") }

// Abandoned are objects, since Set, that ended because their context did.
func (f *Fake) Abandoned() int { return f.ask("fake_abandoned", "") }

// Ran counts, since Set, what ran whose name begins so: "kernel NAME", "graph", "fill",
// "copy to host", "copy to device", "copy on device". Moved is the bytes of copies.
func (f *Fake) Ran(what string) int   { return f.ask("fake_ran", what) }
func (f *Fake) Moved(what string) int { return f.ask("fake_moved", what) }

// Violations are what no driver has to tolerate, since Set: uses of what is gone, writes
// beyond memory, kernels that fail.
func (f *Fake) Violations() []string {
	room := make([]byte, 64<<10)
	n := dl.Call(f.symbols["fake_violations"], uintptr(unsafe.Pointer(&room[0])), uintptr(len(room)))
	if n == 0 {
		return nil
	}
	text, _, _ := strings.Cut(string(room), "\x00")
	return strings.Split(text, "\n")
}

func (f *Fake) ask(function, word string) int {
	if word == "" && function != "fake_control" {
		return int(dl.Call(f.symbols[function], 0))
	}
	text := append([]byte(word), 0)
	n := dl.Call(f.symbols[function], uintptr(unsafe.Pointer(&text[0])))
	runtime.KeepAlive(text)
	return int(n)
}
