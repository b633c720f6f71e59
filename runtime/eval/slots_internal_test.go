package eval

import (
	"errors"
	"maps"
	"math"
	"regexp"
	"strings"
	"testing"
)

// TestSlots: figures worked out by hand.
func TestSlots(t *testing.T) {
	var c slotCounter
	for _, k := range []struct{ right, got string }{
		{`{"intent":"on","device":"light","room":"","value":""}`, `{"intent":"on","device":"light","room":null,"reply":"done"}`},   // all right: an empty room is none
		{`{"intent":"on","device":"light","room":"study","value":""}`, `ok {"intent":"on","device":"lamp","room":"","value":"3"}`}, // lamp and 3 wrong, light and study missed
		{`{"intent":"off","device":"tv","room":"","value":5}`, `no idea`},                                                          // three missed
		{`{"intent":"set","device":"ac","room":"","value":{"n":1.0,"u":[1,"C"]}}`, `{"intent":"set","device":"ac","room":"","value":{"n":1,"u":[1.0,"C"]}}`},
	} {
		right, err := parseObject([]byte(k.right))
		if err != nil {
			t.Fatal(err)
		}
		got, whole := FindObject(k.got)
		c.add(right, got, whole)
	}
	s, exact := c.slots()
	if s.Items != 4 || s.Valid != .5 || s.Found != .75 || s.Exact != .5 || !exact[0] || exact[1] || exact[2] || !exact[3] {
		t.Errorf("%+v, %v", s, exact)
	}
	// Found: on, light, on, set, ac, value.n, value.u. Wrong: lamp, 3. Missed: light, study, off, tv, 5.
	p, r := 7.0/9, 7.0/12
	for what, d := range map[string]float64{"precision": s.Micro.Precision - p, "recall": s.Micro.Recall - r, "F1": s.Micro.F1 - 2*p*r/(p+r)} {
		if math.Abs(d) > 1e-12 {
			t.Errorf("%s is off by %g: %+v", what, d, s.Micro)
		}
	}
	byName := map[string]Field{}
	for _, f := range s.Fields {
		byName[f.Name] = f
	}
	if f := byName["room"]; f.Accuracy != .75 || f.Support != 1 || f.Recall != 0 {
		t.Errorf("room: %+v", f)
	}
	if f := byName["device"]; f.Accuracy != .5 || f.Support != 4 || math.Abs(f.Precision-2./3) > 1e-12 || f.Recall != .5 {
		t.Errorf("device: %+v", f)
	}
	if len(byName) != 6 {
		t.Errorf("%+v", s.Fields)
	}
}

// TestSameValues: values are alike by what they are, not by how they are written.
func TestSameValues(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{`{"v":1.0}`, `{"v":1}`, true}, {`{"v":-0.0}`, `{"v":0e5}`, true}, {`{"v":1200}`, `{"v":1.2E+3}`, true}, {`{"v":0.012}`, `{"v":12e-3}`, true},
		{`{"v":9007199254740993}`, `{"v":9007199254740992}`, false}, {`{"v":1}`, `{"v":-1}`, false}, {`{"v":1}`, `{"v":10}`, false}, {`{"v":1}`, `{"v":"1"}`, false},
		{`{"v":1e999}`, `{"v":10e998}`, true}, {`{"v":1e99999999999999999999}`, `{"v":2e99999999999999999999}`, false}, {`{"v":0e99999999999999999999}`, `{"v":0}`, true},
		{`{"v":1e9223372036854775807}`, `{"v":1e-9223372036854775808}`, false},
		{`{"a.b":1}`, `{"a":{"b":1}}`, false}, {`{"a\\":{"b":1}}`, `{"a\\.b":1}`, false}, {`{"a":{"b":1,"c":""}}`, `{"a":{"b":1}}`, true},
		{`{"v":["a","b"]}`, `{"v":["a\",\"b"]}`, false}, {`{"v":["1:as1:b"]}`, `{"v":["1","as1:b"]}`, false}, {`{"v":[[],[]]}`, `{"v":[[[]]]}`, false},
		{`{"v":[{"x":1,"y":2}]}`, `{"v":[{"y":2.0,"x":1}]}`, true}, {`{"v":[null]}`, `{"v":[]}`, false}, {`{"v":[true]}`, `{"v":["true"]}`, false},
	} {
		a, errA := parseObject([]byte(c.a))
		b, errB := parseObject([]byte(c.b))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if maps.Equal(flatten(a), flatten(b)) != c.same {
			t.Errorf("%s and %s: %q and %q", c.a, c.b, flatten(a), flatten(b))
		}
	}
}

