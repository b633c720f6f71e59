// Threads open, generate, cancel and close, also what others use at the moment. Nothing
// may crash or hang, every call gives one of the results that ledge.h allows, and at the
// end a model that was open all the time gives the tokens that it gave at the beginning.
//   hammer MODEL THREADS ROUNDS    (rounds of all threads together)

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"

static const char *path;
static ledge_model *common; // open all the time
static atomic_int rounds;

// What the threads share, and close in each other's hands.
#define SLOTS 4
static _Atomic(ledge_model *) models[SLOTS];
static _Atomic(ledge_session *) sessions[SLOTS];
static _Atomic(ledge_canceller *) cancellers[SLOTS];

static uint32_t draw(uint32_t *seed, uint32_t n) { // xorshift
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed % n;
}

static atomic_int results[LEDGE_ERROR_LIMIT + 1];

// Every result but those of a wrong program: what others closed is closed.
static void allowed(int status, int line) {
    int known = status >= 0 && status <= LEDGE_ERROR_LIMIT;
    if (known)
        atomic_fetch_add(&results[status], 1);
    switch (status) {
    case LEDGE_OK: case LEDGE_ERROR_CLOSED: case LEDGE_ERROR_BUSY: case LEDGE_ERROR_CANCELLED: case LEDGE_ERROR_CALLBACK:
    case LEDGE_ERROR_CACHE_FULL: case LEDGE_ERROR_ARGUMENT: // an empty slot: the handle is NULL
        return;
    }
    printf("%s:%d: gave %d (%s)\n", __FILE__, line, status, ledge_status_name(status));
    CHECK(known && 0);
}
#define ALLOWED(call) allowed(call, __LINE__)

static int token(const ledge_token *t, void *user) {
    uint32_t *seed = user;
    CHECK(t->text[t->length] == 0 && strlen(t->text) <= t->length);
    switch (draw(seed, 12)) {
    case 0: return 1;
    case 1: ALLOWED(ledge_session_close(sessions[draw(seed, SLOTS)], NULL)); break; // perhaps this one
    case 2: ALLOWED(ledge_canceller_cancel(cancellers[draw(seed, SLOTS)], NULL)); break;
    }
    return 0;
}

static int logits(size_t position, const float *values, size_t count, void *user) {
    (void)position;
    CHECK(values[count - 1] == values[count - 1]);
    return draw(user, 8) == 0;
}

static ledge_model *open_model(void) {
    ledge_open_options o;
    ledge_open_options_init(&o, sizeof o);
    o.device = "cpu";
    o.threads = 1;
    o.context = 64;
    o.sequences = 4;
    ledge_model *m = NULL;
    EXPECT(LEDGE_OK, ledge_open(path, &o, &m, &error));
    return m;
}

static void one_round(uint32_t *seed) {
    int slot = draw(seed, SLOTS);
    // Open: into a slot, in place of what was there.
    ALLOWED(ledge_model_close(atomic_exchange(&models[slot], open_model()), NULL));
    ledge_canceller *c = NULL;
    EXPECT(LEDGE_OK, ledge_canceller_new(&c, &error));
    ALLOWED(ledge_canceller_close(atomic_exchange(&cancellers[slot], c), NULL));
    ledge_session *s = NULL;
    ALLOWED(ledge_session_new(draw(seed, 2) ? common : models[draw(seed, SLOTS)], &s, NULL));
    ALLOWED(ledge_session_close(atomic_exchange(&sessions[slot], s), NULL));
    // Generate, with whatever session and canceller are there.
    ledge_generate_options o;
    ledge_generate_options_init(&o, sizeof o);
    o.max_tokens = 1 + draw(seed, 12);
    o.flags = LEDGE_IGNORE_END;
    if (draw(seed, 2))
        o.canceller = cancellers[draw(seed, SLOTS)];
    ALLOWED(ledge_generate(sessions[draw(seed, SLOTS)], "Once upon a time", LEDGE_TEXT, &o, token, seed, NULL));
    switch (draw(seed, 8)) {
    case 0: {
        ledge_session *fork = NULL;
        ALLOWED(ledge_session_fork(sessions[draw(seed, SLOTS)], &fork, NULL));
        ALLOWED(ledge_session_close(atomic_exchange(&sessions[slot], fork), NULL));
        break;
    }
    case 1: ALLOWED(ledge_canceller_cancel(cancellers[draw(seed, SLOTS)], NULL)); break;
    case 2: ALLOWED(ledge_model_close(models[draw(seed, SLOTS)], NULL)); break;
    case 3: ALLOWED(ledge_session_close(sessions[draw(seed, SLOTS)], NULL)); break;
    case 4: {
        int32_t t[] = {1, 2, 3, 4, 5};
        ALLOWED(ledge_logits(models[draw(seed, SLOTS)], t, 5, NULL, logits, seed, NULL));
        break;
    }
    case 5: {
        float v[4096];
        size_t n;
        ALLOWED(ledge_embed(models[draw(seed, SLOTS)], "a text", LEDGE_TEXT, cancellers[draw(seed, SLOTS)], v, 4096, &n, NULL));
        break;
    }
    case 6: {
        ledge_counters k = {.size = sizeof k};
        ledge_usage u = {.size = sizeof u};
        ALLOWED(ledge_model_counters(models[draw(seed, SLOTS)], &k, NULL));
        ALLOWED(ledge_session_usage(sessions[draw(seed, SLOTS)], &u, NULL));
        break;
    }
    }
}

