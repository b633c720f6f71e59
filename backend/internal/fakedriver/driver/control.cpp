// How tests set the fake driver up, have it go wrong, and ask what it saw. It is told by
// fake_control, or by the variable LEDGE_FAKE, in words with blanks between them, which
// replace all that was said before:
//
//   fail=N      call N of those that can fail does (0 for none) ...
//   code=C      ... with this result, 719 (launch failed) if nothing is said
//   sticky      ... and so does every later call in that context, but those that end it
//   only=NAME   count calls of this function alone, by its name in cuda.h
//   null        ... with no handle and no error
//   crash=N     call N ends the process
//   hang=NAME   this function does not come back before the next fake_control
//   stall       nothing that is queued runs
//   garbage=N   information is random; N is where chance begins
//   wrong=N     from the Nth kernel on, kernels are not run; from the first if nothing
//               is said
//   wild=N      from the Nth on, what is read back is random
//   nan=N       from the Nth on, what is read back has all bits set
//   seed=N      where chance begins, in which what may run at once is put in order
//   devices=N version=12060 capability=87 processors=N integrated=0 memory=BYTES
//   reserved=BYTES (of memory, by others) name=TEXT init=C (of cuInit)
//
// A function that gives something back does so even when it fails. fake_calls says how
// many calls fail counts, or there were of a function, since the last fake_control.
// Live objects and bytes are those of now; abandoned ones ended with their context.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "state.h"

namespace fake {

const char *const kind_names[kKinds] = {"context", "module", "link", "memory", "host", "registered", "stream", "event", "graph", "exec"};

State &state() {
  static State *s = new State();
  return *s;
}

void State::violation(const std::string &what) {
  if (violations.size() < 100) { violations.push_back(what); }
}

Memory *State::holding(uintptr_t at, size_t bytes) {
  auto i = memory.upper_bound(at);
  if (i == memory.begin()) { return nullptr; }
  Memory *m = (--i)->second;
  return at + bytes <= i->first + m->bytes && at + bytes >= at ? m : nullptr;
}

int refuse(const char *name); // of missing.cpp

void litter(void *value, size_t bytes) {
  State &s = state();
  if (!s.faults.garbage) { return; }
  switch (s.die(s.faults.rarity)) {
  case 0:
    for (size_t i = 0; i < bytes; i++) { ((unsigned char *)value)[i] = (unsigned char)s.die(256); }
    break;
  case 1: memset(value, s.die(2) ? 0xff : 0, bytes); break;
  }
}

CUresult enter(Lock &hold, const char *name, Way way) {
  State &s = state();
  if (s.faults.hang == name) {
    uint64_t g = s.generation;
    s.changed.wait(hold, [&] { return s.generation != g; });
  }
  s.calls[name]++;
  bool counts = s.faults.only.empty() ? way != polled : s.faults.only == name;
  if (s.faults.null) { counts = counts && way == making; }
  if (counts) {
    long n = ++s.counted;
    if (n == s.faults.crash) { abort(); }
    if (n == s.faults.fail) {
      if (s.faults.null) { return kNull; }
      Context *c = current();
      if (s.faults.sticky && c != nullptr) { c->dead = s.faults.code; }
      return s.faults.code;
    }
  }
  if (!s.initialised && strcmp(name, "cuInit") != 0 && strcmp(name, "cuDriverGetVersion") != 0) { return CUDA_ERROR_NOT_INITIALIZED; }
  if (way == usual || way == polled || way == making) {
    Context *c = current();
    if (c == nullptr) { return CUDA_ERROR_INVALID_CONTEXT; }
    if (c->dead != CUDA_SUCCESS) { return c->dead; }
  }
  return CUDA_SUCCESS;
}

int refuse(const char *name) {
  Lock hold(state().lock);
  state().calls[name]++;
  return CUDA_ERROR_NOT_SUPPORTED;
}

void control(const char *words) {
  State &s = state();
  Lock hold(s.lock);
  Faults f;
  Settings set;
  std::istringstream list(words);
  for (std::string word; list >> word;) {
    size_t cut = word.find('=');
    std::string key = word.substr(0, cut), value = cut == std::string::npos ? "" : word.substr(cut + 1);
    long n = atol(value.c_str());
    if (key == "fail") { f.fail = n; }
    if (key == "code") { f.code = (CUresult)n; }
    if (key == "sticky") { f.sticky = true; }
    if (key == "only") { f.only = value; }
    if (key == "null") { f.null = true; }
    if (key == "crash") { f.crash = n; }
    if (key == "hang") { f.hang = value; }
    if (key == "stall") { f.stall = true; }
    if (key == "wrong") { f.wrong = value.empty() ? 1 : n; }
    if (key == "wild") { f.wild = value.empty() ? 1 : n; }
    if (key == "nan") { f.nan = value.empty() ? 1 : n; }
    if (key == "garbage") {
      f.garbage = true;
      f.rarity = uint64_t{2} << n % 6;
      s.chance.seed((uint64_t)n);
    }
    if (key == "seed") { s.chance.seed((uint64_t)n); }
    if (key == "devices") { set.devices = (int)n; }
    if (key == "version") { set.version = (int)n; }
    if (key == "capability") { set.capability = (int)n; }
    if (key == "processors") { set.processors = (int)n; }
    if (key == "integrated") { set.integrated = (int)n; }
    if (key == "memory") { set.memory = strtoull(value.c_str(), nullptr, 10); }
    if (key == "reserved") { set.reserved = strtoull(value.c_str(), nullptr, 10); }
    if (key == "name") { set.name = value; }
    if (key == "init") { set.init = (CUresult)n; }
  }
  s.faults = f;
  s.settings = set;
  s.calls.clear();
  s.ran.clear();
  s.moved.clear();
  s.counted = s.kernels = s.reads = s.abandoned = 0;
  s.peak = s.bytes;
  s.violations.clear();
  s.generation++;
  s.changed.notify_all();
}

__attribute__((constructor)) static void begin() {
  const char *words = getenv("LEDGE_FAKE");
  control(words != nullptr ? words : "");
}

static long sum(const std::map<std::string, long> &of, const char *what) {
  long n = 0;
  for (const auto &[name, count] : of) {
    if (what == nullptr || name.compare(0, strlen(what), what) == 0) { n += count; }
  }
  return n;
}

} // namespace fake

