// Every function of ledge.h, used rightly and wrongly in every way that its
// description rules out; closing.c has what concerns handles. The argument is a model.

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static ledge_model *model;
static ledge_session *session;
static ledge_generate_options greedy;

#define STRAY ((void *)(uintptr_t)0xdeadbeef0) // no handle
#define ODD ((void *)(uintptr_t)1)             // nor this

static int count_tokens(const ledge_token *t, void *user) {
    CHECK(t->size == sizeof *t && t->text[t->length] == 0 && strlen(t->text) <= t->length);
    ++*(int *)user;
    return 0;
}

static int refuse(const ledge_token *t, void *user) { (void)t, (void)user; return 42; }

static void versions(void) {
    ledge_version v = {.size = sizeof v};
    EXPECT(LEDGE_OK, ledge_get_version(&v, &error));
    CHECK(v.abi == LEDGE_ABI_VERSION && ledge_abi_version() == LEDGE_ABI_VERSION);
    CHECK(v.version[0] != 0 && strncmp(v.platform, "linux/", 6) == 0 && strncmp(v.toolchain, "go", 2) == 0);
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_get_version(NULL, &error));
    v.size = 0;
    EXPECT(LEDGE_ERROR_SIZE, ledge_get_version(&v, &error));
    CHECK(ledge_get_version(&v, NULL) == LEDGE_ERROR_SIZE);
    for (int i = -1; i < 30; i++)
        CHECK((strcmp(ledge_status_name(i), "unknown") != 0) == (i >= 0 && i <= LEDGE_ERROR_BATTERY));
}

// A caller of another version has larger or smaller structures.
static void sizes(void) {
    struct { ledge_version v; char more[100]; } large;
    memset(&large, 0xAA, sizeof large);
    large.v.size = sizeof large;
    EXPECT(LEDGE_OK, ledge_get_version(&large.v, &error));
    CHECK(large.v.size == sizeof large && large.more[0] == 0 && large.more[99] == 0); // what is unknown is zero
    size_t wrong[] = {0, 1, 8, 16, sizeof(ledge_error) + 100000, (size_t)-1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char guard[sizeof(ledge_info) + sizeof(ledge_usage) + sizeof(ledge_counters)];
        memset(guard, 0x55, sizeof guard);
        memcpy(guard, &wrong[i], sizeof(size_t));
        EXPECT(LEDGE_ERROR_SIZE, ledge_model_info(model, (ledge_info *)guard, &error));
        EXPECT(LEDGE_ERROR_SIZE, ledge_session_usage(session, (ledge_usage *)guard, &error));
        EXPECT(LEDGE_ERROR_SIZE, ledge_model_counters(model, (ledge_counters *)guard, &error));
        size_t k = sizeof(size_t);
        while (k < sizeof guard && guard[k] == 0x55)
            k++;
        CHECK(k == sizeof guard);
        // The error itself: nothing is written to it.
        ledge_error e;
        memset(&e, 0x55, sizeof e);
        e.size = wrong[i];
        CHECK(ledge_model_info(model, NULL, &e) == LEDGE_ERROR_SIZE && e.code == 0x55555555);
    }
    struct { ledge_generate_options o; char more[8]; } next;
    CHECK(ledge_generate_options_init(&next.o, sizeof next) == LEDGE_OK);
    next.o.max_tokens = 1;
    EXPECT(LEDGE_OK, ledge_generate(session, "a", LEDGE_TEXT, &next.o, NULL, NULL, &error));
    next.more[7] = 1;
    EXPECT(LEDGE_ERROR_SIZE, ledge_generate(session, "a", LEDGE_TEXT, &next.o, NULL, NULL, &error));
    next.o.size = 0;
    EXPECT(LEDGE_ERROR_SIZE, ledge_generate(session, "a", LEDGE_TEXT, &next.o, NULL, NULL, &error));
    CHECK(ledge_generate_options_init(NULL, 8) == LEDGE_ERROR_ARGUMENT);
    CHECK(ledge_generate_options_init(&next.o, 8) == LEDGE_ERROR_SIZE);
    CHECK(ledge_open_options_init(NULL, 8) == LEDGE_ERROR_ARGUMENT);
    ledge_open_options o;
    CHECK(ledge_open_options_init(&o, 8) == LEDGE_ERROR_SIZE);
    CHECK(ledge_open_options_init(&o, sizeof o) == LEDGE_OK && o.size == sizeof o && o.gpu_layers == -1);
    o.size = 3;
    ledge_model *m;
    EXPECT(LEDGE_ERROR_SIZE, ledge_open("x", &o, &m, &error));
}

