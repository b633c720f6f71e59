// A product of few rows: out = epilogue(norm(x) * w^T). A row of w belongs to a
// group of lanes, which take its units in turn; each invocation works on ROWS rows
// (1, 2 or 4) for NT tokens. PROLOGUE is 0 for x as it is, 1 for its norm, 2 for
// the norm of norm(x) + y: a constant, since compilers copy what follows a branch
// with barriers. B0 weights, B1 vectors, B2 arena, B3 run.
CONSTANT(1, TYPE0)
CONSTANT(2, TYPE1)
CONSTANT(3, ROWS)
CONSTANT(4, NT)
CONSTANT(5, PROLOGUE)
INCLUDE(weights)
INCLUDE(linear)
INCLUDE(prologue)
SHARED(vec4, xs, 256u * NT)
#define SUM_AT(i) xs[i].x
#define PUT_SUM(i, v) xs[i] = v;
#define GET_SUM(i) xs[i]

KERNEL(product) {
  LOCAL(vec4, xs, 256u * NT)
INCLUDE(product_start)
INCLUDE(product_units)
INCLUDE(product_sum)
}
