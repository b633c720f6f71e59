package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// raw builds files that the Writer refuses to write.
type raw []byte

func newRaw(tensors, pairs uint64) *raw {
	r := raw(magic)
	return r.u32(3).u64(tensors).u64(pairs)
}

func (r *raw) u32(v ...uint32) *raw {
	for _, x := range v {
		*r = binary.LittleEndian.AppendUint32(*r, x)
	}
	return r
}

func (r *raw) u64(v ...uint64) *raw {
	for _, x := range v {
		*r = binary.LittleEndian.AppendUint64(*r, x)
	}
	return r
}

func (r *raw) text(s string) *raw {
	r.u64(uint64(len(s)))
	*r = append(*r, s...)
	return r
}

// tensor describes a tensor: type, offset, sizes innermost first.
func (r *raw) tensor(name string, typ uint32, offset uint64, sizes ...uint64) *raw {
	return r.text(name).u32(uint32(len(sizes))).u64(sizes...).u32(typ).u64(offset)
}

// data pads to the alignment and adds n bytes.
func (r *raw) data(n int) *raw {
	*r = append(*r, make([]byte, padding(len(*r), DefaultAlignment)+n)...)
	return r
}

func TestHostileFiles(t *testing.T) {
	aligned := func(align uint32) *raw {
		return newRaw(0, 1).text("general.alignment").u32(typeUint32, align)
	}
	nested := func(depth int) *raw {
		r := newRaw(0, 1).text("deep").u32(typeArray)
		for range depth - 1 {
			r.u32(typeArray).u64(1)
		}
		return r.u32(typeUint8).u64(0)
	}
	cases := []struct {
		name string
		file *raw
		want []string
	}{
		{"tensors beyond any file", newRaw(math.MaxUint64, 0), []string{"tensors do not fit", "byte 8"}},
		{"more tensors than room", newRaw(1000, 0).data(500), []string{"1000 tensors do not fit"}},
		{"pairs beyond any file", newRaw(0, 1<<62), []string{"metadata pairs do not fit", "byte 16"}},
		{"endless key", newRaw(0, 1).u64(math.MaxUint64).data(100), []string{"the key of metadata pair 0"}},
		{"long key", newRaw(0, 1).text(strings.Repeat("k", 70000)).data(100), []string{"70000 bytes"}},
		{"empty key", newRaw(0, 1).text("").data(100), []string{"has 0 bytes"}},
		{"key not UTF-8", newRaw(0, 1).text("a\xff\n").u32(typeUint8).data(100), []string{"not UTF-8", `"a\xff\n"`}},
		{"key twice", newRaw(0, 2).text("k").u32(typeUint32, 1).text("k").u32(typeUint32, 1), []string{`key "k" occurs twice`}},
		{"unknown type", newRaw(0, 1).text("k").u32(13, 0), []string{"unknown type 13"}},
		{"bool of 2", newRaw(0, 1).text("k").u32(typeBool, 2), []string{"bool of value 2"}},
		{"array with a bool of 7", newRaw(0, 1).text("k").u32(typeArray, typeBool).u64(2).u32(0x0701), []string{"bool of value 7"}},
		{"endless string", newRaw(0, 1).text("k").u32(typeString).u64(1 << 40), []string{`the value of "k"`, "file ends"}},
		{"huge array", newRaw(0, 1).text("k").u32(typeArray, typeUint64).u64(1 << 61).data(64), []string{"do not fit"}},
		{"array that overflows", newRaw(0, 1).text("k").u32(typeArray, typeUint64).u64(1<<61 + 1).data(64), []string{"do not fit"}},
		{"huge array of strings", newRaw(0, 1).text("k").u32(typeArray, typeString).u64(90).data(64), []string{"do not fit"}},
		{"array of unknown type", newRaw(0, 1).text("k").u32(typeArray, 99).u64(0), []string{"unknown type 99"}},
		{"huge array of arrays", newRaw(0, 1).text("k").u32(typeArray, typeArray).u64(1 << 50).data(64), []string{"do not fit"}},
		{"deep nesting", nested(5), []string{"nested more than 4 deep"}},
		{"very deep nesting", nested(1e6), []string{"nested more than 4 deep"}},
		{"alignment 0", aligned(0), []string{"general.alignment is 0"}},
		{"alignment 24", aligned(24), []string{"general.alignment is 24"}},
		{"alignment 4", aligned(4), []string{"general.alignment is 4"}},
		{"alignment 2^31", aligned(1 << 31), []string{"general.alignment is 2147483648"}},
		{"alignment of another type", newRaw(0, 1).text("general.alignment").u32(typeUint64).u64(32), []string{"not a uint32"}},
		{"alignment is an array", newRaw(0, 1).text("general.alignment").u32(typeArray, typeUint32).u64(1).u32(32), []string{"is an array"}},

		{"five dimensions", newRaw(1, 0).tensor("t", 0, 0, 1, 1, 1, 1, 1).data(64), []string{`tensor "t" has 5 dimensions`}},
		{"2^32-1 dimensions", newRaw(1, 0).text("t").u32(math.MaxUint32).data(64), []string{"4294967295 dimensions"}},
		{"zero size", newRaw(1, 0).tensor("t", 0, 0, 4, 0).data(64), []string{"the size 0 in dimension 1"}},
		{"negative size", newRaw(1, 0).tensor("t", 0, 0, 1<<63).data(64), []string{"in dimension 0"}},
		{"too many values", newRaw(1, 0).tensor("t", 0, 0, 1<<30, 1<<30, 1<<30).data(64), []string{"more values"}},
		{"too many bytes", newRaw(1, 0).tensor("t", 28, 0, math.MaxInt/8+1).data(64), []string{`tensor "t"`, "does not fit"}},
		{"not whole blocks", newRaw(1, 0).tensor("t", 2, 0, 33).data(64), []string{`tensor "t"`, "q4_0 blocks"}},
		{"unknown tensor type", newRaw(1, 0).tensor("t", 1000, 0, 4).data(64), []string{`tensor "t" has the unknown type 1000`}},
		{"removed tensor type", newRaw(1, 0).tensor("t", 31, 0, 4).data(64), []string{"unknown type 31", "removed"}},
		{"tensor twice", newRaw(2, 0).tensor("t", 0, 0, 4).tensor("t", 0, 32, 4).data(64), []string{`tensor "t" occurs twice`}},
		{"empty tensor name", newRaw(1, 0).tensor("", 0, 0, 4).data(64), []string{"the name of tensor 0"}},
		{"tensor name not UTF-8", newRaw(1, 0).tensor("\xc0", 0, 0, 4).data(64), []string{"not UTF-8"}},
		{"misaligned", newRaw(1, 0).tensor("t", 0, 16, 4).data(64), []string{"not aligned to 32"}},
		{"beyond the end", newRaw(1, 0).tensor("t", 0, 64, 4).data(64), []string{"beyond the end"}},
		{"last byte beyond the end", newRaw(1, 0).tensor("t", 24, 32, 33).data(64), []string{"beyond the end"}},
		{"offset that overflows", newRaw(1, 0).tensor("t", 0, math.MaxUint64-31, 4).data(64), []string{"beyond the end"}},
		{"overlap", newRaw(2, 0).tensor("a", 0, 32, 8).tensor("b", 0, 0, 9).data(128), []string{`tensors "b" and "a" overlap`}},
		{"same place", newRaw(2, 0).tensor("a", 0, 0, 8).tensor("b", 0, 0, 8).data(128), []string{"overlap"}},
		{"no data at all", newRaw(1, 0).tensor("t", 0, 0, 4), []string{"beyond the end"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(*c.file)
			checkError(t, err, append(c.want, "GGUF data: ")...)
			if err != nil && !isFormatError(err) {
				t.Errorf("%#v is not a complete FormatError", err)
			}
		})
	}
}

