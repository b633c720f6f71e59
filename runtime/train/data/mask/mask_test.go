package mask

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var marks = regexp.MustCompile(`\[\[([a-z]+):(.*?)\]\]`)

// line is a line of the set: its text and what is to be found.
type line struct {
	text string
	want []Span
}

func readSet(t testing.TB, name string) []line {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var set []line
	for s := range strings.Lines(string(b)) {
		s = strings.TrimSuffix(s, "\n")
		if s == "" || s[0] == '#' {
			continue
		}
		var l line
		at := 0
		for _, m := range marks.FindAllStringSubmatchIndex(s, -1) {
			l.text += s[at:m[0]]
			start := len(l.text)
			l.text += s[m[4]:m[5]]
			l.want = append(l.want, Span{start, len(l.text), Kind(s[m[2]:m[3]])})
			at = m[1]
		}
		l.text += s[at:]
		set = append(set, l)
	}
	return set
}

// tally counts spans: found and right, found, to be found.
type tally struct{ right, found, want int }

func (c tally) precision() float64 { return float64(c.right) / float64(max(c.found, 1)) }
func (c tally) recall() float64    { return float64(c.right) / float64(max(c.want, 1)) }

// covers says that a found span hides what is to be hidden: of the same kind, and leaving out
// nothing but punctuation at the ends.
func covers(found, want Span, text string) bool {
	if found.Kind != want.Kind || found.Start > want.End || want.Start > found.End {
		return false
	}
	missed := ""
	if found.Start > want.Start {
		missed += text[want.Start:found.Start]
	}
	if found.End < want.End {
		missed += text[found.End:want.End]
	}
	return strings.Trim(missed, " .,()（）+") == ""
}

// TestSet measures recall and precision by kind on the two hand-written sets and prints them;
// docs/data.md has them. A span counts as right if all of it is hidden and at most 18 more bytes of text are.
func TestSet(t *testing.T) {
	for _, set := range []struct {
		name  string
		lines int
		least float64
	}{{"set.txt", 300, 0.95}, {"heldout.txt", 70, 0.75}} {
		t.Run(set.name, func(t *testing.T) { measure(t, readSet(t, set.name), set.lines, set.least) })
	}
}

func measure(t *testing.T, set []line, lines int, least float64) {
	if len(set) < lines {
		t.Fatalf("the set has %d lines", len(set))
	}
	m := New(Kinds...)
	counts := map[Kind]*tally{}
	for _, k := range Kinds {
		counts[k] = &tally{}
	}
	for _, l := range set {
		found := m.Find(l.text)
		for _, w := range l.want {
			counts[w.Kind].want++
		}
		for _, f := range found {
			counts[f.Kind].found++
			i := slices.IndexFunc(l.want, func(w Span) bool { return covers(f, w, l.text) })
			if i >= 0 && (f.End-f.Start)-(l.want[i].End-l.want[i].Start) <= 18 {
				counts[f.Kind].right++
				continue
			}
			t.Logf("wrong %s %q in %q", f.Kind, l.text[f.Start:f.End], l.text)
		}
		for _, w := range l.want {
			if !slices.ContainsFunc(found, func(f Span) bool { return covers(f, w, l.text) }) {
				t.Logf("missed %s %q in %q", w.Kind, l.text[w.Start:w.End], l.text)
			}
		}
	}
	var all tally
	report := ""
	for _, k := range Kinds {
		c := *counts[k]
		all.right, all.found, all.want = all.right+c.right, all.found+c.found, all.want+c.want
		report += fmt.Sprintf("%-8s recall %.3f (%d of %d), precision %.3f (%d of %d)\n", k, c.recall(), c.right, c.want, c.precision(), c.right, c.found)
	}
	t.Logf("%d lines\n%s%-8s recall %.3f (%d of %d), precision %.3f (%d of %d)", len(set), report, "all", all.recall(), all.right, all.want, all.precision(), all.right, all.found)
	if all.recall() < least || all.precision() < least {
		t.Errorf("recall %.3f, precision %.3f", all.recall(), all.precision())
	}
}

func TestApply(t *testing.T) {
	counts := map[Kind]int{}
	m := New(Phone, Email)
	got := m.Apply("电话13812345678，邮箱a@example.com，身份证110101199003076376", counts)
	if want := "电话[PHONE]，邮箱[EMAIL]，身份证110101199003076376"; got != want || counts[Phone] != 1 || counts[Email] != 1 || len(counts) != 2 {
		t.Errorf("%q, %v", got, counts)
	}
	if got := New().Apply("13812345678", nil); got != "13812345678" {
		t.Errorf("%q", got)
	}
	kinds, err := ParseKinds("Phone, card")
	if err != nil || !slices.Equal(kinds, []Kind{Phone, Card}) {
		t.Errorf("%v, %v", kinds, err)
	}
	if _, err := ParseKinds("names"); err == nil {
		t.Error("no error")
	}
}

