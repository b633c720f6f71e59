/* Declarations of the CUDA driver API, as of CUDA 12.0 but where it says another, written for Ledge: those that
   gorgonia.org/cu and backend/cuda use, so that a build needs no CUDA toolkit. Names, values,
   layouts and signatures are the interface of NVIDIA's driver, libcuda.so.1; build/cudaheader
   compares them with NVIDIA's own header. Nothing here is linked: the functions are defined
   in backend/cuda/internal/driver, from this file (go generate there), and find the driver
   when the program runs.

   A function is declared on lines of its own, from "CUresult" to ";". Where the driver's
   symbol has another name, a #define gives it. */
#ifndef __cuda_cuda_h__ /* NVIDIA's guard: never both headers */
#define __cuda_cuda_h__

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h> /* gorgonia.org/cu frees memory, and has it from here */

#define CUDA_VERSION 12000

#if UINTPTR_MAX != 0xffffffffffffffff
#error "CUDA needs a 64-bit system"
#endif

#include "cuda_enums.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t cuuint32_t;
typedef uint64_t cuuint64_t;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;

typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUkern_st *CUkernel;
typedef struct CUlinkState_st *CUlinkState;
typedef struct CUmemPoolHandle_st *CUmemoryPool;
typedef struct CUarray_st *CUarray;
typedef struct CUtexref_st *CUtexref;
typedef struct CUsurfref_st *CUsurfref;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphNode_st *CUgraphNode;
typedef struct CUgraphExec_st *CUgraphExec;

typedef void (*CUhostFn)(void *data);
typedef size_t (*CUoccupancyB2DSize)(int block);

typedef struct CUuuid_st {
  char bytes[16];
} CUuuid;

typedef struct CUgraphEdgeData_st { /* of CUDA 12.3 */
  unsigned char from_port, to_port, type, reserved[5];
} CUgraphEdgeData;

typedef struct CUDA_KERNEL_NODE_PARAMS_st {
  CUfunction func;
  unsigned int gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
  void **kernelParams;
  void **extra;
} CUDA_KERNEL_NODE_PARAMS_v1;

typedef struct CUDA_KERNEL_NODE_PARAMS_v2_st {
  CUfunction func;
  unsigned int gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
  void **kernelParams;
  void **extra;
  CUkernel kern;
  CUcontext ctx;
} CUDA_KERNEL_NODE_PARAMS_v2;

typedef CUDA_KERNEL_NODE_PARAMS_v2 CUDA_KERNEL_NODE_PARAMS;

typedef struct CUDA_HOST_NODE_PARAMS_st {
  CUhostFn fn;
  void *userData;
} CUDA_HOST_NODE_PARAMS;

typedef struct CUDA_MEMSET_NODE_PARAMS_st {
  CUdeviceptr dst;
  size_t pitch;
  unsigned int value, elementSize;
  size_t width, height;
} CUDA_MEMSET_NODE_PARAMS;

typedef struct CUDA_MEMCPY2D_st {
  size_t srcXInBytes, srcY;
  CUmemorytype srcMemoryType;
  const void *srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  size_t srcPitch, dstXInBytes, dstY;
  CUmemorytype dstMemoryType;
  void *dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  size_t dstPitch, WidthInBytes, Height;
} CUDA_MEMCPY2D;

typedef struct CUDA_MEMCPY3D_st {
  size_t srcXInBytes, srcY, srcZ, srcLOD;
  CUmemorytype srcMemoryType;
  const void *srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  void *reserved0;
  size_t srcPitch, srcHeight, dstXInBytes, dstY, dstZ, dstLOD;
  CUmemorytype dstMemoryType;
  void *dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  void *reserved1;
  size_t dstPitch, dstHeight, WidthInBytes, Height, Depth;
} CUDA_MEMCPY3D;