using namespace fake;

EXPORTED void fake_control(const char *words) { control(words); }

EXPORTED long fake_calls(const char *name) {
  Lock hold(state().lock);
  if (name == nullptr) { return state().counted; }
  auto i = state().calls.find(name);
  return i == state().calls.end() ? 0 : i->second;
}

EXPORTED long fake_live(const char *kind) {
  Lock hold(state().lock);
  long n = 0;
  for (const Object *o : state().live) { n += kind == nullptr || strcmp(kind_names[(int)o->kind], kind) == 0; }
  return n;
}

EXPORTED long fake_bytes() {
  Lock hold(state().lock);
  return (long)state().bytes;
}

EXPORTED long fake_peak() {
  Lock hold(state().lock);
  return (long)state().peak;
}

EXPORTED long fake_pushed() {
  Lock hold(state().lock);
  return state().pushed;
}

EXPORTED long fake_abandoned() {
  Lock hold(state().lock);
  return state().abandoned;
}

EXPORTED long fake_ran(const char *what) {
  Lock hold(state().lock);
  return sum(state().ran, what);
}

EXPORTED long fake_moved(const char *what) {
  Lock hold(state().lock);
  return sum(state().moved, what);
}

EXPORTED long fake_violations(char *text, long room) {
  Lock hold(state().lock);
  std::string all;
  for (const std::string &v : state().violations) { all += (all.empty() ? "" : "\n") + v; }
  if (text != nullptr && room > 0) { snprintf(text, (size_t)room, "%s", all.c_str()); }
  return (long)state().violations.size();
}
