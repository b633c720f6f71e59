//go:build cgo && linux

// The functions of ledge.h that Go answers: each checks what it was given, and hands on
// what Go can take.

#include "guard.h"

#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

#define TRY(call)                 \
    do {                          \
        int status = (call);      \
        if (status != LEDGE_OK)   \
            return status;        \
    } while (0)

#define REFUSE_NULL(pointer, message) \
    if ((pointer) == NULL)            \
    return ledgego_say(error, LEDGE_ERROR_ARGUMENT, message)

// Handles are numbers to Go.
#define H(handle) ((uintptr_t)(handle))

// More tokens, texts or biases than anyone has: a count that was not initialised.
#define MANY ((size_t)1 << 30)

static int text_in(ledge_error *error, const char **text, size_t *length, const char *null) {
    if (*length == LEDGE_TEXT) {
        REFUSE_NULL(*text, null);
        *length = strlen(*text);
    }
    if (*length == 0)
        *text = "";
    REFUSE_NULL(*text, null);
    if (*length > PTRDIFF_MAX / 2)
        return ledgego_say(error, LEDGE_ERROR_ARGUMENT, "the text's length is out of range");
    return LEDGE_OK;
}

static int array_in(ledge_error *error, const void *array, size_t count, const char *null) {
    if (count > 0)
        REFUSE_NULL(array, null);
    if (count > MANY)
        return ledgego_say(error, LEDGE_ERROR_ARGUMENT, "a count is out of range");
    return LEDGE_OK;
}

static int array_out(ledge_error *error, const void *array, size_t capacity, const size_t *count) {
    REFUSE_NULL(count, "the count is NULL: it says how much there is");
    if (capacity > 0)
        REFUSE_NULL(array, "the array is NULL, and its capacity is not 0");
    return LEDGE_OK;
}

static int handle_out(ledge_error *error, const void *place) {
    REFUSE_NULL(place, "there is no place for the new handle: the pointer is NULL");
    return LEDGE_OK;
}

// Options as Go sees them: all of them, and without pointers that need not be addresses.
static int open_in(ledge_error *error, const ledge_open_options *given, ledge_open_options *o, uintptr_t *canceller, ledgego_sink *progress) {
    ledge_open_options_init(o, sizeof *o);
    if (given != NULL)
        TRY(ledgego_in(error, o, given, LEDGEGO_OPEN));
    *canceller = H(o->canceller);
    if (progress != NULL) {
        progress->call.progress = o->progress;
        progress->user = o->progress_user;
    }
    o->canceller = NULL;
    o->progress_user = NULL;
    return LEDGE_OK;
}

static int generate_in(ledge_error *error, const ledge_generate_options *given, ledge_generate_options *o, uintptr_t *canceller) {
    ledge_generate_options_init(o, sizeof *o);
    if (given != NULL)
        TRY(ledgego_in(error, o, given, LEDGEGO_GENERATE));
    if (o->reserved != 0)
        return ledgego_say(error, LEDGE_ERROR_ARGUMENT, "reserved is not 0: use the init function");
    *canceller = H(o->canceller);
    o->canceller = NULL;
    TRY(array_in(error, o->stop, o->stop_count, "stop is NULL, and stop_count is not 0"));
    for (size_t i = 0; i < o->stop_count; i++)
        REFUSE_NULL(o->stop[i], "one of the texts of stop is NULL");
    return array_in(error, o->logit_bias, o->logit_bias_count, "logit_bias is NULL, and logit_bias_count is not 0");
}

/* ------------------------------------------------------------------ version, cancellers */

int ledge_get_version(ledge_version *version, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(ledgego_out(error, version, LEDGEGO_VERSION, "the version is NULL"));
    ledge_version all = {.abi = LEDGE_ABI_VERSION};
    TRY(ledgego_version(&all, error));
    ledgego_give(version, &all, LEDGEGO_VERSION);
    return LEDGE_OK;
}

int ledge_canceller_new(ledge_canceller **canceller, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(handle_out(error, canceller));
    return ledgego_canceller_new((uintptr_t *)canceller, error);
}

int ledge_canceller_cancel(ledge_canceller *canceller, ledge_error *error) {
    TRY(ledgego_enter(error));
    return ledgego_canceller_cancel(H(canceller), error);
}

