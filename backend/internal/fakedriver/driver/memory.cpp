// Memory of devices and of the host. It is the host's, by malloc, each piece by itself:
// AddressSanitizer guards it, and without it a pattern on both sides.
#include <cstdlib>
#include <cstring>

#include "state.h"

using namespace fake;

namespace {

constexpr size_t kAlign = 256, kGuard = 256;
constexpr unsigned char kPattern = 0xa5;

// make gives memory full of NaN, of float16 and of float32.
Memory *make(Kind kind, Context *c, size_t bytes) {
  void *got = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  if (posix_memalign(&got, kAlign, bytes) != 0) { return nullptr; }
  char *at = (char *)got;
#else
  if (posix_memalign(&got, kAlign, bytes + 2 * kGuard) != 0) { return nullptr; }
  char *at = (char *)got + kGuard;
  memset(at - kGuard, kPattern, kGuard);
  memset(at + bytes, kPattern, kGuard);
#endif
  for (size_t i = 0; i + 4 <= bytes; i += 4) { memcpy(at + i, "\xff\x7f\xff\x7f", 4); }
  auto *m = new Memory(kind, c);
  m->at = at;
  m->bytes = bytes;
  State &s = state();
  s.live.insert(m);
  s.memory[(uintptr_t)at] = m;
  if (kind == Kind::memory) {
    s.bytes += bytes;
    if (s.bytes > s.peak) { s.peak = s.bytes; }
  }
  return m;
}

CUresult allocate(CUdeviceptr *p, size_t bytes) {
  State &s = state();
  if (bytes == 0) { return CUDA_ERROR_INVALID_VALUE; }
  if (bytes > s.settings.memory || s.bytes + s.settings.reserved > s.settings.memory - bytes) { return CUDA_ERROR_OUT_OF_MEMORY; }
  Memory *m = make(Kind::memory, current(), bytes);
  if (m == nullptr) { return CUDA_ERROR_OUT_OF_MEMORY; }
  *p = (CUdeviceptr)m->at;
  return CUDA_SUCCESS;
}

// begins is the piece of a kind that begins there.
Memory *begins(const void *at, Kind kind) {
  auto i = state().memory.find((uintptr_t)at);
  return i != state().memory.end() && i->second->kind == kind ? i->second : nullptr;
}

} // namespace

