// Continues a text and shows it while it comes.
//   generate MODEL PROMPT
#include <ledge.h>
#include <stdio.h>

// Called for every token, on this thread. Not 0 would end the generation.
static int show(const ledge_token *token, void *user) {
    (void)user;
    fwrite(token->text, 1, token->length, stdout);
    return fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
        return 2;
    }
    ledge_error error = LEDGE_ERROR_INIT;
    ledge_model *model = NULL;
    ledge_session *session = NULL;

    ledge_generate_options options;
    ledge_generate_options_init(&options, sizeof options); // the defaults
    options.temperature = 0;                               // always the most likely token
    options.max_tokens = 32;

    int status = ledge_open(argv[1], NULL, &model, &error);
    if (status == LEDGE_OK)
        status = ledge_session_new(model, &session, &error);
    if (status == LEDGE_OK)
        status = ledge_generate(session, argv[2], LEDGE_TEXT, &options, show, NULL, &error);
    if (status != LEDGE_OK)
        fprintf(stderr, "%s: %s\n", argv[0], error.message);
    else
        putchar('\n');

    ledge_usage usage = {.size = sizeof usage};
    if (status == LEDGE_OK && ledge_session_usage(session, &usage, NULL) == LEDGE_OK && usage.generate_seconds > 0)
        fprintf(stderr, "%d tokens, %.1f a second\n", usage.generated_tokens, (usage.generated_tokens - 1) / usage.generate_seconds);
    ledge_model_close(model, NULL); // closes the session, too; NULL is only an error
    return status != LEDGE_OK;
}
