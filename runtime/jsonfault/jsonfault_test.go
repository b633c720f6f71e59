package jsonfault

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestOf(t *testing.T) {
	type record struct {
		Text    *string  `json:"text"`
		Options []string `json:"options"`
		N       int32    `json:"n"`
		F       float64  `json:"f"`
		B       bool     `json:"b"`
		In      struct {
			Text string `json:"text"`
		} `json:"in"`
	}
	for _, c := range []struct{ in, want string }{
		{`{"text":5}`, `"text" is a number: it must be a text`}, {`{"options":"a"}`, `"options" is a text: it must be a list`},
		{`{"options":[1]}`, `"options" is a number: it must be a text`}, {`{"n":1.5}`, `"n" is 1.5: it must be a whole number`},
		{`{"n":[]}`, `"n" is a list: it must be a whole number`}, {`{"f":{}}`, `"f" is an object: it must be a number`},
		{`{"b":"x"}`, `"b" is a text: it must be true or false`}, {`{"in":true}`, `"in" is true or false: it must be an object`},
		{`{"in":{"text":[]}}`, `"in.text" is a list: it must be a text`}, {`[]`, `it is a list: it must be an object`},
		{`{"text":"a"`, "it ends too early"}, {`{"text" "a"}`, `byte 9: invalid character '"' after object key`},
	} {
		var r record
		if err := Of(json.Unmarshal([]byte(c.in), &r)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.in, err, c.want)
		}
	}
	if other := errors.New("x"); Of(other) != other || Of(nil) != nil {
		t.Error("other errors change")
	}
}
