// Graphs: nodes run one after the other, in any order that their dependencies allow,
// each time another. A launch runs what the executable graph was when it was launched.
#include <algorithm>
#include <cstring>

#include "state.h"

using namespace fake;

namespace {

struct Work { // of a node
  CUgraphNodeType type;
  bool enabled = true;
  Launched kernel;
  Copied copy;
  uintptr_t at;
  unsigned value, element;
  size_t n;
  CUhostFn host;
  void *data;
};

struct Node {
  Work work = {};
  std::vector<size_t> after; // places in Graph.nodes
  Context *context = nullptr;
};

struct Graph : Object {
  std::vector<std::unique_ptr<Node>> nodes;
  using Object::Object;
  // place is where a node stands, or the number of nodes.
  size_t place(CUgraphNode handle) const {
    return (size_t)(std::find_if(nodes.begin(), nodes.end(), [&](const auto &n) { return n.get() == (Node *)handle; }) - nodes.begin());
  }
};

struct Plan { // shared by an executable graph and its launches, changed by none
  std::vector<Work> work;
  std::vector<std::vector<size_t>> after;
};

struct Exec : Object {
  std::shared_ptr<Plan> plan;
  std::map<const void *, size_t> places; // of the nodes that it was made from
  using Object::Object;
};

CUresult run_work(const Work &w) {
  if (!w.enabled) { return CUDA_SUCCESS; }
  switch ((int)w.type) {
  case CU_GRAPH_NODE_TYPE_KERNEL: return run_kernel(w.kernel);
  case CU_GRAPH_NODE_TYPE_MEMCPY: return run_copy(w.copy);
  case CU_GRAPH_NODE_TYPE_MEMSET: return run_fill(w.at, w.value, w.element, w.n);
  case CU_GRAPH_NODE_TYPE_HOST: w.host(w.data);
  }
  return CUDA_SUCCESS;
}

CUresult run_plan(const Plan &p) {
  State &s = state();
  {
    Lock hold(s.lock);
    s.ran["graph"]++;
  }
  std::vector<size_t> waits(p.work.size()), ready;
  std::vector<std::vector<size_t>> then(p.work.size());
  for (size_t i = 0; i < p.work.size(); i++) {
    waits[i] = p.after[i].size();
    for (size_t before : p.after[i]) { then[before].push_back(i); }
    if (waits[i] == 0) { ready.push_back(i); }
  }
  while (!ready.empty()) {
    size_t which;
    {
      Lock hold(s.lock);
      which = s.die(ready.size());
    }
    size_t i = ready[which];
    ready[which] = ready.back();
    ready.pop_back();
    if (CUresult r = run_work(p.work[i])) { return r; }
    for (size_t next : then[i]) {
      if (--waits[next] == 0) { ready.push_back(next); }
    }
  }
  return CUDA_SUCCESS;
}

Graph *graph_of(CUgraph g) {
  auto *found = state().find<Graph>(g, Kind::graph);
  if (found == nullptr) { state().violation("a call for a graph that there is not"); }
  return found;
}

Exec *exec_of(CUgraphExec x) {
  auto *found = state().find<Exec>(x, Kind::exec);
  if (found == nullptr) { state().violation("a call for an executable graph that there is not"); }
  return found;
}

CUresult add(CUgraphNode *out, CUgraph graph, const CUgraphNode *after, size_t n, const Work &work) {
  Graph *g = graph_of(graph);
  if (g == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  auto node = std::make_unique<Node>();
  node->work = work;
  for (size_t i = 0; i < n; i++) {
    size_t place = g->place(after[i]);
    if (place == g->nodes.size() || std::count(node->after.begin(), node->after.end(), place) != 0) { return CUDA_ERROR_INVALID_VALUE; }
    node->after.push_back(place);
  }
  *out = (CUgraphNode)node.get();
  g->nodes.push_back(std::move(node));
  return CUDA_SUCCESS;
}

template <class P> CUresult kernel_work(const P &p, Work &w) {
  w.type = CU_GRAPH_NODE_TYPE_KERNEL;
  unsigned grid[3] = {p.gridDimX, p.gridDimY, p.gridDimZ}, block[3] = {p.blockDimX, p.blockDimY, p.blockDimZ};
  return check_launch(p.func, grid, block, p.sharedMemBytes, p.kernelParams, p.extra, w.kernel);
}

CUresult copy_work(const CUDA_MEMCPY3D &p, Work &w) {
  w.type = CU_GRAPH_NODE_TYPE_MEMCPY;
  return plain_copy(p, w.copy) ? check_copy(w.copy) : CUDA_ERROR_INVALID_VALUE;
}

CUresult fill_work(const CUDA_MEMSET_NODE_PARAMS &p, Work &w) {
  w.type = CU_GRAPH_NODE_TYPE_MEMSET;
  if (p.height != 1 || (p.elementSize != 1 && p.elementSize != 2 && p.elementSize != 4) || p.width == 0) { return CUDA_ERROR_INVALID_VALUE; }
  w.at = (uintptr_t)p.dst;
  w.value = p.value;
  w.element = p.elementSize;
  w.n = p.width;
  return state().holding(w.at, w.n * w.element) != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// change replaces the work of a node of an executable graph: launches have their own.
template <class F> CUresult change(CUgraphExec handle, CUgraphNode node, F f) {
  Exec *x = exec_of(handle);
  if (x == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  auto i = x->places.find(node);
  if (i == x->places.end()) { return CUDA_ERROR_INVALID_VALUE; }
  if (x->plan.use_count() > 1) { x->plan = std::make_shared<Plan>(*x->plan); }
  Work &have = x->plan->work[i->second], made = have;
  if (CUresult r = f(made)) { return r; }
  if (made.type != have.type) { return CUDA_ERROR_INVALID_VALUE; }
  have = made;
  return CUDA_SUCCESS;
}

CUresult instantiate(CUgraphExec *out, CUgraph graph) {
  Graph *g = graph_of(graph);
  if (g == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  auto *x = new Exec(Kind::exec, current());
  x->plan = std::make_shared<Plan>();
  for (size_t i = 0; i < g->nodes.size(); i++) {
    x->plan->work.push_back(g->nodes[i]->work);
    x->plan->after.push_back(g->nodes[i]->after);
    x->places[g->nodes[i].get()] = i;
  }
  state().live.insert(x);
  *out = (CUgraphExec)x;
  return CUDA_SUCCESS;
}

} // namespace

EXPORTED CUresult cuGraphCreate(CUgraph *out, unsigned int) {
  MAKES(cuGraphCreate, out);
  auto *made = new Graph(Kind::graph, current());
  s.live.insert(made);
  *out = (CUgraph)made;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuGraphDestroy(CUgraph graph) {
  RELEASE(cuGraphDestroy);
  Graph *g = graph_of(graph);
  if (g == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  gone(g);
  return refused;
}

EXPORTED CUresult cuGraphAddEmptyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *after, size_t n) {
  MAKES(cuGraphAddEmptyNode, out);
  Work w = {};
  w.type = CU_GRAPH_NODE_TYPE_EMPTY;
  return add(out, g, after, n, w);
}

EXPORTED CUresult cuGraphAddHostNode(CUgraphNode *out, CUgraph g, const CUgraphNode *after, size_t n, const CUDA_HOST_NODE_PARAMS *p) {
  MAKES(cuGraphAddHostNode, out);
  Work w = {};
  w.type = CU_GRAPH_NODE_TYPE_HOST;
  w.host = p->fn;
  w.data = p->userData;
  return add(out, g, after, n, w);
}

EXPORTED CUresult cuGraphAddMemcpyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *after, size_t n, const CUDA_MEMCPY3D *p, CUcontext) {
  MAKES(cuGraphAddMemcpyNode, out);
  Work w = {};
  if (CUresult r = copy_work(*p, w)) { return r; }
  return add(out, g, after, n, w);
}

EXPORTED CUresult cuGraphAddMemsetNode(CUgraphNode *out, CUgraph g, const CUgraphNode *after, size_t n, const CUDA_MEMSET_NODE_PARAMS *p, CUcontext) {
  MAKES(cuGraphAddMemsetNode, out);
  Work w = {};
  if (CUresult r = fill_work(*p, w)) { return r; }
  return add(out, g, after, n, w);
}

EXPORTED CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t n) {
  CALL(cuGraphAddDependencies);
  Graph *g = graph_of(graph);
  if (g == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  for (size_t i = 0; i < n; i++) {
    size_t a = g->place(from[i]), b = g->place(to[i]);
    if (a == g->nodes.size() || b == g->nodes.size() || a >= b) { return CUDA_ERROR_INVALID_VALUE; } // forwards only: no circles
    g->nodes[b]->after.push_back(a);
  }
  return CUDA_SUCCESS;
}

// A kernel that another one lets begin early ends before it all the same: edges are as
// any others, if they are what a driver takes.
EXPORTED CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, const CUgraphEdgeData *edges, size_t n) {
  CALL(cuGraphAddDependencies_v2);
  Graph *g = graph_of(graph);
  if (g == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  for (size_t i = 0; i < n; i++) {
    size_t a = g->place(from[i]), b = g->place(to[i]);
    if (a == g->nodes.size() || b == g->nodes.size() || a >= b) { return CUDA_ERROR_INVALID_VALUE; }
    std::vector<size_t> &after = g->nodes[b]->after;
    if (std::count(after.begin(), after.end(), a) != 0) { return CUDA_ERROR_INVALID_VALUE; }
    if (edges != nullptr) {
      const CUgraphEdgeData &e = edges[i];
      const bool early = e.type == CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC;
      const bool kernels = g->nodes[a]->work.type == CU_GRAPH_NODE_TYPE_KERNEL && g->nodes[b]->work.type == CU_GRAPH_NODE_TYPE_KERNEL;
      if (e.to_port != 0 || e.type > CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC || (early && !kernels)) { return CUDA_ERROR_INVALID_VALUE; }
      if (e.from_port != (early ? CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC : CU_GRAPH_KERNEL_NODE_PORT_DEFAULT)) { return CUDA_ERROR_INVALID_VALUE; }
      if (early && s.settings.capability < 90) { return CUDA_ERROR_NOT_SUPPORTED; }
    }
    after.push_back(a);
  }
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *n) {
  CALL(cuGraphGetNodes);
  Graph *g = graph_of(graph);
  if (g == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  if (nodes != nullptr) {
    for (size_t i = 0; i < *n; i++) { nodes[i] = i < g->nodes.size() ? (CUgraphNode)g->nodes[i].get() : nullptr; }
  }
  *n = g->nodes.size();
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph g, unsigned long long) {
  MAKES(cuGraphInstantiate, out);
  return instantiate(out, g);
}

EXPORTED CUresult cuGraphInstantiate_v2(CUgraphExec *out, CUgraph g, CUgraphNode *, char *log, size_t room) {
  MAKES(cuGraphInstantiate, out);
  if (log != nullptr && room > 0) { log[0] = 0; }
  return instantiate(out, g);
}

EXPORTED CUresult cuGraphExecDestroy(CUgraphExec exec) {
  RELEASE(cuGraphExecDestroy);
  Exec *x = exec_of(exec);
  if (x == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  gone(x);
  return refused;
}

EXPORTED CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec x, CUgraphNode node, const CUDA_MEMCPY3D *p, CUcontext) {
  CALL(cuGraphExecMemcpyNodeSetParams);
  return change(x, node, [&](Work &w) { return copy_work(*p, w); });
}

EXPORTED CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec x, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *p, CUcontext) {
  CALL(cuGraphExecMemsetNodeSetParams);
  return change(x, node, [&](Work &w) { return fill_work(*p, w); });
}

EXPORTED CUresult cuGraphNodeSetEnabled(CUgraphExec x, CUgraphNode node, unsigned int enabled) {
  CALL(cuGraphNodeSetEnabled);
  return change(x, node, [&](Work &w) {
    if (w.type != CU_GRAPH_NODE_TYPE_KERNEL && w.type != CU_GRAPH_NODE_TYPE_MEMCPY && w.type != CU_GRAPH_NODE_TYPE_MEMSET) { return CUDA_ERROR_INVALID_VALUE; }
    w.enabled = enabled != 0;
    return CUDA_SUCCESS;
  });
}

EXPORTED CUresult cuGraphUpload(CUgraphExec exec, CUstream stream) {
  CALL(cuGraphUpload);
  CUresult r = CUDA_SUCCESS;
  if (exec_of(exec) == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  stream_of(stream, r);
  return r;
}

EXPORTED CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  CALL(cuGraphLaunch);
  Exec *x = exec_of(exec);
  CUresult r = CUDA_SUCCESS;
  Stream *one = stream_of(stream, r);
  if (x == nullptr || one == nullptr) { return x == nullptr ? CUDA_ERROR_INVALID_HANDLE : r; }
  for (const Work &w : x->plan->work) { // modules and memory must still be there
    if (w.type == CU_GRAPH_NODE_TYPE_KERNEL && function_of((CUfunction)w.kernel.function) == nullptr) { return CUDA_ERROR_INVALID_HANDLE; }
  }
  queue(one, [plan = x->plan] { return run_plan(*plan); });
  return CUDA_SUCCESS;
}

// Kernel nodes have two shapes of parameters: that before CUDA 12 is the driver's name
// without anything.
EXPORTED CUresult cuGraphAddKernelNode_v2(CUgraphNode *out, CUgraph g, const CUgraphNode *after, size_t n, const CUDA_KERNEL_NODE_PARAMS *p) {
  MAKES(cuGraphAddKernelNode, out);
  Work w = {};
  if (CUresult r = kernel_work(*p, w)) { return r; }
  return add(out, g, after, n, w);
}

EXPORTED CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec x, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *p) {
  CALL(cuGraphExecKernelNodeSetParams);
  return change(x, node, [&](Work &w) { return kernel_work(*p, w); });
}

#undef cuGraphAddKernelNode
#undef cuGraphExecKernelNodeSetParams

EXPORTED CUresult cuGraphAddKernelNode(CUgraphNode *out, CUgraph g, const CUgraphNode *after, size_t n, const CUDA_KERNEL_NODE_PARAMS_v1 *p) {
  MAKES(cuGraphAddKernelNode, out);
  Work w = {};
  if (CUresult r = kernel_work(*p, w)) { return r; }
  return add(out, g, after, n, w);
}

EXPORTED CUresult cuGraphExecKernelNodeSetParams(CUgraphExec x, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1 *p) {
  CALL(cuGraphExecKernelNodeSetParams);
  return change(x, node, [&](Work &w) { return kernel_work(*p, w); });
}
