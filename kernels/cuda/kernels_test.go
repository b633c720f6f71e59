package cuda

import (
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/kernels/shader"
)

// replaced are kernels of the dialect that CUDA has kernels of its own for, with other
// constants.
func replaced(kernel string) bool {
	for _, prefix := range []string{"product", "tile", "attention"} {
		if strings.HasPrefix(kernel, prefix) {
			return true
		}
	}
	return kernel == "quantize" || kernel == "embed" || kernel == "argmax" || kernel == "top"
}

// TestFindDialect: every kernel of the dialect that CUDA uses is there, for every
// GPU from Xavier on, with all constants that are looked at.
func TestFindDialect(t *testing.T) {
	for _, kernel := range shader.Plain() {
		if replaced(kernel) {
			continue
		}
		variants, err := shader.Variants(kernel)
		if err != nil {
			t.Fatal(err)
		}
		for _, constants := range variants {
			for capability, arch := range map[int]string{72: "sm_72", 75: "sm_72", 80: "sm_80", 87: "sm_80", 89: "sm_80", 90: "sm_90", 121: "sm_90"} {
				b, err := Find(kernel, constants, capability)
				if err != nil {
					t.Errorf("%s %d: %v", kernel, constants, err)
					continue
				}
				if b.Name != kernel+"."+arch || b.Entry != kernel || b.Threads != 128 || b.Dynamic != 0 {
					t.Errorf("%s for %d: %+v", kernel, capability, b)
				}
				text, err := b.PTX()
				if err != nil || !strings.Contains(string(text), ".target "+arch+"\n") ||
					!strings.Contains(string(text), ".visible .entry "+b.Entry+"(") {
					t.Errorf("%s for %d: PTX of %d bytes, %v", kernel, capability, len(text), err)
				}
			}
		}
	}
}

func TestFindErrors(t *testing.T) {
	for _, c := range []struct {
		kernel     string
		constants  []uint32
		capability int
		want       string
	}{
		{"no_such", []uint32{128}, 87, `no kernel "no_such" in this build; there are: argmax `},
		{"fill", []uint32{128}, 61, "capability 6.1 is too old: kernels need 7.2 or newer"},
		{"fill", nil, 87, "with 0 constants: want 1 to 8"},
		{"fill", make([]uint32, 9), 87, "with 9 constants: want 1 to 8"},
		{"fill", []uint32{128, 1}, 87, "with 2 constants: it has 1"},
		{"fill", []uint32{64}, 87, "blocks of 64 threads, compiled for 128"},
		{"rope_cache", []uint32{128, 1025, 0, 0, 0, 0, 64}, 87, "with KEY_DIM 1025: its shared memory is for at most 1024"},
	} {
		b, err := Find(c.kernel, c.constants, c.capability)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "cuda: ") {
			t.Errorf("%s %d for %d: %+v, %v; want ... %s", c.kernel, c.constants, c.capability, b, err, c.want)
		}
	}
	if _, err := Find("rope_cache", []uint32{128, 1024, 0, 0, 0, 0, 64}, 87); err != nil {
		t.Error(err)
	}
	if _, err := ptx("no_such.sm_80"); err == nil || !strings.Contains(err.Error(), "no_such.sm_80") {
		t.Errorf("PTX that is not there: %v", err)
	}
}

// TestFindReadOut: the calls that read rows out are launched as they say, of rows of one
// part and of many.
func TestFindReadOut(t *testing.T) {
	f := shader.Features{Tensor: true}
	for cols, launches := range map[int]int{100: 1, 49152: 2, 128256: 2, 262144: 2, 300000: 3} {
		top := shader.Top{Cols: cols, Rows: shader.Each(1, shader.SizeR), Max: 1}.Calls(f)
		best := shader.ArgMax{Cols: cols, Rows: shader.Each(1, shader.SizeR), Max: 1}.Calls(f)
		if len(top) != launches || len(best) != min(launches, 2) {
			t.Errorf("%d columns: %d launches for the best 128, want %d, and %d for the best", cols, len(top), launches, len(best))
		}
		for _, c := range append(top, best...) {
			for capability := range map[int]bool{72: true, 87: true, 90: true} {
				if b, err := Find(c.Kernel, c.Constants, capability); err != nil || b.Threads != int(c.Constants[0]) || b.Dynamic != 0 {
					t.Errorf("%s %d for %d: %+v, %v", c.Kernel, c.Constants, capability, b, err)
				}
			}
		}
	}
}

// TestVariants: the first variant that fits is taken, with its entry, its threads
// and the shared memory of the constants.
func TestVariants(t *testing.T) {
	k := &kernel{
		name: "made_up", file: "made_up.cu", threads: 256,
		dynamic: func(c []uint32) int { return int(16 * c[2]) },
		variants: []variant{
			{suffix: "a", fits: all(is(1, 2), is(2, 64)), threads: 64},
			{suffix: "b", fits: is(1, 2)},
		},
	}
	for _, c := range []struct {
		constants        []uint32
		entry            string
		threads, dynamic int
	}{
		{[]uint32{64, 2, 64}, "made_up_a", 64, 1024},
		{[]uint32{256, 2, 32}, "made_up_b", 256, 512},
		{[]uint32{256, 3, 32}, "", 0, 0},
		{[]uint32{256}, "", 0, 0},
	} {
		b, err := k.find(c.constants, Targets[0], 87)
		if (err == nil) != (c.entry != "") || b.Entry != c.entry || b.Threads != c.threads || b.Dynamic != c.dynamic {
			t.Errorf("%d: %+v, %v", c.constants, b, err)
		}
	}
}

// TestTable: what the table says can be built and launched.
func TestTable(t *testing.T) {
	if !slices.IsSortedFunc(Targets, func(a, b Target) int { return b.From - a.From }) {
		t.Errorf("the targets are not in order: %v", Targets)
	}
	if len(byName()) != len(kernels) {
		t.Error("a kernel is twice in the table")
	}
	for _, k := range kernels {
		for _, v := range k.all() {
			if n := k.threadsOf(v); n < 32 || n > 1024 || n%32 != 0 {
				t.Errorf("%s: blocks of %d threads", k.entry(v), n)
			}
			if k.dynamic != nil && v.worst == nil {
				t.Errorf("%s: no constants to reckon its shared memory with", k.entry(v))
			}
			if v.worst == nil {
				continue
			}
			least := 99 << 10 // bytes of a block of every GPU that it is for
			if v.only != newer && k.dynamicFrom == 0 {
				least = 64 << 10
			}
			for _, most := range []int{least, 227 << 10} {
				c := v.worst(most)
				if c == nil && v.only == newer && most == least {
					continue // there it is another variant that is called
				}
				if len(c) == 0 || len(c) > MaxConstants || v.fits != nil && !v.fits(c) {
					t.Errorf("%s: the constants %d are not its own", k.entry(v), c)
				} else if n := k.dynamic(c); n > most {
					t.Errorf("%s: calls give %d bytes of shared memory where a block may have %d", k.entry(v), n, most)
				}
			}
		}
		for name := range k.most {
			if names, err := constantNames(k.name); err != nil || !slices.Contains(names, name) {
				t.Errorf("%s has no constant %s: %v", k.name, name, err)
			}
		}
	}
}
