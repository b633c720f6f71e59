package evalset

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ledge-run/ledge/runtime/home"
)

var update = flag.Bool("update", false, "write the counts of docs/home-set.md anew")

func load(t *testing.T) (hand, routing []Item) {
	t.Helper()
	hand, err := Handwritten()
	if err != nil {
		t.Fatal(err)
	}
	if routing, err = Routing(); err != nil {
		t.Fatal(err)
	}
	return hand, routing
}

// Every label is right by the schema and by the package, and written in its one way.
func TestLabels(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(home.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	hand, routing := load(t)
	for _, it := range append(hand, routing...) {
		line := it.Command.String()
		label, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(label); err != nil {
			t.Errorf("%s: %v", it.ID, err)
		}
		if back, err := home.Parse(line); err != nil || back != it.Command {
			t.Errorf("%s: %s is read as %s (%v)", it.ID, line, back, err)
		}
		if it.Command.Reply != "" {
			t.Errorf("%s: a label has no reply", it.ID)
		}
	}
	for name, items := range map[string][]Item{"handwritten.jsonl": hand, "routing.jsonl": routing} {
		b, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		if len(lines) != len(items) {
			t.Fatalf("%s: %d lines, %d items", name, len(lines), len(items))
		}
		for i, line := range lines {
			if !strings.HasSuffix(line, `,"command":`+items[i].Command.String()+"}") {
				t.Errorf("%s: the command of %s is not written as the package writes it", name, items[i].ID)
			}
		}
	}
}

func TestTexts(t *testing.T) {
	hand, routing := load(t)
	ids := map[string]bool{}
	for _, it := range append(hand, routing...) {
		if ids[it.ID] {
			t.Errorf("%s: the id is in both files", it.ID)
		}
		ids[it.ID] = true
		han := strings.ContainsFunc(it.Text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
		latin := strings.ContainsFunc(it.Text, func(r rune) bool { return r < 128 && unicode.IsLetter(r) })
		if it.Lang == "en" && han || it.Lang == "zh" && !han || it.Lang == "mixed" && !(han && latin) {
			t.Errorf("%s: lang %s for %q", it.ID, it.Lang, it.Text)
		}
		if it.Text != strings.Join(strings.Fields(it.Text), " ") || strings.ContainsFunc(it.Text, unicode.IsControl) {
			t.Errorf("%s: stray spaces in %q", it.ID, it.Text)
		}
	}
}

// No sentence is there twice or nearly so, within the files or between them.
func TestNoneAreNear(t *testing.T) {
	hand, routing := load(t)
	all := append(hand, routing...)
	x := NewIndex()
	highest, pair := 0.0, ""
	for _, it := range all {
		if i, s := x.Nearest(it.Text); i >= 0 {
			if s >= TooNear {
				t.Errorf("%s and %s are %.2f alike: %q, %q", all[i].ID, it.ID, s, all[i].Text, it.Text)
			}
			if s > highest {
				highest, pair = s, all[i].ID+" and "+it.ID
			}
		}
		x.Add(it.Text)
	}
	t.Logf("the nearest two: %s, %.2f", pair, highest)
}

// What the sets must hold, at least.
func TestSizes(t *testing.T) {
	hand, routing := load(t)
	n := counts(hand)
	if len(hand) < 340 || n["none"] < 60 || n["lang zh"] < len(hand)*2/5 || n["lang en"] < len(hand)*2/5 || n["lang mixed"] < 20 {
		t.Errorf("the hand-written set: %d sentences, %d none, %d zh, %d en, %d mixed", len(hand), n["none"], n["lang zh"], n["lang en"], n["lang mixed"])
	}
	for _, i := range home.Intents {
		if n["intent "+i] < 2 {
			t.Errorf("intent %s is there %d times", i, n["intent "+i])
		}
	}
	for _, d := range home.Devices {
		if n["device "+d] < 2 {
			t.Errorf("device %s is there %d times", d, n["device "+d])
		}
	}
	for _, p := range home.Places {
		if n["room "+p] < 2 {
			t.Errorf("room %s is there %d times", p, n["room "+p])
		}
	}
	r := counts(routing)
	if len(routing) != 200 || r["none"] != 100 || r["lang zh"] != 100 {
		t.Errorf("the routing set: %d sentences, %d none, %d zh", len(routing), r["none"], r["lang zh"])
	}
}

func counts(items []Item) map[string]int {
	n := map[string]int{}
	for _, it := range items {
		n["lang "+it.Lang]++
		if !it.InTask() {
			n["none"]++
		}
		n["intent "+it.Command.Intent]++
		if it.InTask() {
			device := it.Command.Device
			if device == "" {
				device = `""`
			}
			n["device "+device]++
			n["device "+device+" "+it.Lang]++
			for _, r := range it.Command.Rooms() {
				n["room "+r]++
			}
			if len(it.Command.Rooms()) == 0 {
				n[`room ""`]++
			}
			if len(it.Command.Rooms()) > 1 {
				n["value several rooms"]++
			}
			n["value "+kind(it.Command.Value)]++
		}
		n["intent "+it.Command.Intent+" "+it.Lang]++
	}
	return n
}

// kind is what a value is made of.
func kind(s string) string {
	v, err := home.ParseValue(s)
	switch {
	case err != nil:
		return "wrong"
	case v.Empty():
		return "none"
	case v.Timed() && v.Unit == "" && v.Word == "":
		return "time"
	case v.Timed():
		return "amount and time"
	case v.Word != "":
		return "word"
	}
	return "number"
}

// The counts in the document are those of the files.
func TestCounts(t *testing.T) {
	const doc = "../../../docs/home-set.md"
	b, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- counts -->\n", "<!-- /counts -->\n"
	before, rest, ok := strings.Cut(string(b), begin)
	inside, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the counts between %q and %q", doc, begin, end)
	}
	hand, routing := load(t)
	want := tables(counts(hand), counts(routing), len(hand), len(routing))
	if *update {
		if err := os.WriteFile(doc, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if inside != want {
		t.Errorf("the counts of %s are not those of the files: go test ./runtime/home/evalset -run Counts -update", doc)
	}
}

func tables(h, r map[string]int, hand, routing int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| | hand-written | routing |\n| --- | ---: | ---: |\n| sentences | %d | %d |\n", hand, routing)
	row := func(name, key string) { fmt.Fprintf(&b, "| %s | %d | %d |\n", name, h[key], r[key]) }
	row("in Chinese", "lang zh")
	row("in English", "lang en")
	row("in both", "lang mixed")
	row("out of the task (intent none)", "none")
	row("of several rooms", "value several rooms")
	for _, k := range []string{"none", "number", "word", "time", "amount and time"} {
		row("in the task, value: "+k, "value "+k)
	}
	list := func(what string, names []string) {
		fmt.Fprintf(&b, "\n| %s | zh | en | mixed | hand-written | routing |\n| --- | ---: | ---: | ---: | ---: | ---: |\n", what)
		for _, n := range names {
			k := what + " " + n
			fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d |\n", n, h[k+" zh"], h[k+" en"], h[k+" mixed"], h[k], r[k])
		}
	}
	list("intent", home.Intents)
	list("device", append(slices.Clone(home.Devices), `""`))
	b.WriteString("\n| room | hand-written | routing |\n| --- | ---: | ---: |\n")
	for _, p := range append(slices.Clone(home.Places), `""`) {
		row(p, "room "+p)
	}
	return b.String()
}

func TestReadRefuses(t *testing.T) {
	const good = `{"id":"a","lang":"en","text":"x","command":{"intent":"none","device":"","room":"","value":""}}`
	if items, err := Read(strings.NewReader(good + "\n\n")); err != nil || len(items) != 1 {
		t.Errorf("%d items, %v", len(items), err)
	}
	for in, says := range map[string]string{
		good + "\n" + good:                                 `line 2: id "a" is that of line 1`,
		"\n{":                                              "line 2: ",
		good + "x":                                         "line 1: something follows",
		strings.Replace(good, `"en"`, `"de"`, 1):           `lang "de"`,
		strings.Replace(good, `"x"`, `""`, 1):              "no text",
		strings.Replace(good, `"a"`, `""`, 1):              "no id",
		strings.Replace(good, `"none"`, `"dance"`, 1):      `intent "dance"`,
		strings.Replace(good, `"text"`, `"words"`, 1):      `unknown field "words"`,
		`{"id":"a","lang":"en","text":"x"}`:                "no command",
		`{"id":"a","lang":"en","text":"x","command":null}`: "one JSON object",
		`{"id":"` + strings.Repeat("a", maxLine):           "line 1: bufio.Scanner: token too long",
	} {
		if _, err := Read(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.80s: %v; it should say %q", in, err, says)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"id":"a","lang":"en","text":"x","command":{"intent":"none","device":"","room":"","value":""}}`))
	f.Add([]byte("\n{\"id\":1}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		items, err := Read(bytes.NewReader(in))
		if err != nil && len(items) > 0 {
			t.Error("items beside an error")
		}
		for _, it := range items {
			if err := it.Command.Check(); err != nil {
				t.Error(err)
			}
		}
	})
}
