package cuda

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/ledge-run/ledge/kernels/shader"
)

// kernel says how a kernel of package shader's calls is built and launched.
type kernel struct {
	name string // of the shader.Call
	file string // in this folder; "" for package shader's NAME.comp

	// threads of a block, which a call's first constant must be, too.
	threads int

	// dynamic is the bytes of shared memory that a launch has to give; nil: none.
	dynamic func(c []uint32) int
	// dynamicFrom is the first target (Target.From) whose code uses that memory.
	dynamicFrom int

	// most is the largest that a constant may be, by name, where the dialect's
	// shared arrays depend on it.
	most map[string]uint32

	// variants are compiled ahead; the first that fits the constants is taken. None
	// is one without a suffix that fits all.
	variants []variant

	maySpill bool // of all variants
}

// variant is a kernel compiled with some of its constants known.
type variant struct {
	suffix  string                // of the entry: NAME_SUFFIX
	defines []string              // NAME or NAME=VALUE
	fits    func(c []uint32) bool // nil: always
	threads int                   // of a block; 0: as the kernel says
	only    targets               // that it is compiled for

	// worst is constants of the most dynamic shared memory in calls for a GPU whose
	// blocks may have so many bytes of it, or nil if there it is not called: build/ptxas
	// reckons with them. Wanted where the kernel has dynamic.
	worst func(most int) []uint32

	// maySpill: for prompts alone, where registers that spill may be worth it. All
	// others must not, on any GPU.
	maySpill bool
}

// targets says which targets a variant is for: what decides speed has many variants for
// tensor cores' m16n8k16, and a few for GPUs without it (shader's Features.TensorBasic).
type targets int

const (
	everyTarget targets = iota
	newer               // sm_80 and what comes after it
	older               // what came before
)

// has reports whether a target is one of them.
func (s targets) has(t Target) bool {
	return s == everyTarget || (s == newer) == (t.From >= TensorFrom)
}

// TensorFrom is the first compute capability that has all variants: those before it are
// called with shader's Features.TensorBasic.
const TensorFrom = 80

// kernels is the table: an entry here, a file in this folder, and go generate.
var kernels = []kernel{
	{name: "argmax", file: "argmax.cu", threads: 256},
	{name: "attention_merge_tensor", file: "attention_merge.cu", threads: group},
	{name: "attention_plain", file: "attention_plain.cu", threads: group},
	{name: "attention_tensor", file: "attention.cu", threads: group, dynamic: attentionRooms, dynamicFrom: TensorFrom, variants: attentionVariants()},
	{name: "binary", threads: group},
	{name: "cache_write", threads: group},
	{name: "copy", threads: group},
	{name: "embed_tensor", file: "embed.cu", threads: group, variants: embeds()},
	{name: "epilogue", threads: group},
	{name: "fill", threads: group},
	{name: "gather_rows", threads: group},
	{name: "matmul", threads: group},
	{name: "move", threads: group},
	{name: "norm", file: "norm.cu", threads: group},
	{name: "prepare_tensor", file: "prepare.cu", threads: 256},
	{name: "product_tensor", file: "product.cu", threads: 256, dynamic: shader.ProductShared, variants: products()},
	{name: "read", file: "read.cu", threads: 256},
	{name: "rope", threads: group},
	{name: "rope_cache", threads: group, most: map[string]uint32{"KEY_DIM": 1024}},
	{name: "softmax", threads: group},
	{name: "tile_tensor", file: "tile.cu", dynamic: shader.TileShared, variants: tiles()},
	{name: "top", file: "top.cu", threads: 512},
	{name: "unary", threads: group},
}

// group is the threads of a block of every kernel of the dialect.
const group = 128

// is fits calls whose constant number n has a value, and all those that fit every
// one of a list. They are for variants.
func is(n int, value uint32) func(c []uint32) bool {
	return func(c []uint32) bool { return n < len(c) && c[n] == value }
}

func all(fits ...func(c []uint32) bool) func(c []uint32) bool {
	return func(c []uint32) bool {
		for _, f := range fits {
			if !f(c) {
				return false
			}
		}
		return true
	}
}