int ledge_canceller_close(ledge_canceller *canceller, ledge_error *error) {
    TRY(ledgego_enter(error));
    return ledgego_canceller_close(H(canceller), error);
}

/* ------------------------------------------------------------------ models, devices */

int ledge_open(const char *path, const ledge_open_options *options, ledge_model **model, ledge_error *error) {
    TRY(ledgego_enter(error));
    REFUSE_NULL(path, "the path is NULL");
    TRY(handle_out(error, model));
    ledge_open_options o;
    uintptr_t canceller;
    ledgego_sink sink = {0};
    TRY(open_in(error, options, &o, &canceller, &sink));
    return ledgego_open((char *)path, &o, canceller, &sink, (uintptr_t *)model, error);
}

int ledge_model_close(ledge_model *model, ledge_error *error) {
    TRY(ledgego_enter(error));
    return ledgego_model_close(H(model), error);
}

int ledge_model_info(ledge_model *model, ledge_info *info, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(ledgego_out(error, info, LEDGEGO_INFO, "the info is NULL"));
    ledge_info all = {0};
    TRY(ledgego_model_info(H(model), &all, error));
    ledgego_give(info, &all, LEDGEGO_INFO);
    return LEDGE_OK;
}

int ledge_model_notes(ledge_model *model, ledge_text_callback callback, void *user, ledge_error *error) {
    TRY(ledgego_enter(error));
    REFUSE_NULL(callback, "the callback is NULL");
    ledgego_sink sink = {.call.text = callback, .user = user};
    return ledgego_model_notes(H(model), &sink, error);
}

int ledge_devices(const ledge_open_options *options, ledge_device_callback callback, void *user, ledge_error *error) {
    TRY(ledgego_enter(error));
    REFUSE_NULL(callback, "the callback is NULL");
    ledge_open_options o;
    uintptr_t canceller;
    TRY(open_in(error, options, &o, &canceller, NULL));
    ledgego_sink sink = {.call.device = callback, .user = user};
    return ledgego_devices(&o, canceller, &sink, error);
}

int ledge_model_devices(ledge_model *model, ledge_device_callback callback, void *user, ledge_error *error) {
    TRY(ledgego_enter(error));
    REFUSE_NULL(callback, "the callback is NULL");
    ledgego_sink sink = {.call.device = callback, .user = user};
    return ledgego_model_devices(H(model), &sink, error);
}

int ledge_model_counters(ledge_model *model, ledge_counters *counters, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(ledgego_out(error, counters, LEDGEGO_COUNTERS, "the counters are NULL"));
    ledge_counters all = {0};
    TRY(ledgego_model_counters(H(model), &all, error));
    ledgego_give(counters, &all, LEDGEGO_COUNTERS);
    return LEDGE_OK;
}

/* ------------------------------------------------------------------ text and tokens */

int ledge_tokenize(ledge_model *model, const char *text, size_t length, uint32_t flags,
                   int32_t *tokens, size_t capacity, size_t *count, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(text_in(error, &text, &length, "the text is NULL"));
    TRY(array_out(error, tokens, capacity, count));
    return ledgego_tokenize(H(model), (char *)text, length, flags, capacity ? tokens : NULL, capacity, count, error);
}

int ledge_detokenize(ledge_model *model, const int32_t *tokens, size_t count, uint32_t flags,
                     char *text, size_t capacity, size_t *length, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(array_in(error, tokens, count, "the tokens are NULL"));
    TRY(array_out(error, text, capacity, length));
    return ledgego_detokenize(H(model), count ? (int32_t *)tokens : NULL, count, flags, capacity ? text : NULL, capacity, length, error);
}

int ledge_chat_prompt(ledge_model *model, const char *messages, size_t length, const ledge_generate_options *options,
                      int32_t *tokens, size_t capacity, size_t *count, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(text_in(error, &messages, &length, "the messages are NULL"));
    TRY(array_out(error, tokens, capacity, count));
    ledge_generate_options o;
    uintptr_t canceller;
    TRY(generate_in(error, options, &o, &canceller));
    return ledgego_chat_prompt(H(model), (char *)messages, length, &o, capacity ? tokens : NULL, capacity, count, error);
}

