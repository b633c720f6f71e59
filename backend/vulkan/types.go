//lint:file-ignore U1000 the fields are those of C, used or not

package vulkan

import "unsafe"

// The structures of Vulkan's C interface that are used here, in the names that the
// specification gives their fields. Dispatchable handles are uintptr, the others
// uint64; size_t is uintptr. The sizes are held by a test.

type ptr = unsafe.Pointer

// head begins most structures.
type head struct {
	sType uint32
	pNext ptr
}

type (
	applicationInfo struct {
		head
		applicationName    *byte
		applicationVersion uint32
		engineName         *byte
		engineVersion      uint32
		apiVersion         uint32
	}
	instanceCreateInfo struct {
		head
		flags          uint32
		application    *applicationInfo
		layerCount     uint32
		layers         **byte
		extensionCount uint32
		extensions     **byte
	}
	extensionProperties struct {
		name    [256]byte
		version uint32
	}
	layerProperties struct {
		name        [256]byte
		spec        uint32
		version     uint32
		description [256]byte
	}
	messengerCreateInfo struct {
		head
		flags    uint32
		severity uint32
		types    uint32
		callback uintptr
		userData uintptr
	}
	messengerData struct {
		head
		flags         uint32
		messageIDName *byte
		messageID     int32
		message       *byte
		rest          [6]uint64
	}
)

// Physical devices.
type (
	physicalLimits struct {
		_                       [7]uint32
		storageBufferRange      uint32
		pushConstantsSize       uint32
		_                       [10]uint32
		stageStorageBuffers     uint32
		_                       [7]uint32
		setStorageBuffers       uint32
		_                       [26]uint32
		computeSharedMemory     uint32
		computeGroupCount       [3]uint32
		computeGroupInvocations uint32
		computeGroupSize        [3]uint32
		_                       [62]uint32
		nonCoherentAtomSize     uint64
	}
	physicalProperties struct {
		apiVersion    uint32
		driverVersion uint32
		vendorID      uint32
		deviceID      uint32
		deviceType    uint32
		deviceName    [256]byte
		cacheUUID     [16]byte
		limits        physicalLimits
		sparse        [5]uint32
	}
	physicalProperties2 struct {
		head
		properties physicalProperties
	}
	subgroupProperties struct {
		head
		subgroupSize uint32
		stages       uint32
		operations   uint32
		quadInAll    uint32
	}
	maintenance3Properties struct {
		head
		maxPerSetDescriptors    uint32
		maxMemoryAllocationSize uint64
	}
	driverProperties struct {
		head
		driverID    uint32
		driverName  [256]byte
		driverInfo  [256]byte
		conformance [4]byte
	}
	dotProperties struct {
		head
		_                       [4]uint32
		packedSignedAccelerated uint32
		_                       [25]uint32
	}
	physicalFeatures2 struct {
		head
		features [55]uint32
	}
	subgroupSizeProperties struct {
		head
		least, most    uint32
		groupSubgroups uint32
		requiredStages uint32
	}
	subgroupSizeFeatures struct {
		head
		subgroupSizeControl  uint32
		computeFullSubgroups uint32
	}
	float16Features struct {
		head
		shaderFloat16 uint32
		shaderInt8    uint32
	}
	oneFeature struct { // integer dot product; pipeline executable properties
		head
		on uint32
	}
	coopFeatures struct {
		head
		cooperativeMatrix uint32
		robustAccess      uint32
	}
	memoryModelFeatures struct {
		head
		memoryModel       uint32
		deviceScope       uint32
		availabilityChain uint32
	}
	memoryType struct{ flags, heap uint32 }
	memoryHeap struct {
		size  uint64
		flags uint32
	}
	memoryProperties2 struct {
		head
		typeCount uint32
		types     [32]memoryType
		heapCount uint32
		heaps     [16]memoryHeap
	}
	memoryBudget struct {
		head
		budget [16]uint64
		usage  [16]uint64
	}
	queueFamily struct {
		flags, count, timestampBits uint32
		granularity                 [3]uint32
	}
)

// Devices, memory.
type (
	queueCreateInfo struct {
		head
		flags      uint32
		family     uint32
		count      uint32
		priorities *float32
	}
	deviceCreateInfo struct {
		head
		flags          uint32
		queueCount     uint32
		queues         *queueCreateInfo
		layerCount     uint32
		layers         **byte
		extensionCount uint32
		extensions     **byte
		features       ptr
	}
	bufferCreateInfo struct {
		head
		flags       uint32
		size        uint64
		usage       uint32
		sharing     uint32
		familyCount uint32
		families    ptr
	}
	memoryRequirements struct {
		size, alignment uint64
		typeBits        uint32
	}
	memoryAllocateInfo struct {
		head
		size uint64
		kind uint32
	}
	mappedRange struct {
		head
		memory       uint64
		offset, size uint64
	}
)