typedef struct CUDA_MEMCPY3D_PEER_st {
  size_t srcXInBytes, srcY, srcZ, srcLOD;
  CUmemorytype srcMemoryType;
  const void *srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  CUcontext srcContext;
  size_t srcPitch, srcHeight, dstXInBytes, dstY, dstZ, dstLOD;
  CUmemorytype dstMemoryType;
  void *dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  CUcontext dstContext;
  size_t dstPitch, dstHeight, WidthInBytes, Height, Depth;
} CUDA_MEMCPY3D_PEER;

typedef struct CUDA_ARRAY_DESCRIPTOR_st {
  size_t Width, Height;
  CUarray_format Format;
  unsigned int NumChannels;
} CUDA_ARRAY_DESCRIPTOR;

typedef struct CUDA_ARRAY3D_DESCRIPTOR_st {
  size_t Width, Height, Depth;
  CUarray_format Format;
  unsigned int NumChannels, Flags;
} CUDA_ARRAY3D_DESCRIPTOR;

typedef struct CUaccessPolicyWindow_st {
  void *base_ptr;
  size_t num_bytes;
  float hitRatio;
  CUaccessProperty hitProp, missProp;
} CUaccessPolicyWindow;

typedef union CUlaunchAttributeValue_union { /* the members that are used */
  char pad[64];
  CUaccessPolicyWindow accessPolicyWindow;
  int cooperative;
  int programmaticStreamSerializationAllowed;
  int priority;
} CUlaunchAttributeValue;

typedef struct CUlaunchAttribute_st {
  CUlaunchAttributeID id;
  char pad[4];
  CUlaunchAttributeValue value;
} CUlaunchAttribute;

typedef struct CUlaunchConfig_st {
  unsigned int gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute *attrs;
  unsigned int numAttrs;
} CUlaunchConfig;

/* Start, errors. */
CUresult cuInit(unsigned int f);
CUresult cuDriverGetVersion(int *v);
CUresult cuGetErrorName(CUresult error, const char **name);
CUresult cuGetErrorString(CUresult error, const char **text);

/* Devices. */
#define cuDeviceTotalMem cuDeviceTotalMem_v2

CUresult cuDeviceGet(CUdevice *d, int o);
CUresult cuDeviceGetCount(int *n);
CUresult cuDeviceGetName(char *s, int l, CUdevice d);
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev);
CUresult cuDeviceTotalMem(size_t *b, CUdevice d);
CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute a, CUdevice d);
CUresult cuDeviceCanAccessPeer(int *r, CUdevice a, CUdevice b);
CUresult cuDeviceGetP2PAttribute(int *v, CUdevice_P2PAttribute a, CUdevice s, CUdevice d);
CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev);
CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice dev);
CUresult cuDeviceGetPCIBusId(char *id, int len, CUdevice dev);

/* Contexts. */
#define cuDevicePrimaryCtxRelease  cuDevicePrimaryCtxRelease_v2
#define cuDevicePrimaryCtxSetFlags cuDevicePrimaryCtxSetFlags_v2
#define cuDevicePrimaryCtxReset    cuDevicePrimaryCtxReset_v2
#define cuCtxCreate                cuCtxCreate_v2
#define cuCtxDestroy               cuCtxDestroy_v2
#define cuCtxPushCurrent           cuCtxPushCurrent_v2
#define cuCtxPopCurrent            cuCtxPopCurrent_v2

