/* The interface as of version 1, which programs may have been built with: never to be changed. */
#ifndef LEDGE_H
#define LEDGE_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#define LEDGE_ABI_VERSION 1
enum {
    LEDGE_OK = 0,
    LEDGE_ERROR_FAILED = 1,
    LEDGE_ERROR_ARGUMENT = 2,
    LEDGE_ERROR_SIZE = 3,
    LEDGE_ERROR_HANDLE = 4,
    LEDGE_ERROR_CLOSED = 5,
    LEDGE_ERROR_BUSY = 6,
    LEDGE_ERROR_BUFFER = 7,
    LEDGE_ERROR_CALLBACK = 8,
    LEDGE_ERROR_CANCELLED = 9,
    LEDGE_ERROR_EMPTY_PROMPT = 10,
    LEDGE_ERROR_CONTEXT = 11,
    LEDGE_ERROR_CACHE_FULL = 12,
    LEDGE_ERROR_MEMORY = 13,
    LEDGE_ERROR_DEVICE = 14,
    LEDGE_ERROR_FORKED = 15,
    LEDGE_ERROR_INTERNAL = 16
};
const char *ledge_status_name(int status);
typedef struct ledge_error {
    size_t size;
    int32_t code;
    int32_t value;
    uint64_t need;
    uint64_t have;
    char message[1024];
} ledge_error;
#define LEDGE_ERROR_INIT { sizeof(ledge_error), 0, 0, 0, 0, { 0 } }
#define LEDGE_TEXT ((size_t)-1)
typedef struct ledge_version {
    size_t size;
    uint32_t abi;
    uint32_t modified;
    char version[64];
    char revision[64];
    char platform[64];
    char toolchain[64];
} ledge_version;
uint32_t ledge_abi_version(void);
int ledge_get_version(ledge_version *version, ledge_error *error);
typedef struct ledge_canceller ledge_canceller;
int ledge_canceller_new(ledge_canceller **canceller, ledge_error *error);
int ledge_canceller_cancel(ledge_canceller *canceller, ledge_error *error);
int ledge_canceller_close(ledge_canceller *canceller, ledge_error *error);
typedef struct ledge_model ledge_model;
typedef int (*ledge_progress_callback)(uint64_t done, uint64_t total, void *user);
#define LEDGE_GPU_LAYERS_FIT (-1)
#define LEDGE_SHARED_WEIGHTS 1u
typedef struct ledge_open_options {
    size_t size;
    const char *device;
    int32_t gpu_layers;
    int32_t threads;
    int32_t context;
    int32_t sequences;
    int32_t batch;
    uint32_t flags;
    const char *cache_type;
    const char *pack_cache;
    const char *probe;
    ledge_progress_callback progress;
    void *progress_user;
    ledge_canceller *canceller;
} ledge_open_options;
int ledge_open_options_init(ledge_open_options *options, size_t size);
int ledge_open(const char *path, const ledge_open_options *options, ledge_model **model, ledge_error *error);
int ledge_model_close(ledge_model *model, ledge_error *error);
typedef struct ledge_info {
    size_t size;
    int64_t parameters;
    int64_t file_bytes;
    int32_t layers;
    int32_t embedding;
    int32_t vocab;
    int32_t train_context;
    int32_t context;
    int32_t sequences;
    int32_t has_template;
    int32_t reserved;
    double load_seconds;
    char name[128];
    char architecture[64];
    char cache_type[16];
    char device[64];
    char numerics[128];
} ledge_info;
int ledge_model_info(ledge_model *model, ledge_info *info, ledge_error *error);
typedef int (*ledge_text_callback)(const char *text, size_t length, void *user);
int ledge_model_notes(ledge_model *model, ledge_text_callback callback, void *user, ledge_error *error);
typedef struct ledge_device {
    size_t size;
    const char *driver;
    const char *name;
    const char *description;
    const char *kind;
    const char *features;
    const char *numerics;
    const char *note;
    const char *reason;
    uint64_t memory_total;
    uint64_t memory_free;
    int32_t picked;
    int32_t varies;
} ledge_device;
typedef int (*ledge_device_callback)(const ledge_device *device, void *user);
int ledge_devices(const ledge_open_options *options, ledge_device_callback callback, void *user, ledge_error *error);
int ledge_model_devices(ledge_model *model, ledge_device_callback callback, void *user, ledge_error *error);
#define LEDGE_ADD_SPECIAL 1u
#define LEDGE_PARSE_SPECIAL 2u
int ledge_tokenize(ledge_model *model, const char *text, size_t length, uint32_t flags,
                   int32_t *tokens, size_t capacity, size_t *count, ledge_error *error);
