// Modules: PTX is not compiled, but read for the names of its kernels, which are then
// the emulated ones of the same names; with _sm72 at the end, if there is such a one, for
// PTX of a target before sm_80. A binary is a header and the PTX.
#include <cstdio>
#include <cstring>

#include "emulate/launch.h"
#include "state.h"

using namespace fake;

namespace {

struct Binary { // its header; PTX follows, with a zero at its end
  char magic[8];
  int capability;
  unsigned bytes;
  uint64_t sum;
};
constexpr char kMagic[8] = {0x7f, 'E', 'L', 'F', 'f', 'a', 'k', 'e'};

uint64_t sum_of(const char *text, size_t bytes) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < bytes; i++) { h = (h ^ (unsigned char)text[i]) * 1099511628211u; }
  return h;
}

int number_after(const std::string &text, const char *word) {
  size_t at = text.find(word);
  return at == std::string::npos ? -1 : atoi(text.c_str() + at + strlen(word));
}

// newest is the newest version of PTX that a driver knows: 74 is 7.4.
int newest(int version) {
  int major = version / 1000, minor = version % 1000 / 10;
  return major <= 11 ? 70 + minor : 10 * (major - 4) + minor;
}

// check_ptx is a compiler's look at PTX; why is what it says.
CUresult check_ptx(const std::string &ptx, std::string &why) {
  const Settings &set = state().settings;
  size_t at = ptx.find(".version");
  int major = 0, minor = 0;
  if (at == std::string::npos || sscanf(ptx.c_str() + at, ".version %d.%d", &major, &minor) != 2 || ptx.find(".address_size 64") == std::string::npos) {
    why = "ptxas application ptx input, line 1; fatal   : Missing .version directive at start of file '<input>'\nptxas fatal   : Ptx assembly aborted due to errors";
    return CUDA_ERROR_INVALID_PTX;
  }
  if (10 * major + minor > newest(set.version)) {
    why = "ptxas application ptx input, line 1; fatal   : Unsupported .version";
    return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
  }
  int target = number_after(ptx, ".target sm_");
  if (target < 0) {
    why = "ptxas fatal   : no .target";
    return CUDA_ERROR_INVALID_PTX;
  }
  if (target > set.capability) {
    why = "ptxas fatal   : SM version specified by .target is higher than default SM version assumed";
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
  return CUDA_SUCCESS;
}

// options of the compiler: where its messages go.
struct Log {
  char *buffer = nullptr;
  size_t room = 0;
  void **size = nullptr;
  Log(unsigned n, const CUjit_option *o, void **v) {
    for (unsigned i = 0; i < n; i++) {
      if (o[i] == CU_JIT_ERROR_LOG_BUFFER) { buffer = (char *)v[i]; }
      if (o[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) {
        room = (size_t)(uintptr_t)v[i];
        size = &v[i];
      }
    }
  }
  void write(const std::string &text) const {
    if (buffer == nullptr || room == 0) { return; }
    snprintf(buffer, room, "%s", text.c_str());
    if (size != nullptr) { *size = (void *)(uintptr_t)strlen(buffer); }
  }
};

struct Link : Object {
  Log log;
  std::string ptx;
  std::vector<char> made;
  Link(Context *c, Log log) : Object(Kind::link, c), log(log) {}
};

// bytes of shared memory that the module's kernels have themselves.
size_t shared_of(const std::string &ptx) {
  size_t all = 0;
  for (size_t at = ptx.find(".shared"); at != std::string::npos; at = ptx.find(".shared", at + 1)) {
    size_t end = ptx.find_first_of(";{", at), open = ptx.find('[', at);
    bool declaration = ptx[at > 0 ? at - 1 : 0] != 'd' && ptx.compare(at, 14, ".shared .align") == 0;
    if (declaration && open < end) { all += strtoull(ptx.c_str() + open + 1, nullptr, 10); }
  }
  return all;
}

CUresult load(CUmodule *out, const void *image, const Log &log) {
  State &s = state();
  std::string ptx;
  if (memcmp(image, kMagic, 4) == 0) {
    Binary b;
    memcpy(&b, image, sizeof b);
    if (memcmp(b.magic, kMagic, sizeof kMagic) != 0) { return CUDA_ERROR_INVALID_IMAGE; }
    if (b.capability != s.settings.capability) { return CUDA_ERROR_NO_BINARY_FOR_GPU; }
    const char *text = (const char *)image + sizeof b;
    if (sum_of(text, b.bytes) != b.sum) { return CUDA_ERROR_INVALID_IMAGE; }
    ptx.assign(text, b.bytes);
  } else {
    ptx = (const char *)image;
    std::string why;
    if (CUresult r = check_ptx(ptx, why)) {
      log.write(why);
      return r;
    }
  }
  auto made = std::make_unique<Module>(Kind::module, current());
  size_t shared = shared_of(ptx);
  for (size_t at = ptx.find(".entry "); at != std::string::npos; at = ptx.find(".entry ", at + 1)) {
    size_t from = at + 7, to = ptx.find_first_of("( \n\t", from);
    auto f = std::make_unique<Function>();
    f->module = made.get();
    f->name = ptx.substr(from, to - from);
    f->emulated = f->name + "_sm72";
    if (number_after(ptx, ".target sm_") >= 80 || emulate::threads_of(f->emulated.c_str()) == 0) { f->emulated = f->name; }
    f->threads = emulate::threads_of(f->emulated.c_str());
    f->shared = shared;
    s.functions.insert(f.get());
    made->functions.push_back(std::move(f));
  }
  s.live.insert(made.get());
  *out = (CUmodule)made.release();
  return CUDA_SUCCESS;
}

} // namespace

namespace fake {

Module::~Module() {
  for (const auto &f : functions) { state().functions.erase(f.get()); }
}

Function *function_of(CUfunction f) {
  State &s = state();
  if (s.functions.count((Function *)f) != 0) { return (Function *)f; }
  s.violation("a call for a kernel whose module is unloaded");
  return nullptr;
}

CUresult check_launch(CUfunction handle, const unsigned grid[3], const unsigned block[3], unsigned shared, void **params, void **extra, Launched &l) {
  Function *f = function_of(handle);
  if (f == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  if (f->module->context != current()) { return CUDA_ERROR_INVALID_CONTEXT; }
  if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0 || grid[0] > 0x7fffffffu || grid[1] > 65535 || grid[2] > 65535) { return CUDA_ERROR_INVALID_VALUE; }
  if (block[0] == 0 || block[0] > f->threads || block[1] != 1 || block[2] != 1) { return CUDA_ERROR_INVALID_VALUE; }
  if (shared > f->dynamic) { return CUDA_ERROR_INVALID_VALUE; } // cuFuncSetAttribute comes first
  if (params == nullptr || extra != nullptr) { return CUDA_ERROR_INVALID_VALUE; }
  l.function = f;
  l.kernel = f->name;
  l.emulated = f->emulated;
  memcpy(l.grid, grid, sizeof l.grid);
  l.threads = block[0];
  l.shared = shared;
  memcpy(l.args, params[0], sizeof l.args);
  return CUDA_SUCCESS;
}

CUresult run_kernel(const Launched &l) {
  State &s = state();
  {
    Lock hold(s.lock);
    s.ran["kernel " + l.kernel]++;
    long n = ++s.kernels;
    if (s.faults.wrong != 0 && n >= s.faults.wrong) { return CUDA_SUCCESS; }
    uintptr_t buffers[4];
    memcpy(buffers, l.args, sizeof buffers);
    for (int i = 0; i < 4; i++) {
      if (buffers[i] != 0 && s.holding(buffers[i], 1) == nullptr) {
        s.violation("kernel " + l.kernel + ": buffer " + std::to_string(i) + " is no memory that there is");
        return CUDA_ERROR_ILLEGAL_ADDRESS;
      }
    }
  }
  std::string error = emulate::launch(l.emulated.c_str(), l.grid, l.threads, l.shared, l.args);
  if (error.empty()) { return CUDA_SUCCESS; }
  Lock hold(s.lock);
  s.violation(error);
  return CUDA_ERROR_LAUNCH_FAILED;
}

} // namespace fake

EXPORTED CUresult cuModuleLoadData(CUmodule *out, const void *image) {
  MAKES(cuModuleLoadData, out);
  return load(out, image, Log(0, nullptr, nullptr));
}

EXPORTED CUresult cuModuleLoadDataEx(CUmodule *out, const void *image, unsigned int n, CUjit_option *o, void **v) {
  MAKES(cuModuleLoadDataEx, out);
  return load(out, image, Log(n, o, v));
}

EXPORTED CUresult cuModuleUnload(CUmodule module) {
  RELEASE(cuModuleUnload);
  Module *m = s.find<Module>(module, Kind::module);
  if (m == nullptr) {
    s.violation("cuModuleUnload of what is no module");
    return CUDA_ERROR_INVALID_HANDLE;
  }
  gone(m);
  return refused;
}

EXPORTED CUresult cuModuleGetFunction(CUfunction *out, CUmodule module, const char *name) {
  MAKES(cuModuleGetFunction, out);
  Module *m = s.find<Module>(module, Kind::module);
  if (m == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  for (const auto &f : m->functions) {
    if (f->name != name) { continue; }
    if (f->threads == 0) {
      s.violation("the emulation has no kernel " + f->name);
      return CUDA_ERROR_NOT_FOUND;
    }
    *out = (CUfunction)f.get();
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

EXPORTED CUresult cuLinkCreate(unsigned int n, CUjit_option *o, void **v, CUlinkState *out) {
  MAKES(cuLinkCreate, out);
  auto *made = new Link(current(), Log(n, o, v));
  s.live.insert(made);
  *out = (CUlinkState)made;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuLinkAddData(CUlinkState link, CUjitInputType type, void *data, size_t bytes, const char *, unsigned int, CUjit_option *, void **) {
  CALL(cuLinkAddData);
  Link *l = s.find<Link>(link, Kind::link);
  if (l == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  if (type != CU_JIT_INPUT_PTX || bytes == 0 || ((const char *)data)[bytes - 1] != 0) { return CUDA_ERROR_INVALID_VALUE; }
  std::string ptx((const char *)data), why;
  if (CUresult r = check_ptx(ptx, why)) {
    l->log.write(why);
    return r;
  }
  l->ptx = ptx;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuLinkComplete(CUlinkState link, void **out, size_t *bytes) {
  CALL(cuLinkComplete);
  Link *l = s.find<Link>(link, Kind::link);
  if (l == nullptr || l->ptx.empty()) { return CUDA_ERROR_INVALID_HANDLE; }
  Binary b;
  memcpy(b.magic, kMagic, sizeof kMagic);
  b.capability = s.settings.capability;
  b.bytes = (unsigned)l->ptx.size();
  b.sum = sum_of(l->ptx.c_str(), l->ptx.size());
  l->made.assign((const char *)&b, (const char *)(&b + 1));
  l->made.insert(l->made.end(), l->ptx.c_str(), l->ptx.c_str() + l->ptx.size() + 1);
  *out = l->made.data();
  *bytes = l->made.size();
  litter(bytes, sizeof *bytes);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuLinkDestroy(CUlinkState link) {
  RELEASE(cuLinkDestroy);
  Link *l = s.find<Link>(link, Kind::link);
  if (l == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  gone(l);
  return refused;
}

EXPORTED CUresult cuFuncGetAttribute(int *value, CUfunction_attribute a, CUfunction handle) {
  CALL(cuFuncGetAttribute);
  Function *f = function_of(handle);
  if (f == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  switch ((int)a) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = (int)f->threads; break;
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = (int)f->shared; break;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = (int)f->dynamic; break;
  case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = 64; break;
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = s.settings.capability; break;
  case CU_FUNC_ATTRIBUTE_PTX_VERSION: *value = 80; break;
  default: *value = 0;
  }
  litter(value, sizeof *value);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute a, int value) {
  CALL(cuFuncSetAttribute);
  Function *f = function_of(handle);
  if (f == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  if (a == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT) { return CUDA_SUCCESS; }
  int most = shared_most(s.settings.capability);
  if (a != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 || value + (int)f->shared > most) { return CUDA_ERROR_INVALID_VALUE; }
  f->dynamic = (size_t)value;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuFuncSetCacheConfig(CUfunction, CUfunc_cache) {
  CALL(cuFuncSetCacheConfig);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, CUfunction handle, int threads, size_t dynamic) {
  CALL(cuOccupancyMaxActiveBlocksPerMultiprocessor);
  Function *f = function_of(handle);
  if (f == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  if (threads <= 0 || (unsigned)threads > f->threads) { return CUDA_ERROR_INVALID_VALUE; }
  size_t blocks = 1536 / (size_t)threads, each = f->shared + dynamic + 1024, room = 100 << 10;
  if (blocks * each > room) { blocks = room / each; }
  *n = (int)(blocks < 16 ? blocks : 16);
  return CUDA_SUCCESS;
}
