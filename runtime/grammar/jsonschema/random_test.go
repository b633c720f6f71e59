package jsonschema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ledge-run/ledge/runtime/grammar"
	"github.com/ledge-run/ledge/runtime/grammar/jsonschema"
	"github.com/ledge-run/ledge/runtime/sampler"
)

// words cross the parts of a JSON text, and characters.
var words = []string{
	`{"`, `":`, `":"`, `","`, `",`, `"}`, `"]`, `],"`, `}}`, `}]`, `},{"`, `[]`, `{}`, `[[`, `[{"`, `]]`, `null`, `true`, `false`, `tru`, `nul`, `":true`, `":null}`,
	`,-`, `-1`, `10`, `100`, `1.5`, `0.`, `.0`, `e1`, `E-`, `12,`, `7}`, `0]`, `0,0`, ` "`, `: `, `, `, ` `, "\n", `the`, ` the`, `ab`, `abc`, `aaaa`, `x"`, `x","y":"`,
	`\"`, `\\`, `\n`, `\u`, `\u00`, `\ud8`, `\ud83d\ude00`, `"a`, `"name":`, `a":`, "é", "é\"", "日", "日本", "日\"", "\xe6\x97", "\xa5本", "😀", "\xf0\x9f", "\x98\x80\"", `""`, `""}`, `"",""`,
	`-0`, `00`, `abcdefghij`, `p0":`, `"p1":`, `"k":"`, `v1`, `2026-`, `-0`, `T1`,
}

const end = 256

// vocabulary has every byte, an end, and words.
func vocabulary() (*grammar.Vocabulary, []string) {
	var pieces []string
	for b := range 256 {
		pieces = append(pieces, string([]byte{byte(b)}))
	}
	pieces = append(append(pieces, ""), words...)
	return grammar.NewVocabulary(len(pieces), func(id int32) string { return pieces[id] }, []int32{end}), pieces
}

// schemas makes schemas at random.
type schemas struct {
	r    *rand.Rand
	defs int
}

func (s *schemas) one(list ...string) string { return list[s.r.IntN(len(list))] }

func (s *schemas) value() string {
	return s.one(`null`, `true`, `0`, `-1`, `1.5`, `""`, `"a"`, `"é\"\n"`, `"日本"`, `[]`, `[1,"x"]`, `{}`, `{"a":{"b":[null]}}`, `1e3`)
}

func (s *schemas) schema(depth int) string {
	if depth <= 0 {
		return s.leaf()
	}
	switch s.r.IntN(10) {
	case 0, 1, 2:
		return s.object(depth)
	case 3, 4:
		return s.array(depth)
	case 5:
		var list []string
		for range 1 + s.r.IntN(3) {
			list = append(list, s.schema(depth-1))
		}
		return `{"anyOf":[` + strings.Join(list, ",") + `]` + s.one(``, `,"nullable":true`) + `}`
	case 6:
		if s.defs > 0 {
			return fmt.Sprintf(`{"$ref":"#/$defs/d%d"}`, s.r.IntN(s.defs))
		}
	}
	return s.leaf()
}