CUresult cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice d);
CUresult cuDevicePrimaryCtxRelease(CUdevice d);
CUresult cuDevicePrimaryCtxSetFlags(CUdevice d, unsigned int f);
CUresult cuDevicePrimaryCtxGetState(CUdevice d, unsigned int *f, int *a);
CUresult cuDevicePrimaryCtxReset(CUdevice d);
CUresult cuCtxCreate(CUcontext *c, unsigned int f, CUdevice d);
CUresult cuCtxDestroy(CUcontext c);
CUresult cuCtxPushCurrent(CUcontext c);
CUresult cuCtxPopCurrent(CUcontext *c);
CUresult cuCtxSetCurrent(CUcontext c);
CUresult cuCtxGetCurrent(CUcontext *c);
CUresult cuCtxGetDevice(CUdevice *d);
CUresult cuCtxGetFlags(unsigned int *f);
CUresult cuCtxSynchronize(void);
CUresult cuCtxSetLimit(CUlimit l, size_t v);
CUresult cuCtxGetLimit(size_t *v, CUlimit l);
CUresult cuCtxGetCacheConfig(CUfunc_cache *c);
CUresult cuCtxSetCacheConfig(CUfunc_cache c);
CUresult cuCtxGetSharedMemConfig(CUsharedconfig *c);
CUresult cuCtxSetSharedMemConfig(CUsharedconfig c);
CUresult cuCtxGetApiVersion(CUcontext c, unsigned int *v);
CUresult cuCtxGetStreamPriorityRange(int *l, int *g);
CUresult cuCtxResetPersistingL2Cache(void);
CUresult cuCtxEnablePeerAccess(CUcontext c, unsigned int f);
CUresult cuCtxDisablePeerAccess(CUcontext c);

/* Modules, the linker of compiled code. */
#define cuModuleGetGlobal cuModuleGetGlobal_v2
#define cuLinkCreate      cuLinkCreate_v2
#define cuLinkAddData     cuLinkAddData_v2
#define cuLinkAddFile     cuLinkAddFile_v2

CUresult cuModuleLoad(CUmodule *m, const char *s);
CUresult cuModuleLoadData(CUmodule *m, const void *p);
CUresult cuModuleLoadDataEx(CUmodule *m, const void *p, unsigned int n, CUjit_option *o, void **v);
CUresult cuModuleLoadFatBinary(CUmodule *m, const void *p);
CUresult cuModuleUnload(CUmodule m);
CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *s);
CUresult cuModuleGetGlobal(CUdeviceptr *d, size_t *b, CUmodule m, const char *s);
CUresult cuModuleGetTexRef(CUtexref *t, CUmodule m, const char *s);
CUresult cuModuleGetSurfRef(CUsurfref *t, CUmodule m, const char *s);
CUresult cuLinkCreate(unsigned int n, CUjit_option *o, void **v, CUlinkState *s);
CUresult cuLinkAddData(CUlinkState s, CUjitInputType t, void *d, size_t z, const char *nm, unsigned int n,
    CUjit_option *o, void **v);
CUresult cuLinkAddFile(CUlinkState s, CUjitInputType t, const char *p, unsigned int n, CUjit_option *o, void **v);
CUresult cuLinkComplete(CUlinkState s, void **c, size_t *z);
CUresult cuLinkDestroy(CUlinkState s);

/* Memory. */
#define cuMemGetInfo              cuMemGetInfo_v2
#define cuMemAlloc                cuMemAlloc_v2
#define cuMemAllocPitch           cuMemAllocPitch_v2
#define cuMemFree                 cuMemFree_v2
#define cuMemGetAddressRange      cuMemGetAddressRange_v2
#define cuMemHostGetDevicePointer cuMemHostGetDevicePointer_v2
#define cuMemHostRegister         cuMemHostRegister_v2

CUresult cuMemGetInfo(size_t *f, size_t *t);
CUresult cuMemAlloc(CUdeviceptr *p, size_t n);
CUresult cuMemAllocPitch(CUdeviceptr *p, size_t *q, size_t w, size_t h, unsigned int e);
CUresult cuMemFree(CUdeviceptr p);
CUresult cuMemFreeHost(void *p);
CUresult cuMemAllocManaged(CUdeviceptr *p, size_t n, unsigned int f);
CUresult cuMemGetAddressRange(CUdeviceptr *b, size_t *z, CUdeviceptr p);
CUresult cuMemAdvise(CUdeviceptr p, size_t n, CUmem_advise a, CUdevice d);
CUresult cuMemPrefetchAsync(CUdeviceptr p, size_t n, CUdevice d, CUstream st);
CUresult cuPointerGetAttribute(void *v, CUpointer_attribute a, CUdeviceptr p);
CUresult cuPointerSetAttribute(const void *v, CUpointer_attribute a, CUdeviceptr p);
CUresult cuMemHostAlloc(void **p, size_t n, unsigned int flags);
CUresult cuMemHostGetDevicePointer(CUdeviceptr *d, void *p, unsigned int flags);
CUresult cuMemHostRegister(void *p, size_t n, unsigned int flags);
CUresult cuMemHostUnregister(void *p);
CUresult cuMemAllocAsync(CUdeviceptr *p, size_t n, CUstream st);
CUresult cuMemFreeAsync(CUdeviceptr p, CUstream st);
CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute a, void *value);
CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute a, void *value);
CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep);

