/*
 * ledge.h: Ledge's C interface. It runs large language models from GGUF files.
 *
 *   ledge_model *model;
 *   ledge_session *session;
 *   ledge_error error = LEDGE_ERROR_INIT;
 *   if (ledge_open("model.gguf", NULL, &model, &error) != LEDGE_OK)
 *       return fail(error.message);
 *   ledge_session_new(model, &session, &error);
 *   ledge_generate(session, "The capital of France is", LEDGE_TEXT, NULL, print, NULL, &error);
 *   ledge_session_close(session, NULL);
 *   ledge_model_close(model, NULL);
 *
 * RESULTS. Every function that can fail gives LEDGE_OK (0) or one of the codes below,
 * and takes a ledge_error last, which may be NULL, for the message. A failed call
 * changes none of its other results, except counts that say how much room is needed.
 *
 * HANDLES. ledge_model, ledge_session and ledge_canceller are names, not addresses:
 * never look behind one. A handle that was closed, is NULL, or belongs to another kind
 * of thing gives an error code, always: no value is used twice in a process. What is
 * open when the process ends needs no closing.
 *
 * THREADS. Every function may be called from any thread at any time, with the same
 * handles, also close. A session does one thing at a time: a second one gives
 * LEDGE_ERROR_BUSY. Several sessions of a model generate at once, in common batches.
 * Callbacks run on the thread that made the call, and may call any function of this
 * file. They must return: no longjmp, no exception may leave one.
 *
 * MEMORY. The library keeps nothing that it is given: text, options and arrays may be
 * changed or freed once the call has returned. What a callback is given is valid until
 * it returns. Results go to memory of the caller; where their size is not known
 * before, a call with capacity 0 (and the array NULL) gives it.
 *
 * STRUCTURES begin with their size, so that they can grow without breaking programs:
 * set it with LEDGE_ERROR_INIT, the init functions or to sizeof. They grow at their ends
 * only. A library takes the smaller ones of programs made for an older version: options
 * that are missing have their defaults. It takes the larger ones of programs made for a
 * newer version while all that it does not know is zero: an option that it does not know
 * and should obey is LEDGE_ERROR_SIZE, and so is a size that no version can have. Results
 * are filled in as far as both know them; what only the program knows is zero. What a
 * callback is given may be shorter than sizeof: look at its size before reading what came
 * after version 1.
 *
 * TEXT is UTF-8, given by its length in bytes, or LEDGE_TEXT if it ends with a zero
 * byte. Text that comes out ends with a zero byte that its length does not count; a
 * model may write another one before it.
 *
 * FORK. The library has threads, which a child made by fork does not get. There every
 * function gives LEDGE_ERROR_FORKED, except those that say so. A child that calls exec
 * is a new process; a program that forks its workers loads the library in each.
 */
#ifndef LEDGE_H
#define LEDGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface. It grows when something is added; a library works
 * with programs made for its own version or an older one. An interface that breaks
 * programs would be another library: libledge.so.2. */
#define LEDGE_ABI_VERSION 2

/* ------------------------------------------------------------------ results */

enum {
    LEDGE_OK = 0,
    LEDGE_ERROR_FAILED = 1,       /* the message says why: a damaged file, a setting that is out of range, ... */
    LEDGE_ERROR_ARGUMENT = 2,     /* an argument is NULL or out of range */
    LEDGE_ERROR_SIZE = 3,         /* a structure's size is none of any version, or it has an option that this one does not know */
    LEDGE_ERROR_HANDLE = 4,       /* not a handle, or one of another kind */
    LEDGE_ERROR_CLOSED = 5,       /* the handle was closed, or its model */
    LEDGE_ERROR_BUSY = 6,         /* the session is generating */
    LEDGE_ERROR_BUFFER = 7,       /* the capacity is too small; the count says what is needed */
    LEDGE_ERROR_CALLBACK = 8,     /* a callback returned a value that is not 0: ledge_error.value */
    LEDGE_ERROR_CANCELLED = 9,    /* by a ledge_canceller */
    LEDGE_ERROR_EMPTY_PROMPT = 10,
    LEDGE_ERROR_CONTEXT = 11,     /* the prompt does not fit: need and have, in tokens */
    LEDGE_ERROR_CACHE_FULL = 12,  /* the sessions together need more cache than there is: need and have, in pages of 64
                                     tokens; ledge_open_options.sequences makes it larger */
    LEDGE_ERROR_MEMORY = 13,      /* out of memory or of address space: need and have, in bytes, if they are known */
    LEDGE_ERROR_DEVICE = 14,      /* the device is not there, failed its self-test or broke */
    LEDGE_ERROR_FORKED = 15,      /* this process is a child made by fork */
    LEDGE_ERROR_INTERNAL = 16,    /* a fault in Ledge: please report it */
    /* Version 1 ends here. */
    LEDGE_ERROR_SENSOR = 17,      /* ledge_open: the machine has no sensor for a limit that was asked for */
    LEDGE_ERROR_BATTERY = 18      /* the battery is at its floor: ledge_open loads nothing; what was generated is
                                     there, and the session goes on when a charger is connected */
};

