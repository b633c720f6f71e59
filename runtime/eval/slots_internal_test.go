package eval

import (
	"math"
	"regexp"
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