func (s *schemas) leaf() string {
	switch s.r.IntN(9) {
	case 0:
		return `{"type":"` + s.one("null", "boolean", "integer", "number", "string") + `"}`
	case 1:
		var list []string
		for range 1 + s.r.IntN(4) {
			list = append(list, s.value())
		}
		return `{"enum":[` + strings.Join(list, ",") + `]}`
	case 2:
		return `{"const":` + s.value() + `}`
	case 3, 4:
		lo := s.r.IntN(400) - 200
		limits := []string{fmt.Sprintf(`"minimum":%d`, lo), fmt.Sprintf(`"exclusiveMinimum":%g`, float64(lo)/8)}
		text := s.one(limits...)
		if s.r.IntN(2) == 0 {
			text += s.one(fmt.Sprintf(`,"maximum":%d`, lo+1+s.r.IntN(500)), fmt.Sprintf(`,"exclusiveMaximum":%g`, float64(lo)/8+200.5))
		}
		if s.r.IntN(4) == 0 {
			text += s.one(`,"multipleOf":3`, `,"multipleOf":0.5`, `,"multipleOf":0.25`)
		}
		return `{"type":` + s.one(`"integer"`, `"number"`, `["number","null"]`) + `,` + text + `}`
	case 5:
		lo := s.r.IntN(5)
		return fmt.Sprintf(`{"type":"string","minLength":%d,"maxLength":%d}`, lo, lo+s.r.IntN(8))
	case 6:
		return `{"type":"string","pattern":"` + s.one(`^[a-f]{1,4}$`, `b+c`, `^\\d{2}:\\d{2}$`, `^(on|off|\\w{3})$`, `^[^\"a]*$`, `\\S`, `^[Yy]es$|^(n|N)o`, `^.{0,3}é`, `^\\p{L}+$`, `^a|b$`) + `"` + s.one(``, ``, `,"maxLength":9`, `,"minLength":2`) + `}`
	case 7:
		return `{"type":"string","format":"` + s.one("date", "time", "date-time", "uuid", "ipv4", "email", "duration") + `"}`
	}
	return s.one(`true`, `{}`, `{"type":"array"}`, `{"type":"object"}`, `{"type":"string"}`)
}

func (s *schemas) object(depth int) string {
	var props, required []string
	for i := range s.r.IntN(5) {
		props = append(props, fmt.Sprintf(`"p%d":%s`, i, s.schema(depth-1)))
		if s.r.IntN(2) == 0 {
			required = append(required, fmt.Sprintf(`"p%d"`, i))
		}
	}
	more := s.one(``, `,"additionalProperties":false`, `,"additionalProperties":`+s.leaf())
	return `{"type":"object","properties":{` + strings.Join(props, ",") + `},"required":[` + strings.Join(required, ",") + `]` + more + `}`
}

func (s *schemas) array(depth int) string {
	text := `{"type":"array"`
	if s.r.IntN(4) == 0 {
		text += `,"prefixItems":[` + s.schema(depth-1) + `,` + s.schema(depth-1) + `]` + s.one(``, `,"items":false`, `,"items":`+s.schema(depth-1))
	} else {
		text += `,"items":` + s.schema(depth-1)
	}
	lo := s.r.IntN(3)
	return text + s.one(``, fmt.Sprintf(`,"maxItems":%d`, 3+s.r.IntN(3)), fmt.Sprintf(`,"minItems":%d,"maxItems":%d`, min(lo, 2), lo+s.r.IntN(4))) + `}`
}

// whole makes a schema with definitions, which may refer to each other.
func (s *schemas) whole() string {
	s.defs = s.r.IntN(3)
	var defs []string
	for i := range s.defs {
		defs = append(defs, fmt.Sprintf(`"d%d":%s`, i, s.schema(2)))
	}
	text := s.schema(3)
	if rest, ok := strings.CutPrefix(text, "{"); ok && s.defs > 0 && !strings.Contains(text[:min(8, len(text))], `"$ref"`) {
		if rest != "}" {
			rest = "," + rest
		}
		text = `{"$defs":{` + strings.Join(defs, ",") + `}` + rest
	} else if s.defs > 0 {
		text = `{"$defs":{` + strings.Join(defs, ",") + `},"type":"array","items":` + text + `}`
	}
	return text
}

// generate lets a model of random logits write, which ends what it can more gladly
// the longer the text is. It samples as every model does.
func generate(t testing.TB, e *grammar.Engine, pieces []string, r *rand.Rand) string {
	t.Helper()
	m := e.Matcher()
	p := sampler.DefaultParams()
	p.Seed = r.Uint64()
	smp, err := sampler.New(p, len(pieces))
	if err != nil {
		t.Fatal(err)
	}
	smp.SetConstraint(m)
	logits := make([]float32, len(pieces))
	var text strings.Builder
	for n := 0; n < 4000; n++ {
		for i := range logits {
			logits[i] = float32(r.NormFloat64())
		}
		haste := float32(min(n, 200)) / 10
		logits[end] += haste
		for _, b := range []byte(`"]}`) {
			logits[b] += haste
		}
		tok, err := smp.Sample(logits)
		if err != nil {
			t.Fatalf("after %q: %v", text.String(), err)
		}
		if err := smp.Accept(tok.ID); err != nil {
			t.Fatalf("after %q: %v", text.String(), err)
		}
		if tok.ID == end {
			return text.String()
		}
		text.WriteString(pieces[tok.ID])
		if m.Finished() {
			return text.String()
		}
	}
	t.Skipf("no end after %d bytes", text.Len())
	return ""
}

