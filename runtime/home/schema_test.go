package home

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// -update writes schema.json and the table in schema.md anew from the lists.
var update = flag.Bool("update", false, "write schema.json and the table of schema.md from the lists in vocab.go")

// Patterns of the fields that are no enumerations.
func roomPattern() string {
	var rooms []string
	for _, p := range Places {
		if p != "all" {
			rooms = append(rooms, p)
		}
	}
	one := "(" + strings.Join(rooms, "|") + ")"
	return "^(|all|" + one + `(\+` + one + "){0,2})$"
}

func valuePattern() string {
	const upTo59 = "([1-9]|[1-5][0-9])"
	duration := "(([1-9]|[1-3][0-9]|4[0-7])h(" + upTo59 + "m)?(" + upTo59 + "s)?|" + upTo59 + "m(" + upTo59 + "s)?|" + upTo59 + "s)"
	amount := "(" + strings.Join(Words, "|") + `|(100|[1-9]?[0-9])%|(0|-?[1-9][0-9]{0,2})C|(0|-?[1-9][0-9]{0,2})F|-?(0|[1-9][0-9]{0,2})\.5[CF]|[1-9][0-9]{3}K|0|[1-9][0-9]{0,2})`
	when := "((" + strings.Join(Days, "|") + ")?@(([01][0-9]|2[0-3]):[0-5][0-9]|sunrise|sunset)|" + `\+?` + duration + ")"
	return "^(|" + amount + "( " + when + ")?|" + when + ")$"
}

// object keeps the order of its keys, which decoding follows.
type property struct {
	name string
	is   map[string]any
}

func builtSchema(t *testing.T) []byte {
	t.Helper()
	var props bytes.Buffer
	for i, p := range []property{
		{"intent", map[string]any{"enum": Intents}},
		{"device", map[string]any{"enum": append([]string{""}, Devices...)}},
		{"room", map[string]any{"type": "string", "pattern": roomPattern()}},
		{"value", map[string]any{"type": "string", "pattern": valuePattern()}},
		{"reply", map[string]any{"type": "string", "minLength": 1, "maxLength": MaxReply}},
	} {
		if i > 0 {
			props.WriteByte(',')
		}
		text, err := json.Marshal(p.is)
		if err != nil {
			t.Fatal(err)
		}
		props.WriteString(`"` + p.name + `":` + string(text))
	}
	var out bytes.Buffer
	err := json.Indent(&out, []byte(`{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"A household command","type":"object","properties":{`+
		props.String()+`},"required":["intent","device","room","value"],"additionalProperties":false}`), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}

func TestSchemaIsTheLists(t *testing.T) {
	want := builtSchema(t)
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(Schema, want) {
		t.Error("schema.json is not what the lists of vocab.go give: go test ./runtime/home -run Schema -update")
	}
}

func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fits(s *jsonschema.Schema, line string) error {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	if err := fits(s, `{"intent":"set","device":"ac","room":"kitchen+study","value":"-3.5C tomorrow@06:30","reply":"x"}`); err != nil {
		t.Error(err)
	}
	for _, line := range []string{
		`{"intent":"dance","device":"ac","room":"","value":""}`,
		`{"intent":"on","device":"car","room":"","value":""}`,
		`{"intent":"on","device":"ac","room":"pool","value":""}`,
		`{"intent":"on","device":"ac","room":"kitchen+","value":""}`,
		`{"intent":"on","device":"ac","room":"all+study","value":""}`,
		`{"intent":"on","device":"ac","room":"","value":"20"} `[:40] + `"}`,
		`{"intent":"set","device":"ac","room":"","value":"020C"}`,
		`{"intent":"set","device":"ac","room":"","value":"-0C"}`,
		`{"intent":"set","device":"ac","room":"","value":"20 C"}`,
		`{"intent":"set","device":"ac","room":"","value":"101%"}`,
		`{"intent":"set","device":"ac","room":"","value":"@24:00"}`,
		`{"intent":"set","device":"ac","room":"","value":"60m"}`,
		`{"intent":"set","device":"ac","room":"","value":"1h0m"}`,
		`{"intent":"on","device":"ac","room":"","value":"","reply":""}`,
		`{"intent":"on","device":"ac","room":"","value":"","more":"x"}`,
		`{"intent":"on","device":"ac","room":""}`,
	} {
		if fits(s, line) == nil {
			t.Errorf("the schema accepts %s", line)
		}
	}
}

// What the package writes the schema must accept, or decoding could not produce it.
func TestSchemaAcceptsEveryValue(t *testing.T) {
	pattern := regexp.MustCompile(valuePattern())
	n := 0
	try := func(v Value) {
		s := v.String()
		back, err := ParseValue(s)
		if err != nil {
			return // out of its bounds
		}
		n++
		if back != v {
			t.Errorf("%q is read as %+v, not %+v", s, back, v)
		}
		if !pattern.MatchString(s) {
			t.Errorf("the schema's pattern refuses %q", s)
		}
	}
	for _, w := range Words {
		try(Value{Word: w})
		try(Value{Word: w, Clock: "sunset"})
	}
	for unit, b := range bounds {
		for x := b.low; x <= b.high; x += b.step {
			try(Value{Number: x, Unit: unit})
		}
	}
	for _, d := range append([]string{""}, Days...) {
		for _, c := range []string{"00:00", "09:59", "19:30", "23:59", "sunrise"} {
			try(Value{Day: d, Clock: c})
			try(Value{Number: 21.5, Unit: Celsius, Day: d, Clock: c})
		}
	}
	for d := MaxDuration; d > 0; d -= 37e9 {
		try(Value{For: d})
		try(Value{Delay: d})
		try(Value{Number: 3, Unit: Level, For: d})
	}
	if n < 20000 {
		t.Errorf("%d values tried", n)
	}
}
