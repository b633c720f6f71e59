package main

import (
	"strings"
	"testing"
)

func TestNumber(t *testing.T) {
	const head = "\t.reg .pred \t%p<3>;\n\t.reg .b32 \t%r<4>;\n"
	got, err := number([]byte(head + "mov.u32 %r3, %tid.x;\n@%p2 bra $L__BB0_7;\nadd %r1, %r3, %r2;\n$L__BB0_7: bra $L__BB0_2;\n"))
	if want := head + "mov.u32 %r1, %tid.x;\n@%p1 bra $L1;\nadd %r2, %r1, %r3;\n$L1: bra $L2;\n"; err != nil || string(got) != want {
		t.Errorf("%q (%v), want %q", got, err, want)
	}
	for text, say := range map[string]string{
		head + "mov %f1, %f2;":              "0 are declared",
		head + "%r1 %r2 %r3 %r0":            "5 registers %r, and 4 are declared",
		head + "\t.reg .b32 \t%r<9>;\n%r1;": "declared twice",
	} {
		if _, err := number([]byte(text)); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %v, want %q", text, err, say)
		}
	}
}
