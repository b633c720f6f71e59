//go:build cgo && linux

#include "calls.h"

#include <stdlib.h>
#include <string.h>

static int result(ledgego_sink *s) { return s->value == 0 ? LEDGEGO_ON : LEDGEGO_STOP; }

int ledgego_emit_token(ledgego_sink *s, int32_t id, float logprob, const char *text, size_t length,
                       const ledge_token_logprob *top, size_t top_count) {
    if (s->call.token == NULL)
        return LEDGEGO_ON;
    if (length >= s->room) {
        size_t room = length + 256;
        char *more = realloc(s->text, room);
        if (more == NULL)
            return LEDGEGO_NOMEM;
        s->text = more;
        s->room = room;
    }
    if (length > 0)
        memcpy(s->text, text, length);
    s->text[length] = 0;
    ledge_token t = {
        .size = sizeof t, .text = s->text, .length = length, .top = top, .top_count = top_count, .id = id, .logprob = logprob,
    };
    s->value = s->call.token(&t, s->user);
    return result(s);
}

int ledgego_emit_device(ledgego_sink *s, ledge_device *device) {
    device->size = sizeof *device;
    s->value = s->call.device(device, s->user);
    return result(s);
}

int ledgego_emit_text(ledgego_sink *s, const char *text, size_t length) {
    s->value = s->call.text(text, length, s->user);
    return result(s);
}

int ledgego_emit_logits(ledgego_sink *s, size_t position, const float *logits, size_t count) {
    s->value = s->call.logits(position, logits, count, s->user);
    return result(s);
}

int ledgego_emit_progress(ledgego_sink *s, uint64_t done, uint64_t total) {
    if (s->call.progress == NULL)
        return LEDGEGO_ON;
    s->value = s->call.progress(done, total, s->user);
    return result(s);
}
