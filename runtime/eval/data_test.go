package eval_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/eval"
)

func TestReadData(t *testing.T) {
	for _, c := range []struct {
		text   string
		labels []string
		task   eval.Task
		n      int
	}{
		{`{"text":"a","label":"x"}` + "\n\n" + `{"prompt":"b","label":"y","more":[1]}`, nil, eval.Label, 2},
		{"\xef\xbb\xbf" + `{"text":"a","label":"x"}`, []string{"x", "y"}, eval.Label, 1},
		{`{"text":"a","label":1,"options":["x","y"]}` + "\r\n" + `{"text":"a","label":"z","options":["x","y","z"]}` + "\r\n", nil, eval.Choice, 2},
		{`{"text":"a","answer":"x"}` + "\n" + `{"text":"a","answer":["x","y"],"label":null}`, nil, eval.Answer, 2},
		{`{"text":"a","command":{"b":[1,2]}}`, nil, eval.Command, 1},
	} {
		d, err := eval.ReadData(strings.NewReader(c.text), c.labels, false)
		if err != nil || d.Task != c.task || len(d.Items) != c.n || len(d.Skipped) != 0 {
			t.Errorf("%s: %+v, %v", c.text, d, err)
		}
	}
	d, err := eval.ReadData(strings.NewReader(`{"text":"a","label":1,"options":["x","y"]}`), nil, false)
	if err != nil || d.Items[0].Is != "y" || d.Items[0].Line != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}

// badLines are lines that no data set has, with what is said of them.
var badLines = map[string]string{
	`{"text":"a","label":"x"`: "ends too early", `{"text":5,"label":"x"}`: `"text" is a number: it must be a text`, `[1]`: "no JSON object", `nope`: "no JSON object", "{\"text\":\"\xff\",\"label\":\"x\"}": "UTF-8",
	`{"label":"x"}`: `no "text"`, `{"text":"a"}`: "none of", `{"text":"a","label":"x","answer":"y"}`: "more than one", `{"text":"a","prompt":"b","label":"x"}`: "both",
	`{"text":"a","answer":"x","options":["x","y"]}`: `no "label"`, `{"text":1,"label":"x"}`: "fields", `{"text":"a","label":""}`: "empty", `{"text":"a","label":2}`: `"label" must be`,
	`{"text":"a","label":2,"options":["x","y"]}`: "there are 2 options", `{"text":"a","label":-1,"options":["x","y"]}`: "there are 2 options", `{"text":"a","label":"z","options":["x","y"]}`: "none of the options",
	`{"text":"a","label":"x","options":["x"]}`: "less than two", `{"text":"a","label":"x","options":["x","x"]}`: "twice", `{"text":"a","label":"x","options":["x",""]}`: "empty text",
	`{"text":"a","answer":[]}`: `"answer" must be`, `{"text":"a","answer":3}`: `"answer" must be`, `{"text":"a","command":[1]}`: "no JSON object", `{"text":"a","answer":"x"}`: "the task answer",
}

func TestBadData(t *testing.T) {
	good := `{"text":"a","label":"x"}` + "\n" + `{"text":"b","label":"y"}` + "\n"
	for line, say := range badLines {
		_, err := eval.ReadData(strings.NewReader(good+line+"\n"+good), nil, false)
		if err == nil || !strings.Contains(err.Error(), "line 3: ") || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want it to say %q", line, err, say)
		}
		d, err := eval.ReadData(strings.NewReader(good+line+"\n"+good), nil, true)
		if err != nil || len(d.Items) != 4 || len(d.Skipped) != 1 || d.Items[3].Line != 5 {
			t.Errorf("%s skipped: %+v, %v", line, d, err)
		}
	}
	for text, say := range map[string]string{"": "no item", "\n\n": "no item", `{"text":"a","label":"x"}`: "nothing to tell apart", "x\n": "no JSON object", strings.Repeat("x", 5<<20): "longer than"} {
		if _, err := eval.ReadData(strings.NewReader(text), nil, false); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%.40q: %v; want it to say %q", text, err, say)
		}
	}
	if _, err := eval.ReadData(strings.NewReader(good), []string{"x", "z"}, false); err == nil || !strings.Contains(err.Error(), "line 2: the label") {
		t.Error(err)
	}
	for say, labels := range map[string][]string{`"x" is given twice`: {"x", "y", "x"}, "is empty": {"x", ""}} {
		if _, err := eval.ReadData(strings.NewReader(good), labels, true); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %v", labels, err)
		}
	}
	if d, err := eval.ReadData(strings.NewReader(good), []string{"x", "z"}, true); err != nil || len(d.Items) != 1 || len(d.Skipped) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}

