// Package jsonfault says what is wrong with JSON without the words of the parser's author
// for it.
package jsonfault

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Of is an error of encoding/json in plain words; other errors stay as they are.
func Of(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		what := "it"
		if kind.Field != "" {
			what = fmt.Sprintf("%q", kind.Field)
		}
		return fmt.Errorf("%s is %s: it must be %s", what, Value(kind.Value), typeWord(kind.Type))
	case errors.As(err, &syntax) && strings.HasPrefix(err.Error(), "unexpected end"):
		return errors.New("it ends too early")
	case errors.As(err, &syntax):
		return fmt.Errorf("byte %d: %w", syntax.Offset, err)
	}
	return err
}

// Value is what an UnmarshalTypeError's Value is in words: "number", or "number 1.5" where its
// size is the fault.
func Value(v string) string {
	words := map[string]string{"string": "a text", "number": "a number", "bool": "true or false", "array": "a list", "object": "an object"}
	if w, ok := words[v]; ok {
		return w
	}
	return strings.TrimPrefix(v, "number ")
}

// typeWord is what a value must be.
func typeWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeWord(t.Elem())
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a whole number"
}
