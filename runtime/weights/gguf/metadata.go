package gguf

import "math"

// Keys are the metadata's keys, in the order of the file. The slice is the
// File's own: read it only.
func (f *File) Keys() []string { return f.keys }

// Value is the value of a key as it is stored: uint8, int8, uint16, int16,
// uint32, int32, uint64, int64, float32, float64, bool or string, a slice of one
// of these, or, for an array of arrays, []any of such slices. Slices are the
// File's own: read them only. They stay valid after Close. Strings are bytes as
// they stand in the file, not necessarily UTF-8.
func (f *File) Value(key string) (v any, ok bool) {
	v, ok = f.values[key]
	return v, ok
}

// String is the value of a key that holds a string.
func (f *File) String(key string) (v string, ok bool) {
	v, ok = f.values[key].(string)
	return v, ok
}

// Bool is the value of a key that holds a bool.
func (f *File) Bool(key string) (v, ok bool) {
	v, ok = f.values[key].(bool)
	return v, ok
}

// Uint is the value of a key that holds an integer of any kind, if it is not
// negative.
func (f *File) Uint(key string) (v uint64, ok bool) { return asUint(f.values[key]) }

// Int is the value of a key that holds an integer of any kind, if an int64 can
// hold it.
func (f *File) Int(key string) (v int64, ok bool) { return asInt(f.values[key]) }

// Float is the value of a key that holds a number of any kind.
func (f *File) Float(key string) (v float64, ok bool) {
	switch v := f.values[key].(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	case uint64:
		return float64(v), true
	}
	n, ok := asInt(f.values[key])
	return float64(n), ok
}

// Strings is the value of a key that holds an array of strings. The slice is the
// File's own: read it only.
func (f *File) Strings(key string) (v []string, ok bool) {
	v, ok = f.values[key].([]string)
	return v, ok
}

// Floats is the value of a key that holds an array of floats, as float32.
func (f *File) Floats(key string) (v []float32, ok bool) {
	switch v := f.values[key].(type) {
	case []float32:
		return v, true
	case []float64:
		out := make([]float32, len(v))
		for i, x := range v {
			out[i] = float32(x)
		}
		return out, true
	}
	return nil, false
}

// Ints is the value of a key that holds an array of integers of any kind, if all
// of them fit an int64.
func (f *File) Ints(key string) (v []int64, ok bool) {
	switch v := f.values[key].(type) {
	case []uint8:
		return widen(v), true
	case []int8:
		return widen(v), true
	case []uint16:
		return widen(v), true
	case []int16:
		return widen(v), true
	case []uint32:
		return widen(v), true
	case []int32:
		return widen(v), true
	case []int64:
		return widen(v), true
	case []uint64:
		for _, x := range v {
			if x > math.MaxInt64 {
				return nil, false
			}
		}
		return widen(v), true
	}
	return nil, false
}

// Bools is the value of a key that holds an array of bools.
func (f *File) Bools(key string) (v []bool, ok bool) {
	v, ok = f.values[key].([]bool)
	return v, ok
}

func widen[T uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64](v []T) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return out
}

func asInt(v any) (int64, bool) {
	switch v := v.(type) {
	case uint8:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	case uint64:
		return int64(v), v <= math.MaxInt64
	}
	return 0, false
}

func asUint(v any) (uint64, bool) {
	if v, ok := v.(uint64); ok {
		return v, true
	}
	n, ok := asInt(v)
	if !ok || n < 0 {
		return 0, false
	}
	return uint64(n), true
}