// TestBeside: numbers stand beside other numbers, in tables, lists and behind times, and numbers that are parts of something
// stay as they are.
func TestBeside(t *testing.T) {
	const id, card = "110101199003074477", "4111111111111111"
	m := New(Kinds...)
	for _, c := range []struct{ text, want string }{
		{"张三,13812345678," + id + ",x", "张三,[PHONE],[ID],x"},
		{"1,2,13812345678,3", "1,2,[PHONE],3"},
		{"张三,35,138 1234 5678,女", "张三,35,[PHONE],女"},
		{"2024-05-01 10:30:22 13812345678", "2024-05-01 10:30:22 [PHONE]"},
		{"2024-05-01 555-123-4567", "2024-05-01 [PHONE]"},
		{"2024-05-01 138 1234 5678", "2024-05-01 [PHONE]"},
		{"10:30 138 1234 5678", "10:30 [PHONE]"},
		{"13812345678 13987654321", "[PHONE] [PHONE]"},
		{"138 1234 5678 139 8765 4321", "[PHONE] [PHONE]"},
		{"[13812345678,13912345678]", "[[PHONE],[PHONE]]"},
		{"(555) 123-4567 (555) 987-6543", "[PHONE] [PHONE]"},
		{"555.123.4567 555.987.6543", "[PHONE] [PHONE]"},
		{"555-123-4567,555-987-6543", "[PHONE],[PHONE]"},
		{"+86 138 1234 5678,+1 212 555 0199", "[PHONE],[PHONE]"},
		{id + " 13812345678", "[ID] [PHONE]"},
		{id + ":13812345678", "[ID]:[PHONE]"},
		{"11010119900307109X 13812345678", "[ID] [PHONE]"},
		{"13812345678/13987654321", "[PHONE]/[PHONE]"},
		{"010-62345678/13812345678", "[PHONE]/[PHONE]"},
		{card + "," + card, "[CARD],[CARD]"},
		{"4111 1111 1111 1111 13812345678", "[CARD] [PHONE]"},
		{"4111 1111 1111 1111 5500 0000 0000 0004", "[CARD] [CARD]"},
		{"3 13812345678", "3 [PHONE]"},
		{"1. 13812345678 2) 13987654321", "1. [PHONE] 2) [PHONE]"},
		{"$50 13812345678 3kg", "$50 [PHONE] 3kg"},
		{"电话 62345678 62345679", "电话 [PHONE] [PHONE]"},
		{"１３８１２３４５６７８ １３９８７６５４３２１", "[PHONE] [PHONE]"},
		{"SSN 123-45-6789 123-45-6780", "SSN [ID] [ID]"},

		{"0.13812345678 3.14159265358979", ""},
		{"13812345678.50", ""},
		{"1,234,567,890 12,345.67", ""},
		{"15,138,123,456", ""},
		{"example.com/13812345678/13987654321", ""},
		{"/12345678/13812345678", ""},
		{"2024-13812345678-3", ""},
		{"192.168.138.123:45678", ""},
		{"512 512 512 1024 2048", ""},
		{"15 20 25 30 100 200", ""},
		{"12 138 1200 1500 1700", ""},
		{"4000 5000 6000 7000 8000 9000", ""},
		{"联系时间 20240501 10:00", ""},
		{"10:30 150 20240501 7", ""},
		{"7637.0100 230866.5415 7609.4774 92650.6624", ""},
		{"65921.4814 3.8369 569999.3339 9410.1351", ""},
		{"7324 8970 6886 9924 931 356 7075 4625 7776 6912 7151", ""},
		{"1520169 6829 1", ""},
		{"12-123-45-6789", ""},
		{"978-7-111-54742-6 2024", ""},
		{"x13812345678 #13812345678", ""},
	} {
		want := c.want
		if want == "" {
			want = c.text
		}
		if got := m.Apply(c.text, nil); got != want {
			t.Errorf("%q gives %q, want %q", c.text, got, want)
		}
	}
}

// TestLong: lines of nothing but digits take time with their length.
func TestLong(t *testing.T) {
	m := New(Kinds...)
	for _, s := range []string{"1", "1 ", "13812345678 ", "138 ", "138 1234 ", "1,", "1/", "13812345678/", "(1", "+1", "4111 1111 1111 1112 "} {
		text, start := strings.Repeat(s, 1<<18/len(s)), time.Now()
		m.Find(text)
		if d := time.Since(start); d > 20*time.Second { // it takes some tenths of a second
			t.Errorf("%q: %d bytes take %v", s, len(text), d)
		}
	}
}

// TestChecks: a wrong digit makes it no identity number and no card.
func TestChecks(t *testing.T) {
	const id, card = "110101199003076376", "4111111111111111"
	if !chineseID(id) || !luhn(card) {
		t.Fatal("the right ones are refused")
	}
	for i := range id {
		wrong := id[:i] + string('0'+(id[i]-'0'+1)%10) + id[i+1:]
		if chineseID(wrong) {
			t.Errorf("%s is taken", wrong)
		}
	}
	for i := range card {
		if wrong := card[:i] + string('0'+(card[i]-'0'+1)%10) + card[i+1:]; luhn(wrong) {
			t.Errorf("%s is taken", wrong)
		}
	}
}

// FuzzFind: spans are in order, do not overlap, are not empty and cut no character.
func FuzzFind(f *testing.F) {
	for _, l := range readSet(f, "set.txt") {
		f.Add(l.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, at := New(Kinds...), 0
		for _, s := range m.Find(text) {
			if s.Start < at || s.End <= s.Start || s.End > len(text) {
				t.Fatalf("%+v after %d in %q", s, at, text)
			}
			if utf8.ValidString(text) && !utf8.ValidString(text[s.Start:s.End]) {
				t.Fatalf("%+v cuts a character of %q", s, text)
			}
			at = s.End
		}
	})
}
