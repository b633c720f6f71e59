// In place of Go, for tests of calls.c and guard.c alone: what they are given is
// shown, and what they ask for is 0x63 everywhere.

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "calls.h"

static int fill(void *structure, size_t size) {
    memset((char *)structure + sizeof(size_t), 0x63, size - sizeof(size_t));
    return LEDGE_OK;
}

static int ledgego_version(ledge_version *v, ledge_error *e) { (void)e; return fill(v, sizeof *v); }

static int ledgego_open(char *path, ledge_open_options *o, uintptr_t canceller, ledgego_sink *s, uintptr_t *model, ledge_error *e) {
    (void)path, (void)canceller, (void)s, (void)e;
    printf("go: open: sequences %d, gpu_layers %d, added %llu\n", o->sequences, o->gpu_layers, (unsigned long long)o->added);
    *model = 8;
    return LEDGE_OK;
}

static int ledgego_generate(uintptr_t session, int tokens, int chat, void *prompt, size_t length, ledge_generate_options *o,
                            uintptr_t canceller, ledgego_sink *s, ledge_error *e) {
    (void)session, (void)tokens, (void)chat, (void)prompt, (void)length, (void)canceller, (void)s, (void)e;
    printf("go: generate: max_tokens %d, top_k %d, added %llu\n", o->max_tokens, o->top_k, (unsigned long long)o->added);
    return LEDGE_OK;
}

static int ledgego_model_info(uintptr_t m, ledge_info *i, ledge_error *e) { (void)m, (void)e; return fill(i, sizeof *i); }
static int ledgego_model_counters(uintptr_t m, ledge_counters *c, ledge_error *e) { (void)m, (void)e; return fill(c, sizeof *c); }
static int ledgego_session_usage(uintptr_t s, ledge_usage *u, ledge_error *e) { (void)s, (void)e; return fill(u, sizeof *u); }
static int ledgego_model_close(uintptr_t m, ledge_error *e) { (void)m, (void)e; return LEDGE_OK; }
static int ledgego_session_new(uintptr_t m, uintptr_t *s, ledge_error *e) { (void)m, (void)e; *s = 16; return LEDGE_OK; }

// What growth.c does not call.
#define NONE(name) \
    static inline int name() { return LEDGE_ERROR_INTERNAL; }
NONE(ledgego_canceller_new)
NONE(ledgego_canceller_cancel)
NONE(ledgego_canceller_close)
NONE(ledgego_model_notes)
NONE(ledgego_devices)
NONE(ledgego_model_devices)
NONE(ledgego_tokenize)
NONE(ledgego_detokenize)
NONE(ledgego_chat_prompt)
NONE(ledgego_session_fork)
NONE(ledgego_session_close)
NONE(ledgego_session_tokens)
NONE(ledgego_embed)
NONE(ledgego_logits)