/* Copies, fills. */
#define cuMemcpyHtoD        cuMemcpyHtoD_v2
#define cuMemcpyDtoH        cuMemcpyDtoH_v2
#define cuMemcpyDtoD        cuMemcpyDtoD_v2
#define cuMemcpyDtoA        cuMemcpyDtoA_v2
#define cuMemcpyAtoD        cuMemcpyAtoD_v2
#define cuMemcpyHtoA        cuMemcpyHtoA_v2
#define cuMemcpyAtoH        cuMemcpyAtoH_v2
#define cuMemcpyAtoA        cuMemcpyAtoA_v2
#define cuMemcpy2D          cuMemcpy2D_v2
#define cuMemcpy2DUnaligned cuMemcpy2DUnaligned_v2
#define cuMemcpy3D          cuMemcpy3D_v2
#define cuMemcpyHtoDAsync   cuMemcpyHtoDAsync_v2
#define cuMemcpyDtoHAsync   cuMemcpyDtoHAsync_v2
#define cuMemcpyDtoDAsync   cuMemcpyDtoDAsync_v2
#define cuMemcpyHtoAAsync   cuMemcpyHtoAAsync_v2
#define cuMemcpyAtoHAsync   cuMemcpyAtoHAsync_v2
#define cuMemcpy2DAsync     cuMemcpy2DAsync_v2
#define cuMemcpy3DAsync     cuMemcpy3DAsync_v2
#define cuMemsetD8          cuMemsetD8_v2
#define cuMemsetD16         cuMemsetD16_v2
#define cuMemsetD32         cuMemsetD32_v2
#define cuMemsetD2D8        cuMemsetD2D8_v2
#define cuMemsetD2D16       cuMemsetD2D16_v2
#define cuMemsetD2D32       cuMemsetD2D32_v2

