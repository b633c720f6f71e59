package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestJSONSchema(t *testing.T) {
	m := golden(t, "llama-gqa")
	schema := writeFile(t, "s.json", `{"type":"object","properties":{"on":{"type":"boolean"},"level":{"type":"integer","minimum":10,"maximum":20}},"required":["on","level"]}`)
	type answer struct {
		On    *bool
		Level int
	}
	check := func(text string) {
		t.Helper()
		var a answer
		if err := json.Unmarshal([]byte(text), &a); err != nil || a.On == nil || a.Level < 10 || a.Level > 20 {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, seed := range []string{"1", "2", "3"} {
		check(must(t, "run", "-m", m, "--json-schema", schema, "--temp", "1.5", "--seed", seed, "the other"))
	}
	check(must(t, "run", "-m", m, "--raw", "--json-schema", schema, "--json-spaces", "the other"))
	r := decode[runResult](t, must(t, "run", "-m", m, "--json", "--json-schema", schema, "the other"))
	check(r.Text)
	if r.Reason != "stop" {
		t.Errorf("it ended by %s", r.Reason)
	}
	chat := ledgeIn("one\ntwo\n", "chat", "-m", m, "--json-schema", schema)
	lines := strings.Split(strings.TrimSpace(chat.out), "\n")
	if chat.code != 0 || len(lines) != 2 {
		t.Fatalf("%+v", chat)
	}
	check(lines[0])
	check(lines[1])
}

// TestJSONSchemaCut: JSON that is not whole is a failure, however quiet one asks to be,
// and what there is has been written.
func TestJSONSchemaCut(t *testing.T) {
	m := golden(t, "llama-gqa")
	long := writeFile(t, "s.json", `{"type":"string","minLength":2000}`)
	for _, c := range []struct {
		flags []string
		say   string
	}{
		{[]string{"-n", "2"}, "the JSON is not whole: -n 2 cut it"},
		{[]string{"-n", "2", "-q"}, "the JSON is not whole: -n 2 cut it"},
		{[]string{"-n", "2", "-q", "--json"}, "the JSON is not whole: -n 2 cut it"},
		{[]string{"-c", "64", "-q"}, "the JSON is not whole: the context of 64 tokens is full; -c sets a larger one"},
	} {
		r := ledge(append([]string{"run", "-m", m, "--json-schema", long, "the other"}, c.flags...)...)
		if r.code != exitFailed || r.out == "" || !strings.Contains(r.err, "ledge: "+c.say) {
			t.Errorf("%q: %+v", c.flags, r)
		}
	}
	chat := ledgeIn("one\ntwo\n", "chat", "-m", m, "--json-schema", long, "-n", "3", "-q")
	if chat.code != exitFailed || strings.Count(chat.out, "\n") != 2 || strings.Count(chat.err, "the JSON is not whole: -n 3 cut it\n") != 2 {
		t.Errorf("%+v", chat)
	}
}

func TestJSONSchemaErrors(t *testing.T) {
	m := golden(t, "llama-gqa")
	good := writeFile(t, "s.json", `{"type":"null"}`)
	bad := writeFile(t, "bad.json", `{"properties":{"a":{"if":{}}}}`)
	for _, c := range []struct {
		args []string
		code int
		say  string
	}{
		{[]string{"--json-schema", bad}, exitFailed, "#/properties/a/if: this keyword is not supported"},
		{[]string{"--json-schema", bad + ".not"}, exitFailed, "cannot read"},
		{[]string{"--json-schema", ""}, exitUsage, "no file"},
		{[]string{"--json-spaces"}, exitUsage, "--json-schema only"},
		{[]string{"--json-schema", good, "--ignore-eos"}, exitUsage, "exclude"},
		{[]string{"--json-schema", good, "--stop", "x"}, exitUsage, "exclude"},
	} {
		r := ledge(append([]string{"run", "-m", m, "the"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.err, c.say) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%s: %+v", c.args, r)
		}
	}
}
