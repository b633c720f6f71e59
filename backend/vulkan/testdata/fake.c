// A faulty Vulkan library: it forwards to the real one, LEDGE_FAKE_REAL or
// libvulkan.so.1, and goes wrong as it is told, by fake_control or by the variable
// LEDGE_FAKE in words with blanks between them:
//
//   fail=N      call N of those that can fail does (0 for none) ...
//   from=N      ... or call N and all after it
//   code=C      ... with this result, -13 if nothing is said
//   only=NAME   count calls of this function alone
//   null        ... with no handle and no error
//   garbage=N   what drivers say of themselves is random; N is where chance begins
//   wrong       kernels are not run
//   wrong=N     from the Nth on, nothing that is submitted is run
//   gpu         the processor says that it is a GPU
//   crash=N     call N writes to address 0
//   hang=NAME   this function does not come back before the next fake_control
//
// With LEDGE_FAKE_SAY it says which call it lets fail. fake_calls tells how many
// calls were counted, fake_handles how many objects were made and not destroyed.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef long word;
typedef word (*call)(word, word, word, word, word, word, word, word, word, word);

static long fail_at, fail_from, calls, handles;
static long idle_from, submits, crash_at;
static int fail_code = -13, null_handle, wrong, gpu;
static char only[64], hang[64];
static volatile long generation;
static uint64_t chance;

void fake_control(const char *words) {
  char copy[512], *w, *rest = copy;
  fail_at = fail_from = calls = idle_from = submits = crash_at = 0;
  fail_code = -13;
  null_handle = wrong = gpu = 0;
  only[0] = hang[0] = 0;
  chance = 0;
  generation++;
  snprintf(copy, sizeof copy, "%s", words);
  while ((w = strsep(&rest, " "))) {
    char *v = strchr(w, '=');
    if (v) *v++ = 0;
    if (!strcmp(w, "fail")) fail_at = atol(v);
    if (!strcmp(w, "from")) fail_from = atol(v);
    if (!strcmp(w, "code")) fail_code = atoi(v);
    if (!strcmp(w, "only")) snprintf(only, sizeof only, "%s", v);
    if (!strcmp(w, "null")) null_handle = 1;
    if (!strcmp(w, "garbage")) chance = 2 * strtoull(v, 0, 10) + 1;
    if (!strcmp(w, "wrong")) {
      wrong = !v;
      idle_from = v ? atol(v) : 0;
    }
    if (!strcmp(w, "gpu")) gpu = 1;
    if (!strcmp(w, "crash")) crash_at = atol(v);
    if (!strcmp(w, "hang")) snprintf(hang, sizeof hang, "%s", v);
  }
}

long fake_calls(void) { return calls; }
long fake_handles(void) { return handles; }

__attribute__((constructor)) static void start(void) {
  const char *words = getenv("LEDGE_FAKE");
  if (words) fake_control(words);
}

static uint64_t next(void) {
  chance = chance * 6364136223846793005u + 1442695040888963407u;
  return chance >> 33;
}

// spoil makes some words of what a driver says random.
static void spoil(void *p, int bytes) {
  if (!chance || !p) return;
  for (int i = 0; i + 4 <= bytes; i += 4) {
    if (next() % 16) continue;
    static const uint32_t odd[] = {0, 1, 0xffffffff, 0x80000000, 33, 1000};
    uint64_t n = next();
    ((uint32_t *)p)[i / 4] = n % 7 < 6 ? odd[n % 7] : (uint32_t)next();
  }
}

static void wait(const char *name) {
  if (!strcmp(name, hang)) {
    long now = generation;
    while (now == generation) usleep(1000);
  }
}

// enter counts a call and hangs in it; it is true if the call fails.
static int enter(const char *name) {
  wait(name);
  if (only[0] && strcmp(only, name)) return 0;
  long n = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
  if (n == crash_at) *(volatile int *)0 = 1;
  if (n != fail_at && (!fail_from || n < fail_from)) return 0;
  if (getenv("LEDGE_FAKE_SAY")) fprintf(stderr, "fake: %s fails\n", name);
  return 1;
}

static void zero(word p, int size) { if (p) memset((void *)p, 0, size); }

