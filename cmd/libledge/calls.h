// calls.h: between the C functions of ledge.h and the Go functions behind them.
#ifndef LEDGE_CALLS_H
#define LEDGE_CALLS_H

#include "ledge.h"

// ledgego_sink is where a call's results go while it runs: a callback of the caller's,
// which Go calls only through the functions below. One call has one, on its stack.
typedef struct ledgego_sink {
    union {
        ledge_token_callback token;
        ledge_device_callback device;
        ledge_text_callback text;
        ledge_logits_callback logits;
        ledge_progress_callback progress;
    } call; // may be NULL
    void *user;
    int value;     // what the callback returned last
    char *text;    // the token's, with a zero byte, in memory used for one token after the other
    size_t room;   // of text
} ledgego_sink;

enum { LEDGEGO_ON, LEDGEGO_STOP, LEDGEGO_NOMEM };

// They say whether to go on, and why not.
int ledgego_emit_token(ledgego_sink *sink, int32_t id, float logprob, const char *text, size_t length,
                       const ledge_token_logprob *top, size_t top_count);
int ledgego_emit_device(ledgego_sink *sink, ledge_device *device);
int ledgego_emit_text(ledgego_sink *sink, const char *text, size_t length);
int ledgego_emit_logits(ledgego_sink *sink, size_t position, const float *logits, size_t count);
int ledgego_emit_progress(ledgego_sink *sink, uint64_t done, uint64_t total);

// ledgego_fail fills in an error, which may be NULL, and gives its code.
int ledgego_fail(ledge_error *error, int code, const char *message, size_t length, int value, uint64_t need, uint64_t have);

#endif
