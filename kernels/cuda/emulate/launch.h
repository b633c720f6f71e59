// What the emulation offers to programs: kernels by their name.
#pragma once

#include <string>

namespace emulate {

// threads_of is the most threads of a kernel's blocks, 0 if there is no such kernel.
unsigned threads_of(const char *kernel);

// launch runs a kernel of one parameter, Args of device.h, and gives an empty text or
// what went wrong.
std::string launch(const char *kernel, const unsigned blocks[3], unsigned threads, unsigned dynamic_bytes, const void *args);

} // namespace emulate

// ledge_emulate is launch for C: 0, or 1 and the error's text.
extern "C" __attribute__((visibility("default"))) int ledge_emulate(const char *kernel, const unsigned grid[3], unsigned threads, unsigned dynamic_bytes,
    const void *args, char *error, int error_len);
