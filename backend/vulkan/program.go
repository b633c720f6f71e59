package vulkan

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/shader"
	kernels "github.com/ledge-run/ledge/kernels/vulkan"
)

// program is a pipeline: a kernel with its constants.
type program struct {
	dev    *device
	name   string
	handle uint64
}

func (p *program) Name() string { return p.name }

// Program compiles a kernel; see accel.API.
func (d *device) Program(kernel string, constants []uint32) (accel.Program, error) {
	var p *program
	err := d.guard(d.calls, "compiling "+kernel, taskFunc(func() (err error) {
		p, err = d.program(kernel, constants)
		return err
	}))
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (d *device) program(kernel string, constants []uint32) (*program, error) {
	key := fmt.Sprint(kernel, constants)
	if p := d.programs[key]; p != nil {
		return p, nil
	}
	if len(constants) == 0 || constants[0] == 0 || constants[0] > uint32(d.limits.Invocations) {
		return nil, fmt.Errorf("vulkan: %s: its constants are %v; the first is the invocations of a workgroup, at most %d", kernel, constants, d.limits.Invocations)
	}
	module, err := d.module(kernel)
	if err != nil {
		return nil, err
	}
	handle, err := d.pipeline(kernel, module, constants, 0)
	if err != nil {
		return nil, err
	}
	p := &program{d, key, handle}
	d.programs[key] = p
	d.fresh = true
	return p, nil
}

// module gives the driver a kernel's code.
func (d *device) module(kernel string) (uint64, error) {
	if m := d.modules[kernel]; m != 0 {
		return m, nil
	}
	text, err := shader.Source(kernel)
	if err != nil {
		return 0, err
	}
	have := map[string]bool{"half": d.limits.Half, "subgroup": d.limits.Subgroup > 0}
	for _, feature := range shader.Needs(text) {
		if !have[feature] {
			return 0, fmt.Errorf("vulkan: kernel %s needs %s, which the device does not have or which is switched off", kernel, feature)
		}
	}
	code, err := kernels.Code(kernel, d.dotEnabled())
	if err != nil {
		return 0, err
	}
	words := make([]uint32, len(code)/4)
	for i := range words {
		words[i] = binary.NativeEndian.Uint32(code[4*i:])
	}
	var h held
	defer h.Unpin()
	m, err := d.make(d.CreateShaderModule, "reading kernel "+kernel, &shaderCreateInfo{
		head: head{sType: typeShaderCreateInfo}, size: uintptr(4 * len(words)), code: holdAll(&h, words),
	})
	if err == nil {
		d.modules[kernel] = m
	}
	return m, err
}

// pipeline compiles a module with constants.
func (d *device) pipeline(kernel string, module uint64, constants []uint32, flags uint32) (uint64, error) {
	var h held
	defer h.Unpin()
	entries := make([]specializationEntry, len(constants))
	for n := range entries {
		entries[n] = specializationEntry{id: uint32(n), offset: uint32(4 * n), size: 4}
	}
	stage := stageCreateInfo{
		head: head{sType: typeStageCreateInfo}, stage: stageCompute, module: module, name: holdAll(&h, []byte("main\x00")),
		specialization: hold(&h, specializationInfo{
			count: uint32(len(entries)), entries: holdAll(&h, entries),
			size: uintptr(4 * len(constants)), data: holdAll(&h, constants),
		}),
	}
	names, err := shader.Constants(kernel)
	if err != nil {
		return 0, err
	}
	if at := slices.Index(names, "SUBGROUP"); at >= 0 {
		n := uint32(d.limits.Subgroup)
		if n == 0 || at >= len(constants) || constants[at] != n || constants[0]%n != 0 {
			return 0, fmt.Errorf("vulkan: %s%v needs subgroups of a size that the device, with %d, does not have", kernel, constants, n)
		}
		stage.flags = fullSubgroups
		if d.phys.sizeControl {
			stage.pNext = ptr(hold(&h, requiredSubgroup{head{sType: typeRequiredSubgroup}, n}))
		}
	}
	info := &pipelineCreateInfo{
		head: head{sType: typePipelineCreateInfo}, flags: flags, stage: stage, layout: d.layout, baseIndex: -1,
	}
	handle := new(uint64)
	what := fmt.Sprintf("compiling %s%v", kernel, constants)
	if err := d.check(d.CreateComputePipelines.call(d.handle, d.cache, 1, info, nil, handle), what); err != nil {
		return 0, err
	}
	if *handle == 0 {
		return 0, fmt.Errorf("vulkan: %s gave none", what)
	}
	return *handle, nil
}

// cacheHeader is what a driver puts before its cache: length, version 1, vendor,
// device, UUID.
const cacheHeader = 32

// openCache makes the driver's cache, with what an earlier process left of it.
func (d *device) openCache() error {
	info := &cacheCreateInfo{head: head{sType: typeCacheCreateInfo}}
	var h held
	defer h.Unpin()
	if old := d.blobs.Get(d.phys.cacheKey()); d.ownCache(old) {
		info.size, info.data = uintptr(len(old)), holdAll(&h, old)
	}
	var err error
	d.cache, err = d.make(d.CreatePipelineCache, "making a cache of programs", info)
	if err != nil && info.size > 0 { // it does not like what it wrote
		info.size, info.data = 0, nil
		d.cache, err = d.make(d.CreatePipelineCache, "making a cache of programs", info)
	}
	return err
}

func (d *device) ownCache(data []byte) bool {
	if len(data) < cacheHeader {
		return false
	}
	q := &d.phys.properties
	word := func(n int) uint32 { return binary.NativeEndian.Uint32(data[4*n:]) }
	return word(0) >= cacheHeader && word(0) <= uint32(len(data)) && word(1) == 1 &&
		word(2) == q.vendorID && word(3) == q.deviceID && bytes.Equal(data[16:32], q.cacheUUID[:])
}

// cacheMax bounds what a driver may want to keep.
const cacheMax = 64 << 20

// keepCache writes the programs that are new to disk. A failure costs time at the
// next start and nothing else.
func (d *device) keepCache() {
	if !d.fresh || d.cache == 0 || d.usable() != nil {
		return
	}
	d.fresh = false
	size := new(uintptr)
	if d.GetPipelineCacheData.call(d.handle, d.cache, size, nil) != 0 || *size < cacheHeader || *size > cacheMax {
		return
	}
	data := make([]byte, *size)
	if d.GetPipelineCacheData.call(d.handle, d.cache, size, &data[0]) != 0 || *size > uintptr(len(data)) {
		return
	}
	if data = data[:*size]; d.ownCache(data) {
		_ = d.blobs.Put(d.phys.cacheKey(), data)
	}
}

func (d *device) closePrograms() {
	d.keepCache()
	for _, p := range d.programs {
		d.destroy(d.DestroyPipeline, p.handle)
	}
	for _, m := range d.modules {
		d.destroy(d.DestroyShaderModule, m)
	}
	d.destroy(d.DestroyPipelineCache, d.cache)
	clear(d.programs)
	clear(d.modules)
}
