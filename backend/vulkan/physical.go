package vulkan

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"unsafe"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	kernels "github.com/ledge-run/ledge/kernels/vulkan"
)

// physical is a device as its driver describes it. Nothing of that is believed
// further than it was checked.
type physical struct {
	in         *instance
	handle     uintptr
	properties physicalProperties
	driver     driverProperties
	subgroup   subgroupProperties
	sizes      subgroupSizeProperties
	largest    uint64 // bytes of an allocation
	dotFast    bool
	faults     accel.Faults // see limitsFor

	extensions map[string]bool
	memory     memoryProperties2
	family     uint32 // queue family

	// Features there are.
	half, dot, coop, fullSubgroups, sizeControl, executables bool
}

// The extensions that matter, where the version does not have what they add.
const (
	extFloat16     = "VK_KHR_shader_float16_int8"
	extDot         = "VK_KHR_shader_integer_dot_product"
	extDriver      = "VK_KHR_driver_properties"
	extSizeControl = "VK_EXT_subgroup_size_control"
	extBudget      = "VK_EXT_memory_budget"
	extCoop        = "VK_KHR_cooperative_matrix"
	extMemoryModel = "VK_KHR_vulkan_memory_model"
	extExecutables = "VK_KHR_pipeline_executable_properties"
	extPortability = "VK_KHR_portability_subset"
)

// describe asks a driver for everything about a device.
func (i *instance) describe(handle uintptr) (*physical, error) {
	p := &physical{in: i, handle: handle, extensions: map[string]bool{}}
	i.GetPhysicalDeviceProperties.call(handle, &p.properties)
	if v := p.properties.apiVersion; v < version11 || v>>22 != 1 {
		return nil, fmt.Errorf("%s: its driver is for Vulkan %d.%d, at least 1.1 is needed", p.name(), v>>22, v>>12&0x3ff)
	}
	all, err := list("device extensions", func(n *uint32, into *extensionProperties) result {
		return i.EnumerateDeviceExtensionProperties.call(handle, nil, n, into)
	})
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		p.extensions[goString(e.name[:])] = true
	}
	p.askProperties()
	p.askFeatures()
	p.memory = memoryProperties2{head: head{sType: typeMemoryProperties2}}
	i.GetPhysicalDeviceMemoryProperties2.call(handle, &p.memory)
	if p.family, err = p.computeFamily(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name(), err)
	}
	return p, nil
}

// usable is an error if kernels cannot run on the device.
func (p *physical) usable() error {
	err := p.checkMemory()
	if err == nil {
		err = p.limits().Check()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.name(), err)
	}
	return nil
}

// chain links structures by their heads and gives the first.
func chain(h *held, heads ...*head) {
	for n, one := range heads {
		h.Pin(one)
		if n > 0 {
			heads[n-1].pNext = unsafe.Pointer(one)
		}
	}
}

func (p *physical) askProperties() {
	var h held
	defer h.Unpin()
	all := &physicalProperties2{head: head{sType: typeProperties2}}
	maintenance := &maintenance3Properties{head: head{sType: typeMaintenance3Properties}}
	dot := &dotProperties{head: head{sType: typeDotProperties}}
	p.subgroup.head = head{sType: typeSubgroupProperties}
	p.driver.head = head{sType: typeDriverProperties}
	p.sizes.head = head{sType: typeSubgroupSizeProperties}
	heads := []*head{&all.head, &p.subgroup.head, &maintenance.head}
	if p.has(version12, extDriver) {
		heads = append(heads, &p.driver.head)
	}
	if p.has(version13, extDot) {
		heads = append(heads, &dot.head)
	}
	if p.has(version13, extSizeControl) {
		heads = append(heads, &p.sizes.head)
	}
	chain(&h, heads...)
	p.in.GetPhysicalDeviceProperties2.call(p.handle, all)
	p.largest = maintenance.maxMemoryAllocationSize
	p.dotFast = dot.packedSignedAccelerated == 1
	p.subgroup.pNext, p.driver.pNext, p.sizes.pNext = nil, nil, nil
}

