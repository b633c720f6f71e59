// What happens to handles that are none, are closed, or are closed and cancelled while
// they are in use. The argument is a model.

#include <pthread.h>
#include <unistd.h>

#include "check.h"

static ledge_model *model;
static ledge_session *session;
static ledge_generate_options greedy;

#define NOTHING ((void *)0)
#define STRAY ((void *)(uintptr_t)0xdeadbeef0) // no handle
#define ODD ((void *)(uintptr_t)1)             // nor this

static int count_tokens(const ledge_token *t, void *user) { (void)t; ++*(int *)user; return 0; }
static int device(const ledge_device *d, void *user) { (void)d, (void)user; return 0; }
static int line(const char *text, size_t n, void *user) { (void)text, (void)n, (void)user; return 0; }
static int floats(size_t p, const float *l, size_t n, void *user) { (void)p, (void)l, (void)n, (void)user; return 0; }

// Another thread cancels and closes what this one waits for.
struct other { ledge_canceller *c; ledge_session *s; int seen; };

static int second_use(const ledge_token *t, void *user) {
    struct other *o = user;
    (void)t;
    if (o->seen++ > 0)
        return 0;
    EXPECT(LEDGE_ERROR_BUSY, ledge_generate(o->s, "x", 1, NULL, NULL, NULL, &error));
    ledge_session *f;
    EXPECT(LEDGE_ERROR_BUSY, ledge_session_fork(o->s, &f, &error));
    size_t n;
    EXPECT(LEDGE_ERROR_BUSY, ledge_session_tokens(o->s, NULL, 0, &n, &error));
    return 0;
}

static int cancel_then(const ledge_token *t, void *user) {
    struct other *o = user;
    (void)t;
    if (o->seen++ == 2)
        EXPECT(LEDGE_OK, ledge_canceller_cancel(o->c, &error));
    return 0;
}

static int close_session(const ledge_token *t, void *user) {
    struct other *o = user;
    (void)t;
    if (o->seen++ == 2)
        EXPECT(LEDGE_OK, ledge_session_close(o->s, &error));
    return 0;
}

static void *cancel_soon(void *arg) {
    struct other *o = arg;
    usleep(20000);
    EXPECT(LEDGE_OK, ledge_canceller_cancel(o->c, &error));
    return NULL;
}

static void cancelling(void) {
    struct other o = {0};
    ledge_generate_options endless = greedy;
    endless.max_tokens = 0;
    endless.flags = LEDGE_IGNORE_END;
    EXPECT(LEDGE_OK, ledge_session_new(model, &o.s, &error));
    EXPECT(LEDGE_OK, ledge_generate(o.s, "Go", LEDGE_TEXT, &greedy, second_use, &o, &error));
    EXPECT(LEDGE_OK, ledge_canceller_new(&o.c, &error));
    endless.canceller = o.c;
    o.seen = 0;
    EXPECT(LEDGE_ERROR_CANCELLED, ledge_generate(o.s, "Go on", LEDGE_TEXT, &endless, cancel_then, &o, &error));
    CHECK(o.seen >= 3 && o.seen <= 4);
    EXPECT(LEDGE_ERROR_CANCELLED, ledge_generate(o.s, "Go on", LEDGE_TEXT, &endless, NULL, NULL, &error)); // it stays cancelled
    EXPECT(LEDGE_OK, ledge_canceller_close(o.c, &error));
    EXPECT(LEDGE_ERROR_CLOSED, ledge_generate(o.s, "Go on", LEDGE_TEXT, &endless, NULL, NULL, &error));
    EXPECT(LEDGE_OK, ledge_canceller_new(&o.c, &error));
    endless.canceller = o.c;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cancel_soon, &o) == 0);
    int status = LEDGE_OK; // the context may be full before: then again
    while (status == LEDGE_OK)
        status = ledge_generate(o.s, "Go on", LEDGE_TEXT, &endless, NULL, NULL, NULL);
    CHECK(status == LEDGE_ERROR_CANCELLED);
    CHECK(pthread_join(thread, NULL) == 0);
    EXPECT(LEDGE_OK, ledge_canceller_close(o.c, &error));
    endless.canceller = NULL;
    o.seen = 0;
    EXPECT(LEDGE_ERROR_CLOSED, ledge_generate(o.s, "Go on", LEDGE_TEXT, &endless, close_session, &o, &error));
    CHECK(o.seen >= 3 && o.seen <= 4);
    EXPECT(LEDGE_ERROR_CLOSED, ledge_session_close(o.s, &error));
}

