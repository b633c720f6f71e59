package cuda

import (
	"bytes"
	"testing"
)

func TestRelate(t *testing.T) {
	for text, want := range map[string]string{
		"add %r1, %r2, %r1;\n\tmov %r3, %rd1;":           "add &r, &r, &r1;\n\tmov &r, &rd;",
		"@%p1 bra $L1;\n$L1:\n$L2: bra $L1;":             "@&p bra &L;\n&L0:\n&L: bra &L1;",
		".reg .b32 %r<12>; mov %r7, %tid.x; %r1 %r07 %r": ".reg .b32 %r<12>; mov %r7, %tid.x; &r %r07 %r",
		"%r1x %r1_a $L__BB0_3 %rs1 %f1, %f0":             "%r1x %r1_a $L__BB0_3 &rs &f, &f1",
		"%r1234567890 %r1234567891":                      "%r1234567890 %r1234567891",
		"%1 % $L $":                                      "%1 % $L $",
		"":                                               "",
	} {
		got, err := relate([]byte(text))
		if err != nil || string(got) != want {
			t.Errorf("%q: %q (%v), want %q", text, got, err, want)
		}
		if back, err := restore(got); err != nil || string(back) != text {
			t.Errorf("%q comes back as %q (%v)", text, back, err)
		}
	}
	if _, err := relate([]byte("a & b")); err == nil {
		t.Error("what stands for names goes through")
	}
	for _, bad := range []string{"&r1", "&r &r2", "&r99999999999"} {
		if got, err := restore([]byte(bad)); err == nil {
			t.Errorf("%q is read as %q", bad, got)
		}
	}
}

func FuzzRelate(f *testing.F) {
	for _, s := range []string{"add %r1, %r2, %r1;", "$L1 $L3 $L2", "%r0%r1&", "&r&L1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = restore(text) // no panic
		short, err := relate(text)
		if err != nil {
			return
		}
		if back, err := restore(short); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%q is %q and comes back as %q (%v)", text, short, back, err)
		}
	})
}