CUresult cuMemcpy(CUdeviceptr d, CUdeviceptr s, size_t n);
CUresult cuMemcpyPeer(CUdeviceptr d, CUcontext dc, CUdeviceptr s, CUcontext sc, size_t n);
CUresult cuMemcpyHtoD(CUdeviceptr d, const void *s, size_t n);
CUresult cuMemcpyDtoH(void *d, CUdeviceptr s, size_t n);
CUresult cuMemcpyDtoD(CUdeviceptr d, CUdeviceptr s, size_t n);
CUresult cuMemcpyDtoA(CUarray a, size_t o, CUdeviceptr s, size_t n);
CUresult cuMemcpyAtoD(CUdeviceptr d, CUarray a, size_t o, size_t n);
CUresult cuMemcpyHtoA(CUarray a, size_t o, const void *s, size_t n);
CUresult cuMemcpyAtoH(void *d, CUarray a, size_t o, size_t n);
CUresult cuMemcpyAtoA(CUarray a, size_t o, CUarray b, size_t p, size_t n);
CUresult cuMemcpy2D(const CUDA_MEMCPY2D *p);
CUresult cuMemcpy2DUnaligned(const CUDA_MEMCPY2D *p);
CUresult cuMemcpy3D(const CUDA_MEMCPY3D *p);
CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *p);
CUresult cuMemcpyAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream st);
CUresult cuMemcpyPeerAsync(CUdeviceptr d, CUcontext dc, CUdeviceptr s, CUcontext sc, size_t n, CUstream st);
CUresult cuMemcpyHtoDAsync(CUdeviceptr d, const void *s, size_t n, CUstream st);
CUresult cuMemcpyDtoHAsync(void *d, CUdeviceptr s, size_t n, CUstream st);
CUresult cuMemcpyDtoDAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream st);
CUresult cuMemcpyHtoAAsync(CUarray a, size_t o, const void *s, size_t n, CUstream st);
CUresult cuMemcpyAtoHAsync(void *d, CUarray a, size_t o, size_t n, CUstream st);
CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D *p, CUstream st);
CUresult cuMemcpy3DAsync(const CUDA_MEMCPY3D *p, CUstream st);
CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *p, CUstream st);
CUresult cuMemsetD8(CUdeviceptr d, unsigned char v, size_t n);
CUresult cuMemsetD16(CUdeviceptr d, unsigned short v, size_t n);
CUresult cuMemsetD32(CUdeviceptr d, unsigned int v, size_t n);
CUresult cuMemsetD2D8(CUdeviceptr d, size_t p, unsigned char v, size_t w, size_t h);
CUresult cuMemsetD2D16(CUdeviceptr d, size_t p, unsigned short v, size_t w, size_t h);
CUresult cuMemsetD2D32(CUdeviceptr d, size_t p, unsigned int v, size_t w, size_t h);
CUresult cuMemsetD8Async(CUdeviceptr d, unsigned char v, size_t n, CUstream st);
CUresult cuMemsetD16Async(CUdeviceptr d, unsigned short v, size_t n, CUstream st);
CUresult cuMemsetD32Async(CUdeviceptr d, unsigned int v, size_t n, CUstream st);
CUresult cuMemsetD2D8Async(CUdeviceptr d, size_t p, unsigned char v, size_t w, size_t h, CUstream st);
CUresult cuMemsetD2D16Async(CUdeviceptr d, size_t p, unsigned short v, size_t w, size_t h, CUstream st);
CUresult cuMemsetD2D32Async(CUdeviceptr d, size_t p, unsigned int v, size_t w, size_t h, CUstream st);

/* Streams, events. */
#define cuStreamDestroy      cuStreamDestroy_v2
#define cuStreamWaitValue32  cuStreamWaitValue32_v2
#define cuStreamWriteValue32 cuStreamWriteValue32_v2
#define cuEventDestroy       cuEventDestroy_v2
#define cuStreamBeginCapture cuStreamBeginCapture_v2

CUresult cuStreamCreate(CUstream *s, unsigned int f);
CUresult cuStreamCreateWithPriority(CUstream *s, unsigned int f, int p);
CUresult cuStreamDestroy(CUstream s);
CUresult cuStreamGetPriority(CUstream s, int *p);
CUresult cuStreamGetFlags(CUstream s, unsigned int *f);
CUresult cuStreamWaitEvent(CUstream s, CUevent e, unsigned int f);
CUresult cuStreamAttachMemAsync(CUstream s, CUdeviceptr p, size_t n, unsigned int f);
CUresult cuStreamQuery(CUstream s);
CUresult cuStreamSynchronize(CUstream s);
CUresult cuStreamWaitValue32(CUstream s, CUdeviceptr a, cuuint32_t v, unsigned int f);
CUresult cuStreamWriteValue32(CUstream s, CUdeviceptr a, cuuint32_t v, unsigned int f);
CUresult cuEventCreate(CUevent *e, unsigned int f);
CUresult cuEventDestroy(CUevent e);
CUresult cuEventRecord(CUevent e, CUstream s);
CUresult cuEventQuery(CUevent e);
CUresult cuEventSynchronize(CUevent e);
CUresult cuEventElapsedTime(float *m, CUevent a, CUevent b);
CUresult cuStreamBeginCapture(CUstream st, CUstreamCaptureMode mode);
CUresult cuStreamEndCapture(CUstream st, CUgraph *g);
CUresult cuStreamIsCapturing(CUstream st, CUstreamCaptureStatus *status);

