package home

import (
	"os"
	"strings"
	"testing"
)

var unitNames = []struct {
	letter byte
	name   string
}{{'p', "%"}, {'c', "C or F"}, {'k', "K"}, {'l', "plain"}, {'d', "duration"}}

// table is what schema.md says of the devices.
func table() string {
	var b strings.Builder
	b.WriteString("| device | intents | numbers | bare number | words |\n| --- | --- | --- | --- | --- |\n")
	for _, d := range devices {
		var units []string
		bare := ""
		for _, u := range unitNames {
			if strings.IndexByte(d.units, u.letter) >= 0 {
				units = append(units, u.name)
			}
			if d.bare == u.letter {
				bare = strings.TrimSuffix(u.name, " or F")
			}
		}
		name := d.name
		if name == "" {
			name = `""`
		}
		b.WriteString("| " + strings.Join([]string{name, strings.Join(strings.Fields(d.intents), ", "), strings.Join(units, ", "),
			bare, strings.Join(strings.Fields(d.words), ", ")}, " | ") + " |\n")
	}
	return b.String()
}

func TestTableInTheDocument(t *testing.T) {
	doc := document(t)
	const begin, end = "<!-- devices -->\n", "<!-- /devices -->\n"
	before, rest, ok := strings.Cut(doc, begin)
	inside, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("schema.md has no place for the table between %q and %q", begin, end)
	}
	if *update {
		if err := os.WriteFile("schema.md", []byte(before+begin+table()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if inside != table() {
		t.Error("the table of schema.md is not that of vocab.go: go test ./runtime/home -run Table -update")
	}
}

func document(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("schema.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every name of the lists is explained in words somewhere, not in the table alone.
func TestDocumentNamesEverything(t *testing.T) {
	doc := document(t)
	before, rest, _ := strings.Cut(doc, "<!-- devices -->")
	_, after, _ := strings.Cut(rest, "<!-- /devices -->")
	prose := strings.FieldsFunc(before+after, func(r rune) bool {
		return !(r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9')
	})
	said := map[string]bool{}
	for _, w := range prose {
		said[w] = true
	}
	for what, names := range map[string][]string{"intent": Intents, "device": Devices, "room": Places, "day": {"tomorrow", "daily", "weekdays", "weekend", "mon", "sun"}, "word": Words} {
		for _, n := range names {
			if !said[n] {
				t.Errorf("schema.md does not say what the %s %q is", what, n)
			}
		}
	}
}

func TestExamplesInTheDocument(t *testing.T) {
	s := compiled(t)
	n := 0
	for line := range strings.Lines(document(t)) {
		for i, part := range strings.Split(strings.TrimSpace(line), "`") {
			if i%2 == 1 && strings.HasPrefix(part, "{") || i == 0 && strings.HasPrefix(part, "{") {
				n++
				if c, err := Parse(part); err != nil {
					t.Error(err)
				} else if c.String() != part {
					t.Errorf("%s is written %s", part, c)
				}
				if err := fits(s, part); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if n < 15 {
		t.Errorf("%d examples found in schema.md", n)
	}
}