// Binary is a kernel for a GPU, and how it is launched.
type Binary struct {
	Name    string // of this code: no other has it
	Entry   string // the function's name in it
	Threads int    // of a block
	Dynamic int    // bytes of shared memory that the launch gives
	PTX     func() ([]byte, error)

	// Sum and Size are of the PTX as the build has it: they cost less than PTX does.
	Sum  Sum
	Size int
}

// Limits of Args of device.h.
const (
	MaxParams    = 32
	MaxConstants = 8
)

// byName finds a kernel of the table.
var byName = sync.OnceValue(func() map[string]*kernel {
	m := map[string]*kernel{}
	for i := range kernels {
		m[kernels[i].name] = &kernels[i]
	}
	return m
})

// Find gives the code of a call's kernel with its constants for a GPU of a compute
// capability (87 is 8.7).
func Find(name string, constants []uint32, capability int) (Binary, error) {
	k := byName()[name]
	if k == nil {
		return Binary{}, fmt.Errorf("cuda: no kernel %q in this build; there are: %s", name, strings.Join(Kernels(), " "))
	}
	target, err := targetFor(capability)
	if err != nil {
		return Binary{}, err
	}
	return k.find(constants, target, capability)
}

// find is Find for a kernel and the target of a GPU's.
func (k *kernel) find(constants []uint32, t Target, capability int) (Binary, error) {
	if err := k.check(constants); err != nil {
		return Binary{}, err
	}
	for _, v := range k.all() {
		if !v.only.has(t) || v.fits != nil && !v.fits(constants) {
			continue
		}
		b := Binary{Entry: k.entry(v), Threads: k.threadsOf(v)}
		if int(constants[0]) != b.Threads {
			return Binary{}, fmt.Errorf("cuda: kernel %q called for blocks of %d threads, compiled for %d", k.name, constants[0], b.Threads)
		}
		if k.dynamic != nil && t.From >= k.dynamicFrom {
			b.Dynamic = k.dynamic(constants)
		}
		u := Unit{Entry: b.Entry}
		b.Name = b.Entry + "." + u.archFor(t, capability)
		b.PTX = func() ([]byte, error) { return u.PTXFor(t, capability) }
		if code, err := find(b.Entry + "." + t.Arch); err == nil { // else PTX says what is not there
			b.Sum, b.Size = code.sum, code.size
		}
		return b, nil
	}
	return Binary{}, fmt.Errorf("cuda: kernel %q is not compiled for the constants %d and %s: add a variant to kernels/cuda/kernels.go", k.name, constants, t.Arch)
}

// check reports constants that a kernel cannot have.
func (k *kernel) check(c []uint32) error {
	if len(c) == 0 || len(c) > MaxConstants {
		return fmt.Errorf("cuda: kernel %q called with %d constants: want 1 to %d", k.name, len(c), MaxConstants)
	}
	if k.file != "" {
		return nil
	}
	names, err := constantNames(k.name)
	if err != nil {
		return err
	}
	if len(c) != len(names) {
		return fmt.Errorf("cuda: kernel %q called with %d constants: it has %d", k.name, len(c), len(names))
	}
	for i, name := range names {
		if most, ok := k.most[name]; ok && c[i] > most {
			return fmt.Errorf("cuda: kernel %q called with %s %d: its shared memory is for at most %d", k.name, name, c[i], most)
		}
	}
	return nil
}

// constantNames are those of a kernel of the dialect; its text is read once.
var constantNames = func() func(kernel string) ([]string, error) {
	var lock sync.Mutex
	known := map[string][]string{}
	return func(kernel string) ([]string, error) {
		lock.Lock()
		defer lock.Unlock()
		if names, ok := known[kernel]; ok {
			return names, nil
		}
		names, err := shader.Constants(kernel)
		if err != nil {
			return nil, fmt.Errorf("cuda: %w", err)
		}
		known[kernel] = names
		return names, nil
	}
}()

func (k *kernel) all() []variant {
	if len(k.variants) == 0 {
		return []variant{{}}
	}
	return k.variants
}

func (k *kernel) entry(v variant) string {
	if v.suffix == "" {
		return k.name
	}
	return k.name + "_" + v.suffix
}

func (k *kernel) threadsOf(v variant) int {
	if v.threads != 0 {
		return v.threads
	}
	return k.threads
}

// Kernels lists the names of the calls that there are kernels for.
func Kernels() []string { return slices.Sorted(maps.Keys(byName())) }
