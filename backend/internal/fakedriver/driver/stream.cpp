// Streams and events. What is queued runs as late as it may: when somebody waits for it
// or asks, and on another thread; and streams take turns by chance. So a wait that is
// missing shows.
#include <chrono>
#include <thread>

#include "state.h"

using namespace fake;

namespace fake {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

namespace {

template <class F> void each_stream(F f) {
  for (Object *o : state().live) {
    if (o->kind == Kind::stream) { f((Stream *)o); }
    if (o->kind == Kind::context) { f(&((Context *)o)->default_stream); }
  }
}

bool before(const Stream *s, uint64_t number) { // something of the stream is not done
  return (!s->queue.empty() && s->queue.front().number < number) || (state().running == s && state().running_number < number);
}

// may says whether the first in a stream can run now.
bool may(Stream *s) {
  const Op &op = s->queue.front();
  if (op.number > state().wanted || (op.waits != nullptr && !op.waits->done)) { return false; }
  Stream *ordinary = &s->context->default_stream;
  if (s != ordinary) { return !s->blocking || !before(ordinary, op.number); }
  bool free = true;
  each_stream([&](Stream *other) {
    if (other->context == s->context && other != s && other->blocking && before(other, op.number)) { free = false; }
  });
  return free;
}

void device_thread() {
  State &s = state();
  Lock hold(s.lock);
  for (;;) {
    std::vector<Stream *> ready;
    if (!s.faults.stall) {
      each_stream([&](Stream *one) {
        if (!one->queue.empty() && may(one)) { ready.push_back(one); }
      });
    }
    if (ready.empty()) {
      s.changed.wait(hold);
      continue;
    }
    Stream *one = ready[s.die(ready.size())];
    Op op = std::move(one->queue.front());
    one->queue.pop_front();
    s.running = one;
    s.running_number = op.number;
    Context *c = one->context;
    CUresult r = CUDA_SUCCESS;
    if (c->dead == CUDA_SUCCESS && op.run) {
      hold.unlock();
      r = op.run();
      hold.lock();
    }
    if (r != CUDA_SUCCESS && c->dead == CUDA_SUCCESS) { c->dead = r; }
    s.running = nullptr;
    s.changed.notify_all();
  }
}

} // namespace

Stream *stream_of(CUstream stream, CUresult &r) {
  if (stream == nullptr || stream == CU_STREAM_LEGACY) { return &current()->default_stream; }
  Stream *s = state().find<Stream>(stream, Kind::stream);
  if (s == nullptr) {
    state().violation("a call for a stream that there is not");
    r = CUDA_ERROR_INVALID_HANDLE;
  } else if (s->context != current()) {
    state().violation("a call for a stream of another context");
    r = CUDA_ERROR_INVALID_CONTEXT;
    return nullptr;
  }
  return s;
}

void queue(Stream *s, std::function<CUresult()> run, std::shared_ptr<Mark> waits) {
  State &all = state();
  if (!all.started) {
    all.started = true;
    std::thread(device_thread).detach();
  }
  s->queue.push_back({++all.submitted, std::move(waits), std::move(run)});
}

bool busy(const Stream *s) { return !s->queue.empty() || state().running == s; }

static void want(uint64_t number) {
  State &all = state();
  if (number > all.wanted) {
    all.wanted = number;
    all.changed.notify_all();
  }
}

CUresult finish(Lock &hold, Stream *s) {
  State &all = state();
  Context *c = s->context;
  uint64_t last = all.submitted;
  want(last);
  all.changed.wait(hold, [&] { return !before(s, last + 1); });
  return c->dead;
}

CUresult finish_all(Lock &hold, Context *c) {
  std::vector<Stream *> of;
  each_stream([&](Stream *s) {
    if (s->context == c) { of.push_back(s); }
  });
  for (Stream *s : of) { finish(hold, s); }
  return c->dead;
}

void drop(Stream *s) { s->queue.clear(); }

} // namespace fake

