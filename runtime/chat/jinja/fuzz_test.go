package jinja

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzRender renders arbitrary templates within a small budget: whatever the
// template, rendering must end, not panic, and stay within its limits.
func FuzzRender(f *testing.F) {
	for _, b := range bombs {
		if len(b.source) < 2000 {
			f.Add(b.source)
		}
	}
	if data, err := os.ReadFile(filepath.Join("..", "testdata", "goldens.json")); err == nil {
		var cases []struct{ Source string }
		if err := json.Unmarshal(data, &cases); err != nil {
			f.Fatal(err)
		}
		for _, c := range cases {
			f.Add(c.Source)
		}
	}
	const vars = `{"messages":[{"role":"user","content":"hé <b>"}],"tools":null,"d":{"a":[1,2.5,"x"]},"l":[3,1,2],"s":"a,b c","n":-7}`
	limits := Limits{Source: 1 << 16, Nesting: 50, Steps: 20_000, Depth: 300, Output: 1 << 16, Memory: 1 << 20}
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := Compile(source, limits)
		if err != nil {
			return
		}
		v, err := FromJSON([]byte(vars))
		if err != nil {
			t.Fatal(err)
		}
		out, used, err := tmpl.RenderUsage(v.(*Dict))
		if err != nil && strings.Contains(err.Error(), "internal error") {
			t.Fatal(err)
		}
		if len(out) > limits.Output+1<<16 || used.Depth > limits.Depth+1 {
			t.Fatalf("%d bytes of output, %+v", len(out), used)
		}
	})
}

// FuzzJSON checks that what decodes encodes to JSON that decodes to the same.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"b":[1,-2.5e10,true,null,"é\u0000\ud83d\ude00"],"a":{}}`, `18446744073709551615`, `[[[]]]`, `"\ud800"`, `1e999`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := FromJSON(data)
		if err != nil {
			return
		}
		once, err := ToJSON(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(once, "Infinity") {
			return // not JSON, but what Python writes
		}
		v, err = FromJSON([]byte(once))
		if err != nil {
			t.Fatalf("%q: %v", once, err)
		}
		if twice, err := ToJSON(v); err != nil || twice != once {
			t.Fatalf("%q became %q, %v", once, twice, err)
		}
	})
}
