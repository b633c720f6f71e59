// How long a token takes through the library: for each round, nanoseconds a token.
//   stream MODEL TOKENS ROUNDS

#include <time.h>

#include "check.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static int count(const ledge_token *t, void *user) {
    *(size_t *)user += 1 + 0 * t->length;
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    ledge_open_options o;
    ledge_open_options_init(&o, sizeof o);
    o.device = "cpu";
    o.threads = 1;
    o.context = 128;
    ledge_model *model = NULL;
    ledge_session *session = NULL;
    EXPECT(LEDGE_OK, ledge_open(argv[1], &o, &model, &error));
    EXPECT(LEDGE_OK, ledge_session_new(model, &session, &error));
    ledge_generate_options g;
    ledge_generate_options_init(&g, sizeof g);
    g.temperature = 0;
    g.max_tokens = atoi(argv[2]);
    g.flags = LEDGE_IGNORE_END;
    for (int i = 0; i < atoi(argv[3]) && faults == 0; i++) {
        size_t n = 0;
        double start = now();
        EXPECT(LEDGE_OK, ledge_generate(session, "Once upon a time", LEDGE_TEXT, &g, count, &n, &error));
        double took = now() - start;
        CHECK(n == (size_t)g.max_tokens);
        printf("%.0f\n", took / n);
    }
    EXPECT(LEDGE_OK, ledge_model_close(model, &error));
    return faults != 0;
}
