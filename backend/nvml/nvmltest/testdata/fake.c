/* A library that stands in for libnvidia-ml.so.1. Which faults it has is said when it is
 * compiled: see nvmltest.go. Two GPUs draw 100 and 101 W; their energy counters advance by
 * 50 J with every reading. */
#include <string.h>
#include <unistd.h>

#ifndef GPUS
#define GPUS 2
#endif
#ifndef STATUS
#define STATUS 0 /* of every reading */
#endif
#ifndef INIT
#define INIT 0
#endif

/* Some drivers write nothing and say that all is well. */
#ifdef SILENT
#define PUT(to, value) ((void)(to))
#else
#define PUT(to, value) (*(to) = (value))
#endif

#ifdef GARBAGE
#define VALUE(x) ((void)(x), ~0ull)
#else
#define VALUE(x) (x)
#endif

typedef struct { int index; unsigned long long joules; } device;
static device devices[64];

int nvmlInit_v2(void) {
#ifdef HANG_INIT
    for (;;)
        sleep(1000);
#endif
    return INIT;
}

#ifndef OLD
int nvmlDeviceGetCount_v2(unsigned *n) { PUT(n, GPUS); return STATUS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned i, device **d) {
#ifdef LOST
    if (i == LOST)
        return 15;
#endif
    devices[i % 64].index = (int)i;
    PUT(d, &devices[i % 64]);
    return 0;
}
#endif

int nvmlDeviceGetName(device *d, char *name, unsigned n) {
#ifdef GARBAGE
    memset(name, 0xff, n); /* without an end */
#elif !defined(SILENT)
    strncpy(name, d->index ? "NVIDIA Fake 200" : "NVIDIA Fake 100", n);
#endif
    return STATUS;
}

int nvmlDeviceGetUUID(device *d, char *uuid, unsigned n) { strncpy(uuid, d->index ? "GPU-1" : "GPU-0", n); return STATUS; }

#ifndef NO_POWER
int nvmlDeviceGetPowerUsage(device *d, unsigned *mw) {
#ifdef HANG
    for (;;)
        sleep(1000);
#endif
    PUT(mw, (unsigned)VALUE(100000 + 1000 * d->index));
    return STATUS;
}
#endif

#ifndef NO_ENERGY
int nvmlDeviceGetTotalEnergyConsumption(device *d, unsigned long long *mj) { PUT(mj, VALUE(d->joules += 50000)); return STATUS; }
#endif

int nvmlDeviceGetEnforcedPowerLimit(device *d, unsigned *mw) { PUT(mw, (unsigned)VALUE(300000 + d->index)); return STATUS; }

int nvmlDeviceGetTemperature(device *d, unsigned sensor, unsigned *t) { PUT(t, (unsigned)VALUE(sensor ? 1 : 61 + d->index)); return STATUS; }

int nvmlDeviceGetClockInfo(device *d, unsigned which, unsigned *mhz) { PUT(mhz, (unsigned)VALUE(which ? 7000 : 1500 + d->index)); return STATUS; }
int nvmlDeviceGetMaxClockInfo(device *d, unsigned which, unsigned *mhz) { PUT(mhz, (unsigned)VALUE(which ? 7001 : 2100 + d->index)); return STATUS; }

/* Its name before driver 535; bit 0: nothing to do. */
int nvmlDeviceGetCurrentClocksThrottleReasons(device *d, unsigned long long *mask) { PUT(mask, VALUE(d->index ? 1ull : 0x45ull)); return STATUS; }

int nvmlDeviceGetViolationStatus(device *d, unsigned policy, unsigned long long *time) {
    PUT(&time[0], VALUE(1000000ull));
    PUT(&time[1], VALUE(policy ? 7000000ull * (unsigned)d->index : 3000000ull));
    return STATUS;
}
