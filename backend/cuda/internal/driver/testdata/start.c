// A library that starts as CUDA's driver does, for the tests, which compile it in several ways:
//   VERSION  what cuDriverGetVersion gives
//   INIT     what cuInit returns
//   OLD      as CUDA 11.4: without functions that came later
//   BARE     without the texts of errors
#include <stddef.h>
#include <string.h>

static int inits;

int cuInit(unsigned int flags) {
  inits++;
  return flags ? 1 : INIT;
}

int cuDriverGetVersion(int *v) {
  *v = VERSION;
  return 0;
}

// As many devices as cuInit was called.
int cuDeviceGetCount(int *n) {
  *n = inits;
  return inits ? 0 : 3;
}

int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return ordinal < inits ? 0 : 101;
}

int cuDeviceGetName(char *name, int size, int device) {
  strncpy(name, "Test GPU", size);
  return device == 0 ? 0 : 101;
}

int cuDeviceTotalMem_v2(size_t *size, int device) {
  *size = 5000000000;
  return device == 0 ? 0 : 101;
}

// The former function, whose answer is wrong.
int cuDeviceTotalMem(unsigned int *size, int device) {
  (void)size, (void)device;
  return 999;
}

int cuGraphAddKernelNode(void) { return 0; }

#ifndef OLD
int cuGraphAddKernelNode_v2(void) { return 0; }
#endif

#ifndef BARE
int cuGetErrorString(int e, const char **text) {
  *text = e == 999 ? "unknown error" : NULL;
  return *text ? 0 : 1;
}

int cuGetErrorName(int e, const char **name) {
  *name = e == 4321 ? "CUDA_ERROR_OF_TOMORROW" : NULL;
  return *name ? 0 : 1;
}
#endif
