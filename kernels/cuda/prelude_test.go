package cuda

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestExp: the dialect's exponential is within 0.8 units of the true one wherever that
// is a float, with an ex2 that is exact to half a unit: what a GPU's is off by more,
// within two units, comes on top. Infinities, zeros and NaN are right.
func TestExp(t *testing.T) {
	compiler := ""
	for _, name := range []string{"g++", "clang++-19", "clang++"} {
		if _, err := exec.LookPath(name); err == nil && compiler == "" {
			compiler = name
		}
	}
	if compiler == "" {
		t.Skip("no C++ compiler is installed")
	}
	program := filepath.Join(t.TempDir(), "exp")
	build := exec.Command(compiler, "-std=c++17", "-DLEDGE_HOST", "-O2", "-ffp-contract=off", "-I", ".", "-x", "c++", "-o", program, "-")
	build.Stdin = strings.NewReader(`
#include "prelude.h"
extern "C" int printf(const char *, ...);
int main() {
  double most = 0;
  for (u64 i = 0; i < 1ull << 32; i += 193) {
    float x = float_of((u32)i), y = exp_of(x);
    double want = __builtin_exp((double)x);
    if (x != x || (float)want == __builtin_inf() || (float)want == 0) {
      if (x != x ? y == y : y != (float)want) { printf("exp(%a) is %a, want %a\n", x, y, want); return 1; }
      continue;
    }
    int exponent;
    __builtin_frexp(want, &exponent);
    double unit = __builtin_ldexp(1.0, exponent < -125 ? -149 : exponent - 24);
    double off = __builtin_fabs(y - want) / unit;
    if (off > most) { most = off; }
    if (off > 0.8) { printf("exp(%a) is %a, want %a: %g units\n", x, y, want, off); return 1; }
  }
  if (exp_of(0.0f) != 1.0f || exp_of(-0.0f) != 1.0f) { printf("exp(0) is not 1\n"); return 1; }
  printf("%g units\n", most);
}
`)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", compiler, err, out)
	}
	out, err := exec.Command(program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
}
