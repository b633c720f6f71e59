package jsonschema_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/grammar"
	"github.com/ledge-run/ledge/runtime/grammar/jsonschema"
)

// bytesOnly is a vocabulary of the 256 bytes and an end.
func bytesOnly() *grammar.Vocabulary {
	return grammar.NewVocabulary(257, func(id int32) string {
		if id == 256 {
			return ""
		}
		return string([]byte{byte(id)})
	}, []int32{256})
}

func matches(g *grammar.Grammar, text string) bool {
	m := grammar.NewEngine(g, bytesOnly()).Matcher()
	return m.AcceptText(text) == nil && m.Complete()
}

// TestTexts: which texts are words of which schema's grammar.
func TestTexts(t *testing.T) {
	for _, c := range []struct {
		schema  string
		yes, no []string
	}{
		{`{"type":"boolean"}`, []string{`true`, `false`}, []string{`null`, `truex`, `tru`, ``, ` true`}},
		{`{"type":"null"}`, []string{`null`}, []string{`0`}},
		{`{"const":{"b":[1,"x"],"a":null}}`, []string{`{"b":[1,"x"],"a":null}`}, []string{`{"a":null,"b":[1,"x"]}`}},
		{`{"enum":["on","off",1,1.5,null,"\u00e9\n\"\\/"]}`, []string{`"on"`, `"off"`, `1`, `1.5`, `null`, `"é\n\"\\/"`}, []string{`"o"`, `"onn"`, `2`, `"é\u000a\"\\/"`}},
		{`{"enum":["\ud83d\uDE00","\\ud800"]}`, []string{`"😀"`, `"\\ud800"`}, nil},
		{`{"enum":["a",1,2.0,null],"type":["integer","null"]}`, []string{`1`, `2.0`, `null`}, []string{`"a"`}},
		{`{"enum":["a"],"nullable":true}`, []string{`"a"`, `null`}, nil},
		{`{"type":"integer"}`, []string{`0`, `-1`, `10`, `1234567890123456`}, []string{`-0`, `00`, `01`, `1.0`, `1e2`, `-`, `12345678901234567`, `+1`}},
		{`{"type":"number"}`, []string{`0`, `-0.5`, `0.0`, `10.25`, `1e5`, `1E+10`, `-2.5e-99`, `0.1234567890123456`}, []string{`-0`, `-0.0`, `.5`, `5.`, `1e`, `1e100`, `01.5`, `NaN`, `0x1`}},
		{`{"type":"integer","minimum":-5,"maximum":23}`, []string{`-5`, `-1`, `0`, `9`, `10`, `19`, `23`}, []string{`-6`, `24`, `100`, `-10`, `-0`}},
		{`{"type":"integer","exclusiveMinimum":0}`, []string{`1`, `99`}, []string{`0`, `-1`}},
		{`{"type":"integer","exclusiveMaximum":-10}`, []string{`-11`, `-100`}, []string{`-10`, `-9`, `0`, `5`}},
		{`{"type":"integer","minimum":16,"maximum":30}`, []string{`16`, `20`, `30`}, []string{`1`, `15`, `31`, `160`}},
		{`{"type":"integer","minimum":0.5,"maximum":2.5}`, []string{`1`, `2`}, []string{`0`, `3`}},
		{`{"type":"number","minimum":16,"maximum":30}`, []string{`16`, `16.0`, `29.99`, `30`, `30.00`}, []string{`15.99`, `30.01`, `1.6e1`, `3`, `2`}},
		{`{"type":"number","exclusiveMinimum":0.5,"exclusiveMaximum":0.75}`, []string{`0.51`, `0.500001`, `0.74999`, `0.6`}, []string{`0.5`, `0.50`, `0.75`, `0.750`, `0.8`, `1`, `0`}},
		{`{"type":"number","minimum":-1.5,"maximum":-0.25}`, []string{`-1.5`, `-1.50`, `-1`, `-0.25`, `-0.3`}, []string{`-1.51`, `-0.2`, `-2`, `0`, `-0`, `0.5`}},
		{`{"type":"number","minimum":0,"maximum":0}`, []string{`0`, `0.0`}, []string{`0.1`, `-0.1`, `-0`}},
		{`{"type":"number","exclusiveMaximum":10}`, []string{`9.99999999999999`, `-9.99999999999999`, `0.0001234567890123`}, []string{`9.9999999999999999`, `9.999999999999999`}},
		{`{"type":"number","minimum":100,"exclusiveMaximum":128}`, []string{`127.999999999999`, `100`, `100.000000000000000`}, []string{`127.9999999999999999`}},
		{`{"type":"number","exclusiveMinimum":1}`, []string{`1.00000000000001`, `1000000000000000`}, []string{`1.0000000000000001`, `1.0000000000000000`}},
		{`{"type":"integer","exclusiveMaximum":10000000000000000}`, []string{`9999999999999990`}, []string{`9999999999999999`}},
		{`{"type":"number","exclusiveMinimum":0.0999999999999999999}`, []string{`0.100000000000001`}, []string{`0.1`, `0.0999999999999999`}},
		{`{"type":"number","exclusiveMaximum":-0.1000000000000000001}`, []string{`-0.11`}, []string{`-0.1`}},
		{`{"type":"number","exclusiveMinimum":1e20,"exclusiveMaximum":3e20}`, []string{`200000000000000000000`, `100000000000001000000`}, []string{`100000000000000000001`, `100000000000000100000`}},
		{`{"type":"integer","multipleOf":3}`, []string{`999999999999999`, `9999999999999990`}, []string{`9999999999999999`}},
		{`{"type":"number","minimum":1e20}`, []string{`100000000000000000000`, `300000000000000000000`}, []string{`99999999999999999999`}},
		{`{"type":"integer","multipleOf":15}`, []string{`0`, `15`, `-30`, `45`, `150`}, []string{`1`, `14`, `151`}},
		{`{"type":"number","multipleOf":0.5,"minimum":16}`, []string{`16`, `16.5`, `17.0`, `22.5`}, []string{`16.25`, `15.5`, `16.50`}},
		{`{"type":"integer","multipleOf":2.5}`, []string{`0`, `5`, `-10`}, []string{`2`, `3`}},
		{`{"type":"string"}`, []string{`""`, `"a b"`, `"é日😀"`, `"\u00e9\n\ud83d\ude00\/\""`, "\"\u007f\u2028\""},
			[]string{`"`, `"a`, "\"\n\"", `"\x"`, `"\ud83d"`, `"\ud83dx"`, `"\ude00"`, `"\u12"`, "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", "\"\xe6\x97\"", `'a'`, `"a"b`}},
		{`{"type":"string","minLength":2,"maxLength":3}`, []string{`"ab"`, `"é日😀"`, `"\ud83d\ude00a"`, `"\n\n\n"`, `"\u0041b"`}, []string{`"a"`, `"abcd"`, `""`, `"\ud83d\ude00"`}},
		{`{"type":"string","maxLength":0}`, []string{`""`}, []string{`"a"`}},
		{`{"type":"string","minLength":3}`, []string{`"abc"`, `"abcdefgh"`}, []string{`"ab"`}},
		{`{"type":"string","pattern":"^[a-c]+$"}`, []string{`"a"`, `"abcabc"`}, []string{`""`, `"d"`, `"ad"`}},
		{`{"type":"string","pattern":"b"}`, []string{`"b"`, `"abc"`, `"é b"`}, []string{`"a"`, `""`}},
		{`{"type":"string","pattern":"^(\\d{2}:\\d{2}|now)$"}`, []string{`"07:30"`, `"now"`}, []string{`"7:30"`, `"nownow"`}},
		{`{"type":"string","pattern":"^$|^a.c$"}`, []string{`""`, `"abc"`, `"a\\c"`, `"a\"c"`, `"a\tc"`, `"aéc"`}, []string{`"ac"`, `"a\nc"`, `"abbc"`}},
		{`{"type":"string","pattern":"^(^a|b$)"}`, []string{`"a"`, `"ax"`, `"b"`}, []string{`"xb"`, `"bx"`}},
		{`{"type":"string","pattern":"^\\S*$","maxLength":2}`, []string{`"ab"`, `""`, `"é"`}, []string{`"a b"`, `"abc"`, "\"\u00a0\"", `" "`}},
		{`{"type":"string","pattern":"^(ab|cdcd)*$","minLength":3,"maxLength":4}`, []string{`"abab"`, `"cdcd"`}, []string{`"ab"`, `"ababab"`}},
		{`{"type":"string","pattern":"[\\u4e00-\\u9fff]{2}"}`, []string{`"日本"`, `"a日本b"`}, []string{`"日"`, `"日a本"`}},
		{`{"type":"string","pattern":"^[Yy]es$"}`, []string{`"yes"`, `"Yes"`}, []string{`"yEs"`, `"YES"`, `"es"`}},
		{`{"type":"string","pattern":"^(y|Y)[Nn]o?$"}`, []string{`"yn"`, `"YN"`, `"yNo"`}, []string{`"yNO"`, `"n"`}},
		{`{"type":"string","pattern":"^-?\\d+([eE][+-]?\\d+)?$"}`, []string{`"1"`, `"-1e5"`, `"2E+10"`}, []string{`"e5"`, `"1e"`}},
		{`{"type":"string","pattern":"^([kK]|[Éé])$"}`, []string{`"k"`, `"K"`, `"É"`, `"é"`}, []string{"\"\u212a\"", `"e"`}},
		{`{"type":"string","pattern":"^[^\\s,]+$"}`, []string{`"ab"`, `"é"`, "\"\u200b\""}, []string{"\"a\u00a0b\"", "\"\u3000\"", "\"\u2028\"", "\"\ufeff\"", `"\u000b"`, `"a b"`}},
		{`{"type":"string","pattern":"^[\\s\\S]{2}$"}`, []string{`"a "`, `"\n\n"`, "\"\u00a0\u3000\""}, []string{`"a"`}},
		{`{"type":"string","pattern":"^\\ud83d\\uDE00[\\ud83d\\ude01-\\ud83d\\ude03]\\u0041\\x41$"}`, []string{`"😀😁AA"`, `"😀😃AA"`}, []string{`"😀😄AA"`, `"😁😁AA"`}},
		{`{"type":"string","format":"date"}`, []string{`"2026-11-26"`, `"2024-02-28"`}, []string{`"2026-02-30"`, `"2026-13-01"`}},
		{`{"type":"array","items":{"type":"integer"}}`, []string{`[]`, `[1]`, `[1,-2,3]`}, []string{`[1,]`, `[,1]`, `[1 ,2]`, `[1`, `["a"]`}},
		{`{"type":"array","items":{"type":"null"},"minItems":2,"maxItems":3}`, []string{`[null,null]`, `[null,null,null]`}, []string{`[]`, `[null]`, `[null,null,null,null]`}},
		{`{"type":"array","items":{"type":"null"},"maxItems":0}`, []string{`[]`}, []string{`[null]`}},
		{`{"type":"array","items":{"type":"null"},"minItems":1}`, []string{`[null]`, `[null,null]`}, []string{`[]`}},
		{`{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false}`, []string{`[]`, `["a"]`, `["a",1]`}, []string{`["a",1,2]`, `[1]`}},
		{`{"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"null"},"minItems":1}`, []string{`["a"]`, `["a",null,null]`}, []string{`[]`, `["a","b"]`}},
		{`{"type":"array","prefixItems":[{"type":"null"}],"minItems":2}`, []string{`[null,7]`}, []string{`[null]`, `[null,7,7]`}},
		{`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"boolean"}},"required":["a"],"additionalProperties":false}`,
			[]string{`{"a":1}`, `{"a":1,"b":true}`}, []string{`{}`, `{"b":true}`, `{"b":true,"a":1}`, `{"a":1,}`, `{"a": 1}`, `{"a":1,"c":2}`, `{"a":1,"a":1}`}},
		{`{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}},"additionalProperties":false}`,
			[]string{`{}`, `{"a":null}`, `{"b":null}`, `{"c":null}`, `{"a":null,"c":null}`, `{"b":null,"c":null}`, `{"a":null,"b":null,"c":null}`}, []string{`{"c":null,"a":null}`, `{,"a":null}`}},
		{`{"type":"object","properties":{}}`, []string{`{}`}, []string{`{"a":1}`}},
		{`{"type":"object","additionalProperties":false}`, []string{`{}`}, []string{`{"a":1}`}},
		{`{"type":"object"}`, []string{`{}`, `{"a":[1,{"b":null}],"\n":"x"}`}, []string{`{"a"}`}},
		{`{"type":"object","required":["a"]}`, []string{`{"a":[]}`}, []string{`{}`}},
		{`{"type":"object","additionalProperties":{"type":"integer"}}`, []string{`{}`, `{"x":1,"y":2}`}, []string{`{"x":"1"}`}},
		{`{"type":"object","properties":{"ab":{"type":"null"},"é":{"type":"null"}},"required":["ab"],"additionalProperties":{"type":"integer"}}`,
			[]string{`{"ab":null,"a":1,"abc":2,"":3,"b":4}`, `{"ab":null,"é":null}`}, []string{`{"ab":null,"ab":1}`, `{"ab":null,"é":1}`, `{"ab":null,"\u00e9":1}`}},
		{`{"anyOf":[{"type":"integer"},{"type":"string","maxLength":1},{"type":"null"}]}`, []string{`5`, `"x"`, `null`}, []string{`"xy"`, `true`}},
		{`{"type":["integer","null"],"minimum":3}`, []string{`3`, `null`}, []string{`2`}},
		{`{"oneOf":[{"type":"object","properties":{"k":{"const":"a"},"v":{"type":"integer"}},"required":["k","v"]},{"type":"object","properties":{"k":{"const":"b"},"w":{"type":"null"}},"required":["k","w"]}]}`,
			[]string{`{"k":"a","v":1}`, `{"k":"b","w":null}`}, []string{`{"k":"a","w":null}`, `{"k":"c"}`}},
		{`{"$ref":"#/$defs/t","$defs":{"t":{"type":"object","properties":{"v":{"type":"integer"},"l":{"$ref":"#/$defs/t"},"r":{"anyOf":[{"$ref":"#/$defs/t"},{"type":"null"}]}},"required":["v"]}}}`,
			[]string{`{"v":1}`, `{"v":1,"l":{"v":2,"r":{"v":3,"r":null}},"r":null}`}, []string{`{"v":1,"l":null}`}},
		{`{"type":"array","items":{"$ref":"#"}}`, []string{`[]`, `[[],[[]]]`}, []string{`[1]`, `[[]`}},
		{`{"allOf":[{"$ref":"#/$defs/a~1b%20c"}],"$defs":{"a/b c":{"const":1}}}`, []string{`1`}, []string{`2`}},
		{`{"$id":"http://e/r","properties":{"$id":{"$id":"#i","$ref":"#/$defs/x"}},"$defs":{"x":{"$id":"http://e/x","const":1}}}`, []string{`{"$id":1}`}, []string{`{"$id":2}`}},
		{`true`, []string{`null`, `[1,"a",{"b":false}]`, `-1.5e3`}, []string{``, `[`, `{1:2}`}},
		{`{"title":"anything","x-order":3}`, []string{`"x"`}, nil},
		{`{"properties":{"a":false,"b":{"type":"null"}}}`, []string{`{}`, `{"b":null}`}, []string{`{"a":1}`}},
		// Ambiguous at every level, and still two states.
		{`{"anyOf":[{"type":"object","properties":{"n":{"$ref":"#"},"a":{"type":"null"}},"required":["n","a"]},{"type":"object","properties":{"n":{"$ref":"#"},"b":{"type":"null"}},"required":["n","b"]},{"type":"null"}]}`,
			[]string{`{"n":{"n":null,"b":null},"a":null}`, strings.Repeat(`{"n":`, 500) + `null` + strings.Repeat(`,"a":null}`, 500)}, []string{`{"n":null}`}},
	} {
		g, err := jsonschema.Compile([]byte(c.schema), jsonschema.Options{})
		if err != nil {
			t.Errorf("%s: %v", c.schema, err)
			continue
		}
		for _, s := range c.yes {
			if !matches(g, s) {
				t.Errorf("%s does not take %.80s", c.schema, s)
			}
		}
		for _, s := range c.no {
			if matches(g, s) {
				t.Errorf("%s takes %.80s", c.schema, s)
			}
		}
	}
}

