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

int ledgego_size_ok(size_t size, size_t known) { return size >= known && size <= known + GROWTH; }

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
        if (!ledgego_size_ok(error->size, sizeof *error))
            return LEDGE_ERROR_SIZE;
        ledgego_clear(error, error->size, sizeof(size_t));
    }
    if (getpid() != owner)
        return ledgego_say(error, LEDGE_ERROR_FORKED,
                           "this process is a child made by fork, and Ledge's threads stayed with its parent: load the library in the child, or call exec");
    return LEDGE_OK;
}

void ledgego_clear(void *structure, size_t size, size_t from) { memset((char *)structure + from, 0, size - from); }

int ledgego_out(ledge_error *error, const void *structure, size_t known, const char *what) {
    if (structure == NULL)
        return ledgego_say(error, LEDGE_ERROR_ARGUMENT, what);
    size_t size;
    memcpy(&size, structure, sizeof size);
    if (!ledgego_size_ok(size, known))
        return ledgego_say(error, LEDGE_ERROR_SIZE, "the size at the structure's beginning is not that of ledge.h");
    return LEDGE_OK;
}

int ledgego_in(ledge_error *error, void *copy, const void *structure, size_t known) {
    size_t size;
    memcpy(&size, structure, sizeof size);
    if (!ledgego_size_ok(size, known))
        return ledgego_say(error, LEDGE_ERROR_SIZE, "the size at the options' beginning is not that of ledge.h: use the init function");
    for (size_t i = known; i < size; i++)
        if (((const char *)structure)[i] != 0)
            return ledgego_say(error, LEDGE_ERROR_SIZE, "an option is set that this version of the library does not know");
    memcpy(copy, structure, known);
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

int ledge_open_options_init(ledge_open_options *options, size_t size) {
    if (options == NULL)
        return LEDGE_ERROR_ARGUMENT;
    if (!ledgego_size_ok(size, sizeof *options))
        return LEDGE_ERROR_SIZE;
    ledgego_clear(options, size, 0);
    options->size = size;
    options->gpu_layers = LEDGE_GPU_LAYERS_FIT;
    return LEDGE_OK;
}

int ledge_generate_options_init(ledge_generate_options *options, size_t size) {
    if (options == NULL)
        return LEDGE_ERROR_ARGUMENT;
    if (!ledgego_size_ok(size, sizeof *options))
        return LEDGE_ERROR_SIZE;
    ledgego_clear(options, size, 0);
    options->size = size;
    options->temperature = 0.8; // as the Go API has it: a test compares them
    options->top_k = 40;
    options->top_p = 0.95;
    options->min_p = 0.05;
    options->typical_p = 1;
    options->repeat_penalty = 1;
    options->repeat_last_n = 64;
    options->seed = LEDGE_SEED_RANDOM;
    options->logprobs = -1;
    return LEDGE_OK;
}
