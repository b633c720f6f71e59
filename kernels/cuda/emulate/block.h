// Block runs the blocks of kernels, one at a time, on one thread of the system.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device.h"

#include "fiber.h"

namespace emulate {

struct Copies {
  struct One { void *shared; const void *global; bool live; u32 group; };
  std::vector<One> open;
  u32 group = 0; // that is being made: those before it are closed
};

// Lane is a thread of the block with its fiber.
struct Lane : Thread {
  Fiber fiber;
  Copies begun;
  const char *waits = nullptr; // for what; null if it runs or is ready
  bool ended = false;
};

struct Warp {
  u32 arrived = 0;
  const char *what = nullptr;
  void (*work)(void *const[32]) = nullptr;
  void *operands[32] = {};
};

struct Launch { // what the blocks of a launch have in common
  const Kernel *kernel;
  Args args;
  u32 blocks[3], threads, dynamic_bytes;
};

class Block {
public:
  Block();
  // run gives an empty text, or what went wrong.
  std::string run(const Launch &launch, const u32 block[3], u64 seed);

  void meet_block();
  void meet_warp(const char *what, void *operand, void (*work)(void *const[32]));
  void *shared_array(const void *key, u64 bytes, const char *name);
  u8 *shared_base() { return memory_.data(); }
  bool in_shared(const void *p, u64 bytes) const;
  [[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 2, 3)));
  void main(); // of each fiber
  // came_from is told the stack that a new fiber was switched to from: the first time
  // it is the caller's of run.
  void came_from(const void *bottom, size_t size) {
    if (outside_.stack != nullptr) { return; }
    outside_.stack = (char *)bottom;
    outside_.size = size;
  }

private:
  struct Array { const void *key; u8 *at; u64 bytes; const char *name; };

  void next(bool last);
  void ready(Lane *lane) {
    queue_[tail_] = lane;
    tail_ = tail_ + 1 == queue_.size() ? 0 : tail_ + 1;
  }
  void yield(Lane *lane) {
    ready(lane);
    next(false);
  }
  u32 random(u32 below);
  u8 *place(const void *key, u64 bytes, u64 align, const char *name);
  void clear_shared();
  std::string overruns() const;
  std::string stuck() const;

  const Launch *launch_ = nullptr;
  u32 block_[3] = {};
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<Warp> warps_;
  std::vector<Lane *> queue_, order_; // the ready ones, a ring with a place to spare
  size_t head_ = 0, tail_ = 0;
  u32 arrived_ = 0, ended_ = 0;
  Fiber outside_; // of the caller of run
  std::string error_;
  char said_[512] = ""; // by fail
  u64 random_ = 1;

  std::vector<u8> memory_; // shared
  u64 used_ = 0, static_bytes_ = 0;
  std::vector<Array> arrays_;
};

} // namespace emulate
