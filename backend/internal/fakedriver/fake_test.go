package fakedriver

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/dl"
)

// Results of the driver that the tests look at.
const (
	success        = 0
	invalidValue   = 1
	outOfMemory    = 2
	invalidContext = 201
	noBinary       = 209
	invalidPTX     = 218
	newPTX         = 222
	invalidHandle  = 400
	notFound       = 500
	notReady       = 600
	launchFailed   = 719
	notSupported   = 801
)

// small is a driver with testdata/small.cu.
func small(t *testing.T) *session {
	t.Helper()
	text, err := os.ReadFile("testdata/small.cu")
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, f: Open(t, Library(t, []Kernel{{"small", string(text)}}))}
	t.Cleanup(s.pins.Unpin)
	return s
}

// session calls the driver.
type session struct {
	t      *testing.T
	f      *Fake
	pins   runtime.Pinner
	module uintptr
}

// call gives a function's result.
func (s *session) call(name string, args ...uintptr) int {
	s.t.Helper()
	fn, err := s.f.library.Symbol(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return int(int32(dl.Call(fn, args...)))
}

// do is a call that is to go well.
func (s *session) do(name string, args ...uintptr) {
	s.t.Helper()
	if r := s.call(name, args...); r != success {
		s.t.Fatalf("%s gives %d", name, r)
	}
}

// made calls a function whose first argument is where a handle goes.
func (s *session) made(name string, args ...uintptr) uintptr {
	s.t.Helper()
	h := new(uintptr)
	s.pins.Pin(h)
	s.do(name, append([]uintptr{uintptr(unsafe.Pointer(h))}, args...)...)
	return *h
}

// at is where memory is that stays there until the test ends.
func at[T any](s *session, v *T) uintptr {
	s.pins.Pin(v)
	return uintptr(unsafe.Pointer(v))
}

func (s *session) text(v string) uintptr {
	b := append([]byte(v), 0)
	return at(s, &b[0])
}

const ptx = ".version 7.4\n.target sm_80\n.address_size 64\n.visible .entry small_add(\n.param .align 8 .b8 a[192]\n) {}\n" +
	".visible .entry small_dead(\n) {}\n.visible .entry small_shared(\n) {}\n.visible .entry small_other(\n) {}\n"

// begin gets a thread a context with the module in it.
func (s *session) begin() {
	s.t.Helper()
	runtime.LockOSThread()
	s.t.Cleanup(runtime.UnlockOSThread)
	s.do("cuInit", 0)
	s.do("cuCtxPushCurrent_v2", s.made("cuDevicePrimaryCtxRetain", 0))
	s.module = s.made("cuModuleLoadData", s.text(ptx))
}

// end gives all back that begin got.
func (s *session) end() {
	s.t.Helper()
	s.call("cuModuleUnload", s.module)
	s.call("cuCtxPopCurrent_v2", at(s, new(uintptr)))
	s.call("cuDevicePrimaryCtxRelease_v2", 0)
	if n, p := s.f.Live(""), s.f.Pushed(); n != 0 || p != 0 {
		s.t.Errorf("%d objects are left, %d contexts pushed", n, p)
	}
}

type args struct {
	b [4]uintptr
	p [32]uint32
	_ [8]uint32
}

// node is CUDA_KERNEL_NODE_PARAMS, as before CUDA 12.
type node struct {
	function       uintptr
	grid, block    [3]uint32
	shared         uint32
	params, extras uintptr
}

func (s *session) node(kernel string, blocks, threads, shared uint32, a args) *node {
	s.t.Helper()
	held := &a
	list := &[1]uintptr{at(s, held)}
	return &node{s.made("cuModuleGetFunction", s.module, s.text(kernel)), [3]uint32{blocks, 1, 1}, [3]uint32{threads, 1, 1}, shared, at(s, list), 0}
}

func (s *session) launch(n *node, stream uintptr) int {
	s.t.Helper()
	return s.call("cuLaunchKernel", n.function, uintptr(n.grid[0]), 1, 1, uintptr(n.block[0]), 1, 1, uintptr(n.shared), stream, n.params, 0)
}

// TestQueue: what is queued runs when it is waited for or asked about, and not before.
func TestQueue(t *testing.T) {
	s := small(t)
	s.begin()
	const n = 1000
	in, out := s.made("cuMemAlloc_v2", 4*n), s.made("cuMemAlloc_v2", 4*n)
	host := make([]uint32, n)
	for i := range host {
		host[i] = uint32(i)
	}
	s.do("cuMemcpyHtoD_v2", in, at(s, &host[0]), 4*n)
	stream := s.made("cuStreamCreate", 1)
	event := s.made("cuEventCreate", 2)
	if r := s.call("cuEventQuery", event); r != success {
		t.Errorf("an event that was never recorded gives %d", r)
	}
	node := s.node("small_add", (n+127)/128, 128, 0, args{b: [4]uintptr{in, out}, p: [32]uint32{n, 7}})
	if r := s.launch(node, stream); r != success {
		t.Fatalf("launch gives %d", r)
	}
	back := make([]uint32, n)
	s.do("cuMemcpyDtoHAsync_v2", at(s, &back[0]), out, 4*n, stream)
	s.do("cuEventRecord", event, stream)
	time.Sleep(20 * time.Millisecond)
	if back[5] != 0 || s.f.Ran("") != 1 {
		t.Errorf("before anything waits %d things ran", s.f.Ran(""))
	}
	start := time.Now()
	r := s.call("cuEventQuery", event)
	for ; r == notReady && time.Since(start) < 10*time.Second; r = s.call("cuEventQuery", event) {
		time.Sleep(time.Millisecond)
	}
	if r != success {
		t.Fatalf("the event gives %d", r)
	}
	for i, v := range back {
		if v != uint32(i)+7 {
			t.Fatalf("word %d is %d", i, v)
		}
	}
	for what, want := range map[string]int{"kernel": 1, "kernel small_add": 1, "copy to device": 1, "copy to host": 1, "graph": 0} {
		if got := s.f.Ran(what); got != want {
			t.Errorf("%s ran %d times, want %d", what, got, want)
		}
	}
	if got := s.f.Moved("copy"); got != 8*n {
		t.Errorf("copies moved %d bytes", got)
	}
	if b := s.f.Bytes(); b != 8*n {
		t.Errorf("%d bytes in use", b)
	}
	for _, m := range []uintptr{in, out} {
		s.do("cuMemFree_v2", m)
	}
	s.do("cuEventDestroy_v2", event)
	s.do("cuStreamDestroy_v2", stream)
	if s.f.Bytes() != 0 || s.f.Peak() != 8*n {
		t.Errorf("%d bytes in use, at most %d", s.f.Bytes(), s.f.Peak())
	}
	s.end()
	if v := s.f.Violations(); v != nil {
		t.Error(v)
	}
}

// TestGraph: nodes keep to their dependencies, and to nothing else; a launch runs what
// the graph was then.
func TestGraph(t *testing.T) {
	s := small(t)
	s.begin()
	memory := s.made("cuMemAlloc_v2", 64)
	stream := s.made("cuStreamCreate", 1)
	add := func(more uint32) *node {
		return s.node("small_add", 1, 32, 0, args{b: [4]uintptr{memory, memory}, p: [32]uint32{1, more}})
	}
	value := func() uint32 {
		got := new(uint32)
		s.do("cuMemcpyDtoHAsync_v2", at(s, got), memory, 4, stream)
		s.do("cuStreamSynchronize", stream)
		return *got
	}
	clear := []uint32{0}
	type fill struct {
		at, pitch      uintptr
		value, element uint32
		width, height  uintptr
	}
	// A fill and then an addition; the other way round the addition is lost.
	build := func(depends bool) (exec, node uintptr) {
		g := s.made("cuGraphCreate", 0)
		first := s.made("cuGraphAddMemsetNode", g, 0, 0, at(s, &fill{memory, 0, 100, 4, 1, 1}), 0)
		after, n := uintptr(0), uintptr(0)
		if depends {
			after, n = at(s, &[1]uintptr{first}), 1
		}
		node = s.made("cuGraphAddKernelNode", g, after, n, at(s, add(5)))
		exec = s.made("cuGraphInstantiateWithFlags", g, 0)
		s.do("cuGraphDestroy", g)
		return exec, node
	}
	ordered, node := build(true)
	for range 20 {
		s.do("cuGraphLaunch", ordered, stream)
		if v := value(); v != 105 {
			t.Fatalf("in order it gives %d", v)
		}
	}
	free, _ := build(false)
	seen := map[uint32]bool{}
	for range 40 {
		s.do("cuMemcpyHtoD_v2", memory, at(s, &clear[0]), 4)
		s.do("cuGraphLaunch", free, stream)
		seen[value()] = true
	}
	if !seen[100] || !seen[105] || len(seen) != 2 {
		t.Errorf("without an order it gives %v", seen)
	}
	s.do("cuGraphLaunch", ordered, stream)
	s.do("cuGraphExecKernelNodeSetParams", ordered, node, at(s, add(6)))
	if v := value(); v != 105 {
		t.Errorf("a launch before a change gives %d", v)
	}
	s.do("cuGraphLaunch", ordered, stream)
	if v := value(); v != 106 {
		t.Errorf("a launch after a change gives %d", v)
	}
	s.do("cuGraphNodeSetEnabled", ordered, node, 0)
	s.do("cuGraphLaunch", ordered, stream)
	if v := value(); v != 100 {
		t.Errorf("a launch without the node gives %d", v)
	}
	for _, x := range []uintptr{ordered, free} {
		s.do("cuGraphExecDestroy", x)
	}
	if got := s.f.Ran("graph"); got != 63 || s.f.Calls("cuGraphLaunch") != 63 {
		t.Errorf("%d graphs ran", got)
	}
	s.do("cuMemFree_v2", memory)
	s.do("cuStreamDestroy_v2", stream)
	s.end()
	if v := s.f.Violations(); v != nil {
		t.Error(v)
	}
}

// TestStreams: streams are in order among each other only where an event, or the
// default stream, puts them.
func TestStreams(t *testing.T) {
	s := small(t)
	s.begin()
	memory := s.made("cuMemAlloc_v2", 64)
	one, two := s.made("cuStreamCreate", 1), s.made("cuStreamCreate", 1)
	event := s.made("cuEventCreate", 2)
	run := func(wait bool) uint32 {
		s.do("cuMemsetD32_v2", memory, 1, 16)
		s.do("cuMemsetD32Async", memory, 2, 16, one)
		if wait {
			s.do("cuEventRecord", event, one)
			s.do("cuStreamWaitEvent", two, event, 0)
		}
		s.do("cuMemsetD32Async", memory, 3, 16, two)
		s.do("cuCtxSynchronize")
		got := new(uint32)
		s.do("cuMemcpyDtoH_v2", at(s, got), memory, 4)
		return *got
	}
	seen := map[uint32]bool{}
	for range 40 {
		if v := run(true); v != 3 {
			t.Fatalf("after an event: %d", v)
		}
		seen[run(false)] = true
	}
	if !seen[2] || !seen[3] || len(seen) != 2 {
		t.Errorf("without an event: %v", seen)
	}
	for _, h := range []uintptr{one, two} {
		s.do("cuStreamDestroy_v2", h)
	}
	s.do("cuEventDestroy_v2", event)
	s.do("cuMemFree_v2", memory)
	s.end()
}

// TestModules: PTX is for a GPU and a driver, binaries for one GPU.
func TestModules(t *testing.T) {
	s := small(t)
	s.begin()
	held := new(uintptr)
	h := at(s, held)
	for _, c := range []struct {
		set, text string
		want      int
	}{
		{"", ptx, success},
		{"", "nothing", invalidPTX},
		{"", strings.Replace(ptx, "sm_80", "sm_90", 1), noBinary},
		{"capability=72", ptx, noBinary},
		{"", strings.Replace(ptx, "7.4", "9.9", 1), newPTX},
		{"version=11040", ptx, success},
		{"version=11040", strings.Replace(ptx, "7.4", "7.5", 1), newPTX},
	} {
		s.f.Set(c.set)
		if r := s.call("cuModuleLoadData", h, s.text(c.text)); r != c.want {
			t.Errorf("%q, with %q: %d, want %d", c.text[:10], c.set, r, c.want)
		} else if r == success {
			s.do("cuModuleUnload", *held)
		}
	}
	s.f.Set("")
	log := make([]byte, 200)
	options, values := []uint32{5, 6}, []uintptr{at(s, &log[0]), 199}
	link := s.made2("cuLinkCreate_v2", 2, at(s, &options[0]), at(s, &values[0]))
	if r := s.call("cuLinkAddData_v2", link, 1, s.text("nothing"), 8, 0, 0, 0, 0); r != invalidPTX || !strings.Contains(string(log), "Missing .version") {
		t.Errorf("%d, with the message %q", r, log)
	}
	s.do("cuLinkAddData_v2", link, 1, s.text(ptx), uintptr(len(ptx)+1), 0, 0, 0, 0)
	size := new(uintptr)
	s.do("cuLinkComplete", link, h, at(s, size))
	binary := bytesAt(held, *size)
	s.do("cuLinkDestroy", link)
	m := s.made("cuModuleLoadData", at(s, &binary[0]))
	s.made("cuModuleGetFunction", m, s.text("small_add"))
	if r := s.call("cuModuleGetFunction", h, m, s.text("small_none")); r != notFound {
		t.Errorf("a function that is not in a module: %d", r)
	}
	if r := s.call("cuModuleGetFunction", h, m, s.text("small_other")); r != notFound || len(s.f.Violations()) != 1 {
		t.Errorf("a kernel that is not emulated: %d, %v", r, s.f.Violations())
	}
	s.do("cuModuleUnload", m)
	s.f.Set("capability=89")
	if r := s.call("cuModuleLoadData", h, at(s, &binary[0])); r != noBinary {
		t.Errorf("a binary for another GPU: %d", r)
	}
	s.f.Set("")
	binary[len(binary)-20]++
	if r := s.call("cuModuleLoadData", h, at(s, &binary[0])); r != 200 {
		t.Errorf("a damaged binary: %d", r)
	}
	s.end()
}

// bytesAt copies what a pointer of C's points to.
func bytesAt(p *uintptr, n uintptr) []byte {
	return slices.Clone(unsafe.Slice(*(**byte)(unsafe.Pointer(p)), n))
}

// made2 is made for the functions whose handle comes last.
func (s *session) made2(name string, args ...uintptr) uintptr {
	s.t.Helper()
	h := new(uintptr)
	s.do(name, append(args, at(s, h))...)
	return *h
}

// TestLaunches: what a launch may not be.
func TestLaunches(t *testing.T) {
	s := small(t)
	s.begin()
	out := s.made("cuMemAlloc_v2", 1<<10)
	a := args{b: [4]uintptr{0, out}, p: [32]uint32{64}}
	for _, c := range []struct {
		blocks, threads, shared uint32
		want                    int
	}{{1, 64, 256, success}, {0, 64, 256, invalidValue}, {1, 65, 256, invalidValue}, {1, 64, 48<<10 + 4, invalidValue}} {
		if r := s.launch(s.node("small_shared", c.blocks, c.threads, c.shared, a), 0); r != c.want {
			t.Errorf("%d blocks of %d threads with %d bytes: %d, want %d", c.blocks, c.threads, c.shared, r, c.want)
		}
	}
	n := s.node("small_shared", 1, 64, 64<<10, a)
	s.do("cuFuncSetAttribute", n.function, 8, 64<<10)
	if r := s.launch(n, 0); r != success {
		t.Errorf("with 64 KiB allowed: %d", r)
	}
	if r := s.call("cuFuncSetAttribute", n.function, 8, 200<<10); r != invalidValue {
		t.Errorf("with 200 KiB: %d", r)
	}
	s.do("cuCtxSynchronize")
	s.do("cuMemFree_v2", out)
	s.end()
	if v := s.f.Violations(); v != nil {
		t.Error(v)
	}
}

// TestWrongUses: what a real driver might not notice.
func TestWrongUses(t *testing.T) {
	s := small(t)
	for name, c := range map[string]struct {
		do   func(s *session, memory uintptr)
		want string
		end  int // of cuCtxSynchronize
	}{
		"freed twice": {func(s *session, m uintptr) {
			s.do("cuMemFree_v2", m)
			s.call("cuMemFree_v2", m)
			s.made("cuMemAlloc_v2", 64)
		}, "cuMemFree of what is no memory", success},
		"beyond":       {func(s *session, m uintptr) { s.call("cuMemcpyHtoD_v2", m+32, s.text(strings.Repeat("x", 64)), 64) }, "a copy of 64 bytes to what is no memory", success},
		"a dead block": {func(s *session, m uintptr) { s.launch(s.node("small_dead", 1, 64, 0, args{}), 0) }, "kernel small_dead, block (0, 0, 0), its threads wait for each other", launchFailed},
		"no memory": {func(s *session, m uintptr) {
			s.launch(s.node("small_add", 1, 64, 0, args{b: [4]uintptr{m, m + 64}}), 0)
		}, "buffer 1 is no memory", 700},
		"no stream": {func(s *session, m uintptr) { s.call("cuStreamSynchronize", m) }, "a call for a stream that there is not", success},
		"no event":  {func(s *session, m uintptr) { s.call("cuEventQuery", m) }, "a call for an event that there is not", success},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{t: t, f: s.f}
			defer s.pins.Unpin()
			s.f.Set("")
			s.begin()
			m := s.made("cuMemAlloc_v2", 64)
			c.do(s, m)
			if r := s.call("cuCtxSynchronize"); r != c.end {
				t.Errorf("then cuCtxSynchronize gives %d, want %d", r, c.end)
			}
			if r := s.call("cuMemAlloc_v2", at(s, new(uintptr)), 64); r != c.end {
				t.Errorf("then cuMemAlloc gives %d, want %d", r, c.end)
			}
			if v := s.f.Violations(); len(v) == 0 || !strings.Contains(v[0], c.want) {
				t.Errorf("violations: %q, want %q", v, c.want)
			}
			before := s.f.Abandoned()
			s.end()
			if s.f.Abandoned() == before {
				t.Error("memory that the context ended is not counted")
			}
		})
	}
	if !asan { // which would end the process
		s.f.Set("")
		s.begin()
		m := s.made("cuMemAlloc_v2", 4*100)
		s.launch(s.node("small_add", 1, 128, 0, args{b: [4]uintptr{m, m}, p: [32]uint32{101, 1}}), 0)
		s.do("cuCtxSynchronize")
		s.do("cuMemFree_v2", m)
		if v := s.f.Violations(); len(v) != 1 || !strings.Contains(v[0], "beyond a piece of memory of 400 bytes") {
			t.Errorf("a kernel that writes too far: %q", v)
		}
		s.end()
	}
}