func FuzzReadData(f *testing.F) {
	for line := range badLines {
		f.Add([]byte(`{"text":"a","label":"x"}` + "\n" + line))
	}
	f.Add([]byte(`{"text":"a","command":{"b":{"c":[1e400,null]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		strict, err := eval.ReadData(strings.NewReader(string(data)), nil, false)
		lax, laxErr := eval.ReadData(strings.NewReader(string(data)), nil, true)
		if err == nil && (laxErr != nil || len(lax.Items) != len(strict.Items) || len(lax.Skipped) != 0) {
			t.Errorf("%v, %v: %+v, %+v", err, laxErr, strict, lax)
		}
		eval.FindObject(string(data))
	})
}

func TestSample(t *testing.T) {
	read := func() *eval.Data {
		var b strings.Builder
		for range 50 {
			b.WriteString(`{"text":"a","answer":"x"}` + "\n")
		}
		d, err := eval.ReadData(strings.NewReader(b.String()), nil, false)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	lines := func(n int, seed uint64) (out []int) {
		d := read()
		d.Sample(n, seed)
		for _, i := range d.Items {
			out = append(out, i.Line)
		}
		return out
	}
	a, b, c := lines(10, 1), lines(10, 1), lines(10, 2)
	if len(a) != 10 || !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, c) || len(lines(0, 1)) != 50 || len(lines(99, 1)) != 50 {
		t.Errorf("%d, %d, %d", a, b, c)
	}
}

func TestFindObject(t *testing.T) {
	for text, want := range map[string]struct {
		keys  int
		whole bool
	}{
		`{"a":1}`: {1, true}, ` {"a":1,"b":{}} ` + "\n": {2, true}, `Sure: {"a":1} and more`: {1, false}, "```json\n{\"a\":1}\n```": {1, false},
		`{ {"a":1}`: {1, false}, `{"a":1`: {-1, false}, `[1]`: {-1, false}, `null`: {-1, false}, ``: {-1, false}, `{"a":1}{"b":2}`: {1, false}, `{}`: {0, true},
		strings.Repeat("{", 100000): {-1, false},
	} {
		o, whole := eval.FindObject(text)
		if whole != want.whole || (o == nil) != (want.keys < 0) || o != nil && len(o) != want.keys {
			t.Errorf("%.60q: %v, %v", text, o, whole)
		}
	}
}

func TestConfusionSVG(t *testing.T) {
	c, err := eval.Classify([]string{"a", "<灯>", "a"}, []string{"a", "a", "(no answer)"}, []string{"<灯>", "a"})
	if err != nil {
		t.Fatal(err)
	}
	svg, err := eval.ConfusionSVG(&c, "m & m")
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	rects, texts := 0, 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := tok.(xml.StartElement); ok {
			switch s.Name.Local {
			case "rect":
				rects++
			case "text":
				texts++
			}
		}
	}
	if rects != 1+9 || texts != 2+6+3 || !strings.Contains(string(svg), "&lt;灯&gt;") || !strings.Contains(string(svg), "m &amp; m") {
		t.Errorf("%d rectangles, %d texts:\n%s", rects, texts, svg)
	}
	many := eval.Classification{Labels: make([]string, 101)}
	if _, err := eval.ConfusionSVG(&many, ""); err == nil {
		t.Error("101 labels are drawn")
	}
}

// near says that figures are the same but for rounding.
func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