// TestDeepValues: what is compared does not grow faster than the text.
func TestDeepValues(t *testing.T) {
	const deep = 9000
	for what, text := range map[string]string{
		"lists":     `{"a":` + strings.Repeat("[", deep) + `"\\"` + strings.Repeat("]", deep) + `}`,
		"objects":   strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep),
		"long keys": strings.Repeat(`{"`+strings.Repeat("k", 400)+`":`, deep) + "1" + strings.Repeat("}", deep),
		"many":      `{"` + strings.Repeat("k", 1<<16) + `":{` + strings.TrimSuffix(strings.Repeat(`"0":[],`, 1<<15), ",") + `}}`,
	} {
		v, err := parseObject([]byte(text))
		if err != nil {
			t.Fatal(what, err)
		}
		size := 0
		for k, x := range flatten(v) {
			size += len(k) + len(x)
		}
		if size == 0 || size > 2*len(text)+maxFieldName {
			t.Errorf("%s: %d bytes of text make %d", what, len(text), size)
		}
		var c slotCounter
		c.add(v, v, true)
		if s, exact := c.slots(); !exact[0] || len(s.Fields) == 0 {
			t.Errorf("%s: %+v", what, s)
		}
	}
}

func TestOption(t *testing.T) {
	labels := []string{"positive", "very positive", "negative", "no", "开灯", "开"}
	for _, c := range []struct{ output, want string }{
		{"positive", "positive"}, {" Positive\n", "positive"}, {"The answer is: negative, since", "negative"}, {"It is very positive.", "very positive"},
		{"nothing", NoAnswer}, {"", NoAnswer}, {"no, it is positive", "no"}, {"answer: no", "no"}, {"请开灯吧", "开灯"}, {"打开", "开"}, {"positively", NoAnswer},
	} {
		o := MatchOptions{}
		if got := o.option(c.output, labels); got != c.want {
			t.Errorf("%q means %q, want %q", c.output, got, c.want)
		}
	}
	o := MatchOptions{Regexp: regexp.MustCompile(`(?i)answer: (\w+)`)}
	if got := o.option("positive? Answer: NO way", labels); got != "no" {
		t.Errorf("got %q", got)
	}
	if got := o.option("positive", labels); got != NoAnswer {
		t.Errorf("got %q", got)
	}
}

func TestMatch(t *testing.T) {
	o := MatchOptions{}
	if !o.matches(" Paris \n", []string{"London", "Paris"}) || o.matches("paris", []string{"Paris"}) || o.matches("Paris.", []string{"Paris"}) {
		t.Error("exact match")
	}
	o = MatchOptions{IgnoreCase: true, IgnorePunctuation: true}
	if !o.matches("PARIS!", []string{"“Paris”"}) || !o.matches("new  york", []string{"New York"}) {
		t.Error("loose match")
	}
	o = MatchOptions{Regexp: regexp.MustCompile(`\d+`)}
	if !o.matches("It is 42, I think, or 43", []string{"42"}) || o.matches("none", []string{""}) {
		t.Error("a number in a text")
	}
}

// TestNoInfinity: JSON has none, so that one would lose the whole run.
func TestNoInfinity(t *testing.T) {
	inf := float32(math.Inf(-1))
	if lp, err := logprob([]float32{0, inf, 1}, 1); !errors.Is(err, errNoNumber) {
		t.Errorf("%g, %v", lp, err)
	}
	if lp, err := logprob([]float32{0, inf, 1}, 2); err != nil || !(lp < 0) {
		t.Errorf("%g, %v", lp, err)
	}
	half := float32(math.Log(.5))
	for _, c := range []struct {
		logits, reference []float32
		next              int32
		ok                bool
	}{
		{[]float32{0, 0, inf}, []float32{half, half, inf}, 0, true},    // neither thinks it possible
		{[]float32{0, 0, inf}, []float32{half, half, inf}, 2, false},   // and it comes
		{[]float32{0, inf, inf}, []float32{half, half, inf}, 0, false}, // the reference thinks it possible
		{[]float32{0, 0, 0}, []float32{half, half, inf}, 2, false},
	} {
		p := compareRow(c.logits, c.reference, c.next, inf)
		if (p.err == nil) != c.ok || c.ok && math.IsNaN(p.kl) {
			t.Errorf("%+v: %+v", c, p)
		}
	}
}