/* Kernels. */
CUresult cuFuncGetAttribute(int *p, CUfunction_attribute a, CUfunction f);
CUresult cuFuncSetCacheConfig(CUfunction f, CUfunc_cache c);
CUresult cuFuncSetSharedMemConfig(CUfunction f, CUsharedconfig c);
CUresult cuLaunchKernel(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
    unsigned int by, unsigned int bz, unsigned int sm, CUstream s, void **p, void **e);
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, CUfunction f, int b, size_t d);
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, CUfunction f, int b, size_t d,
    unsigned int fl);
CUresult cuFuncSetAttribute(CUfunction f, CUfunction_attribute a, int value);
CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **params, void **extra);
CUresult cuLaunchHostFunc(CUstream st, CUhostFn fn, void *data);
CUresult cuOccupancyMaxPotentialBlockSize(int *min_grid, int *block, CUfunction f, CUoccupancyB2DSize shared,
    size_t dynamic, int limit);

/* Graphs. */
#define cuGraphAddKernelNode           cuGraphAddKernelNode_v2
#define cuGraphKernelNodeGetParams     cuGraphKernelNodeGetParams_v2
#define cuGraphInstantiate             cuGraphInstantiateWithFlags
#define cuGraphExecKernelNodeSetParams cuGraphExecKernelNodeSetParams_v2

CUresult cuGraphCreate(CUgraph *g, unsigned int f);
CUresult cuGraphDestroy(CUgraph g);
CUresult cuGraphClone(CUgraph *g, CUgraph o);
CUresult cuGraphAddDependencies(CUgraph g, const CUgraphNode *f, const CUgraphNode *t, size_t n);
CUresult cuGraphAddDependencies_v2(CUgraph g, const CUgraphNode *f, const CUgraphNode *t, const CUgraphEdgeData *e,
    size_t n); /* from CUDA 12.3 on */
CUresult cuGraphAddEmptyNode(CUgraphNode *o, CUgraph g, const CUgraphNode *d, size_t n);
CUresult cuGraphAddHostNode(CUgraphNode *o, CUgraph g, const CUgraphNode *d, size_t n,
    const CUDA_HOST_NODE_PARAMS *p);
CUresult cuGraphAddKernelNode(CUgraphNode *o, CUgraph g, const CUgraphNode *d, size_t n,
    const CUDA_KERNEL_NODE_PARAMS *p);
CUresult cuGraphAddMemcpyNode(CUgraphNode *o, CUgraph g, const CUgraphNode *d, size_t n, const CUDA_MEMCPY3D *p,
    CUcontext c);
CUresult cuGraphAddMemsetNode(CUgraphNode *o, CUgraph g, const CUgraphNode *d, size_t n,
    const CUDA_MEMSET_NODE_PARAMS *p, CUcontext c);
CUresult cuGraphAddChildGraphNode(CUgraphNode *o, CUgraph g, const CUgraphNode *d, size_t n, CUgraph c);
CUresult cuGraphGetEdges(CUgraph g, CUgraphNode *f, CUgraphNode *t, size_t *n);
CUresult cuGraphDestroyNode(CUgraphNode n);
CUresult cuGraphExecDestroy(CUgraphExec g);
CUresult cuGraphGetNodes(CUgraph g, CUgraphNode *nodes, size_t *n);
CUresult cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType *type);
CUresult cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS *p);
CUresult cuGraphInstantiate(CUgraphExec *x, CUgraph g, unsigned long long flags);
CUresult cuGraphExecKernelNodeSetParams(CUgraphExec x, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *p);
CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec x, CUgraphNode node, const CUDA_MEMCPY3D *p, CUcontext c);
CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec x, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *p,
    CUcontext c);
CUresult cuGraphNodeSetEnabled(CUgraphExec x, CUgraphNode node, unsigned int enabled);
CUresult cuGraphUpload(CUgraphExec x, CUstream st);
CUresult cuGraphLaunch(CUgraphExec x, CUstream st);

