#include "block.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#if defined(__x86_64__)
asm(R"(
  .text
  .globl ledge_switch
  .hidden ledge_switch
  .type ledge_switch, @function
ledge_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size ledge_switch, .-ledge_switch
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .globl ledge_switch
  .hidden ledge_switch
  .type ledge_switch, %function
ledge_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size ledge_switch, .-ledge_switch
)");
#else
#error "the emulation of CUDA knows how to switch fibers on x86-64 and aarch64 only"
#endif

namespace emulate {

thread_local Thread *self __attribute__((tls_model("initial-exec"))) = nullptr;

namespace {

thread_local Block *here = nullptr; // that runs on this thread

constexpr u64 kStatic = 48 << 10;  // bytes of shared arrays that a kernel may have
constexpr u64 kZone = 64;          // around what lies in shared memory
constexpr u8 kGuard = 0xa5;        // in it
constexpr u16 kGarbage = 0x7fff;   // NaN in float16 and, twice, in float32; a high index

std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));
std::string text(const char *format, ...) {
  char buffer[512];
  va_list list;
  va_start(list, format);
  vsnprintf(buffer, sizeof buffer, format, list);
  va_end(list);
  return buffer;
}

void fill_garbage(u8 *p, u64 bytes) {
  for (u64 i = 0; i + 2 <= bytes; i += 2) { memcpy(p + i, &kGarbage, 2); }
  if (bytes % 2 != 0) { p[bytes - 1] = 0xff; }
}

void poison([[maybe_unused]] const u8 *p, [[maybe_unused]] u64 bytes) {
#ifdef LEDGE_ASAN
  __asan_poison_memory_region(p, bytes);
#endif
}

void unpoison([[maybe_unused]] const u8 *p, [[maybe_unused]] u64 bytes) {
#ifdef LEDGE_ASAN
  __asan_unpoison_memory_region(p, bytes);
#endif
}

} // namespace

// A fiber's first and only function. Nothing of it is instrumented: it never returns,
// and would leave its mark on the stack.
__attribute__((no_sanitize_address)) static void begin() {
#ifdef LEDGE_ASAN
  const void *bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  here->came_from(bottom, size);
#endif
  here->main();
}

Block::Block() = default;

void Block::main() {
  launch_->kernel->run(launch_->args);
  Lane *lane = (Lane *)self;
  if (!lane->waited) { fail("it ends without wait_for_inputs"); }
  lane->ended = true;
  ended_++;
  next(true);
}

u32 Block::random(u32 below) { // xorshift
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return (u32)((random_ >> 32) * below >> 32);
}

// next runs another thread of the block; out of run, if there is none.
__attribute__((no_sanitize_address)) void Block::next(bool last) {
  Lane *from = (Lane *)self;
  if (head_ == tail_) {
    if (ended_ != launch_->threads) { error_ = stuck(); }
    switch_fiber(from->fiber, outside_, true);
    __builtin_unreachable();
  }
  Lane *to = queue_[head_];
  head_ = head_ + 1 == queue_.size() ? 0 : head_ + 1;
  if (to == from) { return; }
  self = to;
  switch_fiber(from->fiber, to->fiber, last);
}

// fail leaves the stack as it is, so nothing on it may own memory.
__attribute__((no_sanitize_address)) void Block::fail(const char *format, ...) {
  Lane *lane = (Lane *)self;
  int n = snprintf(said_, sizeof said_, "thread %u: ", lane->id);
  va_list list;
  va_start(list, format);
  vsnprintf(said_ + n, sizeof said_ - (size_t)n, format, list);
  va_end(list);
  switch_fiber(lane->fiber, outside_, true);
  __builtin_unreachable();
}

