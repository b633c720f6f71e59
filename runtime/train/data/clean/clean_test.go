package clean

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestApply(t *testing.T) {
	for _, c := range []struct {
		n          Normalizer
		text, want string
	}{
		{Normalizer{}, "", ""},
		{Normalizer{}, "e\u0301a\u030a", "éå"},
		{Normalizer{Form: AsItIs}, "e\u0301", "e\u0301"},
		{Normalizer{}, "ﬁ ² ①", "ﬁ ² ①"},
		{Normalizer{Form: NFKC}, "ﬁ ² ①，ＡＢＣ　１２", "fi 2 1,ABC 12"},
		{Normalizer{Width: WidthAlnum}, "ＡＢＣ１２３，！", "ABC123，！"},
		{Normalizer{Width: WidthHalf}, "ＡＢＣ１２３，！　x", "ABC123,! x"},
		{Normalizer{}, "ＡＢＣ　x", "ＡＢＣ　x"},
		{Normalizer{}, "a\r\nb\rc\u2028d\u0085e\ff", "a\nb\nc\nd\ne\nf"},
		{Normalizer{}, "a\x00\x1b[0m\u200b\ufeff\u00adb\u202e", "a[0mb"},
		{Normalizer{}, "👩\u200d🔧", "👩\u200d🔧"},
		{Normalizer{}, "a\u00a0b\u2003c", "a b c"},
		{Normalizer{}, "\n\na  \n\n\n\n\nb\t\n", "a\n\n\nb"},
		{Normalizer{}, "def f():\n\treturn 1\n", "def f():\n\treturn 1"},
		{Normalizer{Collapse: true}, "  a   b\t c\n　　d", "a b c\nd"},
	} {
		if got := c.n.Apply(c.text); got != c.want {
			t.Errorf("%+v %q: %q, want %q", c.n, c.text, got, c.want)
		}
	}
}

// FuzzApply: normalising twice changes nothing more, and leaves no control characters.
func FuzzApply(f *testing.F) {
	f.Add("e\u0301\r\n x\u200b \u3000\n", 0)
	f.Add("ﬁ①\u00a0\u0345\u0300Ａ", 5)
	f.Fuzz(func(t *testing.T, text string, kind int) {
		n := Normalizer{Form: []Form{NFC, NFKC, AsItIs}[uint(kind)%3], Width: []Width{WidthKeep, WidthAlnum, WidthHalf}[uint(kind)/3%3], Collapse: uint(kind)/9%2 == 1}
		text = strings.ToValidUTF8(text, "")
		once := n.Apply(text)
		if twice := n.Apply(once); twice != once {
			t.Errorf("%+v: %q, then %q", n, once, twice)
		}
		if strings.ContainsAny(once, "\r\x00\x1b\u200b\u0085\u2028") || !utf8.ValidString(once) {
			t.Errorf("%q", once)
		}
	})
}

func TestUnits(t *testing.T) {
	var got []string
	Units("It's 3 things: 打开light_2的灯，don’t! 'quoted' カタ 한국어 x'", func(u string, cjk bool) { got = append(got, fmt.Sprint(u, cjk)) })
	want := []string{"It'sfalse", "3false", "thingsfalse", "打true", "开true", "light_2false", "的true", "灯true", "don’tfalse", "quotedfalse", "カtrue", "タtrue", "한국어false", "xfalse"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestMeasure(t *testing.T) {
	m := Measure("abc 中文\nabc 中文\n- x...\n", true)
	if m.Units != 7 || m.Words != 3 || m.Han != 4 || m.WordChars != 7 || !near(m.DupLines, 1.0/3) || !near(m.Bullets, 1.0/3) || !near(m.Ellipses, 1.0/3) || !near(m.Symbols, 1.0/7) || !near(m.ZH, 4.0/11) {
		t.Errorf("%+v", m)
	}
	// "a b" four times of 2 characters in 9: the run of two units that is most frequent.
	m = Measure("a b a b a b a b c", true)
	if !near(m.Top[2], 8.0/9) || !near(m.Top[3], 9.0/9) {
		t.Errorf("top %v", m.Top)
	}
	// The second half repeats the first: of ten units, runs of five occur again once, with 5 units.
	m = Measure("one two six ten red one two six ten red", true)
	if !near(m.Dup[5], 0.5) || m.Dup[6] != 0 {
		t.Errorf("dup %v", m.Dup)
	}
	if m := Measure("", true); m.Units != 0 || m.ZH != 0 {
		t.Errorf("%+v", m)
	}
}

// prose is varied text of n words.
func prose(n int) string {
	r := rand.New(rand.NewPCG(3, 4))
	var b strings.Builder
	for i := range n {
		word := make([]byte, 3+r.IntN(6))
		for k := range word {
			word[k] = byte('a' + r.IntN(26))
		}
		fmt.Fprintf(&b, "%s%s", []string{"the ", "", "and ", "", "", ""}[i%6], word)
		b.WriteString([]string{" ", " ", " ", ". ", ".\n"}[i%5])
	}
	return b.String()
}

func TestJudge(t *testing.T) {
	long := prose(400)
	for _, c := range []struct {
		r    Rules
		text string
		want string
	}{
		{Rules{}, "", ""},
		{Rules{MinUnits: 2}, "one", "too short"},
		{Rules{MaxUnits: 2}, "一二三", "too long"},
		{Rules{MaxChars: 2}, "abc", "too long"},
		{Rules{Languages: []string{"zh"}}, "中文 one", "other language"},
		{Rules{Languages: []string{"zh"}, MinShare: 0.3}, "中文和 one", ""},
		{Rules{Languages: []string{"zh", "en"}, MinShare: 0.9}, "中文 and English", ""},
		{Rules{Languages: []string{"en"}}, "Привет мир", "other language"},
		{Rules{MaxBroken: 0.1}, "\ufffd\ufffdab", "broken characters"},
		{Rules{Gopher: true}, "the and short", "gopher: fewer than 50 words"},
		{Rules{Gopher: true}, long, ""},
		{Rules{Gopher: true}, strings.Repeat("the same and only words in the line\n", 30), "gopher: repeated lines"},
		{Rules{Gopher: true}, long + strings.Repeat("# ", 200), "gopher: hashes and ellipses"},
		{Rules{Gopher: true}, strings.ReplaceAll(strings.ReplaceAll(long, "the ", "der "), "and ", "und "), "gopher: fewer than 2 English stop words"},
		{Rules{Gopher: true}, strings.Repeat("7 8 9 11 ", 20), "gopher: mean length of words not 3 to 10"},
		{Rules{C4: true}, "One. Two. Three! Four? Five.", ""},
		{Rules{C4: true}, "一。二。三！四？五。", ""},
		{Rules{C4: true}, "One. Two. 3.14 is pi", "c4: fewer than 5 sentences"},
		{Rules{C4: true}, "f() { }", "c4: curly braces"},
		{Rules{C4: true}, "Lorem Ipsum", "c4: lorem ipsum"},
	} {
		if _, got := c.r.Judge(c.text); got != c.want {
			t.Errorf("%+v %.40q: %q, want %q", c.r, c.text, got, c.want)
		}
	}
}
