// A faulty OpenCL library: it forwards to the real one, LEDGE_FAKE_REAL or
// libOpenCL.so.1, and goes wrong as it is told, by fake_control or by the variable
// LEDGE_FAKE in words with blanks between them:
//
//   fail=N      call N of those that can fail does (0 for none) ...
//   code=C      ... with this result, -5 if nothing is said
//   only=NAME   count calls of this function alone
//   null        ... with no handle and no error
//   status=C    events end with this status
//   garbage=N   information is random; N is where chance begins
//   wrong=N     from the Nth kernel on, kernels are not run; from the first if
//               nothing is said
//   wild=N      from the Nth on, what is read back is random
//   nan=N       from the Nth on, what is read back has all bits set
//   gpu         the processor says that it is a GPU
//   crash=N     call N reads address 0
//   hang=NAME   this function does not come back before the next fake_control
//
// fake_calls tells how many calls were counted, fake_handles how many objects
// were made and not released.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void *handle;
typedef int32_t result;

static long fail_at, calls, handles;
static long wrong, kernels, wild, nan_from, reads, crash_at;
static int fail_code = -5, event_status, null_handle, gpu;
static char only[64], hang[64];
static volatile long generation;
static uint64_t chance, rarity;

static void *real(const char *name) {
  static void *library;
  if (!library) {
    const char *path = getenv("LEDGE_FAKE_REAL");
    library = dlopen(path ? path : "libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      fprintf(stderr, "fake OpenCL: %s\n", dlerror());
      _exit(97);
    }
  }
  void *f = dlsym(library, name);
  if (!f) {
    fprintf(stderr, "fake OpenCL: the real one has no %s\n", name);
    _exit(98);
  }
  return f;
}

void fake_control(const char *words) {
  char copy[512], *word, *rest = copy;
  fail_at = calls = wrong = kernels = wild = nan_from = reads = crash_at = 0;
  fail_code = -5;
  event_status = null_handle = gpu = 0;
  only[0] = hang[0] = 0;
  chance = 0;
  snprintf(copy, sizeof copy, "%s", words);
  while ((word = strsep(&rest, " "))) {
    char *value = strchr(word, '=');
    if (value) *value++ = 0;
    if (!strcmp(word, "fail") && value) fail_at = atol(value);
    if (!strcmp(word, "code") && value) fail_code = atoi(value);
    if (!strcmp(word, "only") && value) snprintf(only, sizeof only, "%s", value);
    if (!strcmp(word, "null")) null_handle = 1;
    if (!strcmp(word, "status") && value) event_status = atoi(value);
    if (!strcmp(word, "garbage") && value) {
      uint64_t seed = strtoull(value, 0, 10);
      chance = seed * 0x9e3779b97f4a7c15u | 1;
      rarity = (uint64_t)8 << seed % 6; // the rarer, the further things get
    }
    if (!strcmp(word, "wrong")) wrong = value ? atol(value) : 1;
    if (!strcmp(word, "wild") && value) wild = atol(value);
    if (!strcmp(word, "nan") && value) nan_from = atol(value);
    if (!strcmp(word, "gpu")) gpu = 1;
    if (!strcmp(word, "crash") && value) crash_at = atol(value);
    if (!strcmp(word, "hang") && value) snprintf(hang, sizeof hang, "%s", value);
  }
  generation++;
}

__attribute__((constructor)) static void begin(void) {
  const char *words = getenv("LEDGE_FAKE");
  fake_control(words ? words : "");
}

long fake_calls(void) { return calls; }
long fake_handles(void) { return handles; }

// faulty counts a call and says whether it goes wrong.
static int faulty(const char *name) {
  if (hang[0] && !strcmp(hang, name))
    for (long g = generation; g == generation;) usleep(1000);
  if (only[0] && strcmp(only, name)) return 0;
  long n = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
  if (n == crash_at) *(volatile int *)0 = 1;
  return n == fail_at;
}

static uint64_t die(void) {
  chance ^= chance << 13;
  chance ^= chance >> 7;
  chance ^= chance << 17;
  return chance * 0x2545f4914f6cdd1du >> 16;
}

// litter makes information wrong in one of four ways, or leaves it.
static void litter(size_t room, unsigned char *value, size_t *size) {
  if (!chance) return;
  switch (die() % rarity) {
  case 0:
    if (size) *size = (size_t)1 << (die() % 63);
    break;
  case 1:
    if (size) *size = die() % 5;
    break;
  case 2:
    for (size_t i = 0; value && i < room; i++) value[i] = (unsigned char)die();
    break;
  case 3:
    if (value) memset(value, die() % 2 ? 0xff : 0, room);
    break;
  }
}

