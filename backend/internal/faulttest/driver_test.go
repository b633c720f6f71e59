package faulttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	_ "github.com/ledge-run/ledge/backend/cpu" // what a failed device hands over to
	"github.com/ledge-run/ledge/backend/internal/dl"
)

// driver is one of the APIs, with its faulty library.
type driver struct {
	name   string
	env    string // names the library to load
	source string // of the faulty library; made is another way to it
	made   func(t *testing.T) string

	fails []string // ways for a call to fail
	reads bool     // the faulty library can change what is read back
	hangs []string // functions that may hang
}

// drivers are those of this build; CUDA and OpenGL ES come with their tags.
var drivers = []driver{
	{
		name: "opencl", reads: true, env: "LEDGE_OPENCL_LIBRARY", source: "../../opencl/testdata/fake.c",
		fails: []string{"fail=%d", "fail=%d code=-4", "fail=%d code=-36", "fail=%d null"},
		hangs: []string{
			"clGetPlatformIDs", "clGetDeviceInfo", "clCreateContext", "clCreateBuffer", "clCreateProgramWithBinary", "clBuildProgram",
			"clCreateKernel", "clSetKernelArg", "clEnqueueWriteBuffer", "clEnqueueReadBuffer", "clEnqueueNDRangeKernel", "clFlush",
			"clWaitForEvents", "clReleaseMemObject", "clReleaseContext",
		},
	},
	{
		name: "vulkan", env: "LEDGE_VULKAN_LIBRARY", source: "../../vulkan/testdata/fake.c",
		fails: []string{"fail=%d", "fail=%d code=-4", "fail=%d code=-2", "fail=%d null"},
		hangs: []string{
			"vkCreateInstance", "vkEnumeratePhysicalDevices", "vkGetPhysicalDeviceProperties", "vkCreateDevice", "vkAllocateMemory",
			"vkMapMemory", "vkCreateComputePipelines", "vkAllocateDescriptorSets", "vkEndCommandBuffer", "vkQueueSubmit",
			"vkWaitForFences", "vkDeviceWaitIdle",
		},
	},
}

// libraries are the variables that name libraries.
var libraries = []string{"LEDGE_OPENCL_LIBRARY", "LEDGE_VULKAN_LIBRARY", "LEDGE_EGL_LIBRARY", "LEDGE_LIBCUDA"}

// tags are those of this build.
var tags []string

const (
	envDriver  = "LEDGE_FAULTS_DRIVER"  // of the process that a test has started
	envLibrary = "LEDGE_FAULTS_LIBRARY" // its faulty library
	envModel   = "LEDGE_FAULTS_MODEL"
	envCase    = "LEDGE_FAULTS_CASE"
)

// full has every call fail in every way.
var full = os.Getenv("LEDGE_TEST_FULL") != ""

// faulty is the library in this process.
type faulty struct {
	*testing.T
	driver
	path, model    string
	control, count uintptr
}

// each runs a test with each driver, in a process of its own, which must end within
// the time. No other driver is to be found there.
func each(t *testing.T, limit time.Duration, f func(f *faulty)) {
	eachCase(t, limit, 1, func(driver) []string { return []string{""} }, func(x *faulty, _ string) { f(x) })
}

// eachCase does so for each of a driver's cases, a few at a time.
func eachCase(t *testing.T, limit time.Duration, together int, list func(d driver) []string, f func(f *faulty, c string)) {
	if name := os.Getenv(envDriver); name != "" {
		for _, d := range drivers {
			if d.name == name {
				f(load(t, d), os.Getenv(envCase))
			}
		}
		return
	}
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			start := time.Now()
			name := strings.TrimSuffix(t.Name(), "/"+d.name)
			env := d.environment(t, build(t, d))
			var all sync.WaitGroup
			room := make(chan bool, together)
			cases := list(d)
			if len(cases) > 1 { // the first of all has the driver compile
				spawn(t, "TestWarm", limit, env, "warm")
			}
			for _, c := range cases {
				room <- true
				all.Go(func() {
					defer func() { <-room }()
					spawn(t, name, limit, append(slices.Clip(env), envCase+"="+c), c)
				})
			}
			all.Wait()
			t.Logf("%.1f s", time.Since(start).Seconds())
		})
	}
}