// compileForValidator compiles a schema with another library. OpenAPI's nullable
// is said in its words.
func compileForValidator(schema string) (*validator.Schema, error) {
	v, err := validator.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := validator.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", nullable(v)); err != nil {
		return nil, err
	}
	return c.Compile("schema.json")
}

func nullable(v any) any {
	switch v := v.(type) {
	case map[string]any:
		yes := v["nullable"] == true
		delete(v, "nullable")
		for k := range v {
			v[k] = nullable(v[k])
		}
		if yes {
			out := map[string]any{"anyOf": []any{v, map[string]any{"type": "null"}}}
			if defs, ok := v["$defs"]; ok {
				delete(v, "$defs")
				out["$defs"] = defs
			}
			return out
		}
	case []any:
		for i := range v {
			v[i] = nullable(v[i])
		}
	}
	return v
}

// strict reads exactly one JSON value, without duplicate names of properties that
// the schema names (p0, p1, ...).
func strict(text string) error {
	d := json.NewDecoder(strings.NewReader(text))
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows")
	}
	var v any
	return json.Unmarshal(raw, &v) // as float64: numbers out of range are an error
}

// TestRandom: whatever the schema and the logits, the text parses and is valid by
// another library's judgement.
func TestRandom(t *testing.T) {
	v, pieces := vocabulary()
	schemasToTry, texts := 800, 4
	if testing.Short() {
		schemasToTry = 200
	}
	unfit, done := map[string]int{}, 0
	for i := range schemasToTry {
		r := rand.New(rand.NewPCG(7, uint64(i)))
		s := &schemas{r: r}
		text := s.whole()
		g, err := jsonschema.Compile([]byte(text), jsonschema.Options{Spaces: r.IntN(4) == 0})
		if err != nil {
			reason := err.(*jsonschema.Error).Reason
			if !strings.Contains(reason, "satisfies") && !strings.Contains(reason, "refer") {
				t.Fatalf("schema %d %s: %v", i, text, err)
			}
			unfit[reason]++
			continue
		}
		judge, err := compileForValidator(text)
		if err != nil {
			t.Fatalf("schema %d %s: the validator: %v", i, text, err)
		}
		e := grammar.NewEngine(g, v)
		for range texts {
			t.Run("", func(t *testing.T) {
				out := generate(t, e, pieces, r)
				if err := strict(out); err != nil {
					t.Fatalf("schema %d %s\n%q is no JSON: %v", i, text, out, err)
				}
				value, err := validator.UnmarshalJSON(strings.NewReader(out))
				if err == nil {
					err = judge.Validate(value)
				}
				if err != nil {
					t.Fatalf("schema %d %s\n%s is not valid: %v", i, text, out, err)
				}
				done++
			})
		}
	}
	t.Logf("%d texts; schemas without a value: %v", done, unfit)
	if done < schemasToTry*texts*8/10 {
		t.Errorf("only %d of %d texts came to an end", done, schemasToTry*texts)
	}
}

