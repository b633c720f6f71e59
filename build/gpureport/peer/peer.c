// Times llama.cpp through its library, without its headers: reads a prompt of 64
// tokens and generates 8, and prints tokens a second of both. The parameter
// structures are handed on as the library fills them in; only the first field of the
// context's, its size, is set. See peer.sh.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct { unsigned char bytes[1024]; } params;
typedef struct { unsigned char bytes[128]; } batch;

params llama_model_default_params(void);
params llama_context_default_params(void);
void llama_backend_init(void);
void ggml_backend_load_all_from_path(const char *);
void *llama_model_load_from_file(const char *, params);
void *llama_init_from_model(void *, params);
batch llama_batch_get_one(int32_t *, int32_t);
int llama_decode(void *, batch);
void llama_synchronize(void *);
void *llama_get_memory(void *);
void llama_memory_clear(void *, int);
float *llama_get_logits_ith(void *, int32_t);
void llama_log_set(void (*)(int, const char *, void *), void *);

static void quiet(int level, const char *text, void *user) { (void)level, (void)text, (void)user; }

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

enum { prompt = 64, generated = 8 };

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: peer LIBRARIES MODEL\n");
    return 2;
  }
  llama_log_set(quiet, 0);
  ggml_backend_load_all_from_path(argv[1]);
  llama_backend_init();
  void *model = llama_model_load_from_file(argv[2], llama_model_default_params());
  if (!model) return fprintf(stderr, "peer: cannot load %s\n", argv[2]), 1;
  params p = llama_context_default_params();
  uint32_t size = 512;
  memcpy(p.bytes, &size, sizeof size);
  void *context = llama_init_from_model(model, p);
  if (!context) return fprintf(stderr, "peer: no context\n"), 1;
  int32_t ids[prompt];
  for (int i = 0; i < prompt; i++) ids[i] = 100 + 7 * i;
  double reading = 0, writing = 0;
  for (int round = 0; round < 2; round++) { // the first compiles
    llama_memory_clear(llama_get_memory(context), 1);
    double start = now();
    if (llama_decode(context, llama_batch_get_one(ids, prompt))) return 1;
    llama_synchronize(context);
    reading = now() - start;
    llama_memory_clear(llama_get_memory(context), 1);
    start = now();
    for (int i = 0; i < generated; i++) {
      if (llama_decode(context, llama_batch_get_one(&ids[i], 1))) return 1;
      llama_synchronize(context);
      (void)llama_get_logits_ith(context, -1);
    }
    writing = now() - start;
  }
  printf("%f %f\n", prompt / reading, generated / writing);
  return 0;
}
