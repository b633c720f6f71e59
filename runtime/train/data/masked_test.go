package data

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/train/data/mask"
)

// TestMaskedEverywhere: what names a person is neither in shards nor in the report nor in its table, wherever in the input it
// stood, and groups stay apart.
func TestMaskedEverywhere(t *testing.T) {
	dir := t.TempDir()
	var in strings.Builder
	secrets := []string{"a@example.com"}
	for i := range 60 {
		phone := fmt.Sprintf("138123456%02d", i/2)
		secrets = append(secrets, phone)
		fmt.Fprintf(&in, `{"text":"the text number %d of somebody with some words","who":"%s","kept":{"tel":["%s",{"a":%s}],"%s":1.50},"n":7}`+"\n", i, phone, phone, phone, phone)
	}
	// Removed by a rule, as an exact and as a near duplicate; a number that the cut of an example goes through.
	fmt.Fprintf(&in, `{"text":"13812345600"}`+"\n"+`{"text":"%s 13812345601"}`+"\n", strings.Repeat("é", 74))
	many := "call 13812345602 or a@example.com, " + strings.Repeat("these are words that go on and on ", 5)
	fmt.Fprintf(&in, `{"text":%q}`+"\n"+`{"text":%q}`+"\n"+`{"text":%q}`+"\n", many, many, many+"end")
	// The names of columns that are none.
	table := write(t, dir, "b.csv", "13812345603,张三\n13812345604,李四\n")
	s := Defaults()
	s.Mask, s.SkipBad, s.Rules.MinUnits = mask.Kinds, true, 5
	s.Source.Group, s.Source.Keep = "who", []string{"kept", "n"}
	s.Splits = []Split{{"train", 0.5}, {"valid", 0.5}}
	s.Near = true
	out := filepath.Join(dir, "out")
	r := run(t, Build{Out: out, Paths: []string{write(t, dir, "a.jsonl", in.String()), table}, Settings: s})
	if r.Exact.Documents != 1 || len(r.Filtered) == 0 || r.BadCount != 1 {
		t.Fatalf("%d exact duplicates, filtered %v, %d bad: the test shows nothing", r.Exact.Documents, r.Filtered, r.BadCount)
	}
	all := folder(t, out)
	all["the table"] = r.Table()
	for name, text := range all {
		for _, secret := range append(secrets, "138123") {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %s", name, secret)
				break
			}
		}
	}
	// Groups have names of their own, and a split each, that without masking.
	where := groupSplits(t, out)
	if len(where) != 30 {
		t.Errorf("%d groups: %v", len(where), where)
	}
	s.Mask = nil
	plain := filepath.Join(dir, "plain")
	run(t, Build{Out: plain, Paths: []string{filepath.Join(dir, "a.jsonl")}, Settings: s})
	for group, split := range groupSplits(t, plain) {
		var n int
		if _, err := fmt.Sscanf(group, "138123456%d", &n); err != nil {
			t.Fatal(err)
		}
		if name := fmt.Sprintf("[PHONE] %d", n+1); where[name] != split {
			t.Errorf("group %s is in %q, without masking in %q", name, where[name], split)
		}
	}
}

// groupSplits is which split each group is in.
func groupSplits(t *testing.T, dir string) map[string]string {
	t.Helper()
	where := map[string]string{}
	for name, text := range folder(t, dir) {
		split, _, shard := strings.Cut(name, "-0")
		for line := range strings.Lines(text) {
			var r Record
			if !shard {
				break
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			if r.Group == "" {
				continue
			}
			if other, known := where[r.Group]; known && other != split {
				t.Errorf("group %s is in %s and %s", r.Group, other, split)
			}
			where[r.Group] = split
		}
	}
	return where
}

// TestMaskedJSON: values stay JSON, and those with nothing to mask as they were.
func TestMaskedJSON(t *testing.T) {
	m := mask.New(mask.Kinds...)
	for value, want := range map[string]string{
		`"13812345678"`:                        `"[PHONE]"`,
		`13812345678`:                          `"[PHONE]"`,
		`[13812345678,-1.5e3,null,true]`:       `["[PHONE]",-1.5e3,null,true]`,
		`{"a\"b":"x\\","c":"a@example.com <"}`: `{"a\"b":"x\\","c":"[EMAIL] <"}`,
		`"\u0031\u0033812345678"`:              `"[PHONE]"`,
		`"\u0041 &<é"`:                         `"\u0041 &<é"`,
		`{"13812345678":[]}`:                   `{"[PHONE]":[]}`,
		`12`:                                   `12`,
	} {
		got, err := maskedJSON(m, []byte(value), nil)
		if err != nil || string(got) != want || !json.Valid(got) {
			t.Errorf("%s gives %s, %v, want %s", value, got, err, want)
		}
	}
}

// TestGroupNames: no name is that of another group.
func TestGroupNames(t *testing.T) {
	g := newGroupNames(map[uint64]uint32{groupHash("[PHONE] 1"): 0})
	for _, c := range []struct{ masked, group, want string }{
		{"a", "a", "a"}, {"", "", ""}, {"[PHONE] 1", "[PHONE] 1", "[PHONE] 1"},
		{"[PHONE]", "13812345678", "[PHONE] 2"}, {"[PHONE]", "13812345679", "[PHONE] 3"}, {"[PHONE]", "13812345678", "[PHONE] 2"},
	} {
		if got := g.name(c.masked, groupHash(c.group)); got != c.want {
			t.Errorf("%s is called %q, want %q", c.group, got, c.want)
		}
	}
}