/* ------------------------------------------------------------------ sessions */

int ledge_session_new(ledge_model *model, ledge_session **session, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(handle_out(error, session));
    return ledgego_session_new(H(model), (uintptr_t *)session, error);
}

int ledge_session_fork(ledge_session *session, ledge_session **fork, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(handle_out(error, fork));
    return ledgego_session_fork(H(session), (uintptr_t *)fork, error);
}

int ledge_session_close(ledge_session *session, ledge_error *error) {
    TRY(ledgego_enter(error));
    return ledgego_session_close(H(session), error);
}

// What a generation goes on from.
enum { PROMPT_TEXT, PROMPT_TOKENS, PROMPT_CHAT };

static int generate(ledge_session *session, int form, const void *prompt, size_t length, const ledge_generate_options *options,
                    ledge_token_callback callback, void *user, ledge_error *error) {
    ledge_generate_options o;
    uintptr_t canceller;
    TRY(generate_in(error, options, &o, &canceller));
    ledgego_sink sink = {.call.token = callback, .user = user};
    int status = ledgego_generate(H(session), form == PROMPT_TOKENS, form == PROMPT_CHAT, (void *)prompt, length, &o, canceller, &sink, error);
    free(sink.text);
    return status;
}

int ledge_generate(ledge_session *session, const char *prompt, size_t length,
                   const ledge_generate_options *options, ledge_token_callback callback, void *user, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(text_in(error, &prompt, &length, "the prompt is NULL"));
    return generate(session, PROMPT_TEXT, prompt, length, options, callback, user, error);
}

int ledge_generate_tokens(ledge_session *session, const int32_t *tokens, size_t count,
                          const ledge_generate_options *options, ledge_token_callback callback, void *user, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(array_in(error, tokens, count, "the tokens are NULL"));
    return generate(session, PROMPT_TOKENS, count ? tokens : NULL, count, options, callback, user, error);
}

int ledge_chat(ledge_session *session, const char *messages, size_t length,
               const ledge_generate_options *options, ledge_token_callback callback, void *user, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(text_in(error, &messages, &length, "the messages are NULL"));
    return generate(session, PROMPT_CHAT, messages, length, options, callback, user, error);
}

int ledge_session_usage(ledge_session *session, ledge_usage *usage, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(ledgego_out(error, usage, LEDGEGO_USAGE, "the usage is NULL"));
    ledge_usage all = {0};
    TRY(ledgego_session_usage(H(session), &all, error));
    ledgego_give(usage, &all, LEDGEGO_USAGE);
    return LEDGE_OK;
}

int ledge_session_tokens(ledge_session *session, int32_t *tokens, size_t capacity, size_t *count, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(array_out(error, tokens, capacity, count));
    return ledgego_session_tokens(H(session), capacity ? tokens : NULL, capacity, count, error);
}

/* ------------------------------------------------------------------ numbers */

int ledge_embed(ledge_model *model, const char *text, size_t length, ledge_canceller *canceller,
                float *values, size_t capacity, size_t *count, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(text_in(error, &text, &length, "the text is NULL"));
    TRY(array_out(error, values, capacity, count));
    return ledgego_embed(H(model), 0, (void *)text, length, H(canceller), capacity ? values : NULL, capacity, count, error);
}

int ledge_embed_tokens(ledge_model *model, const int32_t *tokens, size_t token_count, ledge_canceller *canceller,
                       float *values, size_t capacity, size_t *count, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(array_in(error, tokens, token_count, "the tokens are NULL"));
    TRY(array_out(error, values, capacity, count));
    return ledgego_embed(H(model), 1, token_count ? (void *)tokens : NULL, token_count, H(canceller), capacity ? values : NULL, capacity, count, error);
}

int ledge_logits(ledge_model *model, const int32_t *tokens, size_t count, ledge_canceller *canceller,
                 ledge_logits_callback callback, void *user, ledge_error *error) {
    TRY(ledgego_enter(error));
    TRY(array_in(error, tokens, count, "the tokens are NULL"));
    REFUSE_NULL(callback, "the callback is NULL");
    ledgego_sink sink = {.call.logits = callback, .user = user};
    return ledgego_logits(H(model), count ? (int32_t *)tokens : NULL, count, H(canceller), &sink, error);
}
