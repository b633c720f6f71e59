package vulkan

import (
	"testing"
	"unsafe"
)

// TestLayout: the structures lie in memory as in Vulkan's C header (64 bits; the
// numbers are sizeof and offsetof of it).
func TestLayout(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("drivers are called on systems of 64 bits alone")
	}
	for _, c := range []struct {
		what       string
		have, want uintptr
	}{
		{"VkApplicationInfo", unsafe.Sizeof(applicationInfo{}), 48},
		{"VkInstanceCreateInfo", unsafe.Sizeof(instanceCreateInfo{}), 64},
		{"VkExtensionProperties", unsafe.Sizeof(extensionProperties{}), 260},
		{"VkLayerProperties", unsafe.Sizeof(layerProperties{}), 520},
		{"VkDebugUtilsMessengerCreateInfoEXT", unsafe.Sizeof(messengerCreateInfo{}), 48},
		{"VkDebugUtilsMessengerCallbackDataEXT", unsafe.Sizeof(messengerData{}), 96},
		{"pMessage", unsafe.Offsetof(messengerData{}.message), 40},
		{"VkPhysicalDeviceLimits", unsafe.Sizeof(physicalLimits{}), 504},
		{"maxStorageBufferRange", unsafe.Offsetof(physicalLimits{}.storageBufferRange), 28},
		{"maxPushConstantsSize", unsafe.Offsetof(physicalLimits{}.pushConstantsSize), 32},
		{"maxPerStageDescriptorStorageBuffers", unsafe.Offsetof(physicalLimits{}.stageStorageBuffers), 76},
		{"maxDescriptorSetStorageBuffers", unsafe.Offsetof(physicalLimits{}.setStorageBuffers), 108},
		{"maxComputeSharedMemorySize", unsafe.Offsetof(physicalLimits{}.computeSharedMemory), 216},
		{"maxComputeWorkGroupCount", unsafe.Offsetof(physicalLimits{}.computeGroupCount), 220},
		{"maxComputeWorkGroupInvocations", unsafe.Offsetof(physicalLimits{}.computeGroupInvocations), 232},
		{"maxComputeWorkGroupSize", unsafe.Offsetof(physicalLimits{}.computeGroupSize), 236},
		{"nonCoherentAtomSize", unsafe.Offsetof(physicalLimits{}.nonCoherentAtomSize), 496},
		{"VkPhysicalDeviceProperties", unsafe.Sizeof(physicalProperties{}), 824},
		{"limits", unsafe.Offsetof(physicalProperties{}.limits), 296},
		{"sparseProperties", unsafe.Offsetof(physicalProperties{}.sparse), 800},
		{"VkPhysicalDeviceProperties2", unsafe.Sizeof(physicalProperties2{}), 840},
		{"VkPhysicalDeviceSubgroupProperties", unsafe.Sizeof(subgroupProperties{}), 32},
		{"VkPhysicalDeviceMaintenance3Properties", unsafe.Sizeof(maintenance3Properties{}), 32},
		{"maxMemoryAllocationSize", unsafe.Offsetof(maintenance3Properties{}.maxMemoryAllocationSize), 24},
		{"VkPhysicalDeviceDriverProperties", unsafe.Sizeof(driverProperties{}), 536},
		{"VkPhysicalDeviceShaderIntegerDotProductProperties", unsafe.Sizeof(dotProperties{}), 136},
		{"integerDotProduct4x8BitPackedSignedAccelerated", unsafe.Offsetof(dotProperties{}.packedSignedAccelerated), 32},
		{"VkPhysicalDeviceFeatures2", unsafe.Sizeof(physicalFeatures2{}), 240},
		{"VkPhysicalDeviceSubgroupSizeControlProperties", unsafe.Sizeof(subgroupSizeProperties{}), 32},
		{"requiredSubgroupSizeStages", unsafe.Offsetof(subgroupSizeProperties{}.requiredStages), 28},
		{"VkPipelineShaderStageRequiredSubgroupSizeCreateInfo", unsafe.Sizeof(requiredSubgroup{}), 24},
		{"VkPhysicalDeviceSubgroupSizeControlFeatures", unsafe.Sizeof(subgroupSizeFeatures{}), 24},
		{"VkPhysicalDeviceShaderFloat16Int8Features", unsafe.Sizeof(float16Features{}), 24},
		{"VkPhysicalDeviceShaderIntegerDotProductFeatures", unsafe.Sizeof(oneFeature{}), 24},
		{"VkPhysicalDeviceCooperativeMatrixFeaturesKHR", unsafe.Sizeof(coopFeatures{}), 24},
		{"VkPhysicalDeviceVulkanMemoryModelFeatures", unsafe.Sizeof(memoryModelFeatures{}), 32},
		{"VkPhysicalDeviceMemoryProperties2", unsafe.Sizeof(memoryProperties2{}), 536},
		{"VkPhysicalDeviceMemoryBudgetPropertiesEXT", unsafe.Sizeof(memoryBudget{}), 272},
		{"VkQueueFamilyProperties", unsafe.Sizeof(queueFamily{}), 24},
		{"VkDeviceQueueCreateInfo", unsafe.Sizeof(queueCreateInfo{}), 40},
		{"VkDeviceCreateInfo", unsafe.Sizeof(deviceCreateInfo{}), 72},
		{"VkBufferCreateInfo", unsafe.Sizeof(bufferCreateInfo{}), 56},
		{"VkMemoryRequirements", unsafe.Sizeof(memoryRequirements{}), 24},
		{"VkMemoryAllocateInfo", unsafe.Sizeof(memoryAllocateInfo{}), 32},
		{"VkMappedMemoryRange", unsafe.Sizeof(mappedRange{}), 40},
		{"VkShaderModuleCreateInfo", unsafe.Sizeof(shaderCreateInfo{}), 40},
		{"VkDescriptorSetLayoutBinding", unsafe.Sizeof(setLayoutBinding{}), 24},
		{"VkDescriptorSetLayoutCreateInfo", unsafe.Sizeof(setLayoutCreateInfo{}), 32},
		{"VkPipelineLayoutCreateInfo", unsafe.Sizeof(layoutCreateInfo{}), 48},
		{"VkSpecializationMapEntry", unsafe.Sizeof(specializationEntry{}), 16},
		{"VkSpecializationInfo", unsafe.Sizeof(specializationInfo{}), 32},
		{"VkPipelineShaderStageCreateInfo", unsafe.Sizeof(stageCreateInfo{}), 48},
		{"VkComputePipelineCreateInfo", unsafe.Sizeof(pipelineCreateInfo{}), 96},
		{"VkPipelineCacheCreateInfo", unsafe.Sizeof(cacheCreateInfo{}), 40},
		{"VkPipelineExecutableInfoKHR", unsafe.Sizeof(executableInfo{}), 32},
		{"VkPipelineExecutableStatisticKHR", unsafe.Sizeof(executableStatistic{}), 544},
		{"VkPipelineExecutableInternalRepresentationKHR", unsafe.Sizeof(executableText{}), 552},
		{"VkPipelineExecutableStatisticKHR.format", unsafe.Offsetof(executableStatistic{}.format), 528},
		{"VkDescriptorPoolCreateInfo", unsafe.Sizeof(setPoolCreateInfo{}), 40},
		{"VkDescriptorSetAllocateInfo", unsafe.Sizeof(setAllocateInfo{}), 40},
		{"VkDescriptorBufferInfo", unsafe.Sizeof(descriptorBuffer{}), 24},
		{"VkWriteDescriptorSet", unsafe.Sizeof(writeSet{}), 64},
		{"VkCommandPoolCreateInfo", unsafe.Sizeof(commandPoolCreateInfo{}), 24},
		{"VkCommandBufferAllocateInfo", unsafe.Sizeof(commandAllocateInfo{}), 32},
		{"VkCommandBufferBeginInfo", unsafe.Sizeof(commandBeginInfo{}), 32},
		{"VkMemoryBarrier", unsafe.Sizeof(memoryBarrier{}), 24},
		{"VkBufferCopy", unsafe.Sizeof(bufferCopy{}), 24},
		{"VkSubmitInfo", unsafe.Sizeof(submitInfo{}), 72},
		{"VkFenceCreateInfo", unsafe.Sizeof(fenceCreateInfo{}), 24},
	} {
		if c.have != c.want {
			t.Errorf("%s is %d, in C %d", c.what, c.have, c.want)
		}
	}
}
