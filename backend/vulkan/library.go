package vulkan

import (
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/backend/internal/owned"
)

// EnvLibrary names another library than the system's.
const EnvLibrary = "LEDGE_VULKAN_LIBRARY"

// function is the address of a C function; 0 for an optional one that is not there.
type function uintptr

// call calls it with numbers, handles and pointers. What pointers among the
// arguments point to is on the heap and stays until it returns; what is pointed to
// from there must be held. It is for what happens seldom: it allocates.
func (f function) call(args ...any) result {
	var words [15]uintptr
	for i, a := range args {
		switch a := a.(type) {
		case nil:
		case uintptr:
			words[i] = a
		case uint64:
			words[i] = uintptr(a)
		case uint32:
			words[i] = uintptr(a)
		case int:
			words[i] = uintptr(a)
		case ptr:
			words[i] = uintptr(a)
		default: // a pointer
			words[i] = reflect.ValueOf(a).Pointer()
		}
	}
	if escape {
		escaped = args
	}
	r := dl.CallWords(uintptr(f), words[:len(args)]...)
	runtime.KeepAlive(args)
	return result(int32(r))
}

// Never true, which the compiler cannot know: so arguments are never on a stack,
// which moves.
var (
	escape bool
	//lint:ignore U1000 it is only written
	escaped []any
)

// The functions, by how they are found: a field X is vkX. A missing one is an
// error, unless it is said to be optional.
type (
	globalFunctions struct {
		CreateInstance                       function
		EnumerateInstanceVersion             function `vk:"optional"`
		EnumerateInstanceExtensionProperties function
		EnumerateInstanceLayerProperties     function
	}
	instanceFunctions struct {
		DestroyInstance                        function
		EnumeratePhysicalDevices               function
		EnumerateDeviceExtensionProperties     function
		GetPhysicalDeviceProperties            function
		GetPhysicalDeviceProperties2           function
		GetPhysicalDeviceFeatures2             function
		GetPhysicalDeviceMemoryProperties2     function
		GetPhysicalDeviceQueueFamilyProperties function
		CreateDevice                           function
		GetDeviceProcAddr                      function
		CreateDebugUtilsMessengerEXT           function `vk:"optional"`
		DestroyDebugUtilsMessengerEXT          function `vk:"optional"`
	}
	deviceFunctions struct {
		DestroyDevice                                   function
		GetDeviceQueue                                  function
		DeviceWaitIdle                                  function
		CreateBuffer                                    function
		DestroyBuffer                                   function
		GetBufferMemoryRequirements                     function
		AllocateMemory                                  function
		FreeMemory                                      function
		BindBufferMemory                                function
		MapMemory                                       function
		InvalidateMappedMemoryRanges                    function
		CreateShaderModule                              function
		DestroyShaderModule                             function
		CreateDescriptorSetLayout                       function
		DestroyDescriptorSetLayout                      function
		CreatePipelineLayout                            function
		DestroyPipelineLayout                           function
		CreatePipelineCache                             function
		DestroyPipelineCache                            function
		GetPipelineCacheData                            function
		CreateComputePipelines                          function
		DestroyPipeline                                 function
		CreateDescriptorPool                            function
		DestroyDescriptorPool                           function
		AllocateDescriptorSets                          function
		UpdateDescriptorSets                            function
		CreateCommandPool                               function
		DestroyCommandPool                              function
		AllocateCommandBuffers                          function
		FreeCommandBuffers                              function
		BeginCommandBuffer                              function
		EndCommandBuffer                                function
		CmdBindPipeline                                 function
		CmdBindDescriptorSets                           function
		CmdPushConstants                                function
		CmdDispatchIndirect                             function
		CmdPipelineBarrier                              function
		CmdCopyBuffer                                   function
		CmdFillBuffer                                   function
		QueueSubmit                                     function
		CreateFence                                     function
		DestroyFence                                    function
		WaitForFences                                   function
		ResetFences                                     function
		GetPipelineExecutableStatisticsKHR              function `vk:"optional"`
		GetPipelineExecutableInternalRepresentationsKHR function `vk:"optional"`
	}
)

// load fills a structure of functions.
func load(into any, address func(name *byte) uintptr) error {
	v := reflect.ValueOf(into).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		a := address(cString("vk" + field.Name))
		if a == 0 && field.Tag.Get("vk") != "optional" {
			return fmt.Errorf("vulkan: the driver has no function vk%s", field.Name)
		}
		v.Field(i).SetUint(uint64(a))
	}
	return nil
}