// Programs.
type (
	shaderCreateInfo struct {
		head
		flags uint32
		size  uintptr
		code  *uint32
	}
	setLayoutBinding struct {
		binding, kind, count, stages uint32
		samplers                     ptr
	}
	setLayoutCreateInfo struct {
		head
		flags    uint32
		count    uint32
		bindings *setLayoutBinding
	}
	pushRange        struct{ stages, offset, size uint32 }
	layoutCreateInfo struct {
		head
		flags      uint32
		setCount   uint32
		sets       *uint64
		rangeCount uint32
		ranges     *pushRange
	}
	specializationEntry struct {
		id, offset uint32
		size       uintptr
	}
	specializationInfo struct {
		count   uint32
		entries *specializationEntry
		size    uintptr
		data    *uint32
	}
	stageCreateInfo struct {
		head
		flags          uint32
		stage          uint32
		module         uint64
		name           *byte
		specialization *specializationInfo
	}
	requiredSubgroup struct {
		head
		size uint32
	}
	pipelineCreateInfo struct {
		head
		flags     uint32
		stage     stageCreateInfo
		layout    uint64
		base      uint64
		baseIndex int32
	}
	cacheCreateInfo struct {
		head
		flags uint32
		size  uintptr
		data  *byte
	}
	executableInfo struct { // also of vkGetPipelineExecutableProperties, without the index
		head
		pipeline uint64
		index    uint32
	}
	executableText struct {
		head
		name        [256]byte
		description [256]byte
		isText      uint32
		size        uintptr
		data        *byte
	}
	executableStatistic struct {
		head
		name        [256]byte
		description [256]byte
		format      uint32
		value       uint64
	}
)

// Recordings.
type (
	poolSize          struct{ kind, count uint32 }
	setPoolCreateInfo struct {
		head
		flags     uint32
		maxSets   uint32
		sizeCount uint32
		sizes     *poolSize
	}
	setAllocateInfo struct {
		head
		pool    uint64
		count   uint32
		layouts *uint64
	}
	descriptorBuffer struct{ buffer, offset, size uint64 }
	writeSet         struct {
		head
		set     uint64
		binding uint32
		element uint32
		count   uint32
		kind    uint32
		images  ptr
		buffers *descriptorBuffer
		views   ptr
	}
	commandPoolCreateInfo struct {
		head
		flags  uint32
		family uint32
	}
	commandAllocateInfo struct {
		head
		pool  uint64
		level uint32
		count uint32
	}
	commandBeginInfo struct {
		head
		flags       uint32
		inheritance ptr
	}
	memoryBarrier struct {
		head
		source, target uint32
	}
	bufferCopy struct{ from, to, size uint64 }
	submitInfo struct {
		head
		waitCount    uint32
		waits        ptr
		waitStages   ptr
		commandCount uint32
		commands     *uintptr
		signalCount  uint32
		signals      ptr
	}
	fenceCreateInfo struct {
		head
		flags uint32
	}
)

// Values of VkStructureType.
const (
	typeApplicationInfo       = 0
	typeInstanceCreateInfo    = 1
	typeQueueCreateInfo       = 2
	typeDeviceCreateInfo      = 3
	typeSubmitInfo            = 4
	typeMemoryAllocateInfo    = 5
	typeMappedRange           = 6
	typeFenceCreateInfo       = 8
	typeBufferCreateInfo      = 12
	typeShaderCreateInfo      = 16
	typeCacheCreateInfo       = 17
	typeStageCreateInfo       = 18
	typePipelineCreateInfo    = 29
	typeLayoutCreateInfo      = 30
	typeSetLayoutCreateInfo   = 32
	typeSetPoolCreateInfo     = 33
	typeSetAllocateInfo       = 34
	typeWriteSet              = 35
	typeCommandPoolCreateInfo = 39
	typeCommandAllocateInfo   = 40
	typeCommandBeginInfo      = 42
	typeMemoryBarrier         = 46

	typeFeatures2              = 1000059000
	typeProperties2            = 1000059001
	typeMemoryProperties2      = 1000059006
	typeFloat16Features        = 1000082000
	typeSubgroupProperties     = 1000094000
	typeMessengerCreateInfo    = 1000128004
	typeMaintenance3Properties = 1000168000
	typeDriverProperties       = 1000196000
	typeMemoryModelFeatures    = 1000211000
	typeSubgroupSizeProperties = 1000225000
	typeRequiredSubgroup       = 1000225001
	typeSubgroupSizeFeatures   = 1000225002
	typeMemoryBudget           = 1000237000
	typeExecutableFeatures     = 1000269000
	typeExecutableInfo         = 1000269003
	typeExecutableStatistic    = 1000269004
	typeExecutableText         = 1000269005
	typeDotFeatures            = 1000280000
	typeDotProperties          = 1000280001
	typeCoopFeatures           = 1000506000
)

// Values of other enumerations and flags.
const (
	deviceIntegrated = 1
	deviceDiscrete   = 2
	deviceVirtual    = 3
	deviceCPU        = 4

	queueGraphics = 1
	queueCompute  = 2

	memoryDeviceLocal  = 1
	memoryHostVisible  = 2
	memoryHostCoherent = 4
	memoryHostCached   = 8
	heapDeviceLocal    = 1

	usageTransferSource = 1
	usageTransferTarget = 2
	usageStorage        = 0x20
	usageIndirect       = 0x100

	accessShaderRead    = 0x20
	accessShaderWrite   = 0x40
	accessTransferRead  = 0x800
	accessTransferWrite = 0x1000
	accessHostRead      = 0x2000

	atCompute  = 0x800
	atTransfer = 0x1000
	atHost     = 0x4000

	stageCompute         = 0x20
	bindCompute          = 1
	descriptorStorage    = 7
	subgroupBasic        = 1
	subgroupShuffle      = 0x10
	fullSubgroups        = 2    // of a stage
	captureStatistics    = 0x40 // of a pipeline
	captureTexts         = 0x80
	resetCommandBuffer   = 2 // of a command pool
	enumeratePortability = 1 // of an instance

	messageWarning    = 0x100
	messageError      = 0x1000
	messageGeneral    = 1
	messageValidation = 2

	wholeSize = ^uint64(0)
)
