//go:build cuda && cgo && linux && !android && !static

#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <string.h>

// The handle of the library. The table is written before it is, and read after it is seen: no lock.
static void *library;

static void *loaded(void) { return __atomic_load_n(&library, __ATOMIC_ACQUIRE); }

char *ledge_cuda_load(const char *path) {
  if (loaded()) {
    return 0;
  }
  void *l = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!l) {
    const char *why = dlerror();
    return strdup(why ? why : "no reason given");
  }
  for (int i = 0; i < ledge_cuda_count; i++) {
    ledge_cuda_table[i] = dlsym(l, ledge_cuda_symbols[i]);
  }
  __atomic_store_n(&library, l, __ATOMIC_RELEASE);
  return 0;
}

void *ledge_cuda_find(int i) { return loaded() ? ledge_cuda_table[i] : 0; }

CUresult ledge_cuda_absent(void) {
  return loaded() ? CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND : CUDA_ERROR_NOT_INITIALIZED;
}

static void *find(const char *symbol) {
  for (int i = 0; loaded() && i < ledge_cuda_count; i++) {
    if (!strcmp(ledge_cuda_symbols[i], symbol)) {
      return ledge_cuda_table[i];
    }
  }
  return 0;
}

int ledge_cuda_has(const char *symbol) { return find(symbol) != 0; }

CUresult ledge_cuda_init(void) {
  CUresult (*call)(unsigned int) = find("cuInit");
  return call ? call(0) : ledge_cuda_absent();
}