namespace fake {

void free_memory(Memory *m) {
  State &s = state();
  s.memory.erase((uintptr_t)m->at);
  if (m->kind == Kind::memory) { s.bytes -= m->bytes; }
  if (m->kind != Kind::registered) {
#if defined(__SANITIZE_ADDRESS__)
    free(m->at);
#else
    for (size_t i = 0; i < kGuard; i++) {
      if ((unsigned char)m->at[-1 - (ptrdiff_t)i] != kPattern || (unsigned char)m->at[m->bytes + i] != kPattern) {
        s.violation("something wrote beyond a piece of memory of " + std::to_string(m->bytes) + " bytes");
        break;
      }
    }
    free(m->at - kGuard);
#endif
  }
  gone(m);
}

CUresult check_copy(const Copied &c) {
  State &s = state();
  Memory *to = s.holding(c.to, c.bytes), *from = s.holding(c.from, c.bytes);
  if ((c.to_device && to == nullptr) || (c.from_device && from == nullptr)) {
    s.violation("a copy of " + std::to_string(c.bytes) + " bytes " + (c.to_device && to == nullptr ? "to" : "from") + " what is no memory of the device's");
    return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult run_copy(Copied c) {
  State &s = state();
  bool down = c.from_device && !c.to_device;
  long read = 0;
  Faults f;
  uint64_t seed;
  {
    Lock hold(s.lock);
    if (CUresult r = check_copy(c)) { return r == CUDA_ERROR_INVALID_VALUE ? CUDA_ERROR_ILLEGAL_ADDRESS : r; }
    const char *what = down ? "copy to host" : c.to_device && !c.from_device ? "copy to device" : "copy on device";
    s.ran[what]++;
    s.moved[what] += (long)c.bytes;
    if (down) { read = ++s.reads; }
    f = s.faults;
    seed = s.chance();
  }
  memmove((void *)c.to, (const void *)c.from, c.bytes);
  if (down && f.nan != 0 && read >= f.nan) { memset((void *)c.to, 0xff, c.bytes); }
  if (down && f.wild != 0 && read >= f.wild) {
    std::mt19937_64 chance(seed);
    for (size_t i = 0; i < c.bytes; i++) { ((char *)c.to)[i] = (char)chance(); }
  }
  return CUDA_SUCCESS;
}

CUresult run_fill(uintptr_t at, unsigned value, unsigned element, size_t n) {
  State &s = state();
  {
    Lock hold(s.lock);
    if (s.holding(at, n * element) == nullptr) {
      s.violation("a fill of what is no memory of the device's");
      return CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    s.ran["fill"]++;
  }
  for (size_t i = 0; i < n; i++) { memcpy((char *)at + i * element, &value, element); }
  return CUDA_SUCCESS;
}

// plain_copy is a copy of one row, which is all that there is.
bool plain_copy(const CUDA_MEMCPY3D &p, Copied &c) {
  auto side = [](CUmemorytype type, const void *host, CUdeviceptr device, uintptr_t &at, bool &on_device) {
    on_device = type == CU_MEMORYTYPE_DEVICE;
    at = on_device ? (uintptr_t)device : (uintptr_t)host;
    return type == CU_MEMORYTYPE_DEVICE || type == CU_MEMORYTYPE_HOST;
  };
  if (p.Height != 1 || p.Depth != 1 || p.srcY != 0 || p.srcZ != 0 || p.dstY != 0 || p.dstZ != 0 || p.WidthInBytes == 0) { return false; }
  if (!side(p.srcMemoryType, p.srcHost, p.srcDevice, c.from, c.from_device) || !side(p.dstMemoryType, p.dstHost, p.dstDevice, c.to, c.to_device)) { return false; }
  c.from += p.srcXInBytes;
  c.to += p.dstXInBytes;
  c.bytes = p.WidthInBytes;
  return true;
}

} // namespace fake

EXPORTED CUresult cuMemGetInfo(size_t *free, size_t *total) {
  CALL(cuMemGetInfo);
  size_t used = s.bytes + s.settings.reserved;
  *total = s.settings.memory;
  *free = used < s.settings.memory ? s.settings.memory - used : 0;
  litter(free, sizeof *free);
  litter(total, sizeof *total);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuMemAlloc(CUdeviceptr *p, size_t bytes) {
  MAKES(cuMemAlloc, p);
  return allocate(p, bytes);
}

EXPORTED CUresult cuMemAllocManaged(CUdeviceptr *p, size_t bytes, unsigned int) {
  MAKES(cuMemAllocManaged, p);
  return allocate(p, bytes);
}

EXPORTED CUresult cuMemFree(CUdeviceptr p) {
  RELEASE(cuMemFree);
  Memory *m = begins((void *)p, Kind::memory);
  if (m == nullptr) {
    s.violation("cuMemFree of what is no memory of the device's");
    return CUDA_ERROR_INVALID_VALUE;
  }
  free_memory(m);
  return refused;
}

EXPORTED CUresult cuMemHostAlloc(void **p, size_t bytes, unsigned int) {
  MAKES(cuMemHostAlloc, p);
  if (bytes == 0) { return CUDA_ERROR_INVALID_VALUE; }
  Memory *m = make(Kind::host, current(), bytes);
  if (m == nullptr) { return CUDA_ERROR_OUT_OF_MEMORY; }
  *p = m->at;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuMemFreeHost(void *p) {
  RELEASE(cuMemFreeHost);
  Memory *m = begins(p, Kind::host);
  if (m == nullptr) {
    s.violation("cuMemFreeHost of what is no pinned memory");
    return CUDA_ERROR_INVALID_VALUE;
  }
  free_memory(m);
  return refused;
}

EXPORTED CUresult cuMemHostRegister(void *p, size_t bytes, unsigned int) {
  CALL(cuMemHostRegister);
  if (bytes == 0 || p == nullptr) { return CUDA_ERROR_INVALID_VALUE; }
  if (s.holding((uintptr_t)p, 1) != nullptr) { return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED; }
  auto *m = new Memory(Kind::registered, current());
  m->at = (char *)p;
  m->bytes = bytes;
  s.live.insert(m);
  s.memory[(uintptr_t)p] = m;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuMemHostUnregister(void *p) {
  RELEASE(cuMemHostUnregister);
  Memory *m = begins(p, Kind::registered);
  if (m == nullptr) { return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED; }
  free_memory(m);
  return refused;
}

EXPORTED CUresult cuMemHostGetDevicePointer(CUdeviceptr *d, void *p, unsigned int) {
  CALL(cuMemHostGetDevicePointer);
  Memory *m = s.holding((uintptr_t)p, 1);
  if (m == nullptr || m->kind == Kind::memory) { return CUDA_ERROR_INVALID_VALUE; }
  *d = (CUdeviceptr)p;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuMemGetAddressRange(CUdeviceptr *base, size_t *bytes, CUdeviceptr p) {
  CALL(cuMemGetAddressRange);
  Memory *m = s.holding((uintptr_t)p, 1);
  if (m == nullptr) { return CUDA_ERROR_NOT_FOUND; }
  if (base != nullptr) { *base = (CUdeviceptr)m->at; }
  if (bytes != nullptr) { *bytes = m->bytes; }
  return CUDA_SUCCESS;
}

// Copies and fills: those that wait go through the default stream.

static CUresult copy(Lock &hold, Copied c, CUstream stream, bool wait) {
  if (CUresult r = check_copy(c)) { return r; }
  CUresult r = CUDA_SUCCESS;
  Stream *on = stream_of(stream, r);
  if (on == nullptr) { return r; }
  if (c.bytes > 0) { queue(on, [c] { return run_copy(c); }); }
  return wait ? finish(hold, on) : CUDA_SUCCESS;
}

#define COPY(name, to_type, from_type, up, down) \
  EXPORTED CUresult name(to_type to, from_type from, size_t bytes) { \
    CALL(name); \
    return copy(hold, {(uintptr_t)to, (uintptr_t)from, bytes, up, down}, nullptr, true); \
  }
#define COPY_ASYNC(name, to_type, from_type, up, down) \
  EXPORTED CUresult name(to_type to, from_type from, size_t bytes, CUstream stream) { \
    CALL(name); \
    return copy(hold, {(uintptr_t)to, (uintptr_t)from, bytes, up, down}, stream, false); \
  }
COPY(cuMemcpyHtoD, CUdeviceptr, const void *, true, false)
COPY(cuMemcpyDtoH, void *, CUdeviceptr, false, true)
COPY(cuMemcpyDtoD, CUdeviceptr, CUdeviceptr, true, true)
COPY_ASYNC(cuMemcpyHtoDAsync, CUdeviceptr, const void *, true, false)
COPY_ASYNC(cuMemcpyDtoHAsync, void *, CUdeviceptr, false, true)
COPY_ASYNC(cuMemcpyDtoDAsync, CUdeviceptr, CUdeviceptr, true, true)

static CUresult fill(Lock &hold, CUdeviceptr at, unsigned value, unsigned element, size_t n, CUstream stream, bool wait) {
  if (at % element != 0 || state().holding((uintptr_t)at, n * element) == nullptr) { return CUDA_ERROR_INVALID_VALUE; }
  CUresult r = CUDA_SUCCESS;
  Stream *on = stream_of(stream, r);
  if (on == nullptr) { return r; }
  queue(on, [=] { return run_fill((uintptr_t)at, value, element, n); });
  return wait ? finish(hold, on) : CUDA_SUCCESS;
}

#define FILL(name, type) \
  EXPORTED CUresult name(CUdeviceptr at, type value, size_t n) { \
    CALL(name); \
    return fill(hold, at, value, sizeof(type), n, nullptr, true); \
  } \
  EXPORTED CUresult name##Async(CUdeviceptr at, type value, size_t n, CUstream stream) { \
    CALL(name##Async); \
    return fill(hold, at, value, sizeof(type), n, stream, false); \
  }
FILL(cuMemsetD8, unsigned char)
FILL(cuMemsetD16, unsigned short)
FILL(cuMemsetD32, unsigned int)
