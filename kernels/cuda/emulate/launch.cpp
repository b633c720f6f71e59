// ledge_emulate launches a kernel and waits for it.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "block.h"
#include "launch.h"

namespace emulate {

namespace {

Kernel *kernels = nullptr; // all that there are

// idle are blocks that no launch uses: their stacks are dear.
std::mutex idle_lock;
std::vector<std::unique_ptr<Block>> idle;

std::unique_ptr<Block> take() {
  std::lock_guard<std::mutex> hold(idle_lock);
  if (idle.empty()) { return std::make_unique<Block>(); }
  auto b = std::move(idle.back());
  idle.pop_back();
  return b;
}

void give(std::unique_ptr<Block> b) {
  std::lock_guard<std::mutex> hold(idle_lock);
  idle.push_back(std::move(b));
}

u64 number_of(const char *variable, u64 otherwise) {
  const char *v = getenv(variable);
  return v != nullptr && *v != 0 ? strtoull(v, nullptr, 10) : otherwise;
}

// order of a launch's blocks: any, and of launches each its own.
std::vector<u32> order_of(u32 blocks, u64 seed) {
  std::vector<u32> order(blocks);
  std::iota(order.begin(), order.end(), 0u);
  for (u32 i = blocks; i-- > 1;) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    std::swap(order[i], order[(seed >> 32) * (i + 1) >> 32]);
  }
  return order;
}

std::string run(const Launch &launch) {
  static const u64 seed = number_of("LEDGE_EMULATE_SEED", 1), threads = number_of("LEDGE_EMULATE_THREADS", 2);
  static std::atomic<u64> launches{0};
  u64 number = seed + ++launches * 0x9e3779b97f4a7c15u;
  u32 blocks = launch.blocks[0] * launch.blocks[1] * launch.blocks[2];
  std::vector<u32> order = order_of(blocks, number);
  std::atomic<u32> begun{0};
  std::mutex lock;
  std::string error;
  auto work = [&] {
    std::string wrong;
    try {
      auto block = take();
      for (u32 i; wrong.empty() && (i = begun++) < blocks;) {
        u32 b = order[i], x = launch.blocks[0], y = launch.blocks[1];
        u32 at[3] = {b % x, b / x % y, b / x / y};
        wrong = block->run(launch, at, number + b);
      }
      give(std::move(block));
    } catch (const std::exception &e) { wrong = e.what(); }
    if (!wrong.empty()) {
      begun = blocks;
      std::lock_guard<std::mutex> hold(lock);
      if (error.empty()) { error = wrong; }
    }
  };
  if (threads > 1 && blocks > 1 && (u64)blocks * launch.threads > 2048) {
    std::thread other(work);
    work();
    other.join();
  } else {
    work();
  }
  return error;
}

} // namespace

Kernel::Kernel(const char *name, u32 threads, void (*run)(const Args)) : name(name), threads(threads), run(run), next(kernels) { kernels = this; }

static const Kernel *find(const char *name) {
  for (const Kernel *k = kernels; k != nullptr; k = k->next) {
    if (strcmp(k->name, name) == 0) { return k; }
  }
  return nullptr;
}

unsigned threads_of(const char *kernel) {
  const Kernel *k = find(kernel);
  return k != nullptr ? k->threads : 0;
}

std::string launch(const char *name, const u32 blocks[3], u32 threads, u32 dynamic_bytes, const void *args) {
  const Kernel *k = find(name);
  if (k == nullptr) { return std::string("kernel ") + name + ": there is none of this name"; }
  if (threads == 0 || threads > k->threads) {
    return std::string("kernel ") + name + ": a launch of " + std::to_string(threads) + " threads, and it is made for at most " + std::to_string(k->threads);
  }
  Launch l = {};
  l.kernel = k;
  memcpy(&l.args, args, sizeof l.args);
  memcpy(l.blocks, blocks, sizeof l.blocks);
  l.threads = threads;
  l.dynamic_bytes = dynamic_bytes;
  u64 all = (u64)blocks[0] * blocks[1] * blocks[2];
  if (blocks[0] == 0 || blocks[1] == 0 || blocks[2] == 0 || blocks[1] > 65535 || blocks[2] > 65535 || all > 1u << 24) {
    return std::string("kernel ") + name + ": a grid of " + std::to_string(blocks[0]) + " x " + std::to_string(blocks[1]) + " x " + std::to_string(blocks[2]) + " blocks";
  }
  return run(l);
}

} // namespace emulate

extern "C" int ledge_emulate(const char *kernel, const unsigned grid[3], unsigned threads, unsigned dynamic_bytes, const void *args, char *error, int error_len) {
  std::string wrong = emulate::launch(kernel, grid, threads, dynamic_bytes, args);
  if (error != nullptr && error_len > 0) { snprintf(error, (size_t)error_len, "%s", wrong.c_str()); }
  return wrong.empty() ? 0 : 1;
}
