// What the functions of the fake driver share: objects, contexts, counts, and how it is
// told to go wrong (control.cpp).
#pragma once

#include <cuda.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace fake {

using Lock = std::unique_lock<std::mutex>;

enum class Kind { context, module, link, memory, host, registered, stream, event, graph, exec };
constexpr int kKinds = 10;
extern const char *const kind_names[kKinds];

struct Context;

// Object is what a handle points to.
struct Object {
  Kind kind;
  Context *context;
  Object(Kind kind, Context *context) : kind(kind), context(context) {}
  virtual ~Object() = default;
};

struct Memory : Object { // of the device, of the host, or registered
  char *at = nullptr;
  size_t bytes = 0;
  using Object::Object;
};

struct Mark { // an event, each time it is recorded
  bool done = false;
  double at = 0; // seconds
};

struct Event : Object {
  std::shared_ptr<Mark> mark; // null: never recorded
  bool timing = true;
  using Object::Object;
};

struct Op {
  uint64_t number;
  std::shared_ptr<Mark> waits; // null, or it is not done before this is
  std::function<CUresult()> run;
};

struct Stream : Object {
  std::deque<Op> queue;
  bool blocking = true; // in order with the default stream
  unsigned flags = 0;
  using Object::Object;
};

struct Context : Object {
  CUdevice device;
  bool primary = false;
  int uses = 0;
  unsigned flags = 0;
  CUresult dead = CUDA_SUCCESS; // after a sticky error: what all calls return
  Stream default_stream{Kind::stream, this};
  explicit Context(CUdevice device) : Object(Kind::context, nullptr), device(device) {}
};

struct Function;
struct Module : Object {
  std::vector<std::unique_ptr<Function>> functions;
  using Object::Object;
  ~Module() override;
};
struct Function {
  Module *module;
  std::string name, emulated; // as it is called, and as the emulation calls it
  unsigned threads;           // of a block, at most
  size_t shared = 0;          // bytes that it has itself
  size_t dynamic = 48u << 10; // bytes that a launch may give
};

// Settings of the devices, all alike.
struct Settings {
  int devices = 1, version = 12060, capability = 87, processors = 8, integrated = 1;
  size_t memory = size_t{8} << 30, reserved = 0;
  std::string name = "Emulated GPU";
  CUresult init = CUDA_SUCCESS;
};

// shared_most is the bytes of shared memory that a block may have.
inline int shared_most(int capability) {
  switch (capability) {
  case 72: return 96 << 10;
  case 75: return 64 << 10;
  case 80:
  case 87: return 163 << 10;
  case 90: return 227 << 10;
  default: return 99 << 10;
  }
}

// Faults are how it is told to go wrong.
struct Faults {
  long fail = 0, crash = 0, wrong = 0, wild = 0, nan = 0;
  CUresult code = CUDA_ERROR_LAUNCH_FAILED;
  bool sticky = false, null = false, stall = false;
  std::string only, hang;
  bool garbage = false;
  uint64_t rarity = 1;
};

struct State {
  std::mutex lock;
  std::condition_variable changed;
  Settings settings;
  Faults faults;
  bool initialised = false;
  uint64_t generation = 0; // of fake_control
  std::mt19937_64 chance{1};

  std::map<std::string, long> calls;
  long counted = 0; // calls that fail counts
  std::map<std::string, long> ran, moved; // by what it was: times, bytes
  long kernels = 0, reads = 0;

  std::set<Object *> live;
  std::set<const Function *> functions; // of live modules
  std::map<uintptr_t, Memory *> memory; // by its first byte
  size_t bytes = 0, peak = 0;           // of the devices' memory
  long pushed = 0;                      // contexts, and not popped
  long abandoned = 0;                   // objects that ended with their context
  std::map<CUdevice, std::unique_ptr<Context>> primary;
  std::vector<std::string> violations;

  // The queue (stream.cpp).
  uint64_t submitted = 0, wanted = 0;
  Stream *running = nullptr;
  uint64_t running_number = 0;
  bool started = false;

  void violation(const std::string &what);
  template <class T> T *find(const void *handle, Kind kind) {
    Object *o = (Object *)handle;
    return live.count(o) != 0 && o->kind == kind ? (T *)o : nullptr;
  }
  // holding is the piece of memory that has these bytes, or null.
  Memory *holding(uintptr_t at, size_t bytes);
  uint64_t die(uint64_t sides) { return chance() % sides; }
};

State &state(); // never destroyed: the driver's thread outlives the program's end

// enter counts a call and says how it fails.
// A way is what a call needs: a context; nothing; it works in a dead context, too; a
// context, but it is not counted as it may be called any number of times; a context, and
// it makes a handle, null instead if faults say so.
enum Way { usual, anywhere, dying, polled, making };
constexpr CUresult kNull = (CUresult)-1;
CUresult enter(Lock &hold, const char *name, Way way);
Context *current();
void litter(void *value, size_t bytes); // makes information wrong, if told to

void control(const char *words);

// stream.cpp: what is queued runs when somebody waits or asks, on a thread of its own.
Stream *stream_of(CUstream s, CUresult &r);
void queue(Stream *s, std::function<CUresult()> run, std::shared_ptr<Mark> waits = nullptr);
CUresult finish(Lock &hold, Stream *s);     // all that is queued now
CUresult finish_all(Lock &hold, Context *c);
void drop(Stream *s);
bool busy(const Stream *s);

// memory.cpp
struct Copied { uintptr_t to, from; size_t bytes; bool to_device, from_device; };
CUresult check_copy(const Copied &c); // holding the lock
CUresult run_copy(Copied c);          // not holding it
CUresult run_fill(uintptr_t at, unsigned value, unsigned element, size_t n);
bool plain_copy(const CUDA_MEMCPY3D &p, Copied &c);
void free_memory(Memory *m);

// module.cpp
struct Launched {
  const Function *function;
  std::string kernel, emulated;
  unsigned grid[3], threads, shared;
  char args[192];
};
Function *function_of(CUfunction f);
CUresult check_launch(CUfunction f, const unsigned grid[3], const unsigned block[3], unsigned shared, void **params, void **extra, Launched &l);
CUresult run_kernel(const Launched &l); // not holding the lock

template <class T> void gone(T *object) {
  state().live.erase(object);
  delete object;
}

double now();

} // namespace fake

// CALL begins a function that needs a current context; others say what they need.
#define CALL_AS(name, way) \
  fake::Lock hold(fake::state().lock); \
  if (CUresult refused = fake::enter(hold, #name, way)) { return refused; } \
  [[maybe_unused]] fake::State &s = fake::state()
#define CALL(name) CALL_AS(name, fake::usual)
// RELEASE begins one that gives something back: it does so and then fails.
#define RELEASE(name) \
  fake::Lock hold(fake::state().lock); \
  [[maybe_unused]] fake::State &s = fake::state(); \
  const CUresult refused = fake::enter(hold, #name, fake::dying)
// MAKES begins one that makes a handle.
#define MAKES(name, out) \
  fake::Lock hold(fake::state().lock); \
  if (CUresult refused = fake::enter(hold, #name, fake::making)) { \
    if (refused != fake::kNull) { return refused; } \
    *(out) = 0; \
    return CUDA_SUCCESS; \
  } \
  [[maybe_unused]] fake::State &s = fake::state()
