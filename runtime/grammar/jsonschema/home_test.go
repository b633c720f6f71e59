package jsonschema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/ledge-run/ledge/runtime/grammar"
	"github.com/ledge-run/ledge/runtime/grammar/jsonschema"
)

// TestHome: the schema of household commands takes every command of the evaluation
// set as it stands there, and none with a field cut off.
func TestHome(t *testing.T) {
	schema, err := os.ReadFile("../../home/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	g, err := jsonschema.Compile(schema, jsonschema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../../home/evalset/handwritten.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	e, n := grammar.NewEngine(g, bytesOnly()), 0
	for line := range bytes.Lines(data) {
		var row struct{ Command json.RawMessage }
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatal(err)
		}
		if len(row.Command) == 0 {
			continue
		}
		n++
		for cut, want := range map[int]bool{0: true, 1: false, 2: false, 12: false} {
			m := e.Matcher()
			text := string(row.Command[:len(row.Command)-cut])
			if err := m.AcceptText(text); err != nil || m.Complete() != want {
				t.Errorf("%s: %v, complete %v", text, err, m.Complete())
			}
		}
	}
	if n < 300 {
		t.Errorf("%d commands", n)
	}
}
