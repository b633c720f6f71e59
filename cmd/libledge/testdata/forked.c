// A child made by fork has none of the library's threads: each call gives an error, at
// once, and so does one that was under way; the parent goes on. The argument is a model.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static ledge_model *model;
static ledge_session *session;

static int none(const ledge_token *t, void *user) { (void)t, (void)user; return 0; }
static int no_device(const ledge_device *d, void *user) { (void)d, (void)user; return 0; }
static int no_line(const char *text, size_t n, void *user) { (void)text, (void)n, (void)user; return 0; }
static int no_logits(size_t p, const float *l, size_t n, void *user) { (void)p, (void)l, (void)n, (void)user; return 0; }

static void all_refuse(const char *path) {
    size_t n;
    int32_t t[4] = {1};
    float f[4];
    ledge_session *s = NULL;
    ledge_model *m = NULL;
    ledge_canceller *c = NULL;
    ledge_version v = {.size = sizeof v};
    ledge_info i = {.size = sizeof i};
    ledge_usage u = {.size = sizeof u};
    ledge_counters k = {.size = sizeof k};
#define FORKED(call) EXPECT(LEDGE_ERROR_FORKED, call)
    FORKED(ledge_get_version(&v, &error));
    FORKED(ledge_canceller_new(&c, &error));
    FORKED(ledge_canceller_cancel(c, &error));
    FORKED(ledge_canceller_close(c, &error));
    FORKED(ledge_open(path, NULL, &m, &error));
    FORKED(ledge_devices(NULL, no_device, NULL, &error));
    FORKED(ledge_model_info(model, &i, &error));
    FORKED(ledge_model_notes(model, no_line, NULL, &error));
    FORKED(ledge_model_devices(model, no_device, NULL, &error));
    FORKED(ledge_model_counters(model, &k, &error));
    FORKED(ledge_tokenize(model, "x", 1, 0, t, 4, &n, &error));
    FORKED(ledge_detokenize(model, t, 1, 0, NULL, 0, &n, &error));
    FORKED(ledge_chat_prompt(model, "[]", 2, NULL, t, 4, &n, &error));
    FORKED(ledge_embed(model, "x", 1, NULL, f, 4, &n, &error));
    FORKED(ledge_embed_tokens(model, t, 1, NULL, f, 4, &n, &error));
    FORKED(ledge_logits(model, t, 1, NULL, no_logits, NULL, &error));
    FORKED(ledge_session_new(model, &s, &error));
    FORKED(ledge_session_fork(session, &s, &error));
    FORKED(ledge_generate(session, "x", 1, NULL, none, NULL, &error));
    FORKED(ledge_generate_tokens(session, t, 1, NULL, none, NULL, &error));
    FORKED(ledge_chat(session, "[]", 2, NULL, none, NULL, &error));
    FORKED(ledge_session_usage(session, &u, &error));
    FORKED(ledge_session_tokens(session, t, 4, &n, &error));
    FORKED(ledge_session_close(session, &error));
    FORKED(ledge_model_close(model, &error));
    CHECK(ledge_generate(session, "x", 1, NULL, none, NULL, NULL) == LEDGE_ERROR_FORKED);
    CHECK(ledge_abi_version() == LEDGE_ABI_VERSION && strcmp(ledge_status_name(LEDGE_ERROR_FORKED), "forked") == 0);
    ledge_generate_options o;
    CHECK(ledge_generate_options_init(&o, sizeof o) == LEDGE_OK);
}

// fork_one has a child check, and waits until it has; it must not hang.
static void fork_one(const char *path) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(20); // ends a child that hangs
        all_refuse(path);
        fflush(stdout);
        _exit(faults != 0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int fork_inside(const ledge_token *t, void *user) {
    (void)t;
    fork_one(user);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    fork_one(argv[1]); // the library is loaded, and nothing called
    ledge_open_options open;
    CHECK(ledge_open_options_init(&open, sizeof open) == LEDGE_OK);
    open.device = "cpu";
    EXPECT(LEDGE_OK, ledge_open(argv[1], &open, &model, &error));
    EXPECT(LEDGE_OK, ledge_session_new(model, &session, &error));
    fork_one(argv[1]);
    ledge_generate_options o;
    CHECK(ledge_generate_options_init(&o, sizeof o) == LEDGE_OK);
    o.max_tokens = 3;
    o.flags = LEDGE_IGNORE_END;
    EXPECT(LEDGE_OK, ledge_generate(session, "a", LEDGE_TEXT, &o, fork_inside, argv[1], &error));
    EXPECT(LEDGE_OK, ledge_generate(session, "a", LEDGE_TEXT, &o, none, NULL, &error)); // the parent goes on
    EXPECT(LEDGE_OK, ledge_model_close(model, &error));
    return done();
}