func TestSpaces(t *testing.T) {
	g, err := jsonschema.Compile([]byte(`{"type":"object","properties":{"a":{"type":"array","items":{"type":"null"}},"b":{"type":"null"}}}`), jsonschema.Options{Spaces: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{`{"a":[null,null],"b":null}`, `{"a": [null, null], "b": null}`, `{"a": [null,null], "b":null}`} {
		if !matches(g, s) {
			t.Errorf("does not take %s", s)
		}
	}
	for _, s := range []string{`{ "a": []}`, `{"a":  []}`, `{"a": [] }`, `{"a": [null ,null]}`, "{\"a\":\n[]}"} {
		if matches(g, s) {
			t.Errorf("takes %s", s)
		}
	}
}

// TestOpenLimits: what is read as a float64 is within a limit that is excluded, too.
func TestOpenLimits(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, limit := range []string{"10", "128", "1", "0.1", "0.3", "1e-5", "123456789.125", "0.12345678901234567", "0.0999999999999999999", "9007199254740993", "1e16", "99999999999999999999"} {
		l, err := strconv.ParseFloat(limit, 64)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			schema string
			in     func(x float64) bool
		}{
			{`{"type":"number","exclusiveMinimum":` + limit + `}`, func(x float64) bool { return x > l }},
			{`{"type":"number","exclusiveMaximum":` + limit + `}`, func(x float64) bool { return x < l }},
			{`{"type":"number","exclusiveMinimum":-` + limit + `}`, func(x float64) bool { return x > -l }},
			{`{"type":"number","exclusiveMaximum":-` + limit + `}`, func(x float64) bool { return x < -l }},
		} {
			g, err := jsonschema.Compile([]byte(c.schema), jsonschema.Options{})
			if err != nil {
				t.Fatal(err)
			}
			e, taken := grammar.NewEngine(g, bytesOnly()), 0
			for range 2000 {
				x := l * (1 + float64(r.IntN(9)-4)*math.Pow10(-7-r.IntN(10)))
				if r.IntN(2) == 0 {
					x = -x
				}
				text := strconv.FormatFloat(x, 'f', r.IntN(17), 64)
				if r.IntN(2) == 0 { // 15 digits in all
					x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'e', 14, 64), 64)
					text = strconv.FormatFloat(x, 'f', -1, 64)
				}
				m := e.Matcher()
				if m.AcceptText(text) != nil || !m.Complete() {
					continue
				}
				taken++
				if x, err := strconv.ParseFloat(text, 64); err != nil || !c.in(x) {
					t.Errorf("%s takes %s, which is %v (%v)", c.schema, text, x, err)
				}
			}
			if taken == 0 {
				t.Errorf("%s takes nothing", c.schema)
			}
		}
	}
}