static int stop_loading(uint64_t done, uint64_t total, void *user) {
    CHECK(user == ODD && done <= total);
    return -7;
}

static int one_note(const char *text, size_t n, void *user) {
    CHECK(strlen(text) == n && strstr(text, "packed weights are not kept for the next start: ") == text);
    ++*(int *)user;
    return 0;
}

// A folder for packed weights that cannot be used is told of, or refused.
static void packing(const char *path) {
    char open_to_all[] = "/tmp/ledge-misuse-XXXXXX";
    CHECK(mkdtemp(open_to_all) != NULL && chmod(open_to_all, 0777) == 0);
    const char *folders[] = {"/proc/nope", path, open_to_all}; // the second is a file
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        ledge_model *m;
        ledge_open_options o;
        ledge_open_options_init(&o, sizeof o);
        o.device = "cpu";
        o.pack_cache = folders[i];
        int notes = 0;
        EXPECT(LEDGE_OK, ledge_open(path, &o, &m, &error));
        EXPECT(LEDGE_OK, ledge_model_notes(m, one_note, &notes, &error));
        EXPECT(LEDGE_OK, ledge_model_notes(m, one_note, &notes, &error)); // told once
        CHECK(notes == 1);
        EXPECT(LEDGE_OK, ledge_model_close(m, &error));
        o.flags = LEDGE_SHARED_WEIGHTS;
        SAYS(LEDGE_ERROR_FAILED, "the weights cannot be shared: ", ledge_open(path, &o, &m, &error));
    }
    rmdir(open_to_all);
}

