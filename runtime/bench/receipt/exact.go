package receipt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// exact reports a member of an object in the text that the value's type has no field
// for, by its very name. encoding/json finds fields without regard to case, and
// passes over what it does not know: a second "KEY" (or one with the Kelvin sign) would replace "key" in this
// program and in no other. Keys of maps it takes as they are, so that any may stand
// there.
func exact(text []byte, to any) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	return names(v, reflect.TypeOf(to), "")
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// names walks a value beside the type that it is read into; at is where it stands.
func names(v any, t reflect.Type, at string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(unmarshaler) {
		return nil // it reads itself, such as a time
	}
	switch v := v.(type) {
	case []any:
		if t.Kind() != reflect.Slice && t.Kind() != reflect.Array {
			return nil // decoding says that better
		}
		for i, e := range v {
			if err := names(e, t.Elem(), fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		switch t.Kind() {
		case reflect.Map:
			for name, e := range v {
				if err := names(e, t.Elem(), at+"."+name); err != nil {
					return err
				}
			}
		case reflect.Struct:
			known := fields(t)
			for name, e := range v {
				field, ok := known[name]
				if !ok {
					return unknown(name, at, known)
				}
				if err := names(e, field, at+"."+name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// unknown says what is wrong with a member's name.
func unknown(name, at string, known map[string]reflect.Type) error {
	where := "in the receipt itself"
	if at != "" {
		where = fmt.Sprintf("in %.80q", strings.TrimPrefix(at, "."))
	}
	for k := range known {
		if strings.EqualFold(k, name) {
			return fmt.Errorf("the member %+.80q %s is not %q, which other programs would not take it for", name, where, k)
		}
	}
	return fmt.Errorf("this version of the program does not know the member %+.80q %s: a newer one may", name, where)
}

// fields are the names of a struct's members and their types, those of embedded
// structs included.
func fields(t reflect.Type) map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || f.Tag.Get("json") == "-" || f.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		all[name] = f.Type
	}
	return all
}