// TestWork: what it takes to compile is bounded for all rules together. Each of these
// compiled by itself, and all of them took minutes.
func TestWork(t *testing.T) {
	for _, c := range []struct{ pattern, say string }{
		{`^([Xacegi]?){1000}x%d$`, "too long to make it deterministic"},
		{`^((X|b)?){700}x%d$`, "all rules together take too long"},
	} {
		var props []string
		for i := range 1000 {
			props = append(props, fmt.Sprintf(`"p%d":{"type":"string","pattern":"`+c.pattern+`"}`, i, i))
		}
		_, err := jsonschema.Compile([]byte(`{"properties":{`+strings.Join(props, ",")+`}}`), jsonschema.Options{})
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v; want %q", c.pattern, err, c.say)
		}
	}
}

// TestLong: long lists and names cost no more than reading them: each of these took
// minutes.
func TestLong(t *testing.T) {
	list := func(n int, format string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return strings.Join(all, ",")
	}
	branch := `{"type":"object","required":[` + list(1500, `"p%d"`) + `],"properties":{"p1499":{"const":%d}}}`
	chain := `"c0":{"type":"null"}`
	for i := range 90 {
		chain += fmt.Sprintf(`,"c%d":{"$ref":"#/$defs/c%d"}`, i+1, i)
	}
	deep := strings.Repeat(`{"n":`, 90) + `{"` + strings.Repeat("x", 1<<20) + `":[` + list(300000, `%d`) + `]}` + strings.Repeat(`}`, 90)
	for _, c := range []struct{ name, schema, say string }{
		{"required", `{"required":[` + list(350000, `"%d"`) + `]}`, "too large"},
		{"required twice", `{"required":[` + list(350000, `"%d"`) + `,"0"]}`, "different strings"},
		{"properties", `{"properties":{` + list(100000, `"p%d":false`) + `},"required":[` + list(100000, `"p%d"`) + `]}`, "too large"},
		{"references", `{"$defs":{` + list(90000, `"d%d":true`) + `},"prefixItems":[` + list(90000, `{"$ref":"#/$defs/d%d"}`) + `]}`, "too large"},
		{"chains", `{"$defs":{` + chain + `},"prefixItems":[` + list(90000, `{"title":"%d","$ref":"#/$defs/c90"}`) + `]}`, "too large"},
		{"oneOf", `{"oneOf":[` + list(150, branch) + `]}`, "told apart"},
		{"names", `{"const":` + deep + `}`, "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := jsonschema.Compile([]byte(c.schema), jsonschema.Options{})
			if err == nil || !strings.Contains(err.Error(), c.say) || len(err.Error()) > 2000 {
				t.Errorf("%.300v; want %q", err, c.say)
			}
		})
	}
}