// What is unusual but right must pass.
func TestUnusualFiles(t *testing.T) {
	for name, file := range map[string]*raw{
		"nothing":                  newRaw(0, 0),
		"gap between tensors":      newRaw(2, 0).tensor("a", 0, 0, 4).tensor("b", 0, 96, 4).data(112),
		"tensors out of order":     newRaw(2, 0).tensor("a", 0, 32, 4).tensor("b", 0, 0, 4).data(48),
		"no padding at the end":    newRaw(1, 0).tensor("a", 0, 0, 1).data(4),
		"trailing bytes":           newRaw(1, 0).tensor("a", 0, 0, 1).data(1000),
		"four dimensions":          newRaw(1, 0).tensor("a", 24, 0, 2, 3, 4, 5).data(120),
		"nested four deep, empty":  newRaw(0, 1).text("k").u32(typeArray, typeArray).u64(1).u32(typeArray).u64(1).u32(typeArray).u64(1).u32(typeUint8).u64(0),
		"large alignment, no data": newRaw(0, 1).text("general.alignment").u32(typeUint32, 1<<30),
	} {
		if _, err := Parse(*file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	f, err := Parse(*newRaw(1, 0).tensor("a", 24, 0, 2, 3, 4, 5).data(120))
	if err != nil || !slices.Equal(f.Tensors()[0].Shape, []int{5, 4, 3, 2}) {
		t.Errorf("sizes are not turned round: %v", err)
	}
}

// dataEnd is where the last tensor's data ends; padding may follow.
func dataEnd(f *File) int {
	end := 0
	for _, t := range f.Tensors() {
		end = max(end, t.offset+len(t.Data))
	}
	return end
}

// dataStart is where the first tensor's data begins.
func dataStart(f *File) int {
	start := math.MaxInt
	for _, t := range f.Tensors() {
		start = min(start, t.offset)
	}
	return start
}

func TestTruncatedAtEveryByte(t *testing.T) {
	data := encode(t, exampleWriter(t))
	whole, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for n := range dataEnd(whole) {
		_, err := Parse(slices.Clone(data[:n]))
		checkError(t, err, "cut off")
		if err != nil && !isFormatError(err) {
			t.Errorf("%d bytes: %#v", n, err)
		}
		if t.Failed() {
			t.Fatalf("cut at byte %d of %d", n, len(data))
		}
	}
	if _, err := Parse(data[:dataEnd(whole)]); err != nil {
		t.Errorf("without the padding at the end: %v", err)
	}
}

// A changed byte in the header gives one clear line or a file that is right in
// itself, never a panic, whatever the byte becomes.
func TestEveryHeaderByteChanged(t *testing.T) {
	data := encode(t, exampleWriter(t))
	whole, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	header := dataStart(whole)
	refused := 0
	for i := range header {
		for _, change := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255, data[i]} { // the last makes it 0
			bad := slices.Clone(data)
			bad[i] ^= change
			f, err := Parse(bad)
			if err == nil {
				checkSound(t, f)
				continue
			}
			refused++
			checkError(t, err, "gguf: GGUF data: ")
			if !isFormatError(err) {
				t.Errorf("byte %d ^ %#x: %#v", i, change, err)
			}
		}
	}
	t.Logf("%d of %d changes refused", refused, 10*header)
	if refused < header {
		t.Error("hardly any damage is noticed")
	}
}

// checkSound holds what every File promises.
func checkSound(t *testing.T, f *File) {
	t.Helper()
	for i := range f.Tensors() {
		tensor := &f.Tensors()[i]
		n, err := dtype.ByteSize(tensor.DType, tensor.Shape)
		if err != nil || n != len(tensor.Data) || n != cap(tensor.Data) {
			t.Fatalf("%s %v %v: %d bytes, %v", tensor.Name, tensor.DType, tensor.Shape, len(tensor.Data), err)
		}
		if found, ok := f.Tensor(tensor.Name); !ok || found != tensor {
			t.Fatalf("%s is not found", tensor.Name)
		}
		if len(tensor.Data) < 1<<20 {
			if _, err := tensor.Dequantize(); (err == nil) != tensor.DType.Computable() {
				t.Fatalf("%s: %v", tensor.Name, err)
			}
		}
	}
	for _, k := range f.Keys() {
		if _, ok := f.Value(k); !ok {
			t.Fatalf("no value for %q", k)
		}
	}
}

// Claims of a huge number of things must not cost memory.
func TestHugeClaimsAreCheap(t *testing.T) {
	const size = 8 << 20
	fill := make([]byte, size)
	for name, head := range map[string]*raw{
		"tensors": newRaw(size/minTensor-10, 0),
		"pairs":   newRaw(0, size/minPair-10),
		"strings": newRaw(0, 1).text("k").u32(typeArray, typeString).u64(size/8 - 10),
		"arrays":  newRaw(0, 1).text("k").u32(typeArray, typeArray).u64(size/12 - 10),
	} {
		data := append(slices.Clone(*head), fill...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f, err := Parse(data)
		runtime.ReadMemStats(&after)
		// The zeros read as empty names (refused) or as empty strings and arrays.
		if used := after.TotalAlloc - before.TotalAlloc; used > 12*size {
			t.Errorf("%s: %d MiB for a file of %d", name, used>>20, size>>20)
		}
		_, _ = f, err
	}
}

func TestNotGGUF(t *testing.T) {
	safetensors := append(binary.LittleEndian.AppendUint64(nil, 40), `{"a":{"dtype":"F32","shape":[1]}}       `...)
	bigEndian := binary.BigEndian.AppendUint32([]byte("GGUF"), 3)
	bigEndian = append(bigEndian, make([]byte, 16)...)
	cases := []struct {
		name, data string
		want       []string
	}{
		{"safetensors", string(safetensors), []string{"safetensors", "convert"}},
		{"html", "\n <!DOCTYPE html><html>", []string{"web page"}},
		{"html2", "<HTML><body>404", []string{"web page"}},
		{"lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", []string{"Git LFS pointer", "git lfs pull"}},
		{"pytorch", "PK\x03\x04abcdefgh", []string{"zip", "PyTorch"}},
		{"pickle", "\x80\x02\x8a\x0al\xfc\x9cF", []string{"pickle"}},
		{"ggml", "tjgg\x03\x00\x00\x00", []string{"before GGUF"}},
		{"tflite", "\x1c\x00\x00\x00TFL3\x14\x00", []string{"TensorFlow Lite"}},
		{"gzip", "\x1f\x8b\x08\x00\x00\x00", []string{"compressed", "unpack"}},
		{"json", "{\"error\":\"not found\"}", []string{"JSON"}},
		{"zeros", strings.Repeat("\x00", 5000), []string{"zeros", "not finished"}},
		{"text", "Entry not found", []string{`"Entry not found"`}},
		{"noise", "\x01\xfe\x03\xfc\x05\xfa\x07\xf8\x09", []string{"01 fe 03"}},
		{"bigendian", string(bigEndian), []string{"big-endian", "little-endian"}},
		{"bigendian magic", "FUGG\x00\x00\x00\x03", []string{"big-endian"}},
		{"version1", "GGUF\x01\x00\x00\x00" + strings.Repeat("\x00", 16), []string{"version 1"}},
		{"version4", "GGUF\x04\x00\x00\x00" + strings.Repeat("\x00", 16), []string{"version 4", "newer Ledge"}},
		{"version0", "GGUF\x00\x00\x00\x00" + strings.Repeat("\x00", 16), []string{"no GGUF version 0"}},
	}
	dir := t.TempDir()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(save(t, dir, c.name, []byte(c.data)))
			checkError(t, err, append(c.want, c.name)...)
			if !isFormatError(err) {
				t.Errorf("%#v is not a complete FormatError", err)
			}
			if notGGUF := !strings.HasPrefix(c.data, "GGUF"); errors.Is(err, ErrNotGGUF) != notGGUF {
				t.Errorf("%v: ErrNotGGUF is %v", err, !notGGUF)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "missing.gguf"))
	checkError(t, err, "missing.gguf")
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v does not wrap ErrNotExist", err)
	}
	_, err = Open(dir)
	checkError(t, err, "a folder")
	_, err = Open(save(t, dir, "empty.gguf", nil))
	checkError(t, err, "empty.gguf", "empty")
	if _, err := os.Stat(os.DevNull); err == nil {
		_, err = Open(os.DevNull)
		checkError(t, err, "not a regular file")
	}
}