// spawn runs a test in a process, and has it fail here if it fails there.
func spawn(t *testing.T, test string, limit time.Duration, env []string, what string) {
	c := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.v", "-test.timeout="+limit.String())
	c.Env = env
	out, err := c.CombinedOutput()
	text := string(out)
	if n := len(text); n > 20000 {
		text = text[:10000] + "\n...\n" + text[n-10000:]
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", what, err, text)
		return
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "    ") {
			t.Log(what, strings.TrimSpace(line))
		}
	}
	if strings.Contains(text, "--- SKIP") {
		t.Logf("%s: skipped", what)
	}
}

// build compiles the faulty library.
func build(t *testing.T, d driver) string {
	t.Helper()
	if d.made != nil {
		return d.made(t)
	}
	cc, err := exec.LookPath("gcc")
	if err != nil || runtime.GOOS != "linux" || !dl.Supported {
		t.Skip("the faulty library needs gcc, and Linux")
	}
	path := filepath.Join(t.TempDir(), "libfaulty-"+d.name+".so")
	if out, err := exec.Command(cc, "-O1", "-fPIC", "-shared", "-o", path, d.source, "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// environment is that of a process with the faulty library, with caches of its own.
// Programs that were compiled once are found by all tests of a driver.
func (d driver) environment(t *testing.T, library string) []string {
	t.Helper()
	env := os.Environ()
	for _, e := range libraries {
		env = append(env, e+"=/none/"+e+".so")
	}
	return append(env, d.env+"="+library, envDriver+"="+d.name, envLibrary+"="+library, envModel+"="+modelFile(t),
		"LEDGE_GPU_CACHE="+filepath.Join(programs, d.name), "XDG_CACHE_HOME="+filepath.Join(programs, "cache"), "LEDGE_FAKE=gpu", "LEDGE_DEVICE=", "LEDGE_GPU=", "LEDGE_GPU_LAYERS=")
}

// programs is the folder of compiled programs.
var programs string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "probe" {
		if err := assured(os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(envDriver) != "" {
		os.Exit(m.Run())
	}
	var err error
	if programs, err = os.MkdirTemp("", "ledge-faults"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(programs)
	os.Exit(code)
}

func load(t *testing.T, d driver) *faulty {
	t.Helper()
	f := &faulty{T: t, driver: d, path: os.Getenv(envLibrary), model: os.Getenv(envModel)}
	l, err := dl.Open(f.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]*uintptr{"fake_control": &f.control, "fake_calls": &f.count} {
		if *at, err = l.Symbol(name); err != nil {
			t.Fatal(err)
		}
	}
	f.tell("")
	return f
}

// tell says what is to go wrong from now on. Besides, the processor that a driver
// computes on passes for a GPU, so that it is picked.
func (f *faulty) tell(format string, args ...any) {
	words := append(fmt.Appendf([]byte("gpu "), format, args...), 0)
	dl.Call(f.control, uintptr(unsafe.Pointer(&words[0])))
}

// calls is how many of the driver's functions were called since.
func (f *faulty) calls() int { return int(dl.Call(f.count)) }

// some gives the numbers of calls to be tried: all, or the first and a few of the
// others.
func some(total int) []int {
	var out []int
	for n := 1; n <= total; n++ {
		if full || n <= 40 || n%37 == 0 || n > total-10 {
			out = append(out, n)
		}
	}
	return out
}

// TestWarm has programs compiled and kept for the other tests.
func TestWarm(t *testing.T) {
	each(t, 10*time.Minute, func(f *faulty) { f.right() })
}
