package gguf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// everyValue has one pair of each metadata type.
var everyValue = []struct {
	key   string
	value any
}{
	{"general.architecture", "tiny"},
	{"v.u8", uint8(200)}, {"v.i8", int8(-7)}, {"v.u16", uint16(60000)}, {"v.i16", int16(-30000)},
	{"v.u32", uint32(4e9)}, {"v.i32", int32(-2e9)}, {"v.u64", uint64(1 << 63)}, {"v.i64", int64(-1 << 62)},
	{"v.f32", float32(0.25)}, {"v.f64", 1e300}, {"v.yes", true}, {"v.no", false}, {"v.text", "grüße\n\xff"}, {"v.empty", ""},
	{"a.u8", []uint8{1, 2}}, {"a.i8", []int8{-1, 2}}, {"a.u16", []uint16{1, 65535}}, {"a.i16", []int16{-1}},
	{"a.u32", []uint32{1, 2, 3}}, {"a.i32", []int32{-5}}, {"a.u64", []uint64{1 << 40}}, {"a.i64", []int64{-1 << 40}},
	{"a.f32", []float32{1, -2}}, {"a.f64", []float64{3}}, {"a.bool", []bool{true, false}},
	{"a.text", []string{"<s>", "", "▁the"}}, {"a.none", []string{}},
	{"a.nested", []any{[]int32{1, 2}, []string{"x"}, []any{[]bool{true}}}},
}

// exampleWriter is a small file with every metadata type and a few tensors.
func exampleWriter(t testing.TB) *Writer {
	t.Helper()
	w := &Writer{}
	for _, p := range everyValue {
		if err := w.Set(p.key, p.value); err != nil {
			t.Fatal(err)
		}
	}
	add := func(name string, d dtype.DType, shape ...int) {
		n, err := dtype.ByteSize(d, shape)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i*7 + len(name))
		}
		if err := w.Add(name, d, shape, data); err != nil {
			t.Fatal(err)
		}
	}
	add("token_embd.weight", dtype.Q8_0, 3, 32)
	add("scalar", dtype.F32)
	add("blk.0.norm", dtype.F32, 5)
	add("blk.0.exps", dtype.Q4_0, 2, 3, 64)
	add("blk.0.odd", dtype.IQ2_XXS, 1, 256)
	return w
}

func encode(t testing.TB, w *Writer) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := w.WriteTo(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(b.Len()) {
		t.Fatalf("WriteTo says %d bytes, wrote %d", n, b.Len())
	}
	return b.Bytes()
}

func save(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkError wants one short line that has all the parts.
func checkError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want one with %q", parts)
		return
	}
	s := err.Error()
	if strings.ContainsAny(s, "\n\r") || len(s) > 700 {
		t.Errorf("not one short line: %q", s)
	}
	for _, p := range parts {
		if !strings.Contains(s, p) {
			t.Errorf("error %q does not say %q", s, p)
		}
	}
}

func isFormatError(err error) bool {
	var e *FormatError
	return errors.As(err, &e) && e.Problem != "" && e.Advice != "" && e.File != ""
}