/* ledge_status_name names a result: "ok", "closed", ...; never NULL. Works after fork. */
const char *ledge_status_name(int status);

typedef struct ledge_error {
    size_t size;        /* sizeof(ledge_error) */
    int32_t code;       /* what the call returned */
    int32_t value;      /* what the callback returned */
    uint64_t need;      /* for LEDGE_ERROR_CONTEXT, _CACHE_FULL, _MEMORY and _BUFFER; else 0 */
    uint64_t have;
    char message[1024]; /* one line, "" after LEDGE_OK; cut off if it is longer */
} ledge_error;

#define LEDGE_ERROR_INIT { sizeof(ledge_error), 0, 0, 0, 0, { 0 } }

/* A length of text that says: up to its zero byte. */
#define LEDGE_TEXT ((size_t)-1)

/* ------------------------------------------------------------------ version */

typedef struct ledge_version {
    size_t size;
    uint32_t abi;         /* LEDGE_ABI_VERSION of the library */
    uint32_t modified;    /* 1 if the source was not that of the revision */
    char version[64];     /* of Ledge */
    char revision[64];    /* of the source, "" if unknown */
    char platform[64];    /* "linux/arm64" */
    char toolchain[64];   /* "go1.26" */
} ledge_version;

/* ledge_abi_version is LEDGE_ABI_VERSION of the library. Works after fork. */
uint32_t ledge_abi_version(void);

int ledge_get_version(ledge_version *version, ledge_error *error);

/* ------------------------------------------------------------------ cancelling */

/* A canceller ends long calls from another thread: those that were given it, now or
 * later, give LEDGE_ERROR_CANCELLED once it was cancelled. It serves any number of
 * calls and cannot be taken back: make a new one for the next call. It may be closed
 * while calls have it, which go on. */
typedef struct ledge_canceller ledge_canceller;

int ledge_canceller_new(ledge_canceller **canceller, ledge_error *error);
int ledge_canceller_cancel(ledge_canceller *canceller, ledge_error *error);
int ledge_canceller_close(ledge_canceller *canceller, ledge_error *error);

/* ------------------------------------------------------------------ opening a model */

typedef struct ledge_model ledge_model;

/* Told how many of the weights' bytes are loaded. Not 0 ends the loading. */
typedef int (*ledge_progress_callback)(uint64_t done, uint64_t total, void *user);

#define LEDGE_GPU_LAYERS_FIT (-1)
#define LEDGE_SHARED_WEIGHTS 1u /* flag: processes with the same model share its weights; needs pack_cache */

typedef struct ledge_open_options {
    size_t size;
    const char *device;     /* "vulkan0", "vulkan", "cpu"; NULL or "": the best that works */
    int32_t gpu_layers;     /* on a device that is not the processor; LEDGE_GPU_LAYERS_FIT: as many as fit */
    int32_t threads;        /* of the processor, at most 1,024; 0: one for each fast core */
    int32_t context;        /* tokens of a sequence; 0: 4,096, or what the model was trained for if less */
    int32_t sequences;      /* full contexts that the cache has room for, 1 to 16; 0: 1 */
    int32_t batch;          /* tokens run at once at most, up to 65,536; 0: 512 */
    uint32_t flags;
    const char *cache_type; /* of keys and values: "f16", "q8_0", "f32"; NULL or "": f16 */
    const char *pack_cache; /* folder to keep packed weights in for the next start, "" for the
                               program ledge's own; NULL: nothing is kept. If they cannot be,
                               ledge_model_notes tells, and with LEDGE_SHARED_WEIGHTS opening fails */
    const char *probe;      /* the program ledge, which tries drivers of GPUs in a process of its own;
                               NULL: what LEDGE_PROBE names */
    ledge_progress_callback progress; /* may be NULL */
    void *progress_user;
    ledge_canceller *canceller; /* ends the loading; may be NULL */
    /* Version 1 ends here. */

    /* Limits of the machine: the model waits between tokens and takes fewer threads, so as
     * to stay within them; what it generates is the same. 0: no limit. A limit without a
     * sensor is LEDGE_ERROR_SENSOR; ledge_model_notes tells when work is held back. */
    double max_watts;     /* mean power of the module, the processor's package or the card */
    double max_celsius;   /* of the hottest sensor */
    double battery_floor; /* percent: at it generations end with LEDGE_ERROR_BATTERY, unless a
                             charger is connected; from 5 above it on they slow down */
} ledge_open_options;

