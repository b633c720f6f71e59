package ledge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/ledge-run/ledge"
)

// answer is what answerSchema describes.
type answer struct {
	Intent string
	Level  *int
	Tags   []string
}

const answerSchema = `{"type":"object","additionalProperties":false,"required":["intent","level","tags"],"properties":{
	"intent":{"enum":["on","off","set"]},"level":{"type":["integer","null"],"minimum":0,"maximum":100},
	"tags":{"type":"array","maxItems":2,"items":{"type":"string","maxLength":6}}}}`

// TestJSONSchema: a model without any sense writes what the schema says, in several
// sessions at once, and by the same seed the same.
func TestJSONSchema(t *testing.T) {
	m := open(t, ledge.WithSequences(4))
	schema := ledge.JSONSchema([]byte(answerSchema))
	texts := make([]string, 8)
	for round := range 2 {
		var all sync.WaitGroup
		for i := range texts {
			all.Go(func() {
				s := m.NewSession()
				defer s.Close()
				text, _, err := generate(s, "abc", schema, ledge.Temperature(1.5), ledge.TopK(0), ledge.Seed(uint64(i/2)))
				if err != nil {
					t.Error(err)
					return
				}
				if u := s.Usage(); u.Reason != ledge.ReasonStop {
					t.Errorf("%q ended by %s", text, u.Reason)
				}
				d := json.NewDecoder(strings.NewReader(text))
				d.DisallowUnknownFields()
				var a answer
				if err := d.Decode(&a); err != nil || d.More() {
					t.Errorf("%q: %v", text, err)
				}
				if !strings.Contains("on off set", a.Intent) || len(a.Tags) > 2 || a.Level != nil && (*a.Level < 0 || *a.Level > 100) {
					t.Errorf("%q is not valid", text)
				}
				if round > 0 && text != texts[i] {
					t.Errorf("seed %d: %q, then %q", i/2, texts[i], text)
				}
				texts[i] = text
			})
		}
		all.Wait()
	}
	for i := 0; i < len(texts); i += 2 {
		if texts[i] != texts[i+1] {
			t.Errorf("one seed gives %q and %q", texts[i], texts[i+1])
		}
	}
	if texts[0] == texts[2] && texts[2] == texts[4] {
		t.Error("three seeds give the same")
	}
}

func TestJSONSchemaErrors(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	_, _, err := generate(s, "abc", ledge.JSONSchema([]byte(`{"type":"array","uniqueItems":true}`)))
	if err == nil || !strings.Contains(err.Error(), "#/uniqueItems: not supported") {
		t.Error(err)
	}
	schema := ledge.JSONSchema([]byte(`{"type":"string","minLength":50}`))
	text, ids, err := generate(s, "abc", schema, ledge.MaxTokens(5))
	if u := s.Usage(); err != nil || len(ids) != 5 || u.Reason != ledge.ReasonLength {
		t.Errorf("%q, %v, %v", text, err, u)
	}
	if _, _, err = generate(s, "abc", schema, ledge.IgnoreEnd()); err == nil {
		t.Error("a schema and IgnoreEnd go together")
	}
	if _, _, err = generate(s, "abc", schema, ledge.Constrain(free{})); err == nil {
		t.Error("a schema and a constraint go together")
	}
}

type free struct{}

func (free) Mask(allowed []uint64) error { return fmt.Errorf("asked") }
func (free) Accept(int32) error          { return nil }

// TestJSONSchemaStop: a stop text would cut the JSON, and the reason be as for a whole
// one. In whichever order, they exclude each other.
func TestJSONSchemaStop(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	schema, stop := ledge.JSONSchema([]byte(answerSchema)), ledge.Stop(":")
	for _, opts := range [][]ledge.GenerateOption{{schema, stop}, {stop, schema}} {
		text, _, err := generate(s, "abc", opts...)
		if err == nil || text != "" || !strings.Contains(err.Error(), "a JSON schema and a stop text exclude each other") {
			t.Errorf("%q, %v", text, err)
		}
	}
	if text, _, err := generate(s, "abc", stop, schema, ledge.Stop()); err != nil || !json.Valid([]byte(text)) {
		t.Errorf("%q, %v", text, err)
	}
}
