// Calls one of llama.cpp's arm64 kernels by name, with n columns: count.py counts what it executes.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*dot_func)(int n, float *s, size_t bs, const void *x, size_t bx, const void *y, size_t by, int rows);
typedef void (*gem_func)(int n, float *s, size_t bs, const void *x, const void *y, int rows, int cols);

#define LIST(DOT, GEM) \
	DOT(q4_0_q8_0) DOT(q4_1_q8_1) DOT(q5_0_q8_0) DOT(q5_1_q8_1) DOT(q8_0_q8_0) DOT(q2_K_q8_K) DOT(q3_K_q8_K) \
	DOT(q4_K_q8_K) DOT(q5_K_q8_K) DOT(q6_K_q8_K) DOT(iq4_nl_q8_0) DOT(iq4_xs_q8_K) DOT(mxfp4_q8_0) \
	GEM(q4_0_4x4_q8_0) GEM(q4_0_4x8_q8_0) GEM(q8_0_4x4_q8_0) GEM(q8_0_4x8_q8_0) GEM(iq4_nl_4x4_q8_0) \
	GEM(mxfp4_4x4_q8_0) GEM(q4_K_8x4_q8_K) GEM(q4_K_8x8_q8_K) GEM(q5_K_8x4_q8_K) GEM(q5_K_8x8_q8_K) \
	GEM(q6_K_8x4_q8_K) GEM(q6_K_8x8_q8_K)

#define DECLARE_DOT(f) void ggml_vec_dot_##f(int, float *, size_t, const void *, size_t, const void *, size_t, int);
#define DECLARE_GEM(f) \
	void ggml_gemv_##f(int, float *, size_t, const void *, const void *, int, int); \
	void ggml_gemm_##f(int, float *, size_t, const void *, const void *, int, int);
LIST(DECLARE_DOT, DECLARE_GEM)

static const struct { const char *name; dot_func dot; gem_func gem; } all[] = {
#define ENTRY_DOT(f) {"ggml_vec_dot_" #f, ggml_vec_dot_##f, NULL},
#define ENTRY_GEM(f) {"ggml_gemv_" #f, NULL, ggml_gemv_##f}, {"ggml_gemm_" #f, NULL, ggml_gemm_##f},
LIST(ENTRY_DOT, ENTRY_GEM)
};

// What the objects want of the rest of the library.
float ggml_table_f32_f16[1 << 16], ggml_table_f32_e8m0_half[256];
void ggml_abort(const char *file, int line, const char *f, ...) { (void)file, (void)line, (void)f; abort(); }

int main(int argc, char **argv) {
	if (argc != 5) {
		fprintf(stderr, "usage: %s FUNCTION COLUMNS ROWS-OF-ACTIVATIONS ROWS-OF-WEIGHTS\n", argv[0]);
		return 2;
	}
	const int n = atoi(argv[2]), rows = atoi(argv[3]), cols = atoi(argv[4]);
	const size_t row = (size_t)n * 2 + 1024; // more than a row of any type
	void *x = calloc(cols + 2, row), *y = calloc(rows + 2, row);
	float *s = calloc((size_t)(rows + 2) * (cols + 2), sizeof *s);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (strcmp(all[i].name, argv[1]) != 0) continue;
		if (all[i].dot) all[i].dot(n, s, rows, x, row, y, row, rows);
		else all[i].gem(n, s, cols, x, y, rows, cols);
		return 0;
	}
	fprintf(stderr, "no function %s\n", argv[1]);
	return 1;
}
