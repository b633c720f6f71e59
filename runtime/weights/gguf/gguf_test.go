package gguf

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

func checkExample(t *testing.T, f *File) {
	t.Helper()
	if f.Version() != 3 {
		t.Errorf("version %d", f.Version())
	}
	var keys []string
	for _, p := range everyValue {
		keys = append(keys, p.key)
		if v, ok := f.Value(p.key); !ok || !reflect.DeepEqual(v, p.value) {
			t.Errorf("%s: got %#v, want %#v", p.key, v, p.value)
		}
	}
	if !slices.Equal(f.Keys(), keys) {
		t.Errorf("keys out of order: %v", f.Keys())
	}
	var visited []string
	for k := range f.Metadata() {
		visited = append(visited, k)
	}
	if !slices.Equal(visited, keys) {
		t.Errorf("Metadata visits %v", visited)
	}
	want := []string{
		"token_embd.weight q8_0 [3 32] 102", "scalar f32 [] 4", "blk.0.norm f32 [5] 20",
		"blk.0.exps q4_0 [2 3 64] 216", "blk.0.odd iq2_xxs [1 256] 66",
	}
	var got []string
	for _, tensor := range f.Tensors() {
		got = append(got, fmt.Sprint(tensor.Name, " ", tensor.DType, " ", tensor.Shape, " ", len(tensor.Data)))
		for i, b := range tensor.Data {
			if b != byte(i*7+len(tensor.Name)) {
				t.Errorf("%s: byte %d is %d", tensor.Name, i, b)
				break
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("tensors:\n got %q\nwant %q", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	data := encode(t, exampleWriter(t))
	f, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	checkExample(t, f)
	if len(f.Paths()) != 0 || f.Size() != int64(len(data)) {
		t.Errorf("paths %v, size %d", f.Paths(), f.Size())
	}

	path := save(t, t.TempDir(), "example.gguf", data)
	f, err = Open(path)
	if err != nil {
		t.Fatal(err)
	}
	checkExample(t, f)
	for _, a := range []Advice{WillNeed, DontNeed} {
		for i := range f.Tensors() {
			if err := f.Tensors()[i].Advise(a); err != nil {
				t.Error(err)
			}
		}
		if err := f.Advise(a); err != nil {
			t.Error(err)
		}
	}
	checkExample(t, f) // the pages come back
	if !slices.Equal(f.Paths(), []string{path}) {
		t.Errorf("paths %v", f.Paths())
	}
	tensor, ok := f.Tensor("blk.0.norm")
	if !ok {
		t.Fatal("no blk.0.norm")
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := tensor.Dequantize(); err == nil {
		t.Error("a tensor of a closed file can be read")
	}
	if err := tensor.Advise(DontNeed); err != nil {
		t.Error(err)
	}
	if v, _ := f.Strings("a.text"); !slices.Equal(v, []string{"<s>", "", "▁the"}) {
		t.Errorf("metadata after Close: %q", v)
	}
}

// Version 2 differs from 3 in its number only.
func TestVersion2(t *testing.T) {
	data := encode(t, exampleWriter(t))
	data[4] = 2
	f, err := Parse(data)
	if err != nil || f.Version() != 2 || len(f.Tensors()) != 5 {
		t.Fatalf("%v, %v", f, err)
	}
}

func TestTypedValues(t *testing.T) {
	f, err := Parse(encode(t, exampleWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, got, want any, ok, wantOK bool) {
		t.Helper()
		if ok != wantOK || wantOK && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v; want %v, %v", what, got, ok, want, wantOK)
		}
	}
	for key, want := range map[string]uint64{"v.u8": 200, "v.u16": 60000, "v.u32": 4e9, "v.u64": 1 << 63} {
		v, ok := f.Uint(key)
		check(key, v, want, ok, true)
	}
	for key, want := range map[string]int64{"v.i8": -7, "v.i16": -30000, "v.i32": -2e9, "v.i64": -1 << 62, "v.u32": 4e9} {
		v, ok := f.Int(key)
		check(key, v, want, ok, true)
	}
	for key, want := range map[string]float64{"v.f32": 0.25, "v.f64": 1e300, "v.u8": 200, "v.i16": -30000, "v.u64": 1 << 63} {
		v, ok := f.Float(key)
		check(key, v, want, ok, true)
	}
	for key, want := range map[string][]int64{"a.u8": {1, 2}, "a.i8": {-1, 2}, "a.u16": {1, 65535}, "a.i16": {-1},
		"a.u32": {1, 2, 3}, "a.i32": {-5}, "a.u64": {1 << 40}, "a.i64": {-1 << 40}} {
		v, ok := f.Ints(key)
		check(key, v, want, ok, true)
	}
	for key, want := range map[string][]float32{"a.f32": {1, -2}, "a.f64": {3}} {
		v, ok := f.Floats(key)
		check(key, v, want, ok, true)
	}
	text, ok := f.String("v.text")
	check("v.text", text, "grüße\n\xff", ok, true)
	yes, ok := f.Bool("v.yes")
	check("v.yes", yes, true, ok, true)
	bools, ok := f.Bools("a.bool")
	check("a.bool", bools, []bool{true, false}, ok, true)

	_, ok = f.Uint("v.i8")
	check("negative Uint", nil, nil, ok, false)
	_, ok = f.Int("v.u64")
	check("large Int", nil, nil, ok, false)
	_, ok = f.Uint("missing")
	check("missing", nil, nil, ok, false)
	_, ok = f.Float("v.text")
	check("text as Float", nil, nil, ok, false)
	_, ok = f.String("v.u8")
	check("number as String", nil, nil, ok, false)
	_, ok = f.Ints("a.f32")
	check("floats as Ints", nil, nil, ok, false)
	_, ok = f.Value("missing")
	check("missing Value", nil, nil, ok, false)
}

func TestDequantize(t *testing.T) {
	w := &Writer{}
	x := make([]float32, 3*32)
	for i := range x {
		x[i] = float32(i) - 40
	}
	for _, d := range []dtype.DType{dtype.F32, dtype.Q8_0} {
		n, _ := dtype.ByteSize(d, []int{3, 32})
		b := make([]byte, n)
		if err := dtype.Quantize(d, b, x); err != nil {
			t.Fatal(err)
		}
		if err := w.Add(d.String(), d, []int{3, 32}, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Add("odd", dtype.TQ1_0, []int{256}, make([]byte, 54)); err != nil {
		t.Fatal(err)
	}
	f, err := Parse(encode(t, w))
	if err != nil {
		t.Fatal(err)
	}
	tensor, _ := f.Tensor("f32")
	got, err := tensor.Dequantize()
	if err != nil || !slices.Equal(got, x) {
		t.Fatalf("%v, %v", got, err)
	}
	tensor, _ = f.Tensor("q8_0")
	row := make([]float32, 32)
	if err := tensor.DequantizeRows(row, 1, 1); err != nil || row[8] != 0 || row[31] < 22.5 || row[31] > 23.5 {
		t.Errorf("%v, %v", row, err)
	}
	for _, c := range [][2]int{{-1, 1}, {0, -1}, {3, 1}, {0, 4}, {4, 0}, {1, int(^uint(0) >> 1)}, {0, 2}} {
		if err := tensor.DequantizeRows(row, c[0], c[1]); err == nil {
			t.Errorf("rows %v: no error", c)
		}
	}
	if tensor.NumElems() != 96 || tensor.NumRows() != 3 || tensor.RowLen() != 32 {
		t.Errorf("%d elements, %d rows of %d", tensor.NumElems(), tensor.NumRows(), tensor.RowLen())
	}
	tensor, _ = f.Tensor("odd")
	_, err = tensor.Dequantize()
	checkError(t, err, `"odd"`, "tq1_0")
}

func TestWriterErrors(t *testing.T) {
	w := &Writer{}
	if err := w.Add("a", dtype.F32, []int{2}, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"empty key":        w.Set("", uint32(1)),
		"key not UTF-8":    w.Set("\xff", uint32(1)),
		"plain int":        w.Set("k", 1),
		"any of scalars":   w.Set("k", []any{uint32(1)}),
		"deep nesting":     w.Set("k", []any{[]any{[]any{[]any{[]any{}}}}}),
		"alignment type":   w.Set("general.alignment", uint64(32)),
		"alignment value":  w.Set("general.alignment", uint32(48)),
		"empty name":       w.Add("", dtype.F32, nil, make([]byte, 4)),
		"twice":            w.Add("a", dtype.F32, nil, make([]byte, 4)),
		"wrong size":       w.Add("b", dtype.F32, []int{2}, make([]byte, 4)),
		"zero size":        w.Add("b", dtype.F32, []int{0}, nil),
		"five dimensions":  w.Add("b", dtype.F32, []int{1, 1, 1, 1, 1}, make([]byte, 4)),
		"not whole blocks": w.Add("b", dtype.Q4_0, []int{33}, make([]byte, 18)),
		"overflow":         w.AddFunc("b", dtype.F32, []int{math.MaxInt / 2, 4}, nil),
		"no such type":     w.Add("b", dtype.Invalid, nil, nil),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := w.Add("b", dtype.F32, nil, make([]byte, 4)); err != nil {
		t.Errorf("after a failed Add: %v", err)
	}
	if _, err := Parse(encode(t, w)); err != nil {
		t.Error(err)
	}
	if _, err := w.WriteTo(failAfter(70)); err == nil {
		t.Error("a failing write gives no error")
	}
	if err := w.AddFunc("c", dtype.F32, []int{2}, func(out io.Writer) error { _, err := out.Write(make([]byte, 7)); return err }); err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteTo(io.Discard); err == nil {
		t.Error("a tensor of too few bytes gives no error")
	}
}

type failAfter int

func (n failAfter) Write(b []byte) (int, error) {
	if len(b) > int(n) {
		return int(n), errors.New("disk full")
	}
	return len(b), nil
}

// splitFiles writes three parts and returns their paths.
func splitFiles(t *testing.T, dir string, change func(i int, w *Writer)) []string {
	t.Helper()
	var paths []string
	for i := range 3 {
		w := &Writer{}
		set := func(key string, v any) {
			if err := w.Set(key, v); err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			set("general.architecture", "tiny")
		}
		set("split.no", uint16(i))
		set("split.count", uint16(3))
		set("split.tensors.count", int32(2))
		if i > 0 { // the first part often has metadata only
			if err := w.Add(fmt.Sprint("t", i), dtype.F32, []int{1}, []byte{byte(i), 0, 0, 0}); err != nil {
				t.Fatal(err)
			}
		}
		if change != nil {
			change(i, w)
		}
		paths = append(paths, save(t, dir, fmt.Sprintf("m-%05d-of-00003.gguf", i+1), encode(t, w)))
	}
	return paths
}

func TestSplit(t *testing.T) {
	paths := splitFiles(t, t.TempDir(), nil)
	for _, p := range paths { // any part will do
		f, err := Open(p)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(f.Paths(), paths) || len(f.Tensors()) != 2 {
			t.Errorf("%s: paths %v, %d tensors", p, f.Paths(), len(f.Tensors()))
		}
		if a, _ := f.String("general.architecture"); a != "tiny" {
			t.Errorf("architecture %q", a)
		}
		tensor, ok := f.Tensor("t2")
		if !ok || tensor.Data[0] != 2 {
			t.Errorf("t2: %v", tensor)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSplitErrors(t *testing.T) {
	data, err := os.ReadFile(splitFiles(t, t.TempDir(), nil)[0])
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse(data)
	checkError(t, err, "one of 3 parts")
	_, err = Open(save(t, t.TempDir(), "renamed.gguf", data))
	checkError(t, err, "renamed.gguf", "does not say which", "NAME-00001-of-00003.gguf")

	set := func(at int, key string, v any) func(int, *Writer) {
		return func(i int, w *Writer) {
			if i == at {
				if err := w.Set(key, v); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	cases := []struct {
		name   string
		change func(int, *Writer)
		want   []string
	}{
		{"wrong number", set(1, "split.no", uint16(2)), []string{"m-00002-of-00003.gguf", "split.no is 2"}},
		{"number is text", set(1, "split.no", "one"), []string{"split.no is \"one\""}},
		{"wrong count", set(2, "split.count", uint16(4)), []string{"m-00003-of-00003.gguf", "split.count is 4"}},
		{"count is huge", set(0, "split.count", uint64(1<<60)), []string{"split.count"}},
		{"count differs from name", set(0, "split.count", uint16(2)), []string{"one of 2 parts"}},
		{"wrong number of tensors", set(0, "split.tensors.count", int32(3)), []string{"split.tensors.count is 3", "hold 2 tensors"}},
		{"tensor in two parts", func(i int, w *Writer) {
			if i == 2 {
				w.tensors[0].name = "t1"
			}
		}, []string{`tensor "t1"`, "earlier part"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(splitFiles(t, t.TempDir(), c.change)[0])
			checkError(t, err, c.want...)
		})
	}
	paths := splitFiles(t, t.TempDir(), nil)
	if err := os.Remove(paths[1]); err != nil {
		t.Fatal(err)
	}
	_, err = Open(paths[0])
	checkError(t, err, "m-00002-of-00003.gguf", "one of 3 parts", "download")
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v does not wrap ErrNotExist", err)
	}
}