// TestFaults: it fails as it is told.
func TestFaults(t *testing.T) {
	s := small(t)
	s.begin()
	held := new(uintptr)
	p := at(s, held)
	last := func() uintptr { return *held }
	s.f.Set("fail=2 code=2")
	s.do("cuMemAlloc_v2", p, 64)
	m := last()
	if r := s.call("cuMemAlloc_v2", p, 64); r != outOfMemory || s.f.Live("memory") != 1 {
		t.Errorf("the second call gives %d, and %d pieces of memory", r, s.f.Live("memory"))
	}
	s.f.Set("fail=1 only=cuMemFree")
	s.do("cuCtxSynchronize")
	if r := s.call("cuMemFree_v2", m); r != launchFailed || s.f.Live("memory") != 0 {
		t.Errorf("a failing release gives %d, and leaves %d", r, s.f.Live("memory"))
	}
	s.f.Set("fail=1 null")
	s.do("cuMemGetInfo_v2", p, at(s, new(uintptr)))
	s.do("cuEventCreate", p, 0)
	if last() != 0 || s.f.Live("event") != 0 || s.f.Calls("") != 1 {
		t.Errorf("a handle that is to be null is %#x, of %d calls", last(), s.f.Calls(""))
	}
	s.f.Set("memory=1000 reserved=200")
	if r := s.call("cuMemAlloc_v2", p, 801); r != outOfMemory {
		t.Errorf("an allocation that is too large gives %d", r)
	}
	s.do("cuMemAlloc_v2", p, 700)
	free, total := new(uintptr), new(uintptr)
	s.do("cuMemGetInfo_v2", at(s, free), at(s, total))
	if *free != 100 || *total != 1000 {
		t.Errorf("%d of %d bytes are free", *free, *total)
	}
	s.do("cuMemFree_v2", last())
	if r := s.call("cuArrayCreate_v2"); r != notSupported || s.f.Calls("cuArrayCreate_v2") != 1 {
		t.Errorf("a function that it does not have gives %d", r)
	}

	s.f.Set("hang=cuCtxGetDevice")
	released := make(chan time.Time, 1)
	go func() {
		time.Sleep(30 * time.Millisecond)
		released <- time.Now()
		s.f.Set("")
	}()
	s.do("cuCtxGetDevice", p)
	if now := time.Now(); now.Before(<-released) {
		t.Error("it did not hang")
	}

	words := []uint32{1, 2, 3, 4}
	s.do("cuMemAlloc_v2", p, 16)
	m = last()
	s.do("cuMemcpyHtoD_v2", m, at(s, &words[0]), 16)
	for _, c := range []struct {
		set  string
		want func(got []uint32) bool
	}{
		{"", func(got []uint32) bool { return slices.Equal(got, []uint32{11, 12, 13, 14}) }},
		{"wrong", func(got []uint32) bool { return slices.Equal(got, []uint32{1, 2, 3, 4}) }},
		{"wrong=2", func(got []uint32) bool { return slices.Equal(got, []uint32{11, 12, 13, 14}) }},
		{"nan", func(got []uint32) bool {
			return slices.Equal(got, []uint32{^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)})
		}},
		{"wild", func(got []uint32) bool { return got[0] > 1000 || got[1] > 1000 || got[2] > 1000 }},
	} {
		s.f.Set(c.set)
		s.do("cuMemcpyHtoD_v2", m, at(s, &words[0]), 16)
		s.launch(s.node("small_add", 1, 128, 0, args{b: [4]uintptr{m, m}, p: [32]uint32{4, 10}}), 0)
		got := make([]uint32, 4)
		s.do("cuMemcpyDtoH_v2", at(s, &got[0]), m, 16)
		if !c.want(got) {
			t.Errorf("%q: %d", c.set, got)
		}
	}
	s.f.Set("stall")
	e := s.made("cuEventCreate", 2)
	s.do("cuEventRecord", e, 0)
	time.Sleep(10 * time.Millisecond)
	if r := s.call("cuEventQuery", e); r != notReady {
		t.Errorf("when all stalls an event gives %d", r)
	}
	s.f.Set("")
	s.do("cuEventSynchronize", e)
	s.do("cuEventDestroy_v2", e)
	s.do("cuMemFree_v2", m)

	s.f.Set("fail=1 code=700 sticky")
	for i := range 3 {
		if r := s.call("cuCtxSynchronize"); r != 700 {
			t.Errorf("call %d after a sticky error gives %d", i, r)
		}
	}
	s.end()
	if r := s.call("cuCtxSynchronize"); r != invalidContext {
		t.Errorf("without a context: %d", r)
	}
	for i, devices := range []int{0, 1, 2} {
		s.f.Set(fmt.Sprintf("devices=%d", devices))
		s.do("cuDeviceGetCount", p)
		if n := int(int32(*held)); n != devices || s.call("cuDeviceGet", p, uintptr(i)) == success {
			t.Errorf("%d devices, want %d", n, devices)
		}
	}
}