/* The init functions fill in the defaults. size is sizeof(the structure). They work
 * after fork. */
int ledge_open_options_init(ledge_open_options *options, size_t size);

/* ledge_open reads the GGUF file at path, picks a device and loads the weights; of a
 * model in several parts, path is the first. options may be NULL. Models may be opened
 * several times. The file must stay as it is while the model is open. */
int ledge_open(const char *path, const ledge_open_options *options, ledge_model **model, ledge_error *error);

/* ledge_model_close frees a model and closes its sessions. Generations in progress end
 * with LEDGE_ERROR_CLOSED. It returns when the device does no more work for it. */
int ledge_model_close(ledge_model *model, ledge_error *error);

typedef struct ledge_info {
    size_t size;
    int64_t parameters;
    int64_t file_bytes;
    int32_t layers;
    int32_t embedding;       /* values of an embedding */
    int32_t vocab;           /* tokens there are; logits of a token */
    int32_t train_context;   /* tokens of a sequence that the model was trained for */
    int32_t context;         /* tokens of a sequence that it is open for */
    int32_t sequences;
    int32_t has_template;    /* 1: the file has a chat template; else ChatML is used */
    int32_t reserved;
    double load_seconds;
    char name[128];          /* as the file says */
    char architecture[64];   /* "llama" */
    char cache_type[16];
    char device[64];         /* that it runs on now: "cpu", "vulkan0" */
    char numerics[128];      /* results are the same to the last bit within this class */
} ledge_info;

int ledge_model_info(ledge_model *model, ledge_info *info, ledge_error *error);

/* A line for the user: that the model moved to the processor because its device failed, ... */
typedef int (*ledge_text_callback)(const char *text, size_t length, void *user);

/* ledge_model_notes tells, once, what the user should know of how the model runs. */
int ledge_model_notes(ledge_model *model, ledge_text_callback callback, void *user, ledge_error *error);

/* ------------------------------------------------------------------ devices */

typedef struct ledge_device {
    size_t size;             /* what the library has filled in */
    const char *driver;      /* "cpu", "vulkan", ... */
    const char *name;        /* "cpu", "vulkan0"; "" if the driver found none: see reason */
    const char *description;
    const char *kind;        /* "cpu", "gpu", "npu" */
    const char *features;    /* separated by commas */
    const char *numerics;
    const char *note;        /* what the user should know */
    const char *reason;      /* why it was picked or not */
    uint64_t memory_total;   /* bytes, 0 if unknown */
    uint64_t memory_free;
    int32_t picked;
    int32_t varies;          /* 1: a token's last bits depend on what is computed beside it */
} ledge_device;

/* Not 0 ends the list. */
typedef int (*ledge_device_callback)(const ledge_device *device, void *user);

/* ledge_devices looks at what there is to compute on. Of the options, device, threads,
 * probe and canceller count; they may be NULL. The list is told also if no device can
 * be used, which is LEDGE_ERROR_DEVICE. */
int ledge_devices(const ledge_open_options *options, ledge_device_callback callback, void *user, ledge_error *error);

/* ledge_model_devices lists the devices that were found when the model was opened. */
int ledge_model_devices(ledge_model *model, ledge_device_callback callback, void *user, ledge_error *error);

/* ------------------------------------------------------------------ text and tokens */

#define LEDGE_ADD_SPECIAL 1u   /* tokenize: add what the model wants at the ends, such as a beginning-of-text token */
#define LEDGE_PARSE_SPECIAL 2u /* tokenize: read control tokens written in the text; detokenize: show them */

/* ledge_tokenize turns text into tokens. Any bytes are allowed. */
int ledge_tokenize(ledge_model *model, const char *text, size_t length, uint32_t flags,
                   int32_t *tokens, size_t capacity, size_t *count, ledge_error *error);