func (p *physical) askFeatures() {
	var h held
	defer h.Unpin()
	all := &physicalFeatures2{head: head{sType: typeFeatures2}}
	half := &float16Features{head: head{sType: typeFloat16Features}}
	sizes := &subgroupSizeFeatures{head: head{sType: typeSubgroupSizeFeatures}}
	dot := &oneFeature{head: head{sType: typeDotFeatures}}
	executables := &oneFeature{head: head{sType: typeExecutableFeatures}}
	coop := &coopFeatures{head: head{sType: typeCoopFeatures}}
	model := &memoryModelFeatures{head: head{sType: typeMemoryModelFeatures}}
	heads := []*head{&all.head}
	for _, f := range []struct {
		version   uint32
		extension string
		head      *head
	}{
		{version12, extFloat16, &half.head},
		{version13, extSizeControl, &sizes.head},
		{version13, extDot, &dot.head},
		{never, extExecutables, &executables.head},
		{never, extCoop, &coop.head},
		{version12, extMemoryModel, &model.head},
	} {
		if p.has(f.version, f.extension) {
			heads = append(heads, f.head)
		}
	}
	chain(&h, heads...)
	p.in.GetPhysicalDeviceFeatures2.call(p.handle, all)
	p.half = half.shaderFloat16 == 1
	p.dot = dot.on == 1
	p.fullSubgroups = sizes.computeFullSubgroups == 1
	p.sizeControl = sizes.subgroupSizeControl == 1 && p.sizes.requiredStages&stageCompute != 0
	p.executables = executables.on == 1
	p.coop = coop.cooperativeMatrix == 1 && model.memoryModel == 1
}

// never: no version has it without its extension.
const never = math.MaxUint32

// has reports whether something can be used, as part of a version or through an
// extension.
func (p *physical) has(version uint32, extension string) bool {
	return p.properties.apiVersion >= version || p.extensions[extension]
}

func (p *physical) checkMemory() error {
	m := &p.memory
	if m.typeCount == 0 || m.typeCount > uint32(len(m.types)) || m.heapCount == 0 || m.heapCount > uint32(len(m.heaps)) {
		return fmt.Errorf("its driver reports %d types of memory in %d heaps", m.typeCount, m.heapCount)
	}
	for n, t := range m.types[:m.typeCount] {
		if t.heap >= m.heapCount {
			return fmt.Errorf("its driver reports memory type %d in heap %d of %d", n, t.heap, m.heapCount)
		}
	}
	return nil
}

// computeFamily picks the queues: those that compute and do not draw, where the
// device has some, so that a desktop in front of it stays responsive.
func (p *physical) computeFamily() (uint32, error) {
	all, err := list("queue families", func(n *uint32, into *queueFamily) result {
		p.in.GetPhysicalDeviceQueueFamilyProperties.call(p.handle, n, into)
		return 0
	})
	if err != nil {
		return 0, err
	}
	best := -1
	for n, f := range all {
		if f.flags&queueCompute == 0 || f.count == 0 {
			continue
		}
		if best < 0 || f.flags&queueGraphics == 0 && all[best].flags&queueGraphics != 0 {
			best = n
		}
	}
	if best < 0 {
		return 0, fmt.Errorf("it has no queue that computes")
	}
	return uint32(best), nil
}

// limits are the device's, with every feature it has.
func (p *physical) limits() accel.Limits {
	l := &p.properties.limits
	groups := min(l.computeGroupCount[0], l.computeGroupCount[1], l.computeGroupCount[2])
	visible := min(uint64(l.storageBufferRange), max(p.largest, accel.MinRange)) &^ 3
	out := accel.Limits{
		Buffers: capped(uint64(min(l.stageStorageBuffers, l.setStorageBuffers)), 1<<20),
		Range:   capped(visible, math.MaxInt32&^3),
		Groups:  capped(uint64(groups), math.MaxInt32),
	}
	out.Invocations = capped(uint64(min(l.computeGroupInvocations, l.computeGroupSize[0])), 1<<12)
	out.Shared = capped(uint64(l.computeSharedMemory), 1<<20)
	out.Subgroup = p.subgroupSize()
	out.Half = p.half
	out.IntDot = p.dot
	out.CoopMatrix = p.coop
	out.MemoryTotal, out.Unified = p.localMemory()
	if l.pushConstantsSize < parameterBytes {
		out.Buffers = 0 // refused by Check
	}
	return out
}

func capped(n, most uint64) int { return int(min(n, most)) }

// subgroupSize is that of a device that shuffles in compute kernels; 0 for none.
// It must be certain: there is one size, or a program can ask for one. Then it is
// the least, which leaves an invocation the most registers; and all subgroups of a
// workgroup must be full.
func (p *physical) subgroupSize() int {
	s, ops := p.sizes.least, uint32(subgroupBasic|subgroupShuffle)
	if s < 4 || s > 128 || bits.OnesCount32(s) != 1 || p.subgroup.stages&stageCompute == 0 || p.subgroup.operations&ops != ops {
		return 0
	}
	if !p.fullSubgroups || !p.sizeControl && p.sizes.most != s {
		return 0
	}
	return int(s)
}