// TestMasks: a mask allows just the tokens that can be accepted, wherever a text is,
// and also when the caches are emptied again and again.
func TestMasks(t *testing.T) {
	v, pieces := vocabulary()
	steps := 0
	for i := range 150 {
		r := rand.New(rand.NewPCG(11, uint64(i)))
		s := &schemas{r: r}
		g, err := jsonschema.Compile([]byte(s.whole()), jsonschema.Options{Spaces: r.IntN(2) == 0})
		if err != nil {
			continue
		}
		e := grammar.NewEngine(g, v)
		if i%3 == 0 {
			e.SetBudget(1000)
		}
		m := e.Matcher()
		mask := make([]uint64, (v.Size()+63)/64)
		for range 25 {
			clear(mask)
			if err := m.Mask(mask); err != nil {
				t.Fatal(err)
			}
			var allowed []int32
			for id := range int32(len(pieces)) {
				in := mask[id/64]>>(id%64)&1 == 1
				if err := m.Clone().Accept(id); (err == nil) != in {
					t.Fatalf("schema %d, token %q: in the mask %v, accepting it gives %v", i, pieces[id], in, err)
				}
				if in {
					allowed = append(allowed, id)
				}
			}
			steps++
			id := allowed[r.IntN(len(allowed))]
			if err := m.Accept(id); err != nil {
				t.Fatal(err)
			}
			if m.Finished() {
				break
			}
		}
	}
	if steps < 800 {
		t.Errorf("only %d masks were compared", steps)
	}
}

// FuzzCompile: no schema makes the compiler crash, hang or take much memory, and
// what it makes can be followed to an end.
func FuzzCompile(f *testing.F) {
	for i := range 40 {
		s := &schemas{r: rand.New(rand.NewPCG(3, uint64(i)))}
		f.Add([]byte(s.whole()))
	}
	for _, s := range []string{
		`{"$ref":"#"}`, `{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}`, `{"items":{"$ref":"#"},"minItems":1}`, `{"minLength":1e9}`, `{"minItems":1e300}`,
		`{"pattern":"(a|b)*a(a|b){20}"}`, `{"pattern":"((a{30}){30}){1}"}`, `{"pattern":"(?=a)[^]"}`, `{"minimum":1e308,"maximum":-1e308}`, `{"multipleOf":1e-300}`,
		`{"exclusiveMinimum":0.0999999999999999999}`, `{"exclusiveMaximum":-99999999999999999999,"multipleOf":3}`,
		`{"const":"\ud83d"}`, `{"pattern":"[\\ud83d\\ude00-\\uffff]\\x{3}"}`, `{"pattern":"^[\\s-\\S]$"}`,
		`{"pattern":"^([eE][+-]?|[Yy])*$"}`,
		`{"oneOf":[{"$ref":"#"},{"type":"null"}]}`, `{"enum":[{"a":1e5},"\ud800"]}`,
	} {
		f.Add([]byte(s))
	}
	v := bytesOnly()
	f.Fuzz(func(t *testing.T, schema []byte) {
		g, err := jsonschema.Compile(schema, jsonschema.Options{})
		if err != nil {
			if strings.ContainsRune(err.Error(), '\n') || !strings.HasPrefix(err.Error(), "JSON schema at #") {
				t.Fatalf("%q", err)
			}
			return
		}
		m := grammar.NewEngine(g, v).Matcher()
		mask := make([]uint64, 5)
		var text bytes.Buffer
		for n := 0; n < 300 && !m.Finished(); n++ {
			clear(mask)
			if err := m.Mask(mask); err != nil {
				t.Fatalf("after %q: %v", text.Bytes(), err)
			}
			id := lowest(mask, n)
			if err := m.Accept(id); err != nil {
				t.Fatalf("after %q: %v", text.Bytes(), err)
			}
			if id < 256 {
				text.WriteByte(byte(id))
			}
		}
		if m.Finished() {
			if err := strict(text.String()); err != nil {
				t.Fatalf("%q is no JSON: %v", text.Bytes(), err)
			}
		}
	})
}

// lowest gives one of the tokens of a mask, another with every n.
func lowest(mask []uint64, n int) int32 {
	var ids []int32
	for id := range int32(257) {
		if mask[id/64]>>(id%64)&1 == 1 {
			ids = append(ids, id)
		}
	}
	return ids[int(math.Abs(float64(n*7919)))%len(ids)]
}
