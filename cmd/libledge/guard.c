//go:build cgo && linux

// What is checked before anything else, and what needs no Go: it works in children
// made by fork, too.

#include "guard.h"

#include <string.h>
#include <unistd.h>

// The process that loaded the library, and that its threads are in.
static pid_t owner;

__attribute__((constructor)) static void remember_owner(void) { owner = getpid(); }

// Memory beyond what this version knows of a structure, at most: what claims to be
// larger was not initialised.
#define GROWTH 4096

// The sizes of version 1, in every build for 64 bits, are for ever; and no structure
// may end with bytes that belong to no field, which would be garbage when a later
// version has a field there.
#if UINTPTR_MAX == UINT64_MAX
#define SIZES(type, last, first)                                                                   \
    _Static_assert(LEDGEGO_FIRST(type, last) == (first), "version 1 of " #type " has another size"); \
    _Static_assert(sizeof(type) % sizeof(size_t) == 0, #type " ends inside a word")
SIZES(ledge_error, message, 1056);
SIZES(ledge_version, toolchain, 272);
SIZES(ledge_open_options, canceller, 88);
SIZES(ledge_info, numerics, 464);
SIZES(ledge_generate_options, canceller, 152);
SIZES(ledge_usage, reason, 64);
SIZES(ledge_counters, energy_note, 424);
#endif

// size_ok says whether a version of the library, this one or another, can have a
// structure of that size.
static int size_ok(size_t size, ledgego_shape shape) {
    return size >= shape.first && size <= shape.now + GROWTH && size % sizeof(size_t) == 0;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// What is written to an error is what version 1 has of it: a field that is added must
// ask for error->size.
int ledgego_fail(ledge_error *error, int code, const char *message, size_t length, int value, uint64_t need, uint64_t have) {
    if (error == NULL)
        return code;
    size_t n = length;
    if (n >= sizeof error->message) { // not inside a character
        n = sizeof error->message - 1;
        while (n > 0 && (message[n] & 0xC0) == 0x80)
            n--;
    }
    error->code = code;
    error->value = value;
    error->need = need;
    error->have = have;
    memcpy(error->message, message, n);
    error->message[n] = 0;
    return code;
}

int ledgego_say(ledge_error *error, int code, const char *message) {
    return ledgego_fail(error, code, message, strlen(message), 0, 0, 0);
}

int ledgego_enter(ledge_error *error) {
    if (error != NULL) {
        if (!size_ok(error->size, LEDGEGO_ERROR))
            return LEDGE_ERROR_SIZE;
        ledgego_clear(error, error->size, sizeof(size_t));
    }
    if (getpid() != owner)
        return ledgego_say(error, LEDGE_ERROR_FORKED,
                           "this process is a child made by fork, and Ledge's threads stayed with its parent: load the library in the child, or call exec");
    return LEDGE_OK;
}

void ledgego_clear(void *structure, size_t size, size_t from) { memset((char *)structure + from, 0, size - from); }

int ledgego_out(ledge_error *error, const void *structure, ledgego_shape shape, const char *what) {
    if (structure == NULL)
        return ledgego_say(error, LEDGE_ERROR_ARGUMENT, what);
    size_t size;
    memcpy(&size, structure, sizeof size);
    if (!size_ok(size, shape))
        return ledgego_say(error, LEDGE_ERROR_SIZE, "the size at the structure's beginning is none that ledge.h has: set it to sizeof");
    return LEDGE_OK;
}

void ledgego_give(void *structure, const void *all, ledgego_shape shape) {
    size_t size;
    memcpy(&size, structure, sizeof size);
    ledgego_clear(structure, size, sizeof size);
    memcpy((char *)structure + sizeof size, (const char *)all + sizeof size, least(size, shape.now) - sizeof size);
}

int ledgego_in(ledge_error *error, void *defaults, const void *structure, ledgego_shape shape) {
    size_t size;
    memcpy(&size, structure, sizeof size);
    if (!size_ok(size, shape))
        return ledgego_say(error, LEDGE_ERROR_SIZE, "the size at the options' beginning is none that ledge.h has: use the init function");
    for (size_t i = shape.now; i < size; i++)
        if (((const char *)structure)[i] != 0)
            return ledgego_say(error, LEDGE_ERROR_SIZE, "an option is set that this version of the library does not know");
    memcpy((char *)defaults + sizeof size, (const char *)structure + sizeof size, least(size, shape.now) - sizeof size);
    return LEDGE_OK;
}

uint32_t ledge_abi_version(void) { return LEDGE_ABI_VERSION; }

const char *ledge_status_name(int status) {
    switch (status) {
    case LEDGE_OK: return "ok";
    case LEDGE_ERROR_FAILED: return "failed";
    case LEDGE_ERROR_ARGUMENT: return "argument";
    case LEDGE_ERROR_SIZE: return "size";
    case LEDGE_ERROR_HANDLE: return "handle";
    case LEDGE_ERROR_CLOSED: return "closed";
    case LEDGE_ERROR_BUSY: return "busy";
    case LEDGE_ERROR_BUFFER: return "buffer";
    case LEDGE_ERROR_CALLBACK: return "callback";
    case LEDGE_ERROR_CANCELLED: return "cancelled";
    case LEDGE_ERROR_EMPTY_PROMPT: return "empty prompt";
    case LEDGE_ERROR_CONTEXT: return "context";
    case LEDGE_ERROR_CACHE_FULL: return "cache full";
    case LEDGE_ERROR_MEMORY: return "memory";
    case LEDGE_ERROR_DEVICE: return "device";
    case LEDGE_ERROR_FORKED: return "forked";
    case LEDGE_ERROR_INTERNAL: return "internal";
    case LEDGE_ERROR_LIMIT: return "limit";
    }
    return "unknown";
}

// Defaults of options: the init functions give as much of them as the caller has.
static const ledge_open_options open_defaults = {
    .size = sizeof open_defaults,
    .gpu_layers = LEDGE_GPU_LAYERS_FIT,
};

static const ledge_generate_options generate_defaults = {
    .size = sizeof generate_defaults,
    .temperature = 0.8, // as the Go API has it: a test compares them
    .top_k = 40,
    .top_p = 0.95,
    .min_p = 0.05,
    .typical_p = 1,
    .repeat_penalty = 1,
    .repeat_last_n = 64,
    .seed = LEDGE_SEED_RANDOM,
    .logprobs = -1,
};

static int init(void *options, size_t size, const void *defaults, ledgego_shape shape) {
    if (options == NULL)
        return LEDGE_ERROR_ARGUMENT;
    if (!size_ok(size, shape))
        return LEDGE_ERROR_SIZE;
    memcpy(options, &size, sizeof size);
    ledgego_give(options, defaults, shape);
    return LEDGE_OK;
}

int ledge_open_options_init(ledge_open_options *options, size_t size) { return init(options, size, &open_defaults, LEDGEGO_OPEN); }

int ledge_generate_options_init(ledge_generate_options *options, size_t size) {
    return init(options, size, &generate_defaults, LEDGEGO_GENERATE);
}
