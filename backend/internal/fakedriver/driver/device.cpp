// Start, devices, contexts.
#include <cstdio>
#include <cstring>

#include "state.h"

using namespace fake;

namespace {

thread_local std::vector<Context *> stack; // of this thread's contexts

void end_context(Lock &hold, Context *c) {
  State &s = state();
  if (c->dead == CUDA_SUCCESS && !s.faults.stall) { finish_all(hold, c); }
  std::vector<Object *> of;
  for (Object *o : s.live) {
    if (o->context == c) { of.push_back(o); }
  }
  for (Object *o : of) {
    s.abandoned++;
    if (o->kind == Kind::stream) { drop((Stream *)o); }
    if (o->kind == Kind::memory || o->kind == Kind::host || o->kind == Kind::registered) {
      free_memory((Memory *)o);
    } else {
      gone(o);
    }
  }
  drop(&c->default_stream);
  s.changed.wait(hold, [&] { return s.running == nullptr || s.running->context != c; });
}

bool valid(CUdevice d) { return d >= 0 && d < state().settings.devices; }

Context *context_of(CUcontext c) { return state().find<Context>(c, Kind::context); }

} // namespace

namespace fake {

// current is the thread's context; one that was destroyed is none.
Context *current() {
  if (stack.empty() || stack.back() == nullptr || state().live.count(stack.back()) == 0) { return nullptr; }
  return stack.back();
}

} // namespace fake

