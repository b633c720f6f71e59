package vulkan

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
)

// work does a bit of everything with a device.
func work(t *testing.T, d *device) {
	t.Helper()
	local := must(d.Allocate("local", 8192, accel.Local))(t)
	down := must(d.Allocate("down", 4096, accel.Download))(t)
	grid := must(d.Allocate("grid", 12, accel.Upload))(t)
	put(grid.Host(), 2, 1, 1)
	if err := local.Write(4, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	r := must(d.Record([]accel.Dispatch{
		setter(t, d, local, grid, 0, 0, 256, 1), setter(t, d, down, grid, 0, 0, 256, 2), setter(t, d, local, grid, 0, 0, 256, 3),
	}))(t)
	for range 3 {
		run(t, d, []accel.Range{{Buffer: down, To: 4096}}, r)
	}
	if err := local.Read(4, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []interface{ Close() error }{r, local, down, grid} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func needValidation(t *testing.T) {
	t.Helper()
	if infos, _ := probe(context.Background()); len(infos) == 0 {
		t.Skip("no Vulkan here")
	}
	l, err := openLibrary()
	if err == nil {
		err = l.canValidate()
	}
	if err != nil {
		t.Skip(err)
	}
	t.Setenv(EnvValidate, "1")
}

// TestValidation: Khronos' layer finds nothing wrong in any of the ways, and
// nothing left at the end.
func TestValidation(t *testing.T) {
	needValidation(t)
	for name, o := range ways {
		t.Run(name, func(t *testing.T) { work(t, openTest(t, o)) }) // closing gives what it says
	}
}

// TestValidationAsked: a word that is neither yes nor no is an error.
func TestValidationAsked(t *testing.T) {
	if infos, _ := probe(context.Background()); len(infos) == 0 {
		t.Skip("no Vulkan here")
	}
	t.Setenv(EnvValidate, "maybe")
	if _, err := newInstance(); err == nil || !strings.Contains(err.Error(), EnvValidate+`="maybe"`) {
		t.Error(err)
	}
}

// TestValidationListens: what the layer says is heard.
func TestValidationListens(t *testing.T) {
	needValidation(t)
	d, err := open(0, options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.make(d.CreateFence, "a fence that is forgotten", &fenceCreateInfo{head: head{sType: typeFenceCreateInfo}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err == nil || !strings.Contains(err.Error(), "VkFence") {
		t.Errorf("a fence that is left says %v", err)
	}
}

// TestLeaks: opening, working and closing a hundred times leaves no memory, no
// files and no threads.
func TestLeaks(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts by /proc")
	}
	once := func(n int) {
		d, err := open(0, ways[[]string{"mapped", "staged"}[n%2]])
		if err != nil {
			t.Fatal(err)
		}
		work(t, d)
		if n%3 == 0 { // what is left is freed with the device
			must(d.Allocate("left", 1<<20, accel.Local))(t)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	openTest(t, options{})
	// The C library's heap grows for a while without a leak: a leak grows on.
	least := 1 << 30
	for round := range 4 {
		memory, files, threads := usage(t)
		for n := range 100 {
			once(n)
		}
		memory2, files2, threads2 := usage(t)
		t.Logf("memory %d to %d KiB, files %d to %d, threads %d to %d", memory, memory2, files, files2, threads, threads2)
		least = min(least, memory2-memory)
		if round > 0 && (files2 > files || threads2 > threads+2) {
			t.Errorf("100 opens leave files %d to %d, threads %d to %d", files, files2, threads, threads2)
		}
		if round > 0 && least <= 4<<10 {
			return
		}
	}
	t.Errorf("100 opens leave at least %d KiB", least)
}

// usage is the memory (KiB), the open files and the threads of this process.
func usage(t *testing.T) (memory, files, threads int) {
	t.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "RssAnon:":
			memory, _ = strconv.Atoi(f[1])
		case "Threads:":
			threads, _ = strconv.Atoi(f[1])
		}
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil || memory == 0 || threads == 0 {
		t.Fatal("/proc tells nothing", err)
	}
	return memory, len(fds), threads
}

// TestCache: programs are kept, a damaged or foreign file is as good as none and is
// replaced.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(accel.EnvCache, dir)
	openTest(t, options{}) // skips without a device
	session := func() (used bool) {
		d, err := open(0, options{})
		if err != nil {
			t.Fatal(err)
		}
		used = d.ownCache(d.blobs.Get(d.phys.cacheKey()))
		work(t, d)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		return used
	}
	if session() {
		t.Error("a cache out of nothing")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 1 {
		t.Fatalf("kept: %v", files)
	}
	if !session() {
		t.Error("what was kept is not used")
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := range 5 {
		bad := append([]byte(nil), data...)
		bad[at*(len(bad)-1)/4] ^= 0x40
		if err := os.WriteFile(files[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if session() || !session() {
			t.Errorf("damaged at %d: used, or not replaced", at*(len(bad)-1)/4)
		}
	}
	// A whole file whose blob is another driver's, or nonsense.
	d := openTest(t, options{})
	for _, blob := range [][]byte{nil, make([]byte, 31), make([]byte, 4096), []byte(strings.Repeat("x", 100))} {
		if d.ownCache(blob) {
			t.Errorf("%q goes to the driver", blob)
		}
		if err := d.blobs.Put(d.phys.cacheKey(), blob); err != nil {
			t.Fatal(err)
		}
		if session() || !session() {
			t.Error("a foreign blob is used, or not replaced")
		}
	}
}

// TestOutOfMemory: what does not fit is the contract's error, and the device goes
// on.
func TestOutOfMemory(t *testing.T) {
	d := openTest(t, options{})
	heap := &d.phys.memory.heaps[d.phys.memory.types[d.kinds(accel.Local, ^uint32(0))[0]].heap]
	heap.size = d.used[0] + 1<<20 // as if there was no more
	_, err := d.Allocate("layer 3", 2<<20, accel.Local)
	full := (*backend.ErrOutOfMemory)(nil)
	if !errors.As(err, &full) || full.What != "layer 3" || full.Need < 2<<20 || full.Have != 1<<20 {
		t.Fatalf("too much memory: %v", err)
	}
	work(t, d)
}

// TestOpenNamed: through the registry, by name.
func TestOpenNamed(t *testing.T) {
	openTest(t, options{})
	d, err := openNamed(context.Background(), "vulkan0", backend.Options{Level: "min,-subgroup"})
	if err != nil {
		t.Fatal(err)
	}
	if i := d.Info(); i.Name != "vulkan0" || !slices.Equal(i.Features, []string{"128x16k"}) {
		t.Errorf("%+v", i)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := openNamed(context.Background(), "vulkan0", backend.Options{Level: "fast"}); err == nil || !strings.Contains(err.Error(), "fast") {
		t.Errorf("a switch that is not there: %v", err)
	}
	for _, name := range []string{"vulkan", "vulkan99", "cpu"} {
		if _, err := openNamed(context.Background(), name, backend.Options{}); err == nil {
			t.Errorf("%q opens", name)
		}
	}
}

// TestNoLibrary: without a library there is an error that names it.
func TestNoLibrary(t *testing.T) {
	if !dl.Supported {
		t.Skip("this build loads no library")
	}
	t.Setenv(EnvLibrary, "libno-such-vulkan.so.9")
	if _, err := probe(context.Background()); err == nil || !strings.Contains(err.Error(), "libno-such-vulkan.so.9") {
		t.Errorf("%v", err)
	}
	if runtime.GOOS == "linux" {
		t.Setenv(EnvLibrary, "libc.so.6")
		if _, err := probe(context.Background()); err == nil || !strings.Contains(err.Error(), "vkGetInstanceProcAddr") {
			t.Errorf("another library: %v", err)
		}
	}
}
