package dl_test

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/dl"
)

func TestCall(t *testing.T) {
	if !dl.Supported || runtime.GOOS != "linux" {
		t.Skip("no libraries in this build, or another C library")
	}
	l, err := dl.Open("libdoes-not-exist.so.7", "libc.so.6")
	if err != nil {
		t.Fatal(err)
	}
	strlen, err := l.Symbol("strlen")
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("four\x00")
	if n := dl.Call(strlen, uintptr(unsafe.Pointer(&text[0]))); n != 4 {
		t.Errorf("strlen gives %d", n)
	}
	if n := testing.AllocsPerRun(100, func() { dl.CallWords(strlen, uintptr(unsafe.Pointer(&text[0]))) }); n != 0 {
		t.Errorf("CallWords allocates %v times", n)
	}
	if _, err := l.Symbol("no_such_function"); err == nil || !strings.Contains(err.Error(), "no_such_function") {
		t.Errorf("a missing function: %v", err)
	}
	if _, err := dl.Open("libdoes-not-exist.so.7"); err == nil || !strings.Contains(err.Error(), "libdoes-not-exist.so.7") {
		t.Errorf("a missing library: %v", err)
	}
}