/* Arrays, textures, surfaces: nothing of Ledge uses them, gorgonia.org/cu does. */
#define cuArrayCreate          cuArrayCreate_v2
#define cuArrayGetDescriptor   cuArrayGetDescriptor_v2
#define cuArray3DCreate        cuArray3DCreate_v2
#define cuArray3DGetDescriptor cuArray3DGetDescriptor_v2
#define cuTexRefSetAddress     cuTexRefSetAddress_v2
#define cuTexRefSetAddress2D   cuTexRefSetAddress2D_v3
#define cuTexRefGetAddress     cuTexRefGetAddress_v2

CUresult cuArrayCreate(CUarray *a, const CUDA_ARRAY_DESCRIPTOR *d);
CUresult cuArrayGetDescriptor(CUDA_ARRAY_DESCRIPTOR *d, CUarray a);
CUresult cuArrayDestroy(CUarray a);
CUresult cuArray3DCreate(CUarray *a, const CUDA_ARRAY3D_DESCRIPTOR *d);
CUresult cuArray3DGetDescriptor(CUDA_ARRAY3D_DESCRIPTOR *d, CUarray a);
CUresult cuTexRefSetArray(CUtexref t, CUarray a, unsigned int f);
CUresult cuTexRefSetAddress(size_t *o, CUtexref t, CUdeviceptr p, size_t n);
CUresult cuTexRefSetAddress2D(CUtexref t, const CUDA_ARRAY_DESCRIPTOR *d, CUdeviceptr p, size_t q);
CUresult cuTexRefSetFormat(CUtexref t, CUarray_format f, int n);
CUresult cuTexRefSetAddressMode(CUtexref t, int d, CUaddress_mode m);
CUresult cuTexRefSetFilterMode(CUtexref t, CUfilter_mode m);
CUresult cuTexRefSetMipmapFilterMode(CUtexref t, CUfilter_mode m);
CUresult cuTexRefSetMipmapLevelBias(CUtexref t, float b);
CUresult cuTexRefSetMipmapLevelClamp(CUtexref t, float a, float b);
CUresult cuTexRefSetMaxAnisotropy(CUtexref t, unsigned int m);
CUresult cuTexRefSetBorderColor(CUtexref t, float *c);
CUresult cuTexRefSetFlags(CUtexref t, unsigned int f);
CUresult cuTexRefGetAddress(CUdeviceptr *p, CUtexref t);
CUresult cuTexRefGetArray(CUarray *a, CUtexref t);
CUresult cuTexRefGetAddressMode(CUaddress_mode *m, CUtexref t, int d);
CUresult cuTexRefGetFilterMode(CUfilter_mode *m, CUtexref t);
CUresult cuTexRefGetFormat(CUarray_format *f, int *n, CUtexref t);
CUresult cuTexRefGetMaxAnisotropy(int *n, CUtexref t);
CUresult cuTexRefGetBorderColor(float *c, CUtexref t);
CUresult cuTexRefGetFlags(unsigned int *f, CUtexref t);
CUresult cuSurfRefSetArray(CUsurfref t, CUarray a, unsigned int f);
CUresult cuSurfRefGetArray(CUarray *a, CUsurfref t);
/* Functions that changed, as they were: for drivers of CUDA 11.4 to 11.8 (JetPack 5), which
   lack what the names above stand for. A name of Ledge's with _v1 is the driver's without. */
CUresult cuGraphAddKernelNode_v1(CUgraphNode *o, CUgraph g, const CUgraphNode *d, size_t n,
    const CUDA_KERNEL_NODE_PARAMS_v1 *p);
CUresult cuGraphKernelNodeGetParams_v1(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS_v1 *p);
CUresult cuGraphExecKernelNodeSetParams_v1(CUgraphExec x, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1 *p);
CUresult cuGraphInstantiate_v2(CUgraphExec *x, CUgraph g, CUgraphNode *error_node, char *log, size_t size);

#ifdef __cplusplus
}
#endif

#endif