#define ARGS word a, word b, word c, word d, word e, word f, word g, word h, word i, word j
#define PASS a, b, c, d, e, f, g, h, i, j

// A function that can fail; of those that make an object, made is its address and
// size the bytes of its handle.
#define RESULT(name, before, made, size, after)                  \
  static call real_##name;                                       \
  static word fake_##name(ARGS) {                                \
    int fails = enter(#name);                                    \
    if (fails && !null_handle) return (word)fail_code;           \
    before;                                                      \
    if (fails && (size) > 0) { zero(made, size); return 0; } \
    word r = real_##name(PASS);                                  \
    if ((int)r == 0 && (size) > 0) handles++;                       \
    after;                                                       \
    return r;                                                    \
  }
#define PLAIN(name) RESULT(name, , 0, 0, )
#define MAKES(name) RESULT(name, , d, 8, )
#define ENDS(name)                                               \
  static call real_##name;                                       \
  static word fake_##name(ARGS) { if (b) handles--; return real_##name(PASS); }
#define VOID(name, after)                                        \
  static call real_##name;                                       \
  static word fake_##name(ARGS) { wait(#name); word r = real_##name(PASS); after; return r; }

// What the real driver would not survive is taken back from it: it was told other
// things about itself than what was passed on.
static void one_family(void *info) { *(uint32_t *)((char *)*(void **)((char *)info + 24) + 20) = 0; }

RESULT(vkCreateInstance, , c, 8, )
PLAIN(vkEnumerateInstanceVersion)
RESULT(vkEnumerateInstanceExtensionProperties, , 0, 0, spoil((void *)b, 4))
PLAIN(vkEnumerateInstanceLayerProperties)
RESULT(vkEnumeratePhysicalDevices, , 0, 0, spoil((void *)b, 4))
RESULT(vkEnumerateDeviceExtensionProperties, , 0, 0, spoil((void *)c, 4))
RESULT(vkCreateDevice, one_family((void *)b), d, 8, )
MAKES(vkCreateBuffer)
RESULT(vkAllocateMemory, if (*(uint64_t *)(b + 16) > 1 << 30) return -2; *(uint32_t *)(b + 24) = 0, d, 8, )
PLAIN(vkBindBufferMemory)
RESULT(vkMapMemory, , f, fails ? 8 : 0, )
PLAIN(vkInvalidateMappedMemoryRanges)
MAKES(vkCreateShaderModule)
MAKES(vkCreateDescriptorSetLayout)
MAKES(vkCreatePipelineLayout)
MAKES(vkCreatePipelineCache)
RESULT(vkGetPipelineCacheData, , 0, 0, spoil((void *)c, 8))
RESULT(vkCreateComputePipelines, , f, 8, )
MAKES(vkCreateDescriptorPool)
RESULT(vkAllocateDescriptorSets, , c, fails ? 8 : 0, )
RESULT(vkCreateCommandPool, *(uint32_t *)(b + 20) = 0, d, 8, )
RESULT(vkAllocateCommandBuffers, , c, fails ? 8 : 0, )
PLAIN(vkBeginCommandBuffer)
PLAIN(vkEndCommandBuffer)
// Only the fence is left of what is not run.
RESULT(vkQueueSubmit, if (idle_from && ++submits >= idle_from) b = 0, 0, 0, )
MAKES(vkCreateFence)
PLAIN(vkWaitForFences)
PLAIN(vkResetFences)
PLAIN(vkDeviceWaitIdle)

static void kind(void *properties) {
  if (gpu) ((uint32_t *)properties)[4] = 2; // discrete
}
VOID(vkGetPhysicalDeviceProperties, kind((void *)b); spoil((void *)b, 824))
VOID(vkGetPhysicalDeviceMemoryProperties2, spoil((void *)(b + 16), 520))
VOID(vkGetPhysicalDeviceQueueFamilyProperties, spoil((void *)b, 4))
VOID(vkGetBufferMemoryRequirements, spoil((void *)c, 20))
// The chains are spoiled behind their heads, 16 bytes of each.
static void spoil_chain(char *p) {
  for (p = *(char **)(p + 8); p; p = *(char **)(p + 8)) spoil(p + 16, 8);
}
VOID(vkGetPhysicalDeviceProperties2, kind((char *)b + 16); spoil_chain((char *)b))
VOID(vkGetPhysicalDeviceFeatures2, spoil_chain((char *)b))