// Every function on a handle that is none, of another kind, or closed.
static void handles(void *m, void *s, int on_model, int on_session) {
    size_t n;
    int32_t t[4] = {1};
    float f[4];
    ledge_session *out;
    ledge_info i = {.size = sizeof i};
    ledge_usage u = {.size = sizeof u};
    ledge_counters c = {.size = sizeof c};
    int seen = 0;
    EXPECT(on_model, ledge_model_info(m, &i, &error));
    EXPECT(on_model, ledge_model_notes(m, line, NULL, &error));
    EXPECT(on_model, ledge_model_devices(m, device, NULL, &error));
    EXPECT(on_model, ledge_model_counters(m, &c, &error));
    EXPECT(on_model, ledge_tokenize(m, "x", 1, 0, t, 4, &n, &error));
    EXPECT(on_model, ledge_detokenize(m, t, 1, 0, NULL, 0, &n, &error));
    EXPECT(on_model, ledge_chat_prompt(m, "[]", 2, NULL, t, 4, &n, &error));
    EXPECT(on_model, ledge_embed(m, "x", 1, NULL, f, 4, &n, &error));
    EXPECT(on_model, ledge_embed_tokens(m, t, 1, NULL, f, 4, &n, &error));
    EXPECT(on_model, ledge_logits(m, t, 1, NULL, floats, &seen, &error));
    EXPECT(on_model, ledge_session_new(m, &out, &error));
    EXPECT(on_model, ledge_model_close(m, &error));
    EXPECT(on_session, ledge_session_fork(s, &out, &error));
    EXPECT(on_session, ledge_generate(s, "x", 1, NULL, NULL, NULL, &error));
    EXPECT(on_session, ledge_generate_tokens(s, t, 1, NULL, NULL, NULL, &error));
    EXPECT(on_session, ledge_chat(s, "[]", 2, NULL, NULL, NULL, &error));
    EXPECT(on_session, ledge_session_usage(s, &u, &error));
    EXPECT(on_session, ledge_session_tokens(s, t, 4, &n, &error));
    EXPECT(on_session, ledge_session_close(s, &error));
}

static int close_model(const ledge_token *t, void *user) {
    (void)t;
    if (++*(int *)user == 3)
        EXPECT(LEDGE_OK, ledge_model_close(model, &error));
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    ledge_open_options o;
    CHECK(ledge_open_options_init(&o, sizeof o) == LEDGE_OK);
    o.device = "cpu"; // drivers of others are not what is tested
    o.sequences = 4;
    EXPECT(LEDGE_OK, ledge_open(argv[1], &o, &model, &error));
    EXPECT(LEDGE_OK, ledge_session_new(model, &session, &error));
    CHECK(ledge_generate_options_init(&greedy, sizeof greedy) == LEDGE_OK);
    greedy.temperature = 0;
    greedy.max_tokens = 5;
    greedy.flags = LEDGE_IGNORE_END;

    cancelling();

    handles(NOTHING, NOTHING, LEDGE_ERROR_ARGUMENT, LEDGE_ERROR_ARGUMENT);
    handles(STRAY, STRAY, LEDGE_ERROR_HANDLE, LEDGE_ERROR_HANDLE);
    handles(ODD, ODD, LEDGE_ERROR_HANDLE, LEDGE_ERROR_HANDLE);
    handles((void *)-1, (void *)-1, LEDGE_ERROR_HANDLE, LEDGE_ERROR_HANDLE);
    handles(session, model, LEDGE_ERROR_HANDLE, LEDGE_ERROR_HANDLE); // confused, and unharmed by it
    int n = 0;
    EXPECT(LEDGE_OK, ledge_generate(session, "Once", LEDGE_TEXT, &greedy, count_tokens, &n, &error));
    ledge_session *fork, *idle;
    EXPECT(LEDGE_OK, ledge_session_fork(session, &fork, &error));
    EXPECT(LEDGE_OK, ledge_session_new(model, &idle, &error));
    EXPECT(LEDGE_OK, ledge_session_close(idle, &error));
    EXPECT(LEDGE_ERROR_CLOSED, ledge_session_close(idle, &error));

    // The model is closed around its own generation; its sessions go with it.
    greedy.max_tokens = 0;
    n = 0;
    EXPECT(LEDGE_ERROR_CLOSED, ledge_generate(session, "Once", LEDGE_TEXT, &greedy, close_model, &n, &error));
    handles(model, session, LEDGE_ERROR_CLOSED, LEDGE_ERROR_CLOSED);
    EXPECT(LEDGE_ERROR_CLOSED, ledge_session_close(fork, &error));
    return done();
}
