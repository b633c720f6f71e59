package cpu

import "reflect"

// Bytes is the arena and all scratch: see backend.Sized.
func (e *executable) Bytes() int64 {
	shared := e.shared
	shared.acts = acts{} // lie in the scratch
	n := len(e.arena.bytes) + len(e.scratch.bytes) + held(reflect.ValueOf(shared))
	for _, l := range e.workers {
		n += held(reflect.ValueOf(*l))
	}
	return int64(n)
}

// held is the bytes that the slices in v have memory for, whichever v has.
func held(v reflect.Value) int {
	n := 0
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			n += held(v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			n += held(v.Index(i))
		}
	case reflect.Slice:
		n = v.Cap() * int(v.Type().Elem().Size())
		if v.Type().Elem().Kind() == reflect.Slice {
			for i := range v.Len() {
				n += held(v.Index(i))
			}
		}
	}
	return n
}