int ledge_detokenize(ledge_model *model, const int32_t *tokens, size_t count, uint32_t flags,
                     char *text, size_t capacity, size_t *length, ledge_error *error);
typedef struct ledge_session ledge_session;
int ledge_session_new(ledge_model *model, ledge_session **session, ledge_error *error);
int ledge_session_fork(ledge_session *session, ledge_session **fork, ledge_error *error);
int ledge_session_close(ledge_session *session, ledge_error *error);
typedef struct ledge_token_logprob {
    int32_t id;
    float logprob;
} ledge_token_logprob;
typedef struct ledge_token {
    size_t size;
    const char *text;
    size_t length;
    const ledge_token_logprob *top;
    size_t top_count;
    int32_t id;
    float logprob;
} ledge_token;
typedef int (*ledge_token_callback)(const ledge_token *token, void *user);
typedef struct ledge_logit_bias {
    int32_t id;
    float bias;
} ledge_logit_bias;
#define LEDGE_SEED_RANDOM 0xFFFFFFFFu
#define LEDGE_SHOW_SPECIAL 1u
#define LEDGE_IGNORE_END 2u
typedef struct ledge_generate_options {
    size_t size;
    int32_t max_tokens;
    uint32_t flags;
    double temperature;
    double top_p;
    double min_p;
    double typical_p;
    double repeat_penalty;
    double frequency_penalty;
    double presence_penalty;
    int32_t top_k;
    int32_t repeat_last_n;
    uint64_t seed;
    int32_t logprobs;
    int32_t reserved;
    const char *const *stop;
    size_t stop_count;
    const ledge_logit_bias *logit_bias;
    size_t logit_bias_count;
    const char *tools;
    const char *template_vars;
    ledge_canceller *canceller;
} ledge_generate_options;
int ledge_generate_options_init(ledge_generate_options *options, size_t size);
int ledge_generate(ledge_session *session, const char *prompt, size_t length,
                   const ledge_generate_options *options, ledge_token_callback callback, void *user, ledge_error *error);
int ledge_generate_tokens(ledge_session *session, const int32_t *tokens, size_t count,
                          const ledge_generate_options *options, ledge_token_callback callback, void *user, ledge_error *error);
int ledge_chat(ledge_session *session, const char *messages, size_t length,
               const ledge_generate_options *options, ledge_token_callback callback, void *user, ledge_error *error);
int ledge_chat_prompt(ledge_model *model, const char *messages, size_t length, const ledge_generate_options *options,
                      int32_t *tokens, size_t capacity, size_t *count, ledge_error *error);
typedef struct ledge_usage {
    size_t size;
    int32_t prompt_tokens;
    int32_t cached_tokens;
    int32_t generated_tokens;
    int32_t reserved;
    double prompt_seconds;
    double generate_seconds;
    uint64_t seed;
    char reason[16];
} ledge_usage;
int ledge_session_usage(ledge_session *session, ledge_usage *usage, ledge_error *error);
int ledge_session_tokens(ledge_session *session, int32_t *tokens, size_t capacity, size_t *count, ledge_error *error);
int ledge_embed(ledge_model *model, const char *text, size_t length, ledge_canceller *canceller,
                float *values, size_t capacity, size_t *count, ledge_error *error);
int ledge_embed_tokens(ledge_model *model, const int32_t *tokens, size_t token_count, ledge_canceller *canceller,
                       float *values, size_t capacity, size_t *count, ledge_error *error);
typedef int (*ledge_logits_callback)(size_t position, const float *logits, size_t count, void *user);
int ledge_logits(ledge_model *model, const int32_t *tokens, size_t count, ledge_canceller *canceller,
                 ledge_logits_callback callback, void *user, ledge_error *error);
typedef struct ledge_counters {
    size_t size;
    uint64_t cache_pages;
    uint64_t free_pages;
    int32_t device_counts;
    int32_t power_available;
    uint64_t submissions;
    uint64_t dispatches;
    uint64_t read_backs;
    uint64_t read_back_bytes;
    uint64_t traffic_bytes;
    uint64_t streamed_bytes;
    double power_watts;
    double energy_joules;
    int32_t energy_available;
    int32_t reserved;
    char power_source[64];
    char energy_note[256];
} ledge_counters;
int ledge_model_counters(ledge_model *model, ledge_counters *counters, ledge_error *error);
#ifdef __cplusplus
}
#endif
#endif