EXPORTED CUresult cuInit(unsigned int flags) {
  CALL_AS(cuInit, anywhere);
  if (flags != 0) { return CUDA_ERROR_INVALID_VALUE; }
  if (s.settings.init != CUDA_SUCCESS) { return s.settings.init; }
  if (s.settings.devices == 0) { return CUDA_ERROR_NO_DEVICE; }
  s.initialised = true;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuDriverGetVersion(int *v) {
  CALL_AS(cuDriverGetVersion, anywhere);
  *v = s.settings.version;
  return CUDA_SUCCESS;
}

#define ERRORS(X) \
  X(CUDA_SUCCESS, "no error") \
  X(CUDA_ERROR_INVALID_VALUE, "invalid argument") \
  X(CUDA_ERROR_OUT_OF_MEMORY, "out of memory") \
  X(CUDA_ERROR_NOT_INITIALIZED, "initialization error") \
  X(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected") \
  X(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid") \
  X(CUDA_ERROR_INVALID_CONTEXT, "invalid device context") \
  X(CUDA_ERROR_NO_BINARY_FOR_GPU, "no kernel image is available for execution on the device") \
  X(CUDA_ERROR_INVALID_PTX, "a PTX JIT compilation failed") \
  X(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "the provided PTX was compiled with an unsupported toolchain.") \
  X(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle") \
  X(CUDA_ERROR_NOT_FOUND, "named symbol not found") \
  X(CUDA_ERROR_NOT_READY, "device not ready") \
  X(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered") \
  X(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch") \
  X(CUDA_ERROR_LAUNCH_TIMEOUT, "the launch timed out and was terminated") \
  X(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure") \
  X(CUDA_ERROR_NOT_SUPPORTED, "operation not supported") \
  X(CUDA_ERROR_UNKNOWN, "unknown error")

EXPORTED CUresult cuGetErrorName(CUresult error, const char **name) {
  switch ((int)error) {
#define NAME(number, text) case number: *name = #number; return CUDA_SUCCESS;
    ERRORS(NAME)
  }
  *name = nullptr;
  return CUDA_ERROR_INVALID_VALUE;
}

EXPORTED CUresult cuGetErrorString(CUresult error, const char **meaning) {
  switch ((int)error) {
#define TEXT(number, text) case number: *meaning = text; return CUDA_SUCCESS;
    ERRORS(TEXT)
  }
  *meaning = nullptr;
  return CUDA_ERROR_INVALID_VALUE;
}

EXPORTED CUresult cuDeviceGetCount(int *n) {
  CALL_AS(cuDeviceGetCount, anywhere);
  *n = s.settings.devices;
  litter(n, sizeof *n);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuDeviceGet(CUdevice *d, int ordinal) {
  CALL_AS(cuDeviceGet, anywhere);
  if (!valid(ordinal)) { return CUDA_ERROR_INVALID_DEVICE; }
  *d = ordinal;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuDeviceGetName(char *name, int room, CUdevice d) {
  CALL_AS(cuDeviceGetName, anywhere);
  if (!valid(d) || room <= 0) { return CUDA_ERROR_INVALID_DEVICE; }
  snprintf(name, (size_t)room, "%s", s.settings.name.c_str());
  litter(name, (size_t)room);
  return CUDA_SUCCESS;
}

static CUresult uuid(CUuuid *u, CUdevice d) {
  if (!valid(d)) { return CUDA_ERROR_INVALID_DEVICE; }
  memset(u, 0x4c, sizeof *u);
  u->bytes[15] = (char)d;
  litter(u, sizeof *u);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuDeviceGetUuid(CUuuid *u, CUdevice d) {
  CALL_AS(cuDeviceGetUuid, anywhere);
  return uuid(u, d);
}

EXPORTED CUresult cuDeviceGetUuid_v2(CUuuid *u, CUdevice d) {
  CALL_AS(cuDeviceGetUuid, anywhere);
  return uuid(u, d);
}

EXPORTED CUresult cuDeviceGetPCIBusId(char *id, int room, CUdevice d) {
  CALL_AS(cuDeviceGetPCIBusId, anywhere);
  if (!valid(d) || room <= 0) { return CUDA_ERROR_INVALID_DEVICE; }
  snprintf(id, (size_t)room, "0000:%02x:00.0", d + 1);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuDeviceTotalMem(size_t *bytes, CUdevice d) {
  CALL_AS(cuDeviceTotalMem, anywhere);
  if (!valid(d)) { return CUDA_ERROR_INVALID_DEVICE; }
  *bytes = s.settings.memory;
  litter(bytes, sizeof *bytes);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute a, CUdevice d) {
  CALL_AS(cuDeviceGetAttribute, anywhere);
  if (!valid(d)) { return CUDA_ERROR_INVALID_DEVICE; }
  const Settings &set = s.settings;
  switch ((int)a) {
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X: *value = 1024; break;
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: *value = 2147483647; break;
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y: *value = 65535; break;
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: *value = 65535; break;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *value = 48 << 10; break;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = shared_most(set.capability); break;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: *value = shared_most(set.capability) + (set.capability < 80 ? 0 : 1 << 10); break;
  case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK: *value = 1 << 10; break;
  case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
  case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK: *value = 65536; break;
  case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: *value = 65536; break;
  case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *value = 625000; break;
  case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *value = 2133000; break;
  case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *value = 128; break;
  case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = 2 << 20; break;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = set.processors; break;
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: *value = 1536; break;
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR: *value = 16; break;
  case CU_DEVICE_ATTRIBUTE_INTEGRATED: *value = set.integrated; break;
  case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY: *value = 1; break;
  case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING: *value = 1; break;
  case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY: *value = 1; break;
  case CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED: *value = 1; break;
  case CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED: *value = 0; break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = set.capability / 10; break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = set.capability % 10; break;
  case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS: *value = 1; break;
  case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: *value = 1; break;
  case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID: *value = d + 1; break;
  default: *value = 0; // what it cannot do
  }
  litter(value, sizeof *value);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice d) {
  CALL_AS(cuDevicePrimaryCtxRetain, anywhere);
  if (!valid(d)) { return CUDA_ERROR_INVALID_DEVICE; }
  auto &p = s.primary[d];
  if (p == nullptr) {
    p = std::make_unique<Context>(d);
    p->primary = true;
  }
  if (p->uses++ == 0) {
    s.live.insert(p.get());
    p->dead = CUDA_SUCCESS;
  }
  *c = (CUcontext)p.get();
  return CUDA_SUCCESS;
}

static CUresult release(Lock &hold, CUdevice d, bool all) {
  State &s = state();
  if (!valid(d)) { return CUDA_ERROR_INVALID_DEVICE; }
  auto &p = s.primary[d];
  if (p == nullptr || p->uses == 0) { return CUDA_ERROR_INVALID_CONTEXT; }
  p->uses = all ? 0 : p->uses - 1;
  if (p->uses == 0) {
    end_context(hold, p.get());
    s.live.erase(p.get());
  }
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuDevicePrimaryCtxRelease(CUdevice d) {
  RELEASE(cuDevicePrimaryCtxRelease);
  CUresult r = release(hold, d, false);
  return refused ? refused : r;
}

EXPORTED CUresult cuDevicePrimaryCtxReset(CUdevice d) {
  RELEASE(cuDevicePrimaryCtxReset);
  CUresult r = release(hold, d, true);
  return refused ? refused : r;
}

EXPORTED CUresult cuDevicePrimaryCtxSetFlags(CUdevice d, unsigned int flags) {
  CALL_AS(cuDevicePrimaryCtxSetFlags, anywhere);
  if (!valid(d)) { return CUDA_ERROR_INVALID_DEVICE; }
  if (s.primary[d] == nullptr) {
    s.primary[d] = std::make_unique<Context>(d);
    s.primary[d]->primary = true;
  }
  s.primary[d]->flags = flags;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuDevicePrimaryCtxGetState(CUdevice d, unsigned int *flags, int *active) {
  CALL_AS(cuDevicePrimaryCtxGetState, anywhere);
  if (!valid(d)) { return CUDA_ERROR_INVALID_DEVICE; }
  const auto &p = s.primary[d];
  *flags = p != nullptr ? p->flags : 0;
  *active = p != nullptr && p->uses > 0;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuCtxCreate(CUcontext *c, unsigned int flags, CUdevice d) {
  CALL_AS(cuCtxCreate, anywhere);
  if (!valid(d)) { return CUDA_ERROR_INVALID_DEVICE; }
  auto *made = new Context(d);
  made->flags = flags;
  s.live.insert(made);
  stack.push_back(made);
  s.pushed++;
  *c = (CUcontext)made;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuCtxDestroy(CUcontext c) {
  RELEASE(cuCtxDestroy);
  Context *context = context_of(c);
  if (context == nullptr || context->primary) { return CUDA_ERROR_INVALID_CONTEXT; }
  end_context(hold, context);
  if (!stack.empty() && stack.back() == context) {
    stack.pop_back();
    s.pushed--;
  }
  gone(context);
  return refused;
}

EXPORTED CUresult cuCtxPushCurrent(CUcontext c) {
  CALL_AS(cuCtxPushCurrent, anywhere);
  Context *context = context_of(c);
  if (context == nullptr) { return CUDA_ERROR_INVALID_CONTEXT; }
  stack.push_back(context);
  s.pushed++;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuCtxPopCurrent(CUcontext *c) {
  RELEASE(cuCtxPopCurrent);
  if (stack.empty()) { return CUDA_ERROR_INVALID_CONTEXT; }
  if (c != nullptr) { *c = (CUcontext)stack.back(); }
  if (stack.back() != nullptr) { s.pushed--; }
  stack.pop_back();
  return refused;
}

EXPORTED CUresult cuCtxSetCurrent(CUcontext c) {
  RELEASE(cuCtxSetCurrent); // with none it gives one back
  if (refused && c != nullptr) { return refused; }
  if (c != nullptr && context_of(c) == nullptr) { return CUDA_ERROR_INVALID_CONTEXT; }
  if (!stack.empty()) {
    s.pushed -= stack.back() != nullptr;
    stack.pop_back();
  }
  if (c != nullptr) {
    stack.push_back((Context *)c);
    s.pushed++;
  }
  return refused;
}

EXPORTED CUresult cuCtxGetCurrent(CUcontext *c) {
  CALL_AS(cuCtxGetCurrent, anywhere);
  *c = stack.empty() ? nullptr : (CUcontext)stack.back();
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuCtxGetDevice(CUdevice *d) {
  CALL(cuCtxGetDevice);
  *d = current()->device;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuCtxGetFlags(unsigned int *flags) {
  CALL(cuCtxGetFlags);
  *flags = current()->flags;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuCtxGetApiVersion(CUcontext, unsigned int *version) {
  CALL(cuCtxGetApiVersion);
  *version = (unsigned)s.settings.version;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuCtxSynchronize() {
  CALL(cuCtxSynchronize);
  return finish_all(hold, current());
}

EXPORTED CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  CALL(cuCtxGetStreamPriorityRange);
  if (least != nullptr) { *least = 0; }
  if (greatest != nullptr) { *greatest = -5; }
  return CUDA_SUCCESS;
}