// library is the loader of Vulkan, found once in a process.
type library struct {
	name    string
	address uintptr // vkGetInstanceProcAddr
	globalFunctions
}

var (
	librariesMu sync.Mutex
	libraries   = map[string]*library{}
)

// names of the library, by system. Android has no version in its name; on macOS
// there is MoltenVK, with or without Khronos' loader.
func names() []string {
	if n := owned.Env(EnvLibrary); n != "" {
		return []string{n}
	}
	switch runtime.GOOS {
	case "darwin", "ios":
		return []string{"libvulkan.1.dylib", "libvulkan.dylib", "libMoltenVK.dylib",
			"/opt/homebrew/lib/libvulkan.1.dylib", "/opt/homebrew/lib/libMoltenVK.dylib",
			"/usr/local/lib/libvulkan.1.dylib", "/usr/local/lib/libMoltenVK.dylib"}
	case "android":
		return []string{"libvulkan.so", "libvulkan.so.1"}
	}
	return []string{"libvulkan.so.1", "libvulkan.so"}
}

func openLibrary() (*library, error) {
	names := names()
	librariesMu.Lock()
	defer librariesMu.Unlock()
	if l := libraries[names[0]]; l != nil {
		return l, nil
	}
	file, err := dl.Open(names...)
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	a, err := file.Symbol("vkGetInstanceProcAddr")
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	l := &library{name: file.Name, address: a}
	if err := load(&l.globalFunctions, func(name *byte) uintptr {
		return dl.Call(a, 0, uintptr(unsafe.Pointer(name)))
	}); err != nil {
		return nil, err
	}
	libraries[names[0]] = l
	return l, nil
}

// cString is a string for C.
func cString(s string) *byte {
	b := append([]byte(s), 0)
	return &b[0]
}

// goString is a string of C in a field of fixed size: up to its end, if it has none.
func goString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return printable(b[:i])
		}
	}
	return printable(b)
}

// printable replaces what would garble a terminal: names come from drivers.
func printable(b []byte) string {
	out := make([]rune, 0, len(b))
	for _, r := range string(b) {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}

// textAt is a string of C at an address, at most limit bytes of it.
func textAt(p *byte, limit int) string {
	if p == nil {
		return ""
	}
	n := 0
	for n < limit && *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return printable(unsafe.Slice(p, n))
}

// held keeps Go memory in place while C reads it through pointers in structures.
type held struct{ runtime.Pinner }

// hold moves a value to memory that stays in place until h is unpinned.
func hold[T any](h *held, v T) *T {
	p := new(T)
	*p = v
	h.Pin(p)
	return p
}

// holdAll does so for a list and gives its first element, nil for none.
func holdAll[T any](h *held, v []T) *T {
	if len(v) == 0 {
		return nil
	}
	c := append([]T(nil), v...)
	h.Pin(&c[0])
	return &c[0]
}

// holdNames does so for a list of strings for C.
func holdNames(h *held, names []string) **byte {
	var all []*byte
	for _, n := range names {
		p := cString(n)
		h.Pin(p)
		all = append(all, p)
	}
	return holdAll(h, all)
}

// maxList bounds the counts that a driver returns.
const maxList = 4096

// list asks for a list in the two steps of Vulkan's: its length, then its elements.
func list[T any](what string, ask func(n *uint32, into *T) result) ([]T, error) {
	for range 4 { // it may grow in between
		n := new(uint32)
		if r := ask(n, nil); r != 0 && r != resultIncomplete {
			return nil, r.err(what)
		}
		if *n == 0 {
			return nil, nil
		}
		if *n > maxList {
			return nil, fmt.Errorf("vulkan: %s: the driver has %d of them", what, *n)
		}
		all := make([]T, *n)
		for i := range all {
			if p, ok := any(&all[i]).(interface{ prepare() }); ok {
				p.prepare()
			}
		}
		have := *n
		switch r := ask(n, &all[0]); {
		case r == resultIncomplete:
			continue
		case r != 0:
			return nil, r.err(what)
		}
		return all[:min(*n, have)], nil
	}
	return nil, fmt.Errorf("vulkan: %s: the list does not stop growing", what)
}