static void opening(const char *path) {
    ledge_model *m = STRAY;
    ledge_open_options o;
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_open(NULL, NULL, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_open(path, NULL, NULL, &error));
    SAYS(LEDGE_ERROR_FAILED, "the path is empty: name a GGUF file", ledge_open("", NULL, &m, &error));
    EXPECT(LEDGE_ERROR_FAILED, ledge_open("/none/model.gguf", NULL, &m, &error));
    EXPECT(LEDGE_ERROR_FAILED, ledge_open("/dev/null", NULL, &m, &error));
    EXPECT(LEDGE_ERROR_FAILED, ledge_open("/", NULL, &m, &error));
#define WITH(code, field, value)                       \
    ledge_open_options_init(&o, sizeof o);             \
    o.device = "cpu";                                  \
    o.field = value;                                   \
    EXPECT(code, ledge_open(path, &o, &m, &error))
    WITH(LEDGE_ERROR_DEVICE, device, "abacus");
    WITH(LEDGE_ERROR_FAILED, threads, -1);
    WITH(LEDGE_ERROR_FAILED, context, 1 << 30);
    WITH(LEDGE_ERROR_FAILED, sequences, 17);
    WITH(LEDGE_ERROR_FAILED, batch, -5);
    WITH(LEDGE_ERROR_FAILED, threads, 1025);
    WITH(LEDGE_ERROR_FAILED, threads, INT32_MAX);
    WITH(LEDGE_ERROR_FAILED, batch, 65537);
    WITH(LEDGE_ERROR_FAILED, batch, INT32_MAX);
    SAYS(LEDGE_ERROR_FAILED, "batch is 2147483647: 0 is 512 tokens, 65536 are the most", ledge_open(path, &o, &m, &error));
    WITH(LEDGE_ERROR_ARGUMENT, gpu_layers, -2);
    WITH(LEDGE_ERROR_ARGUMENT, max_watts, -1);
    WITH(LEDGE_ERROR_ARGUMENT, max_celsius, 0.0 / 0.0);
    WITH(LEDGE_ERROR_FAILED, max_celsius, 5);
    WITH(LEDGE_ERROR_FAILED, battery_floor, 100);
    WITH(LEDGE_ERROR_FAILED, cache_type, "f17");
    SAYS(LEDGE_ERROR_FAILED, "cache_type is \"f17\": it must be f16, q8_0 or f32", ledge_open(path, &o, &m, &error));
    WITH(LEDGE_ERROR_FAILED, cache_type, "q4_1"); // what weights may have
    SAYS(LEDGE_ERROR_FAILED, "cache_type is \"q4_1\": it must be", ledge_open(path, &o, &m, &error));
    ledge_model *usual;
    ledge_open_options_init(&o, sizeof o);
    o.device = o.cache_type = "";
    EXPECT(LEDGE_OK, ledge_open(path, &o, &usual, &error));
    EXPECT(LEDGE_OK, ledge_model_close(usual, &error));
    WITH(LEDGE_ERROR_ARGUMENT, flags, 128);
    WITH(LEDGE_ERROR_ARGUMENT, flags, LEDGE_SHARED_WEIGHTS);
    WITH(LEDGE_ERROR_HANDLE, canceller, STRAY);
    WITH(LEDGE_ERROR_HANDLE, canceller, (ledge_canceller *)(void *)model);
    CHECK(m == STRAY); // a failed call leaves its results alone
    ledge_open_options_init(&o, sizeof o);
    o.device = "cpu";
    o.progress = stop_loading;
    o.progress_user = ODD;
    ledge_error e = LEDGE_ERROR_INIT;
    CHECK(ledge_open(path, &o, &m, &e) == LEDGE_ERROR_CALLBACK && e.value == -7);
    CHECK(strcmp(e.message, "the callback gave -7") == 0);
    ledge_canceller *c;
    EXPECT(LEDGE_OK, ledge_canceller_new(&c, &error));
    EXPECT(LEDGE_OK, ledge_canceller_cancel(c, &error));
    WITH(LEDGE_ERROR_CANCELLED, canceller, c);
    EXPECT(LEDGE_OK, ledge_canceller_close(c, &error));
    WITH(LEDGE_ERROR_CLOSED, canceller, c);
    EXPECT(LEDGE_ERROR_CLOSED, ledge_canceller_cancel(c, &error));
    EXPECT(LEDGE_ERROR_CLOSED, ledge_canceller_close(c, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_canceller_close(NULL, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_canceller_new(NULL, &error));
}

static int picked;

static int device(const ledge_device *d, void *user) {
    CHECK(d->size == sizeof *d && d->driver[0] != 0 && d->reason[0] != 0);
    if (d->picked) {
        picked++;
        CHECK(strcmp(d->name, "cpu") != 0 || (strcmp(d->kind, "cpu") == 0 && d->numerics[0] != 0));
    }
    return user == ODD ? 5 : 0;
}

static int line(const char *text, size_t n, void *user) { (void)user; CHECK(strlen(text) == n); return 0; }

static void describing(void) {
    ledge_info i = {.size = sizeof i};
    EXPECT(LEDGE_OK, ledge_model_info(model, &i, &error));
    CHECK(i.vocab > 0 && i.embedding > 0 && i.layers > 0 && i.parameters > 0 && i.file_bytes > 0 && i.load_seconds > 0);
    CHECK(strcmp(i.architecture, "llama") == 0 && strcmp(i.device, "cpu") == 0 && strcmp(i.cache_type, "f16") == 0);
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_model_info(model, NULL, &error));
    EXPECT(LEDGE_OK, ledge_model_notes(model, line, NULL, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_model_notes(model, NULL, NULL, &error));

    ledge_open_options o;
    ledge_open_options_init(&o, sizeof o);
    o.device = "cpu";
    picked = 0;
    EXPECT(LEDGE_OK, ledge_devices(&o, device, NULL, &error));
    CHECK(picked == 1);
    EXPECT(LEDGE_OK, ledge_model_devices(model, device, NULL, &error));
    CHECK(picked == 2);
    EXPECT(LEDGE_ERROR_CALLBACK, ledge_devices(&o, device, ODD, &error));
    EXPECT(LEDGE_ERROR_CALLBACK, ledge_model_devices(model, device, ODD, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_devices(&o, NULL, NULL, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_model_devices(model, NULL, NULL, &error));
    o.device = "abacus";
    EXPECT(LEDGE_ERROR_DEVICE, ledge_devices(&o, device, NULL, &error));
    o.device = "cpu";
    o.canceller = STRAY;
    EXPECT(LEDGE_ERROR_HANDLE, ledge_devices(&o, device, NULL, &error));

    ledge_counters c = {.size = sizeof c};
    EXPECT(LEDGE_OK, ledge_model_counters(model, &c, &error));
    CHECK(c.cache_pages > 0 && c.free_pages <= c.cache_pages && !c.device_counts); // the processor counts nothing
    if (c.energy_available) // this machine has a sensor
        CHECK(c.energy_joules > 0 && c.energy_note[0] != '\0');
    else
        CHECK(c.energy_joules == 0 && strncmp(c.energy_note, "not available: ", 15) == 0 && strchr(c.energy_note + 15, ':') != NULL);
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_model_counters(model, NULL, &error));
}

static void tokens(void) {
    int32_t t[64];
    size_t n = 77, m = 77;
    const char *text = "The story so far";
    EXPECT(LEDGE_OK, ledge_tokenize(model, text, LEDGE_TEXT, 0, NULL, 0, &n, &error));
    CHECK(n > 1 && n < 64);
    EXPECT(LEDGE_OK, ledge_tokenize(model, text, strlen(text), 0, t, n, &m, &error));
    CHECK(m == n);
    ledge_error e = LEDGE_ERROR_INIT;
    t[n - 1] = -123;
    CHECK(ledge_tokenize(model, text, LEDGE_TEXT, 0, t, n - 1, &m, &e) == LEDGE_ERROR_BUFFER && m == n && e.need == n && e.have == n - 1);
    CHECK(t[n - 1] == -123);
    EXPECT(LEDGE_OK, ledge_tokenize(model, text, LEDGE_TEXT, 0, t, (size_t)-1, &m, &error)); // all the room there is
    EXPECT(LEDGE_OK, ledge_tokenize(model, NULL, 0, 0, t, 64, &m, &error));
    CHECK(m == 0);
    EXPECT(LEDGE_OK, ledge_tokenize(model, ODD, 0, 0, t, 64, &m, &error));
    EXPECT(LEDGE_OK, ledge_tokenize(model, "\0\xff", 2, LEDGE_ADD_SPECIAL | LEDGE_PARSE_SPECIAL, t, 64, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_tokenize(model, NULL, 5, 0, t, 64, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_tokenize(model, NULL, LEDGE_TEXT, 0, t, 64, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_tokenize(model, text, (size_t)-2, 0, t, 64, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_tokenize(model, text, 3, 4, t, 64, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_tokenize(model, text, 3, 0, NULL, 64, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_tokenize(model, text, 3, 0, t, 64, NULL, &error));

    char back[64];
    EXPECT(LEDGE_OK, ledge_tokenize(model, text, LEDGE_TEXT, 0, t, 64, &n, &error));
    EXPECT(LEDGE_OK, ledge_detokenize(model, t, n, 0, NULL, 0, &m, &error));
    CHECK(m == strlen(text));
    EXPECT(LEDGE_OK, ledge_detokenize(model, t, n, 0, back, m + 1, &m, &error));
    CHECK(strcmp(back, text) == 0);
    EXPECT(LEDGE_ERROR_BUFFER, ledge_detokenize(model, t, n, 0, back, m, &m, &error)); // no room for the zero byte
    int32_t none[] = {-1, 1 << 30, INT32_MIN};
    for (int i = 0; i < 3; i++) {
        t[1] = none[i];
        SAYS(LEDGE_ERROR_FAILED, "token 1 is ", ledge_detokenize(model, t, 2, 0, back, sizeof back, &m, &error));
        SAYS(LEDGE_ERROR_FAILED, ", outside the vocabulary of ", ledge_detokenize(model, t, 2, 0, NULL, 0, &m, &error));
    }
    CHECK(strcmp(back, text) == 0); // a failed call leaves its results alone
    ledge_info i = {.size = sizeof i};
    EXPECT(LEDGE_OK, ledge_model_info(model, &i, &error));
    EXPECT(LEDGE_ERROR_FAILED, ledge_detokenize(model, &i.vocab, 1, 0, back, sizeof back, &m, &error));
    i.vocab--;
    EXPECT(LEDGE_OK, ledge_detokenize(model, &i.vocab, 1, 0, back, sizeof back, &m, &error));
    EXPECT(LEDGE_OK, ledge_detokenize(model, NULL, 0, LEDGE_PARSE_SPECIAL, back, sizeof back, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_detokenize(model, NULL, 2, 0, back, sizeof back, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_detokenize(model, t, (size_t)-1, 0, back, sizeof back, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_detokenize(model, t, n, 9, back, sizeof back, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_detokenize(model, t, n, 0, NULL, 3, &m, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_detokenize(model, t, n, 0, back, sizeof back, NULL, &error));
}

static void generating(void) {
    int n = 0;
    EXPECT(LEDGE_OK, ledge_generate(session, "Once", LEDGE_TEXT, &greedy, count_tokens, &n, &error));
    CHECK(n == greedy.max_tokens);
    ledge_usage u = {.size = sizeof u};
    EXPECT(LEDGE_OK, ledge_session_usage(session, &u, &error));
    CHECK(u.generated_tokens == n && u.prompt_tokens > 0 && strcmp(u.reason, "length") == 0);
    EXPECT(LEDGE_OK, ledge_generate(session, "Once", LEDGE_TEXT, &greedy, NULL, NULL, &error)); // nobody listens
    EXPECT(LEDGE_OK, ledge_session_usage(session, &u, &error));
    CHECK(u.generated_tokens == n && u.cached_tokens > 0);
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_session_usage(session, NULL, &error));

    ledge_error e = LEDGE_ERROR_INIT;
    CHECK(ledge_generate(session, "Once", LEDGE_TEXT, &greedy, refuse, NULL, &e) == LEDGE_ERROR_CALLBACK && e.value == 42);
    EXPECT(LEDGE_OK, ledge_session_usage(session, &u, &error));
    CHECK(u.generated_tokens == 1 && strcmp(u.reason, "cancel") == 0);
    int32_t t[64];
    size_t count;
    EXPECT(LEDGE_OK, ledge_session_tokens(session, t, 64, &count, &error));
    CHECK(count >= (size_t)u.prompt_tokens);
    EXPECT(LEDGE_ERROR_BUFFER, ledge_session_tokens(session, t, 1, &count, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_session_tokens(session, t, 64, NULL, &error));

    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_generate(session, NULL, LEDGE_TEXT, &greedy, NULL, NULL, &error));
    EXPECT(LEDGE_ERROR_EMPTY_PROMPT, ledge_generate_tokens(session, NULL, 0, &greedy, NULL, NULL, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_generate_tokens(session, NULL, 5, &greedy, NULL, NULL, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_generate_tokens(session, t, (size_t)-1, &greedy, NULL, NULL, &error));
    int32_t outside[] = {1, 1 << 30}, negative[] = {-5};
    EXPECT(LEDGE_ERROR_FAILED, ledge_generate_tokens(session, outside, 2, &greedy, NULL, NULL, &error));
    EXPECT(LEDGE_ERROR_FAILED, ledge_generate_tokens(session, negative, 1, &greedy, NULL, NULL, &error));
    int32_t *much = calloc(100000, sizeof *much);
    e = (ledge_error)LEDGE_ERROR_INIT;
    CHECK(ledge_generate_tokens(session, much, 100000, &greedy, NULL, NULL, &e) == LEDGE_ERROR_CONTEXT && e.need == 100000 && e.have > 0 && e.have < e.need);
    free(much);

    const char *messages = "[{\"role\":\"user\",\"content\":\"Hi!\"}]";
    n = 0;
    EXPECT(LEDGE_OK, ledge_chat(session, messages, LEDGE_TEXT, &greedy, count_tokens, &n, &error));
    CHECK(n == greedy.max_tokens);
    EXPECT(LEDGE_OK, ledge_chat_prompt(model, messages, LEDGE_TEXT, NULL, NULL, 0, &count, &error));
    CHECK(count > 0);
    const char *wrong[] = {"", "{", "{}", "[1]", "[{\"role\":1}]", "nonsense", "[{\"content\":{}}]", "null", "[null]", "[[]]",
                           "[{\"content\":\"Hi!\"}]", "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]",
                           "[{\"role\":\"user\",\"content\":null}]", "[{\"role\":\"user\"}]"};
    const char *right[] = {"[{\"role\":\"user\",\"content\":\"\"}]", "[{\"role\":\"tool\"}]", "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hi!\"}]}]",
                           "[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":"
                           "{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"2\"}]"};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        EXPECT(LEDGE_OK, ledge_chat_prompt(model, right[i], LEDGE_TEXT, NULL, NULL, 0, &count, &error));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        EXPECT(LEDGE_ERROR_ARGUMENT, ledge_chat(session, wrong[i], LEDGE_TEXT, &greedy, NULL, NULL, &error));
        EXPECT(LEDGE_ERROR_ARGUMENT, ledge_chat_prompt(model, wrong[i], LEDGE_TEXT, NULL, NULL, 0, &count, &error));
    }
    EXPECT(LEDGE_ERROR_EMPTY_PROMPT, ledge_chat(session, "[]", LEDGE_TEXT, &greedy, NULL, NULL, &error));
    EXPECT(LEDGE_ERROR_EMPTY_PROMPT, ledge_chat_prompt(model, "[]", LEDGE_TEXT, NULL, NULL, 0, &count, &error));
#define USER "{\"role\":\"user\",\"content\":\"Hi!\"}"
    const char *told[][2] = {
        {"", "messages: no JSON: unexpected end of JSON input, at byte 0"},
        {"{}", "messages: it is an object, and must be an array"},
        {"null", "messages: it is null, and must be an array"},
        {"[" USER ",1]", "messages[1]: it is a number, and must be an object"},
        {"[" USER ",{\"role\":1}]", "messages[1]: role is a number, and must be a string"},
        {"[" USER ",{\"role\":\"user\",\"content\":{}}]", "messages[1]: content is an object, and must be a string or an array of text parts"},
        {"[" USER ",{\"content\":\"Hi!\"}]", "messages[1]: there is no role: "},
        {"[" USER ",{\"role\":\"assistant\"}]", "messages[1]: there is no content, nor a call of a tool"},
    };
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        SAYS(LEDGE_ERROR_ARGUMENT, told[i][1], ledge_chat(session, told[i][0], LEDGE_TEXT, &greedy, NULL, NULL, &error));
    }

#define GENERATE_WITH(code, field, value)                                                                   \
    do {                                                                                                    \
        ledge_generate_options o = greedy;                                                                  \
        o.field = value;                                                                                    \
        EXPECT(code, ledge_chat(session, messages, LEDGE_TEXT, &o, NULL, NULL, &error));                    \
    } while (0)
    GENERATE_WITH(LEDGE_ERROR_FAILED, temperature, -1);
    GENERATE_WITH(LEDGE_ERROR_FAILED, temperature, NAN);
    GENERATE_WITH(LEDGE_ERROR_FAILED, top_p, 2);
    GENERATE_WITH(LEDGE_ERROR_FAILED, min_p, -0.5);
    GENERATE_WITH(LEDGE_ERROR_FAILED, typical_p, INFINITY);
    GENERATE_WITH(LEDGE_ERROR_FAILED, repeat_penalty, 0);
    GENERATE_WITH(LEDGE_ERROR_FAILED, repeat_last_n, -2);
    GENERATE_WITH(LEDGE_ERROR_ARGUMENT, max_tokens, -1);
    GENERATE_WITH(LEDGE_ERROR_ARGUMENT, top_k, -1);
    GENERATE_WITH(LEDGE_ERROR_ARGUMENT, logprobs, -2);
    GENERATE_WITH(LEDGE_ERROR_ARGUMENT, logprobs, 2000000000);
    GENERATE_WITH(LEDGE_OK, logprobs, 3);
    GENERATE_WITH(LEDGE_OK, top_k, INT32_MAX);
    GENERATE_WITH(LEDGE_ERROR_ARGUMENT, flags, 1u << 31);
    GENERATE_WITH(LEDGE_ERROR_ARGUMENT, reserved, 1);
    GENERATE_WITH(LEDGE_ERROR_ARGUMENT, stop_count, 1);
    GENERATE_WITH(LEDGE_ERROR_ARGUMENT, logit_bias_count, 1);
    GENERATE_WITH(LEDGE_ERROR_ARGUMENT, stop_count, (size_t)-1);
    GENERATE_WITH(LEDGE_ERROR_ARGUMENT, tools, "{}");
    GENERATE_WITH(LEDGE_ERROR_ARGUMENT, template_vars, "[]");
    GENERATE_WITH(LEDGE_ERROR_HANDLE, canceller, STRAY);
    GENERATE_WITH(LEDGE_ERROR_HANDLE, canceller, ODD);
    const char *stops[] = {"x", NULL};
    ledge_generate_options o = greedy;
    o.stop = stops;
    o.stop_count = 2;
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_chat(session, messages, LEDGE_TEXT, &o, NULL, NULL, &error));
    stops[1] = "";
    SAYS(LEDGE_ERROR_ARGUMENT, "stop[1] is empty", ledge_chat(session, messages, LEDGE_TEXT, &o, NULL, NULL, &error));
    o = greedy;
    o.tools = "{}";
    SAYS(LEDGE_ERROR_ARGUMENT, "tools: it is an object, and must be an array", ledge_chat(session, messages, LEDGE_TEXT, &o, NULL, NULL, &error));
    o.tools = NULL;
    o.template_vars = "[1]";
    SAYS(LEDGE_ERROR_ARGUMENT, "template_vars: it is an array, and must be an object", ledge_chat(session, messages, LEDGE_TEXT, &o, NULL, NULL, &error));
    o.template_vars = "{\"x\":1e999}";
    SAYS(LEDGE_ERROR_ARGUMENT, "template_vars: it is a number, and must be one that a double holds", ledge_chat(session, messages, LEDGE_TEXT, &o, NULL, NULL, &error));
    ledge_logit_bias bias[] = {{1 << 30, 1}};
    o = greedy;
    o.logit_bias = bias;
    o.logit_bias_count = 1;
    EXPECT(LEDGE_ERROR_FAILED, ledge_chat(session, messages, LEDGE_TEXT, &o, NULL, NULL, &error));
}

static int floats(size_t position, const float *logits, size_t count, void *user) {
    ledge_info i = {.size = sizeof i};
    EXPECT(LEDGE_OK, ledge_model_info(model, &i, &error)); // from inside a callback
    CHECK(count == (size_t)i.vocab && isfinite(logits[0]) && position < 4);
    ++*(int *)user;
    return position == 3 ? 9 : 0;
}

static void numbers(void) {
    size_t n = 0;
    EXPECT(LEDGE_OK, ledge_embed(model, "a text", LEDGE_TEXT, NULL, NULL, 0, &n, &error));
    float *v = malloc(n * sizeof *v);
    EXPECT(LEDGE_OK, ledge_embed(model, "a text", LEDGE_TEXT, NULL, v, n, &n, &error));
    CHECK(n > 0 && isfinite(v[0]) && isfinite(v[n - 1]));
    EXPECT(LEDGE_ERROR_BUFFER, ledge_embed(model, "a text", LEDGE_TEXT, NULL, v, n - 1, &n, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_embed(model, NULL, LEDGE_TEXT, NULL, v, n, &n, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_embed(model, "a", 1, NULL, v, n, NULL, &error));
    EXPECT(LEDGE_ERROR_HANDLE, ledge_embed(model, "a", 1, STRAY, v, n, &n, &error));
    int32_t t[] = {5, 6, 7, 8}, outside[] = {-1};
    EXPECT(LEDGE_OK, ledge_embed_tokens(model, t, 4, NULL, v, n, &n, &error));
    EXPECT(LEDGE_ERROR_EMPTY_PROMPT, ledge_embed_tokens(model, NULL, 0, NULL, v, n, &n, &error));
    EXPECT(LEDGE_ERROR_FAILED, ledge_embed_tokens(model, outside, 1, NULL, v, n, &n, &error));
    free(v);
    int rows = 0;
    static float few[1 << 16];
    EXPECT(LEDGE_OK, ledge_logits(model, t, 3, NULL, floats, &rows, &error));
    CHECK(rows == 3);
    EXPECT(LEDGE_ERROR_CALLBACK, ledge_logits(model, t, 4, NULL, floats, &rows, &error));
    EXPECT(LEDGE_ERROR_EMPTY_PROMPT, ledge_logits(model, t, 0, NULL, floats, &rows, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_logits(model, NULL, 3, NULL, floats, &rows, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_logits(model, t, 3, NULL, NULL, &rows, &error));
    EXPECT(LEDGE_ERROR_FAILED, ledge_logits(model, outside, 1, NULL, floats, &rows, &error));
    ledge_canceller *c;
    EXPECT(LEDGE_OK, ledge_canceller_new(&c, &error));
    EXPECT(LEDGE_OK, ledge_canceller_cancel(c, &error));
    EXPECT(LEDGE_ERROR_CANCELLED, ledge_logits(model, t, 3, c, floats, &rows, &error));
    EXPECT(LEDGE_ERROR_CANCELLED, ledge_embed_tokens(model, t, 3, c, few, sizeof few / sizeof *few, &n, &error));
    EXPECT(LEDGE_OK, ledge_canceller_close(c, &error));
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    versions();
    ledge_open_options o;
    CHECK(ledge_open_options_init(&o, sizeof o) == LEDGE_OK);
    o.device = "cpu"; // drivers of others are not what is tested
    EXPECT(LEDGE_OK, ledge_open(argv[1], &o, &model, &error));
    EXPECT(LEDGE_ERROR_ARGUMENT, ledge_session_new(model, NULL, &error));
    EXPECT(LEDGE_OK, ledge_session_new(model, &session, &error));
    CHECK(ledge_generate_options_init(&greedy, sizeof greedy) == LEDGE_OK);
    greedy.temperature = 0;
    greedy.max_tokens = 5;
    greedy.flags = LEDGE_IGNORE_END;

    sizes();
    opening(argv[1]);
    packing(argv[1]);
    describing();
    tokens();
    generating();
    numbers();
    EXPECT(LEDGE_OK, ledge_model_close(model, &error));
    return done();
}