func FuzzParse(f *testing.F) {
	whole := encode(f, exampleWriter(f))
	f.Add(whole)
	f.Add(whole[:200])
	python, err := os.ReadFile(filepath.Join("testdata", "python.bin"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(python)
	f.Add([]byte(*newRaw(2, 1).text("k").u32(typeArray, typeArray).u64(1).u32(typeString).u64(1).text("x").
		tensor("a", 0, 32, 8).tensor("b", 2, 0, 32).data(64)))
	f.Add([]byte(*newRaw(0, 1).text("general.alignment").u32(typeUint32, 64)))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			checkError(t, err, "gguf: GGUF data: ")
			if !isFormatError(err) {
				t.Fatalf("%#v is not a complete FormatError", err)
			}
			return
		}
		checkSound(t, file)
		// What was read can be written and read again.
		var w Writer
		for k, v := range file.Metadata() {
			if err := w.Set(k, v); err != nil {
				t.Fatal(err)
			}
		}
		for _, tensor := range file.Tensors() {
			if err := w.Add(tensor.Name, tensor.DType, tensor.Shape, tensor.Data); err != nil {
				t.Fatal(err)
			}
		}
		if n, ok := file.Uint(keyAlignment); ok && n > 1<<20 {
			return // padding to it would only cost memory
		}
		again, err := Parse(encode(t, &w))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(again.Keys(), file.Keys()) || len(again.Tensors()) != len(file.Tensors()) {
			t.Fatal("the second reading differs")
		}
		for i, a := range file.Tensors() {
			b := again.Tensors()[i]
			if a.Name != b.Name || a.DType != b.DType || !slices.Equal(a.Shape, b.Shape) || !bytes.Equal(a.Data, b.Data) {
				t.Fatalf("tensor %q differs", a.Name)
			}
		}
	})
}
