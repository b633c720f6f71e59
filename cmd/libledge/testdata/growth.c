// A program of another version of the interface than the library: built with ledge.h of
// version 1, or with one in which every structure has a field more (ADDED). It says what
// it got; the argument is a model.

#include "check.h"

// A structure in memory of its own, of exactly its size, with nonsense in it.
static void *fresh(size_t size) {
    void *p = malloc(size);
    memset(p, 0xAA, size);
    memcpy(p, &size, sizeof size);
    return p;
}

static ledge_error *failed(void) { return fresh(sizeof(ledge_error)); }

#define FILLED(type, call)                                        \
    do {                                                          \
        type *p = fresh(sizeof(type));                            \
        ledge_error *e = failed();                                \
        CHECK((call) == LEDGE_OK && p->size == sizeof(type));     \
        CHECK(e->size == sizeof *e && e->code == 0);              \
        SHOW(#type, p);                                           \
        free(e);                                                  \
        free(p);                                                  \
    } while (0)

#ifdef ADDED
#define SHOW(name, p) printf("%s: added %llu\n", name, (unsigned long long)(p)->added)
#else
#define SHOW(name, p) printf("%s\n", name)
#endif

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    ledge_model *model = NULL;
    ledge_session *session = NULL;
    FILLED(ledge_version, ledge_get_version(p, e));

    ledge_open_options *o = fresh(sizeof *o);
    CHECK(ledge_open_options_init(o, sizeof *o) == LEDGE_OK && o->size == sizeof *o && o->gpu_layers == LEDGE_GPU_LAYERS_FIT && o->canceller == NULL);
    SHOW("defaults", o);
    o->device = "cpu";
    o->sequences = 2;
    EXPECT(LEDGE_OK, ledge_open(argv[1], o, &model, &error));
    ledge_info i = {.size = sizeof i};
    EXPECT(LEDGE_OK, ledge_model_info(model, &i, &error));
    EXPECT(LEDGE_OK, ledge_session_new(model, &session, &error));

    ledge_generate_options *g = fresh(sizeof *g);
    CHECK(ledge_generate_options_init(g, sizeof *g) == LEDGE_OK && g->size == sizeof *g && g->top_k == 40 && g->logprobs == -1 && g->canceller == NULL);
    SHOW("defaults", g);
    g->max_tokens = 2;
    g->flags = LEDGE_IGNORE_END;
    EXPECT(LEDGE_OK, ledge_generate(session, "Once", LEDGE_TEXT, g, NULL, NULL, &error));
#ifdef ADDED
    o->added = g->added = 5;
    ledge_model *another = NULL;
    ledge_error *e = failed();
    printf("open: %s", ledge_status_name(ledge_open(argv[1], o, &another, e)));
    printf(" (%s)\n", e->message);
    printf("generate: %s", ledge_status_name(ledge_generate(session, "Once", LEDGE_TEXT, g, NULL, NULL, e)));
    printf(" (%s)\n", e->message);
    free(e);
#endif
    FILLED(ledge_info, ledge_model_info(model, p, e));
    FILLED(ledge_usage, ledge_session_usage(session, p, e));
    FILLED(ledge_counters, ledge_model_counters(model, p, e));

    // Sizes that no version has, and none of this one.
    size_t wrong[] = {0, 8, sizeof *o - 8, sizeof *o + 1, sizeof *o + 4, sizeof *o + 8192, (size_t)-1};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
#ifdef ADDED
        if (wrong[k] == sizeof *o - 8)
            continue; // that of an older one
#endif
        o->size = wrong[k];
        EXPECT(LEDGE_ERROR_SIZE, ledge_open(argv[1], o, &model, &error));
        CHECK(ledge_open_options_init(o, wrong[k]) == LEDGE_ERROR_SIZE);
    }
    free(o);
    free(g);
    EXPECT(LEDGE_OK, ledge_model_close(model, &error));
    return done();
}