// TestClasses: an escape for a class of characters has the same ones by itself, in
// brackets and, the others, in those that begin with ^.
func TestClasses(t *testing.T) {
	spaces := []rune("\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff")
	for r := rune(0x2000); r <= 0x200a; r++ {
		spaces = append(spaces, r)
	}
	var tried []rune
	for r := range rune(0x100) {
		if r != '-' { // stands in brackets beside them
			tried = append(tried, r)
		}
	}
	for _, r := range spaces {
		tried = append(tried, max(r, 1)-1, r, r+1)
	}
	in := map[string]func(r rune) bool{
		"s": func(r rune) bool { return slices.Contains(spaces, r) },
		"d": func(r rune) bool { return '0' <= r && r <= '9' },
		"w": func(r rune) bool {
			return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		},
	}
	for class, want := range in {
		upper := strings.ToUpper(class)
		for _, c := range []struct {
			pattern string
			yes     bool
		}{
			{`\\` + class, true}, {`[\\` + class + `]`, true}, {`[^\\` + class + `]`, false}, {`[^\\` + upper + `]`, true},
			{`\\` + upper, false}, {`[\\` + upper + `]`, false}, {`[\\` + class + `-\uffff]`, true}, {`[-\\` + upper + `]`, false},
		} {
			g, err := jsonschema.Compile([]byte(`{"type":"string","pattern":"^`+c.pattern+`$"}`), jsonschema.Options{})
			if err != nil {
				t.Errorf("%s: %v", c.pattern, err)
				continue
			}
			e := grammar.NewEngine(g, bytesOnly())
			for _, r := range tried {
				text, err := json.Marshal(string(r))
				if err != nil {
					t.Fatal(err)
				}
				if r >= 0x20 && r != '"' && r != '\\' {
					text = []byte(`"` + string(r) + `"`)
				}
				m := e.Matcher()
				if got := m.AcceptText(string(text)) == nil && m.Complete(); got != (want(r) == c.yes) {
					t.Errorf("%s takes %U: %v", c.pattern, r, got)
				}
			}
		}
	}
}

