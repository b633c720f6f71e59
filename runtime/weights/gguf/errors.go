package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// ErrNotGGUF is wrapped by the errors for files of another kind.
var ErrNotGGUF = errors.New("not a GGUF file")

// FormatError says what is wrong with a file, in one line.
type FormatError struct {
	File    string // path, or a name for data in memory
	Offset  int64  // of the byte where it was found; -1 for the file as a whole
	Problem string // what is wrong
	Advice  string // what to do about it
	Err     error  // a cause to unwrap, or nil
}

func (e *FormatError) Error() string {
	where := ""
	if e.Offset >= 0 {
		where = fmt.Sprintf(" (at byte %d)", e.Offset)
	}
	return fmt.Sprintf("gguf: %s: %s%s: %s", e.File, e.Problem, where, e.Advice)
}

func (e *FormatError) Unwrap() error { return e.Err }

// The usual advice.
const (
	adviseDownload = "the file is damaged; download or convert it again"
	adviseCutOff   = "the file is cut off or damaged; download it again"
)

// quote makes outside text safe for one line of an error, and short.
func quote(s string) string {
	const limit = 60
	if len(s) > limit {
		return strconv.QuoteToASCII(s[:limit]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// printable is an outside value for one line of an error.
func printable(v any) string {
	switch v := v.(type) {
	case nil:
		return "missing"
	case string:
		return quote(v)
	case bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32, float64:
		return fmt.Sprint(v)
	}
	return "an array"
}

// looksLike names the kind of a file that is not GGUF by its first bytes, and
// says what to do with it.
func looksLike(b []byte) (kind, advice string) {
	const convert = "convert it to GGUF first (llama.cpp's convert_hf_to_gguf.py)"
	starts := func(prefix string) bool { return bytes.HasPrefix(b, []byte(prefix)) }
	text := bytes.ToLower(bytes.TrimLeft(b[:min(len(b), 512)], "\ufeff \t\r\n"))
	switch {
	case starts("version https://git-lfs"):
		return "a Git LFS pointer instead of the file it stands for", "run git lfs pull, or download the file itself"
	case bytes.HasPrefix(text, []byte("<!doctype")), bytes.HasPrefix(text, []byte("<html")), bytes.HasPrefix(text, []byte("<?xml")):
		return "a web page", "the download went wrong (a login page, or a link to a page about the file); fetch the file itself"
	case len(b) > 8 && b[8] == '{' && binary.LittleEndian.Uint64(b) < 1<<30:
		return "a safetensors file", convert
	case starts("PK\x03\x04"):
		return "a zip archive, perhaps a PyTorch checkpoint", "unpack it, or " + convert
	case starts("\x80\x02"), starts("\x80\x04"):
		return "a Python pickle, perhaps an old PyTorch checkpoint", convert
	case starts("lmgg"), starts("fmgg"), starts("tjgg"), starts("algg"):
		return "a GGML file from before GGUF", "get the model in GGUF, or convert it with an old llama.cpp"
	case starts("FUGG"):
		return "a big-endian GGUF file", "get the little-endian file"
	case starts("\x89HDF"):
		return "an HDF5 file, perhaps a Keras model", "get the model in GGUF"
	case len(b) >= 8 && string(b[4:8]) == "TFL3":
		return "a TensorFlow Lite model", "get the model in GGUF"
	case starts("\x93NUMPY"):
		return "a NumPy array", "get the model in GGUF"
	case starts("\x1f\x8b"), starts("\x28\xb5\x2f\xfd"), starts("\xfd7zXZ\x00"), starts("BZh"), starts("7z\xbc\xaf"):
		return "a compressed file", "unpack it first"
	case bytes.HasPrefix(text, []byte("{")), bytes.HasPrefix(text, []byte("[")):
		return "JSON text", "name the .gguf file itself"
	case len(bytes.Trim(b[:min(len(b), 4096)], "\x00")) == 0:
		return "zeros", "the download was not finished; start it again"
	case isText(b[:min(len(b), 64)]):
		return "text starting with " + quote(string(b[:min(len(b), 40)])), "name the .gguf file itself"
	}
	return fmt.Sprintf("something else, starting with the bytes % x", b[:min(len(b), 8)]), "name a GGUF file"
}

func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n <= 1 && len(b) >= utf8.UTFMax {
			return false
		}
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f {
			return false
		}
		b = b[n:]
	}
	return true
}