/* ledge_detokenize turns tokens into text, byte for byte: it is not UTF-8 where they
 * end inside a character. capacity counts the zero byte, *length does not. A token
 * outside the vocabulary (ledge_info.vocab) is LEDGE_ERROR_FAILED. */
int ledge_detokenize(ledge_model *model, const int32_t *tokens, size_t count, uint32_t flags,
                     char *text, size_t capacity, size_t *length, ledge_error *error);

/* ------------------------------------------------------------------ sessions */

/* A session is one conversation. What it has read and generated stays in the cache, so
 * that a prompt which goes on where the last one ended costs only what is new in it. */
typedef struct ledge_session ledge_session;

int ledge_session_new(ledge_model *model, ledge_session **session, ledge_error *error);

/* ledge_session_fork makes a second session that goes on from the same place. */
int ledge_session_fork(ledge_session *session, ledge_session **fork, ledge_error *error);

/* ledge_session_close ends a session; a generation in progress, on another thread or
 * around the callback that calls this, ends with LEDGE_ERROR_CLOSED. */
int ledge_session_close(ledge_session *session, ledge_error *error);

typedef struct ledge_token_logprob {
    int32_t id;
    float logprob;
} ledge_token_logprob;

typedef struct ledge_token {
    size_t size;      /* what the library has filled in */
    const char *text; /* what becomes visible with the token: whole characters, sometimes nothing */
    size_t length;
    const ledge_token_logprob *top; /* the likeliest tokens, best first, if logprobs asked for them */
    size_t top_count;
    int32_t id;
    float logprob;    /* natural logarithm of the probability, before sampling settings; with logprobs */
} ledge_token;

/* Told of every token. Not 0 ends the generation with LEDGE_ERROR_CALLBACK. */
typedef int (*ledge_token_callback)(const ledge_token *token, void *user);

typedef struct ledge_logit_bias {
    int32_t id;
    float bias; /* -INFINITY forbids the token */
} ledge_logit_bias;

#define LEDGE_SEED_RANDOM 0xFFFFFFFFu /* a seed chosen at random: ledge_usage.seed tells it */
#define LEDGE_SHOW_SPECIAL 1u /* flag: show control tokens in the text */
#define LEDGE_IGNORE_END 2u   /* flag: go on when the model would end */

typedef struct ledge_generate_options {
    size_t size;
    int32_t max_tokens;       /* 0: until the model ends or the context is full */
    uint32_t flags;
    double temperature;       /* 0.8; 0 always takes the most likely token that the others leave */
    double top_p;             /* 0.95; 1 is off */
    double min_p;             /* 0.05; 0 is off */
    double typical_p;         /* 1 is off */
    double repeat_penalty;    /* 1 is off */
    double frequency_penalty; /* 0 is off */
    double presence_penalty;  /* 0 is off */
    int32_t top_k;            /* 40; 0 is off */
    int32_t repeat_last_n;    /* 64 tokens that penalties look at; -1: all */
    uint64_t seed;            /* LEDGE_SEED_RANDOM; the same seed, prompt and settings give the same tokens */
    int32_t logprobs;         /* -1: none; n: every token's, and the n likeliest beside it, at most ledge_info.vocab */
    int32_t reserved;         /* 0 */
    const char *const *stop;  /* texts that end the generation, not shown; none is "" */
    size_t stop_count;
    const ledge_logit_bias *logit_bias;
    size_t logit_bias_count;
    const char *tools;        /* ledge_chat: a JSON array of functions in OpenAI's form; NULL: none */
    const char *template_vars; /* ledge_chat: a JSON object, variables of the template; NULL: none */
    ledge_canceller *canceller; /* may be NULL */
    /* Version 1 ends here. */
} ledge_generate_options;

int ledge_generate_options_init(ledge_generate_options *options, size_t size);

/* ledge_generate continues prompt, the whole text of the session so far. options and
 * callback may be NULL. After an error the session can be used again. */
int ledge_generate(ledge_session *session, const char *prompt, size_t length,
                   const ledge_generate_options *options, ledge_token_callback callback, void *user, ledge_error *error);

/* ledge_generate_tokens does so for a prompt given as tokens. */
int ledge_generate_tokens(ledge_session *session, const int32_t *tokens, size_t count,
                          const ledge_generate_options *options, ledge_token_callback callback, void *user, ledge_error *error);

/* ledge_chat answers a conversation, given in full, in the form of the model's chat
 * template. messages is a JSON array of OpenAI's messages:
 *   [{"role": "user", "content": "Hello!"}]
 * A message has a role, and the last one content, or calls of tools; that of a tool may have
 * neither. An empty array is LEDGE_ERROR_EMPTY_PROMPT. */
