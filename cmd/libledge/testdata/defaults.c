// Options as the init function gives them are what NULL stands for. The argument is a
// model.

#include "check.h"

struct text { int32_t ids[24]; int n; };

static int collect(const ledge_token *t, void *user) {
    struct text *x = user;
    if (x->n < 24)
        x->ids[x->n++] = t->id;
    return x->n == 24;
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    ledge_model *model = NULL;
    ledge_session *session = NULL;
    ledge_open_options open;
    CHECK(ledge_open_options_init(&open, sizeof open) == LEDGE_OK);
    open.device = "cpu";
    EXPECT(LEDGE_OK, ledge_open(argv[1], &open, &model, &error));
    EXPECT(LEDGE_OK, ledge_session_new(model, &session, &error));
    int different = 0, alike = 0;
    struct text first = {0};
    for (int i = 0; i < 8; i++) { // with NULL the seed is chosen anew each time: give it again, with the defaults
        struct text drawn = {0}, again = {0};
        ledge_generate(session, "Once upon a time", LEDGE_TEXT, NULL, collect, &drawn, NULL);
        ledge_usage usage = {.size = sizeof usage};
        EXPECT(LEDGE_OK, ledge_session_usage(session, &usage, &error));
        ledge_generate_options o;
        CHECK(ledge_generate_options_init(&o, sizeof o) == LEDGE_OK && o.seed == LEDGE_SEED_RANDOM);
        o.seed = usage.seed;
        struct text other = {0};
        ledge_generate_options any;
        CHECK(ledge_generate_options_init(&any, sizeof any) == LEDGE_OK);
        ledge_generate(session, "Once upon a time", LEDGE_TEXT, &any, collect, &other, NULL);
        EXPECT(LEDGE_OK, ledge_session_usage(session, &usage, &error));
        CHECK(usage.seed != o.seed && usage.seed != LEDGE_SEED_RANDOM);
        ledge_generate(session, "Once upon a time", LEDGE_TEXT, &o, collect, &again, NULL);
        alike += memcmp(&drawn, &again, sizeof drawn) == 0;
        if (i == 0)
            first = drawn;
        else
            different += memcmp(&drawn, &first, sizeof drawn) != 0;
    }
    CHECK(alike == 8);
    CHECK(different > 0);
    EXPECT(LEDGE_OK, ledge_model_close(model, &error));
    return done();
}
