// Fibers: a stack each, and a switch from one to another on the same thread of the
// system. AddressSanitizer is told of each switch.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <new>

#ifdef LEDGE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// ledge_switch keeps the registers that a call keeps on the stack and the stack's
// pointer in *from, and goes on where to was left.
extern "C" __attribute__((visibility("hidden"))) void ledge_switch(void **from, void *to);

namespace emulate {

struct Fiber {
#ifdef LEDGE_ASAN
  static constexpr size_t kStack = 512 << 10;
#else
  static constexpr size_t kStack = 128 << 10;
#endif
  void *sp = nullptr;
  char *stack = nullptr; // lowest byte; null for the thread of the system itself
  size_t size = 0;
  void *fake = nullptr; // AddressSanitizer's

  Fiber() = default;
  Fiber(const Fiber &) = delete;
  Fiber &operator=(const Fiber &) = delete;

  // give_stack makes room, with a page below it that cannot be touched.
  void give_stack() {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(nullptr, kStack + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) { throw std::bad_alloc(); }
    if (mprotect((char *)p + page, kStack, PROT_READ | PROT_WRITE) != 0) {
      munmap(p, kStack + page);
      throw std::bad_alloc();
    }
    stack = (char *)p + page;
    size = kStack;
  }
  ~Fiber() {
    if (stack == nullptr) { return; }
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    forget();
    munmap(stack - page, kStack + page);
  }

  // start lets the next switch begin with entry. Stacks begin at different places of a
  // page, or all would share a few lines of the processor's cache.
  void start(void (*entry)(), unsigned index) {
    void **top = (void **)(stack + size - 256 * (index % 15));
#if defined(__x86_64__)
    *--top = nullptr; // where entry would return to
    *--top = (void *)entry;
    for (int i = 0; i < 6; i++) { *--top = nullptr; }
#elif defined(__aarch64__)
    top -= 20;
    for (int i = 0; i < 20; i++) { top[i] = nullptr; }
    top[11] = (void *)entry; // x30
#endif
    sp = top;
  }

  // forget makes a stack fresh again whose frames were abandoned.
  void forget() {
#ifdef LEDGE_ASAN
    if (stack != nullptr) { __asan_unpoison_memory_region(stack, size); }
    fake = nullptr;
#endif
  }
};

// switch_fiber goes on with another one; the last switch of a fiber ends it.
__attribute__((no_sanitize_address)) inline void switch_fiber(Fiber &from, Fiber &to, [[maybe_unused]] bool last) {
#ifdef LEDGE_ASAN
  __sanitizer_start_switch_fiber(last ? nullptr : &from.fake, to.stack, to.size);
#endif
  ledge_switch(&from.sp, to.sp);
#ifdef LEDGE_ASAN
  __sanitizer_finish_switch_fiber(from.fake, nullptr, nullptr);
#endif
}

} // namespace emulate
