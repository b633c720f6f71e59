// Prints llama.cpp's own logits: reads int32 token ids from stdin, writes float32 [tokens, vocabulary] to stdout.
// check_llama.py compiles it against the llama.cpp at hand. The cache is F32 and flash attention is off, so that
// nothing but float32 arithmetic lies between the file and the numbers.
//
//   llama_logits MODEL [--original-context N] [--yarn-beta-fast X] [--yarn-beta-slow X] [--rope-attn-factor X]
//
// --original-context overrides the file's rope.scaling.original_context_length (which long-rope factors apply).
#include "llama.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void quiet(enum ggml_log_level level, const char * text, void * user) {
    (void) user;
    if (level == GGML_LOG_LEVEL_ERROR) {
        fputs(text, stderr);
    }
}

static int fail(const char * what) {
    fprintf(stderr, "llama_logits: %s\n", what);
    return 1;
}

int main(int argc, char ** argv) {
    if (argc < 2 || argc % 2 != 0) {
        return fail("usage: llama_logits MODEL [--option value]...");
    }
    static llama_token tokens[4096];
    const int n = (int) fread(tokens, sizeof(tokens[0]), 4096, stdin);

    llama_log_set(quiet, NULL);
    struct llama_model_params mp = llama_model_default_params();
    struct llama_context_params cp = llama_context_default_params();
    struct llama_model_kv_override overrides[8];
    memset(overrides, 0, sizeof(overrides));
    int n_over = 0;
    static const char * archs[] = {"llama", "phi3"};
    for (int i = 2; i + 1 < argc; i += 2) {
        const char * opt = argv[i];
        const double val = atof(argv[i + 1]);
        if (strcmp(opt, "--original-context") == 0) {
            for (int a = 0; a < 2; a++, n_over++) {
                overrides[n_over].tag = LLAMA_KV_OVERRIDE_TYPE_INT;
                overrides[n_over].val_i64 = (int64_t) val;
                snprintf(overrides[n_over].key, sizeof(overrides[n_over].key),
                         "%s.rope.scaling.original_context_length", archs[a]);
            }
        } else if (strcmp(opt, "--yarn-beta-fast") == 0) {
            cp.yarn_beta_fast = (float) val;
        } else if (strcmp(opt, "--yarn-beta-slow") == 0) {
            cp.yarn_beta_slow = (float) val;
        } else if (strcmp(opt, "--rope-attn-factor") == 0) {
            // multiplies what llama.cpp derives from the scaling factor
            overrides[n_over].tag = LLAMA_KV_OVERRIDE_TYPE_FLOAT;
            overrides[n_over].val_f64 = val;
            snprintf(overrides[n_over].key, sizeof(overrides[n_over].key), "qwen2.rope.scaling.attn_factor");
            n_over++;
        } else {
            return fail("unknown option");
        }
    }
    mp.n_gpu_layers = 0;
    if (n_over > 0) {
        mp.kv_overrides = overrides;
    }
    struct llama_model * model = llama_model_load_from_file(argv[1], mp);
    if (!model) {
        return fail("cannot load the model");
    }
    cp.n_ctx = (uint32_t) n;
    cp.n_batch = cp.n_ubatch = (uint32_t) n;
    cp.n_threads = cp.n_threads_batch = 1;
    cp.type_k = cp.type_v = GGML_TYPE_F32;
    cp.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    cp.swa_full = false;
    struct llama_context * ctx = llama_init_from_model(model, cp);
    if (!ctx) {
        return fail("cannot make a context");
    }
    struct llama_batch batch = llama_batch_init(n, 0, 1);
    batch.n_tokens = n;
    for (int i = 0; i < n; i++) {
        batch.token[i] = tokens[i];
        batch.pos[i] = i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = 1;
    }
    if (llama_decode(ctx, batch) != 0) {
        return fail("decode failed");
    }
    const size_t n_vocab = (size_t) llama_vocab_n_tokens(llama_model_get_vocab(model));
    for (int i = 0; i < n; i++) {
        fwrite(llama_get_logits_ith(ctx, i), sizeof(float), n_vocab, stdout);
    }
    llama_batch_free(batch);
    llama_free(ctx);
    llama_model_free(model);
    return 0;
}