// TestErrors: what is wrong or not supported is named with its place.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ schema, at, say string }{
		{``, "#", "ends early"}, {`{`, "#", "ends early"}, {`nope`, "#", "no JSON"}, {`{} {}`, "#", "something follows"}, {"{\"a\":\"\xff\"}", "#", "UTF-8"},
		{`{"enum":["\ud800"]}`, "#", `at byte 10: \ud800 is half`}, {`{"const":"\\\ude00\ud83d"}`, "#", "half"}, {`{"const":"\ud83d\u0041"}`, "#", "half"},
		{`[]`, "#", "an object or a boolean"}, {`{"type":"object","type":"string"}`, "#/type", "twice"},
		{strings.Repeat(`{"items":`, 200) + `true` + strings.Repeat(`}`, 200), "", "deep"},
		{`{"type":"strin"}`, "#/type", "one of"}, {`{"type":[]}`, "#/type", "no type"},
		{`{"properties":{"a":{"properties":{"b/c":{"not":{}}}}}}`, "#/properties/a/properties/b~1c/not", "not supported"},
		{`{"if":{}}`, "#/if", "not supported"}, {`{"patternProperties":{}}`, "#/patternProperties", "not supported"}, {`{"typo":1}`, "#/typo", "not supported"},
		{`{"type":"array","uniqueItems":true}`, "#/uniqueItems", "not supported"}, {`{"type":"array","contains":{}}`, "#/contains", "not supported"},
		{`{"type":"array","items":[{}]}`, "#/items", "prefixItems"},
		{`{"type":"object","minProperties":1}`, "#/minProperties", "not supported"}, {`{"type":"object","maxProperties":1}`, "#/maxProperties", "not supported"},
		{`{"allOf":[{},{}]}`, "#/allOf", "more than one"}, {`{"anyOf":[]}`, "#/anyOf", "empty"}, {`{"anyOf":[{}],"properties":{}}`, "#/properties", "beside anyOf"},
		{`{"anyOf":[{"type":"null"},{"type":"string","pattern":"(?=a)"}]}`, "#/anyOf/1/pattern", "looking around"},
		{`{"oneOf":[{"type":"integer"},{"type":"number"}]}`, "#/oneOf", "schemas 0 and 1"}, {`{"oneOf":[{"const":1},{"enum":[1.0,2]}]}`, "#/oneOf", "schemas 0 and 1"},
		{`{"enum":[]}`, "#/enum", "empty"}, {`{"enum":["a"],"type":"integer"}`, "#/enum", "nothing satisfies"}, {`{"enum":["a"],"minLength":1}`, "#/minLength", "beside enum"},
		{`{"const":1e999}`, "#/const", "out of range"}, {`{"minimum":1e-999999999}`, "#/minimum", "out of range"},
		{`{"minimum":"1"}`, "#/minimum", "a number"}, {`{"multipleOf":0}`, "#/multipleOf", "above 0"}, {`{"multipleOf":0.00001234}`, "#/multipleOf", "not supported"},
		{`{"type":"integer","minimum":3,"maximum":2}`, "#", "nothing satisfies"}, {`{"type":"integer","exclusiveMinimum":2,"exclusiveMaximum":3}`, "#", "nothing satisfies"},
		{`{"type":"string","minLength":-1}`, "#/minLength", "whole number"}, {`{"type":"string","minLength":1000000000}`, "#/minLength", "too large"},
		{`{"type":"string","minLength":3,"maxLength":2}`, "#/maxLength", "nothing satisfies"},
		{`{"type":"string","pattern":"^a$","minLength":2}`, "#", "nothing satisfies"},
		{`{"type":"string","pattern":"("}`, "#/pattern", "missing closing"}, {`{"type":"string","pattern":"(a)\\1"}`, "#/pattern", "back reference"},
		{`{"type":"string","pattern":"(?i)a"}`, "#/pattern", "flags"}, {`{"type":"string","pattern":"(?i:a)"}`, "#/pattern", "flags"}, {`{"type":"string","pattern":"(?P<n>a)"}`, "#/pattern", "flags"},
		{`{"type":"string","pattern":"^\\x{3}$"}`, "#/pattern", "two digits"}, {`{"type":"string","pattern":"\\x4"}`, "#/pattern", "two digits"},
		{`{"type":"string","pattern":"a\\b"}`, "#/pattern", "word boundary"}, {`{"type":"string","pattern":"a$b"}`, "#/pattern", "^ or $"},
		{`{"type":"string","pattern":"a{1001}"}`, "#/pattern", "repeat"}, {`{"type":"string","pattern":"(a|b)*a(a|b){30}"}`, "", "too large"},
		{`{"type":"string","pattern":"a{900}","maxLength":1000000}`, "#/pattern", "too large"},
		{`{"type":"string","format":"hostname"}`, "#/format", "these are: date"}, {`{"type":"string","format":"date","pattern":"a"}`, "#/format", "beside pattern"},
		{`{"type":"array","items":{"type":"null"},"minItems":1000000000}`, "#/minItems", "too large"}, {`{"type":"array","items":{"type":"null"},"minItems":1000000}`, "#", "too large"},
		{`{"required":["a"],"additionalProperties":false}`, "#/required/0", "nothing satisfies"}, {`{"required":["a","a"]}`, "#/required", "different strings"},
		{`{"properties":{"a":false},"required":["a"]}`, "#/properties/a", "nothing satisfies"},
		{`{"$ref":"#"}`, "#", "references"}, {`{"$ref":"other.json"}`, "#/$ref", "not supported"}, {`{"$ref":"#/nope"}`, "#/$ref", "leads nowhere"}, {`{"$ref":"#/$defs/a","type":"null","$defs":{"a":{}}}`, "#/type", "beside $ref"},
		{`{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`, "", "without an end"},
		{`{"$ref":"#/$defs/y","$defs":{"x":{},"y":{"$id":"http://e/y","$ref":"#/$defs/x"}}}`, "#/$defs/y/$ref", "below an $id"},
		{`{"properties":{"a":{"items":{"$ref":"#/$defs/x"}},"b":{"$id":"y","properties":{"a":{"items":{"$ref":"#/$defs/x"}}}}},"$defs":{"x":{}}}`, "#/properties/b/properties/a/items/$ref", "below an $id"},
		{`{"anyOf":[{"$ref":"#"},{"type":"null"}]}`, "#", "without anything between"},
		{`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`, "#", "nothing satisfies"},
		{`{"type":"array","items":{"$ref":"#"},"minItems":1}`, "#", "nothing satisfies"},
		{`{"nullable":1}`, "#/nullable", "true or false"}, {`{"nullable":"x","anyOf":[{}]}`, "#/nullable", "true or false"},
	} {
		_, err := jsonschema.Compile([]byte(c.schema), jsonschema.Options{})
		if err == nil {
			t.Errorf("%.100s is taken", c.schema)
			continue
		}
		e, ok := err.(*jsonschema.Error)
		if !ok || c.at != "" && e.Pointer != c.at || !strings.Contains(e.Error(), c.say) || strings.ContainsAny(e.Error(), "\n") {
			t.Errorf("%.100s: %v; want it at %s, saying %q", c.schema, err, c.at, c.say)
		}
	}
}