static call real_vkCmdDispatchIndirect;
static word fake_vkCmdDispatchIndirect(ARGS) { return wrong ? 0 : real_vkCmdDispatchIndirect(PASS); }

ENDS(vkDestroyBuffer)
ENDS(vkFreeMemory)
ENDS(vkDestroyShaderModule)
ENDS(vkDestroyDescriptorSetLayout)
ENDS(vkDestroyPipelineLayout)
ENDS(vkDestroyPipelineCache)
ENDS(vkDestroyPipeline)
ENDS(vkDestroyDescriptorPool)
ENDS(vkDestroyCommandPool)
ENDS(vkDestroyFence)
static call real_vkDestroyDevice, real_vkDestroyInstance;
static word fake_vkDestroyDevice(ARGS) { handles--; return real_vkDestroyDevice(PASS); }
static word fake_vkDestroyInstance(ARGS) { handles--; return real_vkDestroyInstance(PASS); }

static call fake_vkGetDeviceProcAddr(word device, const char *name);
static call (*real_vkGetDeviceProcAddr)(word, const char *);

#define NAMES(X) X(vkCreateInstance) X(vkEnumerateInstanceVersion) X(vkEnumerateInstanceExtensionProperties)            \
  X(vkEnumerateInstanceLayerProperties) X(vkEnumeratePhysicalDevices) X(vkEnumerateDeviceExtensionProperties)           \
  X(vkCreateDevice) X(vkCreateBuffer) X(vkAllocateMemory) X(vkBindBufferMemory) X(vkMapMemory)                          \
  X(vkInvalidateMappedMemoryRanges) X(vkCreateShaderModule) X(vkCreateDescriptorSetLayout) X(vkCreatePipelineLayout)    \
  X(vkCreatePipelineCache) X(vkGetPipelineCacheData) X(vkCreateComputePipelines) X(vkCreateDescriptorPool)              \
  X(vkAllocateDescriptorSets) X(vkCreateCommandPool) X(vkAllocateCommandBuffers) X(vkBeginCommandBuffer)                \
  X(vkEndCommandBuffer) X(vkQueueSubmit) X(vkCreateFence) X(vkWaitForFences) X(vkResetFences) X(vkDeviceWaitIdle)       \
  X(vkGetPhysicalDeviceProperties) X(vkGetPhysicalDeviceMemoryProperties2) X(vkGetPhysicalDeviceQueueFamilyProperties)  \
  X(vkGetBufferMemoryRequirements) X(vkGetPhysicalDeviceProperties2) X(vkGetPhysicalDeviceFeatures2)                    \
  X(vkCmdDispatchIndirect) X(vkDestroyBuffer) X(vkFreeMemory) X(vkDestroyShaderModule) X(vkDestroyDescriptorSetLayout)  \
  X(vkDestroyPipelineLayout) X(vkDestroyPipelineCache) X(vkDestroyPipeline) X(vkDestroyDescriptorPool)                  \
  X(vkDestroyCommandPool) X(vkDestroyFence) X(vkDestroyDevice) X(vkDestroyInstance)

static call wrapped(const char *name, call f) {
  if (!f) return 0;
#define X(n) if (!strcmp(name, #n)) { real_##n = f; return fake_##n; }
  NAMES(X)
  return f;
}

static call fake_vkGetDeviceProcAddr(word device, const char *name) { return wrapped(name, real_vkGetDeviceProcAddr(device, name)); }

call vkGetInstanceProcAddr(word instance, const char *name) {
  static call (*real)(word, const char *);
  if (!real) {
    const char *path = getenv("LEDGE_FAKE_REAL");
    void *library = dlopen(path ? path : "libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library) *(void **)&real = dlsym(library, "vkGetInstanceProcAddr");
    if (!real) return 0;
  }
  call f = real(instance, name);
  if (!strcmp(name, "vkGetDeviceProcAddr")) {
    *(call *)&real_vkGetDeviceProcAddr = f;
    return (call)fake_vkGetDeviceProcAddr;
  }
  return wrapped(name, f);
}