#define MAKE(name, types, names, ...)                            \
  handle name types {                                            \
    if (faulty(#name)) {                                         \
      if (error) *error = null_handle ? 0 : fail_code;           \
      return 0;                                                  \
    }                                                            \
    handle h = ((handle(*) types)real(#name))names;              \
    if (h) __atomic_add_fetch(&handles, 1, __ATOMIC_SEQ_CST);    \
    return h;                                                    \
  }

#define CALL(name, types, names)                                 \
  result name types {                                            \
    if (faulty(#name)) return fail_code;                         \
    return ((result(*) types)real(#name))names;                  \
  }

#define RELEASE(name)                                            \
  result name(handle h) {                                        \
    __atomic_sub_fetch(&handles, 1, __ATOMIC_SEQ_CST);           \
    result r = ((result(*)(handle))real(#name))(h);              \
    return faulty(#name) ? fail_code : r;                        \
  }

#define INFORMATION(name, types, names)                          \
  result name types {                                            \
    if (faulty(#name)) return fail_code;                         \
    result r = ((result(*) types)real(#name))names;              \
    litter(room, value, size);                                   \
    return r;                                                    \
  }

// ENQUEUE makes an event.
#define ENQUEUE(name, types, names)                              \
  result name types {                                            \
    if (faulty(#name)) {                                         \
      if (!null_handle || !event) return fail_code;              \
      *event = 0;                                                \
      return 0;                                                  \
    }                                                            \
    result r = ((result(*) types)real(#name))names;              \
    if (!r && event) __atomic_add_fetch(&handles, 1, __ATOMIC_SEQ_CST); \
    return r;                                                    \
  }

static result list(const char *name, result r, uint32_t room, handle *out, uint32_t *count) {
  if (!chance || r) return r;
  switch (die() % (2 * rarity)) {
  case 0: if (count) *count = (uint32_t)die(); break;
  case 1: if (count) *count = 0; break;
  case 2: if (out && room) out[die() % room] = 0; break;
  }
  return r;
}

result clGetPlatformIDs(uint32_t room, handle *out, uint32_t *count) {
  if (faulty(__func__)) return fail_code;
  result r = ((result(*)(uint32_t, handle *, uint32_t *))real(__func__))(room, out, count);
  return list(__func__, r, room, out, count);
}

result clGetDeviceIDs(handle p, uint64_t type, uint32_t room, handle *out, uint32_t *count) {
  if (faulty(__func__)) return fail_code;
  result r = ((result(*)(handle, uint64_t, uint32_t, handle *, uint32_t *))real(__func__))(p, type, room, out, count);
  return list(__func__, r, room, out, count);
}

INFORMATION(clGetPlatformInfo, (handle h, uint32_t what, size_t room, void *value, size_t *size), (h, what, room, value, size))
result clGetDeviceInfo(handle h, uint32_t what, size_t room, void *value, size_t *size) {
  if (faulty(__func__)) return fail_code;
  result r = ((result(*)(handle, uint32_t, size_t, void *, size_t *))real(__func__))(h, what, room, value, size);
  if (gpu && !r && what == 0x1000 && value) *(uint64_t *)value = 4;
  litter(room, value, size);
  return r;
}

INFORMATION(clGetKernelInfo, (handle h, uint32_t what, size_t room, void *value, size_t *size), (h, what, room, value, size))
INFORMATION(clGetProgramBuildInfo, (handle h, handle d, uint32_t what, size_t room, void *value, size_t *size), (h, d, what, room, value, size))
INFORMATION(clGetKernelWorkGroupInfo, (handle h, handle d, uint32_t what, size_t room, void *value, size_t *size), (h, d, what, room, value, size))

// The sizes of binaries stay as they are: a driver writes a binary whole, whatever
// room there is, so nothing helps against one that lies here.
result clGetProgramInfo(handle h, uint32_t what, size_t room, void *value, size_t *size) {
  if (faulty(__func__)) return fail_code;
  result r = ((result(*)(handle, uint32_t, size_t, void *, size_t *))real(__func__))(h, what, room, value, size);
  if (what != 0x1165 && what != 0x1166) litter(room, value, size);
  return r;
}

result clGetEventInfo(handle h, uint32_t what, size_t room, void *value, size_t *size) {
  if (faulty(__func__)) return fail_code;
  result r = ((result(*)(handle, uint32_t, size_t, void *, size_t *))real(__func__))(h, what, room, value, size);
  if (event_status && what == 0x11d3 && value && room >= 4) *(result *)value = event_status;
  return r;
}

MAKE(clCreateContext, (const intptr_t *p, uint32_t n, const handle *d, void *f, void *u, result *error), (p, n, d, f, u, error))
MAKE(clCreateCommandQueue, (handle c, handle d, uint64_t p, result *error), (c, d, p, error))
MAKE(clCreateBuffer, (handle c, uint64_t f, size_t n, void *p, result *error), (c, f, n, p, error))
MAKE(clCreateProgramWithSource, (handle c, uint32_t n, const char **s, const size_t *l, result *error), (c, n, s, l, error))
MAKE(clCreateProgramWithBinary, (handle c, uint32_t n, const handle *d, const size_t *l, const unsigned char **b, result *status, result *error), (c, n, d, l, b, status, error))
MAKE(clCreateKernel, (handle p, const char *name, result *error), (p, name, error))

CALL(clFlush, (handle q), (q))
CALL(clBuildProgram, (handle p, uint32_t n, const handle *d, const char *o, void *f, void *u), (p, n, d, o, f, u))
CALL(clSetKernelArg, (handle k, uint32_t i, size_t n, const void *v), (k, i, n, v))

result clWaitForEvents(uint32_t n, const handle *events) {
  if (faulty(__func__)) return fail_code;
  result r = ((result(*)(uint32_t, const handle *))real(__func__))(n, events);
  return event_status ? -14 : r;
}

RELEASE(clReleaseContext)
RELEASE(clReleaseCommandQueue)
RELEASE(clReleaseMemObject)
RELEASE(clReleaseProgram)
RELEASE(clReleaseKernel)
RELEASE(clReleaseEvent)

ENQUEUE(clEnqueueWriteBuffer, (handle q, handle b, uint32_t block, size_t at, size_t n, const void *p, uint32_t w, const handle *l, handle *event), (q, b, block, at, n, p, w, l, event))
result clEnqueueReadBuffer(handle q, handle b, uint32_t block, size_t at, size_t n, void *p, uint32_t w, const handle *l, handle *event) {
  if (faulty(__func__)) {
    if (!null_handle || !event) return fail_code;
    *event = 0;
    return 0;
  }
  int spoil = 0;
  if (wild || nan_from) {
    reads++;
    spoil = wild && reads >= wild ? 1 : nan_from && reads >= nan_from ? 2 : 0;
  }
  result r = ((result(*)(handle, handle, uint32_t, size_t, size_t, void *, uint32_t, const handle *, handle *))real(__func__))(q, b, spoil ? 1 : block, at, n, p, w, l, event);
  if (!r && event) __atomic_add_fetch(&handles, 1, __ATOMIC_SEQ_CST);
  if (!r && spoil == 2) memset(p, 0xff, n);
  if (!r && spoil == 1)
    for (size_t i = 0; i < n; i++) ((unsigned char *)p)[i] = (unsigned char)rand();
  return r;
}
ENQUEUE(clEnqueueFillBuffer, (handle q, handle b, const void *p, size_t s, size_t at, size_t n, uint32_t w, const handle *l, handle *event), (q, b, p, s, at, n, w, l, event))
ENQUEUE(clEnqueueMarkerWithWaitList, (handle q, uint32_t w, const handle *l, handle *event), (q, w, l, event))

static result kernel(handle q, handle k, uint32_t d, const size_t *o, const size_t *g, const size_t *s, uint32_t w, const handle *l, handle *event) {
  if (wrong && ++kernels >= wrong) return event ? ((result(*)(handle, uint32_t, const handle *, handle *))real("clEnqueueMarkerWithWaitList"))(q, w, l, event) : 0;
  return ((result(*)(handle, handle, uint32_t, const size_t *, const size_t *, const size_t *, uint32_t, const handle *, handle *))real("clEnqueueNDRangeKernel"))(q, k, d, o, g, s, w, l, event);
}

result clEnqueueNDRangeKernel(handle q, handle k, uint32_t d, const size_t *o, const size_t *g, const size_t *s, uint32_t w, const handle *l, handle *event) {
  if (faulty(__func__)) {
    if (!null_handle || !event) return fail_code;
    *event = 0;
    return 0;
  }
  result r = kernel(q, k, d, o, g, s, w, l, event);
  if (!r && event) __atomic_add_fetch(&handles, 1, __ATOMIC_SEQ_CST);
  return r;
}