static CUresult make_stream(CUstream *out, unsigned flags) {
  auto *made = new Stream(Kind::stream, current());
  made->blocking = (flags & CU_STREAM_NON_BLOCKING) == 0;
  made->flags = flags;
  state().live.insert(made);
  *out = (CUstream)made;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuStreamCreate(CUstream *out, unsigned int flags) {
  MAKES(cuStreamCreate, out);
  return make_stream(out, flags);
}

EXPORTED CUresult cuStreamCreateWithPriority(CUstream *out, unsigned int flags, int) {
  MAKES(cuStreamCreateWithPriority, out);
  return make_stream(out, flags);
}

EXPORTED CUresult cuStreamDestroy(CUstream stream) {
  RELEASE(cuStreamDestroy);
  Stream *one = s.find<Stream>(stream, Kind::stream);
  if (one == nullptr) {
    s.violation("cuStreamDestroy of what is no stream");
    return CUDA_ERROR_INVALID_HANDLE;
  }
  if (one->context->dead == CUDA_SUCCESS && !s.faults.stall) { finish(hold, one); } // a real one goes on by itself
  drop(one);
  s.changed.wait(hold, [&] { return s.running != one; });
  gone(one);
  return refused;
}

EXPORTED CUresult cuStreamGetFlags(CUstream stream, unsigned int *flags) {
  CALL(cuStreamGetFlags);
  CUresult r = CUDA_SUCCESS;
  Stream *one = stream_of(stream, r);
  if (one != nullptr) { *flags = one->flags; }
  return r;
}

EXPORTED CUresult cuStreamSynchronize(CUstream stream) {
  CALL(cuStreamSynchronize);
  CUresult r = CUDA_SUCCESS;
  Stream *one = stream_of(stream, r);
  return one != nullptr ? finish(hold, one) : r;
}

EXPORTED CUresult cuStreamQuery(CUstream stream) {
  CALL_AS(cuStreamQuery, polled);
  CUresult r = CUDA_SUCCESS;
  Stream *one = stream_of(stream, r);
  if (one == nullptr) { return r; }
  want(s.submitted);
  return busy(one) ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

EXPORTED CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int) {
  CALL(cuStreamWaitEvent);
  CUresult r = CUDA_SUCCESS;
  Stream *one = stream_of(stream, r);
  if (one == nullptr) { return r; }
  Event *e = s.find<Event>(event, Kind::event);
  if (e == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  if (e->mark != nullptr) { queue(one, nullptr, e->mark); }
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuEventCreate(CUevent *out, unsigned int flags) {
  MAKES(cuEventCreate, out);
  auto *made = new Event(Kind::event, current());
  made->timing = (flags & CU_EVENT_DISABLE_TIMING) == 0;
  s.live.insert(made);
  *out = (CUevent)made;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuEventDestroy(CUevent event) {
  RELEASE(cuEventDestroy);
  Event *e = s.find<Event>(event, Kind::event);
  if (e == nullptr) {
    s.violation("cuEventDestroy of what is no event");
    return CUDA_ERROR_INVALID_HANDLE;
  }
  gone(e);
  return refused;
}

static Event *event_of(CUevent event) {
  Event *e = state().find<Event>(event, Kind::event);
  if (e == nullptr) { state().violation("a call for an event that there is not"); }
  return e;
}

EXPORTED CUresult cuEventRecord(CUevent event, CUstream stream) {
  CALL(cuEventRecord);
  CUresult r = CUDA_SUCCESS;
  Stream *one = stream_of(stream, r);
  if (one == nullptr) { return r; }
  Event *e = event_of(event);
  if (e == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  auto mark = e->mark = std::make_shared<Mark>();
  queue(one, [mark] {
    Lock inner(state().lock);
    mark->done = true;
    mark->at = now();
    return CUDA_SUCCESS;
  });
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuEventQuery(CUevent event) {
  CALL_AS(cuEventQuery, polled);
  Event *e = event_of(event);
  if (e == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  want(s.submitted);
  return e->mark == nullptr || e->mark->done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

EXPORTED CUresult cuEventSynchronize(CUevent event) {
  CALL(cuEventSynchronize);
  Event *e = event_of(event);
  if (e == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  auto mark = e->mark;
  Context *c = e->context;
  want(s.submitted);
  s.changed.wait(hold, [&] { return mark == nullptr || mark->done || c->dead != CUDA_SUCCESS; });
  return c->dead;
}

EXPORTED CUresult cuEventElapsedTime(float *ms, CUevent from, CUevent to) {
  CALL(cuEventElapsedTime);
  Event *a = event_of(from), *b = event_of(to);
  if (a == nullptr || b == nullptr || !a->timing || !b->timing || a->mark == nullptr || b->mark == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  if (!a->mark->done || !b->mark->done) { return CUDA_ERROR_NOT_READY; }
  *ms = (float)((b->mark->at - a->mark->at) * 1e3);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuLaunchKernel(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
    unsigned int by, unsigned int bz, unsigned int shared, CUstream stream, void **params, void **extra) {
  CALL(cuLaunchKernel);
  unsigned grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
  Launched l;
  if (CUresult r = check_launch(f, grid, block, shared, params, extra, l)) { return r; }
  CUresult r = CUDA_SUCCESS;
  Stream *one = stream_of(stream, r);
  if (one == nullptr) { return r; }
  queue(one, [l] { return run_kernel(l); });
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuLaunchHostFunc(CUstream stream, CUhostFn fn, void *data) {
  CALL(cuLaunchHostFunc);
  CUresult r = CUDA_SUCCESS;
  Stream *one = stream_of(stream, r);
  if (one == nullptr) { return r; }
  queue(one, [=] {
    fn(data);
    return CUDA_SUCCESS;
  });
  return CUDA_SUCCESS;
}