static void *work(void *arg) {
    uint32_t seed = (uint32_t)(uintptr_t)arg * 2654435761u + 1;
    while (atomic_fetch_sub(&rounds, 1) > 0)
        one_round(&seed);
    return NULL;
}

struct sample { int32_t ids[8]; int n; };

static int collect(const ledge_token *t, void *user) {
    struct sample *s = user;
    if (s->n < 8)
        s->ids[s->n++] = t->id;
    return 0;
}

static struct sample sample(void) {
    struct sample got = {0};
    ledge_session *s = NULL;
    EXPECT(LEDGE_OK, ledge_session_new(common, &s, &error));
    ledge_generate_options o;
    ledge_generate_options_init(&o, sizeof o);
    o.temperature = 0;
    o.max_tokens = 8;
    o.flags = LEDGE_IGNORE_END;
    EXPECT(LEDGE_OK, ledge_generate(s, "The end", LEDGE_TEXT, &o, collect, &got, &error));
    EXPECT(LEDGE_OK, ledge_session_close(s, &error));
    return got;
}

static int count_entries(const char *what) { // of a folder of /proc/self
    char command[64];
    snprintf(command, sizeof command, "ls /proc/%d/%s | wc -l", (int)getpid(), what);
    FILE *f = popen(command, "r");
    int n = -1;
    if (f == NULL || fscanf(f, "%d", &n) != 1)
        n = -1;
    if (f != NULL)
        pclose(f);
    return n;
}

static long memory_kib(void) {
    char line[256];
    long n = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "VmRSS: %ld", &n);
    if (f != NULL)
        fclose(f);
    return n;
}

static void run_threads(int threads, int count, int seed) {
    atomic_store(&rounds, count);
    pthread_t *t = calloc(threads, sizeof *t);
    for (int i = 0; i < threads; i++)
        CHECK(pthread_create(&t[i], NULL, work, (void *)(uintptr_t)(seed + i)) == 0);
    for (int i = 0; i < threads; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    free(t);
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    path = argv[1];
    int threads = atoi(argv[2]);
    common = open_model();
    struct sample before = sample();
    CHECK(before.n == 8);
    int files = count_entries("fd");
    run_threads(threads, atoi(argv[3]) / 2, 1);
    long used = memory_kib();
    run_threads(threads, atoi(argv[3]) / 2, 1000); // once more: nothing may grow with the rounds
    long more = memory_kib() - used;
    printf("memory %ld KiB, then %ld more\n", used, more);
    CHECK(used > 0 && more < 64 * 1024); // a model takes a megabyte, and hundreds were opened
    for (int i = 0; i < SLOTS; i++) {
        ALLOWED(ledge_session_close(sessions[i], NULL));
        ALLOWED(ledge_model_close(models[i], NULL));
        ALLOWED(ledge_canceller_close(cancellers[i], NULL));
    }
    struct sample after = sample();
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    ledge_counters k = {.size = sizeof k};
    EXPECT(LEDGE_OK, ledge_model_counters(common, &k, &error));
    CHECK(k.free_pages == k.cache_pages); // no session holds any
    EXPECT(LEDGE_OK, ledge_model_close(common, &error));
    int left = count_entries("fd");
    for (int i = 0; i < 100 && left > files; i++, usleep(20000)) // Go's runtime looks at files now and then
        left = count_entries("fd");
    CHECK(files > 0 && left <= files);
    CHECK(results[LEDGE_ERROR_INTERNAL] == 0);
    for (int i = 0; i <= LEDGE_ERROR_LIMIT; i++)
        if (results[i] > 0)
            printf("%s %d\n", ledge_status_name(i), results[i]);
    return done();
}