std::string Block::run(const Launch &launch, const u32 block[3], u64 seed) {
  launch_ = &launch;
  random_ = seed * 0x9e3779b97f4a7c15u | 1u;
  u32 n = launch.threads;
  while (lanes_.size() < n) {
    auto lane = std::make_unique<Lane>();
    lane->fiber.give_stack();
    lanes_.push_back(std::move(lane));
  }
  warps_.assign((n + 31) / 32, Warp{});
  queue_.assign(n + 1, nullptr);
  order_.clear();
  head_ = tail_ = 0;
  arrived_ = ended_ = 0;
  error_.clear();
  said_[0] = 0;
  memcpy(block_, block, sizeof block_);
  clear_shared();
  u8 *dynamic = place(nullptr, launch.dynamic_bytes, SHARED_LINE, "the launch's");
  for (u32 i = 0; i < n; i++) {
    Lane &lane = *lanes_[i];
    lane.id = i;
    memcpy(lane.block, block, sizeof lane.block);
    memcpy(lane.blocks, launch.blocks, sizeof lane.blocks);
    lane.dynamic_shared = dynamic;
    lane.begun.open.clear();
    lane.begun.group = 0;
    lane.copies = &lane.begun;
    lane.waits = nullptr;
    lane.waited = false;
    lane.buffers = launch.args.b;
    lane.ended = false;
    lane.fiber.start(begin, i);
    order_.push_back(&lane);
  }
  for (u32 i = n - 1; i > 0; i--) { std::swap(order_[i], order_[random(i + 1)]); }
  for (u32 i = 1; i < n; i++) { ready(order_[i]); }

  here = this;
  self = order_[0];
  switch_fiber(outside_, order_[0]->fiber, false);
  outside_.stack = nullptr;
  outside_.size = 0;
  self = nullptr;
  here = nullptr;
  if (said_[0] != 0) { error_ = said_; }
  if (!error_.empty()) {
    for (u32 i = 0; i < n; i++) { lanes_[i]->fiber.forget(); }
  } else {
    error_ = overruns();
  }
  unpoison(memory_.data(), memory_.size());
  if (error_.empty()) { return ""; }
  return text("kernel %s, block (%u, %u, %u), ", launch.kernel->name, block[0], block[1], block[2]) + error_;
}

void Block::meet_block() {
  Lane *lane = (Lane *)self;
  if (++arrived_ < launch_->threads) {
    lane->waits = "sync_block";
    next(false);
    return;
  }
  arrived_ = 0;
  u32 n = launch_->threads, first = random(n), i = first;
  do {
    lanes_[i]->waits = nullptr;
    if (lanes_[i].get() != lane) { ready(lanes_[i].get()); }
    i = i + 1 == n ? 0 : i + 1;
  } while (i != first);
  if (first & 1u) { yield(lane); } // or the last to come would always be the first to go on
}

void Block::meet_warp(const char *what, void *operand, void (*work)(void *const[32])) {
  Lane *lane = (Lane *)self;
  u32 begin = lane->id & ~31u;
  if (begin + 32 > launch_->threads) { fail("%s in a warp of %u threads", what, launch_->threads - begin); }
  Warp &w = warps_[lane->id / 32];
  if (w.arrived > 0 && (w.what != what || w.work != work)) {
    fail("%s, while other lanes of its warp wait in %s", what, w.what);
  }
  w.what = what;
  w.work = work;
  w.operands[lane->id & 31u] = operand;
  if (++w.arrived < 32) {
    lane->waits = what;
    next(false);
    return;
  }
  w.arrived = 0;
  if (work != nullptr) { work(w.operands); }
  for (u32 i = 1; i < 32; i++) {
    Lane *other = lanes_[begin + ((lane->id + i) & 31u)].get();
    other->waits = nullptr;
    ready(other);
  }
}

// stuck says who waits for what, and who does not come.
std::string Block::stuck() const {
  std::string all = "its threads wait for each other: ";
  std::vector<bool> told(launch_->threads);
  bool first = true;
  for (u32 i = 0; i < launch_->threads; i++) {
    if (told[i]) { continue; }
    const Lane &lane = *lanes_[i];
    u32 same = 0;
    for (u32 j = i; j < launch_->threads; j++) {
      const Lane &other = *lanes_[j];
      bool equal = other.ended == lane.ended && (lane.ended || (lane.waits != nullptr && other.waits != nullptr && strcmp(other.waits, lane.waits) == 0));
      if (equal) { told[j] = true; }
      same += equal;
    }
    all += text("%s%u %s %s%s (the first is thread %u)", first ? "" : ", ", same, same == 1 ? "thread" : "threads",
        lane.ended ? "ended" : "in ", lane.ended ? "" : lane.waits, i);
    first = false;
  }
  return all;
}