int ledge_chat(ledge_session *session, const char *messages, size_t length,
               const ledge_generate_options *options, ledge_token_callback callback, void *user, ledge_error *error);

/* ledge_chat_prompt gives the tokens that ledge_chat would have the model read. */
int ledge_chat_prompt(ledge_model *model, const char *messages, size_t length, const ledge_generate_options *options,
                      int32_t *tokens, size_t capacity, size_t *count, ledge_error *error);

typedef struct ledge_usage {
    size_t size;
    int32_t prompt_tokens;
    int32_t cached_tokens;    /* of the prompt, found in the cache */
    int32_t generated_tokens;
    int32_t reserved;
    double prompt_seconds;    /* reading what was not cached, to the first logits */
    double generate_seconds;  /* from the first token to the last */
    uint64_t seed;
    char reason[16];          /* why it ended: stop, length, context, limit, cancel, error; "" while it runs */
    /* Version 1 ends here. */
    double paused_seconds;    /* of both times, that limits of the machine held it up */
} ledge_usage;

/* ledge_session_usage gives the figures of the last generation, or the one in progress:
 * while that reads its prompt, prompt_tokens alone. */
int ledge_session_usage(ledge_session *session, ledge_usage *usage, ledge_error *error);

/* ledge_session_tokens gives the tokens in the session's cache. */
int ledge_session_tokens(ledge_session *session, int32_t *tokens, size_t capacity, size_t *count, ledge_error *error);

/* ------------------------------------------------------------------ numbers */

/* ledge_embed gives the embedding of a text: the last layer's row of its last token,
 * after the final norm, which is what the logits come from; ledge_info.embedding values,
 * not scaled: compare them by their cosine. Models trained for embeddings say what to
 * put before and after the text. canceller may be NULL. */
int ledge_embed(ledge_model *model, const char *text, size_t length, ledge_canceller *canceller,
                float *values, size_t capacity, size_t *count, ledge_error *error);

int ledge_embed_tokens(ledge_model *model, const int32_t *tokens, size_t token_count, ledge_canceller *canceller,
                       float *values, size_t capacity, size_t *count, ledge_error *error);

/* Told the logits of the token that comes after tokens[position]. Not 0 ends the run. */
typedef int (*ledge_logits_callback)(size_t position, const float *logits, size_t count, void *user);

/* ledge_logits runs tokens as one sequence, without a session. */
int ledge_logits(ledge_model *model, const int32_t *tokens, size_t count, ledge_canceller *canceller,
                 ledge_logits_callback callback, void *user, ledge_error *error);

/* ------------------------------------------------------------------ counters */

/* Power and energy may come from different sensors, and be of different things: divide
 * one by the other only if power_covers and energy_covers are the same. Of a model on a
 * card with memory of its own, energy is that of the card, never the processor's. */
typedef struct ledge_counters {
    size_t size;
    uint64_t cache_pages;      /* pages of 64 tokens */
    uint64_t free_pages;       /* not held by any session */
    int32_t device_counts;     /* 1: the device counts, and the next six say what it did since the model was opened */
    int32_t power_available;   /* 1: power_watts was measured now */
    uint64_t submissions;      /* handed to the device's queue */
    uint64_t dispatches;       /* kernels that were started */
    uint64_t read_backs;       /* copies from the device to the host */
    uint64_t read_back_bytes;
    uint64_t traffic_bytes;    /* moved by kernels from and to the device's memory */
    uint64_t streamed_bytes;   /* of those, what cannot be avoided */
    double power_watts;        /* of what power_source feeds: power_covers; 0 if not available */
    double energy_joules;      /* of what energy_covers says, since the model was opened; 0 if not available */
    int32_t energy_available;  /* 1: energy_joules was measured */
    int32_t reserved;
    char power_source[64];     /* the sensor, "" if not available */
    char energy_note[256];     /* where energy comes from, or "not available: " and what is missing; never a guess */
    /* Version 1 ends here. */
    char power_covers[16];     /* what power_watts is the power of: "module"; "" if not available */
    char energy_covers[16];    /* what energy_joules is the energy of: "module", "package" (of the processor), "card"
                                  (all of them, where a card computed) or "machine"; "" if not available */
} ledge_counters;

int ledge_model_counters(ledge_model *model, ledge_counters *counters, ledge_error *error);

#ifdef __cplusplus
}
#endif
#endif /* LEDGE_H */
