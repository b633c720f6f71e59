//go:build cuda && cgo && linux && !android && !static

package faulttest

import (
	"context"
	"testing"
	"time"

	_ "github.com/ledge-run/ledge/backend/cuda" // registers the driver
	"github.com/ledge-run/ledge/backend/internal/fakedriver"
)

func init() {
	tags = append(tags, "cuda")
	drivers = append(drivers, driver{
		name: "cuda", reads: true, env: fakedriver.EnvLibrary,
		made: func(t *testing.T) string {
			t.Helper()
			kernels, err := fakedriver.Kernels()
			if err != nil {
				t.Fatal(err)
			}
			return fakedriver.Library(t, kernels)
		},
		fails: []string{"fail=%d", "fail=%d code=2", "fail=%d code=700 sticky", "fail=%d null"},
		hangs: []string{
			"cuDeviceGetCount", "cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain", "cuStreamCreate", "cuMemAlloc", "cuMemHostAlloc", "cuMemsetD32Async",
			"cuModuleLoadData", "cuGraphCreate", "cuGraphInstantiate", "cuGraphLaunch", "cuEventRecord", "cuEventQuery", "cuMemFree", "cuDevicePrimaryCtxRelease",
		},
	})
}

// TestToken: by the driver's own count, a token is one graph that is launched, with one
// copy of arguments to the device and one of candidates back, and no more than seven
// kernels for a layer.
func TestToken(t *testing.T) {
	each(t, 10*time.Minute, func(f *faulty) {
		if f.name != "cuda" {
			return
		}
		const layers = 2
		fake := fakedriver.Open(f.T, f.path)
		m := f.open(f.model, f.options(f.name))
		defer f.close(m)
		s := m.NewSession()
		defer s.Close()
		set := short()
		set.MaxTokens = 12
		functions := []string{"cuGraphLaunch", "cuGraphInstantiate", "cuLaunchKernel", "cuMemAlloc", "cuMemHostAlloc"}
		count := func() (n [9]int) {
			for i, name := range functions {
				n[i] = fake.Calls(name)
			}
			n[5], n[6] = fake.Ran("copy to host"), fake.Ran("copy to device")
			n[7], n[8] = fake.Moved("copy to host"), fake.Ran("kernel")
			return n
		}
		last, tokens := count(), 0
		for _, err := range s.Generate(context.Background(), prompt, set) {
			if err != nil {
				f.Fatal(err)
			}
			now := count()
			n := now
			for i := range n {
				n[i] -= last[i]
			}
			last = now
			if tokens++; tokens < 3 { // the prompt, and the first of its kind
				continue
			}
			if want := [7]int{1, 0, 0, 0, 0, 1, 1}; [7]int(n[:7]) != want || n[7] > 2048 || n[8] > 7*layers+4 {
				f.Errorf("token %d: %v of %v, copies back and forth, bytes back, and kernels; want %v, 2048 bytes and %d kernels at most", tokens, n, functions, want, 7*layers+4)
			}
		}
		f.Logf("%d tokens; the last: %v", tokens, last)
		if tokens != set.MaxTokens {
			f.Errorf("%d tokens", tokens)
		}
	})
}
