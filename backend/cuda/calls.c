//go:build cuda && cgo && linux && !android && !static

#include "calls.h"

#include <string.h>

CUresult ledge_launch(const ledge_call *c, CUstream s) {
  void *parameters[] = {(void *)&c->args};
  return cuLaunchKernel(c->function, c->grid[0], c->grid[1], c->grid[2], c->threads, 1, 1, c->shared, s, parameters, 0);
}

// The driver copies the parameters before it returns.
#define KERNEL_NODE(c, parameters)                                                                                     \
  {                                                                                                                    \
    (c)->function, (c)->grid[0], (c)->grid[1], (c)->grid[2], (c)->threads, 1, 1, (c)->shared, parameters, 0            \
  }

CUresult ledge_add_kernel(CUgraphNode *node, CUgraph g, const CUgraphNode *after, size_t n, const ledge_call *c) {
  void *parameters[] = {(void *)&c->args};
  CUDA_KERNEL_NODE_PARAMS_v1 p = KERNEL_NODE(c, parameters);
  return cuGraphAddKernelNode_v1(node, g, after, n, &p);
}

CUresult ledge_overlap(CUgraph g, CUgraphNode from, CUgraphNode to) {
  CUgraphEdgeData e;
  memset(&e, 0, sizeof e);
  e.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC;
  e.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC;
  return cuGraphAddDependencies_v2(g, &from, &to, &e, 1);
}

CUresult ledge_set_kernel(CUgraphExec x, CUgraphNode node, const ledge_call *c) {
  void *parameters[] = {(void *)&c->args};
  CUDA_KERNEL_NODE_PARAMS_v1 p = KERNEL_NODE(c, parameters);
  return cuGraphExecKernelNodeSetParams_v1(x, node, &p);
}

static CUDA_MEMCPY3D copied(const ledge_copy *c) {
  CUDA_MEMCPY3D m;
  memset(&m, 0, sizeof m);
  if (c->down) {
    m.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    m.srcDevice = c->device;
    m.dstMemoryType = CU_MEMORYTYPE_HOST;
    m.dstHost = c->host;
  } else {
    m.srcMemoryType = CU_MEMORYTYPE_HOST;
    m.srcHost = c->host;
    m.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    m.dstDevice = c->device;
  }
  m.WidthInBytes = c->bytes;
  m.Height = m.Depth = 1;
  return m;
}

CUresult ledge_add_copy(CUgraphNode *node, CUgraph g, const CUgraphNode *after, size_t n, const ledge_copy *c, CUcontext ctx) {
  CUDA_MEMCPY3D m = copied(c);
  return cuGraphAddMemcpyNode(node, g, after, n, &m, ctx);
}

CUresult ledge_set_copy(CUgraphExec x, CUgraphNode node, const ledge_copy *c, CUcontext ctx) {
  CUDA_MEMCPY3D m = copied(c);
  return cuGraphExecMemcpyNodeSetParams(x, node, &m, ctx);
}

CUresult ledge_jit(const char *ptx, size_t n, void **binary, size_t *size, char *log, size_t room) {
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, (void *)(uintptr_t)(room - 1)}; // to stay until the link is destroyed: the driver writes there
  CUlinkState link = 0;
  void *made = 0;
  *binary = 0, *size = 0;
  memset(log, 0, room);
  CUresult r = cuLinkCreate(2, options, values, &link);
  if (r != CUDA_SUCCESS) {
    return r;
  }
  r = cuLinkAddData(link, CU_JIT_INPUT_PTX, (void *)ptx, n, "ledge.ptx", 0, 0, 0);
  if (r == CUDA_SUCCESS) {
    r = cuLinkComplete(link, &made, size);
  }
  if (r == CUDA_SUCCESS && made && *size > 0) { // it goes with the link
    *binary = malloc(*size);
    if (*binary) {
      memcpy(*binary, made, *size);
    } else {
      r = CUDA_ERROR_OUT_OF_MEMORY;
    }
  }
  CUresult destroyed = cuLinkDestroy(link);
  if (r == CUDA_SUCCESS && destroyed != CUDA_SUCCESS) {
    free(*binary);
    *binary = 0;
    r = destroyed;
  }
  return r;
}