// Shared memory: guarded pieces, full of garbage.

void Block::clear_shared() {
  u64 need = kStatic + launch_->dynamic_bytes + 64 * (kZone + 2 * 16) + 2 * SHARED_LINE; // and what place leaves out
  if (memory_.size() < need) { memory_.resize(need); }
  arrays_.clear();
  static_bytes_ = 0;
  used_ = 0;
  poison(memory_.data(), memory_.size());
}

// What is placed is aligned as the kernel says, and no better.
u8 *Block::place(const void *key, u64 bytes, u64 align, const char *name) {
  u64 room = (bytes + 15) / 16 * 16;
  u64 from = (u64)memory_.data() + used_ + kZone, up = (from + align - 1) / align * align;
  if (up % (2 * align) == 0) { up += align; }
  used_ += up - from;
  u8 *zone = memory_.data() + used_, *at = zone + kZone;
  unpoison(zone, kZone + room + kZone);
  memset(zone, kGuard, kZone);
  fill_garbage(at, bytes);
  memset(at + bytes, kGuard, room - bytes + kZone);
  poison(zone, kZone);
  poison(at + bytes, room - bytes + kZone);
  used_ += kZone + room;
  arrays_.push_back({key, at, bytes, name});
  return at;
}

void *Block::shared_array(const void *key, u64 bytes, const char *name) {
  for (const Array &a : arrays_) {
    if (a.key == key) { return a.at; }
  }
  static_bytes_ += (bytes + 15) / 16 * 16;
  if (static_bytes_ > kStatic) { fail("its shared arrays, the last of them %s, take %llu bytes: more than %llu", name, static_bytes_, kStatic); }
  if (arrays_.size() > 60) { fail("it has too many shared arrays"); }
  return place(key, bytes, 16, name);
}

bool Block::in_shared(const void *p, u64 bytes) const {
  for (const Array &a : arrays_) {
    if ((const u8 *)p >= a.at && (const u8 *)p + bytes <= a.at + a.bytes) { return true; }
  }
  return false;
}

// overruns looks at the guards, which AddressSanitizer watches itself.
std::string Block::overruns() const {
#ifndef LEDGE_ASAN
  for (const Array &a : arrays_) {
    u64 room = (a.bytes + 15) / 16 * 16;
    for (const u8 *p = a.at - kZone; p < a.at; p++) {
      if (*p != kGuard) { return text("something wrote %d bytes before its shared array %s", (int)(a.at - p), a.name); }
    }
    for (const u8 *p = a.at + a.bytes; p < a.at + room + kZone; p++) {
      if (*p != kGuard) { return text("something wrote %d bytes after its shared array %s", (int)(p - a.at - a.bytes), a.name); }
    }
  }
#endif
  return "";
}

// What kernels call.

void meet_block() { here->meet_block(); }
void meet_warp(const char *what, void *operand, void (*work)(void *const[32])) { here->meet_warp(what, operand, work); }
void *shared_array(const void *key, u64 bytes, const char *name) { return here->shared_array(key, bytes, name); }
u8 *shared_base() { return here->shared_base(); }
void fail(const char *what, const void *address) { here->fail("%s: %p", what, address); }

void copy_begin(void *shared, const void *global, bool live) {
  if (!here->in_shared(shared, 16)) { here->fail("copy16 to what is not shared memory"); }
  fill_garbage((u8 *)shared, 16); // whoever still reads what was there is wrong
  Copies &c = *self->copies;
  c.open.push_back({shared, global, live, c.group});
}

void copy_close() { self->copies->group++; }

void copy_end(u32 groups) {
  Copies &c = *self->copies;
  size_t done = 0;
  for (; done < c.open.size() && c.open[done].group + groups < c.group; done++) {
    const Copies::One &one = c.open[done];
    if (one.live) {
      memcpy(one.shared, one.global, 16);
    } else {
      memset(one.shared, 0, 16);
    }
  }
  c.open.erase(c.open.begin(), c.open.begin() + (std::ptrdiff_t)done);
}

} // namespace emulate
