package model

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// Reader reads an architecture's keys from a source's metadata. The first
// missing or malformed key is remembered; ask Err at the end.
type Reader struct {
	Source
	Prefix string // the architecture's name and a dot
	err    error
}

// NewReader reads keys that begin with the architecture's name.
func NewReader(s Source) *Reader {
	v, _ := s.Value("general.architecture")
	name, _ := v.(string)
	return &Reader{Source: s, Prefix: name + "."}
}

// Err is the first mistake found.
func (r *Reader) Err() error { return r.err }

// Fail remembers a mistake that the caller found.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// Has reports whether the key is there.
func (r *Reader) Has(key string) bool {
	_, ok := r.Value(r.Prefix + key)
	return ok
}

// MaxSize bounds every size a file may ask for: far above any real model, low
// enough that products of a few sizes do not overflow.
const MaxSize = 1 << 24

// Int reads a size of at least 1; the key must be there.
func (r *Reader) Int(key string) int {
	v, ok := r.Value(r.Prefix + key)
	if !ok {
		r.Fail("metadata key %q is missing", r.Prefix+key)
		return 1
	}
	return r.size(key, v, 1)
}

// IntOr reads a size of at least 0, or gives the default.
func (r *Reader) IntOr(key string, def int) int {
	v, ok := r.Value(r.Prefix + key)
	if !ok {
		return def
	}
	return r.size(key, v, 0)
}

// IntUniform reads a size that a file may also give as a list with one entry a
// layer; all must be equal.
func (r *Reader) IntUniform(key string, def int) int {
	v, ok := r.Value(r.Prefix + key)
	if !ok {
		return def
	}
	list, ok := ints(v)
	if !ok {
		return r.size(key, v, 1)
	}
	for _, n := range list {
		if n != list[0] {
			r.Fail("metadata key %q differs from layer to layer, which this architecture does not support", r.Prefix+key)
			return def
		}
	}
	if len(list) == 0 {
		r.Fail("metadata key %q is an empty list", r.Prefix+key)
		return def
	}
	return r.size(key, list[0], 1)
}

func (r *Reader) size(key string, v any, least int64) int {
	n, ok := integer(v)
	if !ok || n < least || n > MaxSize {
		r.Fail("metadata key %q is %s: want a number from %d to %d", r.Prefix+key, Show(v), least, MaxSize)
		return int(max(least, 1))
	}
	return int(n)
}

// FloatOr reads a finite number, or gives the default.
func (r *Reader) FloatOr(key string, def float32) float32 {
	v, ok := r.Value(r.Prefix + key)
	if !ok {
		return def
	}
	var f float64
	switch x := v.(type) {
	case float32:
		f = float64(x)
	case float64:
		f = x
	default:
		n, ok := integer(v)
		if !ok {
			r.Fail("metadata key %q is %s: want a number", r.Prefix+key, Show(v))
			return def
		}
		f = float64(n)
	}
	if math.IsNaN(f) || math.IsInf(f, 0) || math.Abs(f) > math.MaxFloat32 {
		r.Fail("metadata key %q is %v: want a finite number", r.Prefix+key, v)
		return def
	}
	return float32(f)
}

// StringOr reads a text, or gives the default.
func (r *Reader) StringOr(key, def string) string {
	v, ok := r.Value(r.Prefix + key)
	if !ok {
		return def
	}
	s, ok := v.(string)
	if !ok {
		r.Fail("metadata key %q is %s: want a text", r.Prefix+key, Show(v))
		return def
	}
	return s
}

// Show writes a value of the metadata for a message: a list by its length, a
// text quoted and cut, since a file may hold megabytes under any key.
func Show(v any) string {
	const most = 40
	switch x := v.(type) {
	case string:
		if len(x) > most {
			return fmt.Sprintf("%q... (%d bytes)", x[:most], len(x))
		}
		return strconv.Quote(x)
	case bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32, float64:
		return fmt.Sprint(x)
	}
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice {
		return fmt.Sprintf("a list of %d", list.Len())
	}
	return fmt.Sprintf("a %T", v)
}

func integer(v any) (int64, bool) {
	switch x := v.(type) {
	case uint8:
		return int64(x), true
	case int8:
		return int64(x), true
	case uint16:
		return int64(x), true
	case int16:
		return int64(x), true
	case uint32:
		return int64(x), true
	case int32:
		return int64(x), true
	case int64:
		return x, true
	case uint64:
		return int64(x), x <= math.MaxInt64
	}
	return 0, false
}

func ints(v any) ([]int64, bool) {
	var out []int64
	switch x := v.(type) {
	case []int32:
		for _, n := range x {
			out = append(out, int64(n))
		}
	case []uint32:
		for _, n := range x {
			out = append(out, int64(n))
		}
	default:
		return nil, false
	}
	return out, true
}