// localMemory is the bytes of the device's own memory, and whether that is the
// host's, too: then the host can map all of it.
func (p *physical) localMemory() (total uint64, unified bool) {
	mapped := map[uint32]bool{}
	for _, t := range p.memory.types[:p.memory.typeCount] {
		if t.flags&(memoryDeviceLocal|memoryHostVisible) == memoryDeviceLocal|memoryHostVisible {
			mapped[t.heap] = true
		}
	}
	unified = p.properties.deviceType == deviceIntegrated || p.properties.deviceType == deviceCPU
	for n, h := range p.memory.heaps[:p.memory.heapCount] {
		if h.flags&heapDeviceLocal == 0 {
			continue
		}
		total += min(h.size, math.MaxUint64-total)
		unified = unified && mapped[uint32(n)]
	}
	return total, unified && total > 0
}

// freeMemory is what the driver would still give, 0 where it does not say.
func (p *physical) freeMemory() uint64 {
	if !p.extensions[extBudget] {
		return 0
	}
	var h held
	defer h.Unpin()
	all := &memoryProperties2{head: head{sType: typeMemoryProperties2}}
	budget := &memoryBudget{head: head{sType: typeMemoryBudget}}
	chain(&h, &all.head, &budget.head)
	p.in.GetPhysicalDeviceMemoryProperties2.call(p.handle, all)
	free := uint64(0)
	for n, heap := range p.memory.heaps[:p.memory.heapCount] {
		if b, u := min(budget.budget[n], heap.size), budget.usage[n]; heap.flags&heapDeviceLocal != 0 && b > u {
			free += b - u
		}
	}
	return free
}

func (p *physical) name() string { return goString(p.properties.deviceName[:]) }

// description is the device's name and the driver's.
func (p *physical) description() string {
	v := p.properties.apiVersion
	parts := []string{p.name(), strings.TrimSpace(goString(p.driver.driverName[:]) + " " + goString(p.driver.driverInfo[:]))}
	if parts[1] == "" {
		parts[1] = fmt.Sprintf("driver %#x", p.properties.driverVersion)
	}
	return fmt.Sprintf("%s, Vulkan %d.%d", strings.Join(parts, ", "), v>>22, v>>12&0x3ff)
}

// scores for automatic selection, by type; the processor's backend has 10. A
// driver that computes on the processor is for tests.
var scores = map[uint32]int{deviceDiscrete: 100, deviceIntegrated: 50, deviceVirtual: 40, deviceCPU: 0}

// info describes the device, with what is switched off taken away.
func (p *physical) info(number int, l accel.Limits) backend.Info {
	kind, score := backend.GPU, 30
	if s, ok := scores[p.properties.deviceType]; ok {
		score = s
	}
	if p.properties.deviceType == deviceCPU {
		kind = backend.CPU
	}
	return backend.Info{
		Name:        fmt.Sprintf("%s%d", Name, number),
		Backend:     Name,
		Description: p.description(),
		Kind:        kind,
		Memory:      backend.Memory{Total: l.MemoryTotal, Free: p.freeMemory(), Unified: l.Unified},
		Features:    l.Names(),
		Quirks:      p.faults.Lines,
		Numerics: backend.Numerics{
			Device:  fmt.Sprintf("%s/%04x:%04x:%s", Name, p.properties.vendorID, p.properties.deviceID, p.driverVersion()),
			Level:   l.Level(),
			Version: version(),
		},
		Score: score,
	}
}

// driverVersion is the driver's number, and the name of its version where it has
// one: some drivers never count the number up.
func (p *physical) driverVersion() string {
	words := strings.FieldsFunc(goString(p.driver.driverInfo[:]), func(r rune) bool {
		return r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	return strings.Join(append([]string{fmt.Sprintf("%x", p.properties.driverVersion)}, words...), "-")
}

// Drivers whose number is their version, and whose text says something else.
const (
	driverQualcomm = 8
	driverARM      = 9
)

// fullVersion is the driver's version and name as quirks.For wants them: text that
// has the version first, or alone.
func (p *physical) fullVersion() string {
	name, info := goString(p.driver.driverName[:]), goString(p.driver.driverInfo[:])
	if id := p.driver.driverID; id == driverQualcomm || id == driverARM || !strings.Contains(info, ".") {
		v := p.properties.driverVersion
		return strings.TrimSpace(fmt.Sprintf("%d.%d.%d %s %s", v>>22, v>>12&0x3ff, v&0xfff, name, info))
	}
	return name + " " + info
}

// cacheKey names what compiled programs are good for.
func (p *physical) cacheKey() string {
	q := &p.properties
	return fmt.Sprintf("vulkan pipelines, device %08x:%08x, driver %08x %s, cache %s, kernels %s", q.vendorID, q.deviceID,
		q.driverVersion, goString(p.driver.driverInfo[:]), hex.EncodeToString(q.cacheUUID[:]), kernels.Version())
}
