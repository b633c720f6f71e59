package home

import (
	"strconv"
	"strings"
	"unicode"
)

// digits puts digits for numbers in words, as recognisers of speech do: twenty-seven and
// 二十七 are 27. What is to be copied into a command is then there to be copied. A lone
// one, 一, 二, 两 or 三 stays: they are words of other things more often than numbers (the
// next one, 一点).
func digits(text string) string { return digitsEn(digitsZh(text)) }

var wordsEn = func() map[string]int {
	m := map[string]int{"hundred": 100, "thousand": 1000}
	for i, w := range strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen") {
		m[w] = i
	}
	for i, w := range strings.Fields("twenty thirty forty fifty sixty seventy eighty ninety") {
		m[w] = 20 + 10*i
	}
	m["fourty"] = 40
	return m
}()

// word is a run of letters, and what stands before it.
type word struct{ gap, text string }

// words cuts a text into runs of ASCII letters with what is before each; the last has
// no letters.
func words(text string) []word {
	letter := func(b byte) bool { return b >= 'a' && b <= 'z' }
	var out []word
	for {
		i := 0
		for i < len(text) && !letter(text[i]) {
			i++
		}
		j := i
		for j < len(text) && letter(text[j]) {
			j++
		}
		out = append(out, word{text[:i], text[i:j]})
		if text = text[j:]; i == j {
			return out
		}
	}
}

func digitsEn(text string) string {
	ws := words(text)
	var b strings.Builder
	for i := 0; i < len(ws); {
		n, used := numberEn(ws[i:])
		b.WriteString(ws[i].gap)
		if used == 0 || used == 1 && ws[i].text == "one" {
			b.WriteString(ws[i].text)
			i++
			continue
		}
		b.WriteString(strconv.Itoa(n))
		i += used
	}
	return b.String()
}

// numberEn reads a number at the beginning of words and says how many it took.
func numberEn(ws []word) (n, used int) {
	joins := func(i int) bool { return ws[i].gap == " " || ws[i].gap == "-" }
	at := func(i int) (int, bool) {
		if i >= len(ws) || i > 0 && !joins(i) {
			return 0, false
		}
		v, ok := wordsEn[ws[i].text]
		return v, ok
	}
	below100 := func(i int) (int, int) {
		v, ok := at(i)
		if !ok || v >= 100 {
			return 0, 0
		}
		if v >= 20 {
			if d, ok := at(i + 1); ok && d > 0 && d < 10 {
				return v + d, 2
			}
		}
		return v, 1
	}
	if n, used = below100(0); used == 0 {
		if ws[0].text != "a" {
			return 0, 0
		}
		if v, ok := at(1); !ok || v < 100 {
			return 0, 0
		}
		n, used = 1, 1
	}
	for _, unit := range []int{1000, 100} {
		if v, ok := at(used); !ok || v != unit || n == 0 || n > 99 {
			continue
		}
		n, used = n*unit, used+1
		rest := used
		if rest < len(ws) && ws[rest].text == "and" && joins(rest) {
			rest++
		}
		v, more := below100(rest)
		if more == 0 {
			continue
		}
		if h, ok := at(rest + more); ok && h == 100 && unit == 1000 && v < 10 { // two thousand five hundred
			n, used = n+v*100, rest+more+1
			continue
		}
		n, used = n+v, rest+more
		break
	}
	return n, used
}

const digitRunes = "零一二三四五六七八九"

func digitZh(r rune) int {
	switch r {
	case '〇':
		return 0
	case '两':
		return 2
	}
	if i := strings.IndexRune(digitRunes, r); i >= 0 {
		return i / len("零")
	}
	return -1
}

func digitsZh(text string) string {
	rs := []rune(text)
	var b strings.Builder
	for i := 0; i < len(rs); {
		n, used := numberZh(rs[i:])
		day := i > 0 && strings.ContainsRune("周期拜", rs[i-1]) && digitZh(rs[i]) > 0 // 周五, 星期五, 礼拜五
		if used == 0 || day || used == 1 && strings.ContainsRune("一二两三零〇", rs[i]) {
			b.WriteRune(rs[i])
			i++
			continue
		}
		b.WriteString(n)
		i += used
	}
	return b.String()
}

// numberZh reads a number at the beginning of a text: 二十七, 一百零五, 一百八 (180), 两千五;
// and 零五, as minutes are said.
func numberZh(rs []rune) (text string, used int) {
	at := func(i int) rune {
		if i < len(rs) {
			return rs[i]
		}
		return 0
	}
	if d := digitZh(at(1)); digitZh(at(0)) == 0 && d > 0 && digitZh(at(2)) < 0 && at(2) != '十' && !unicode.IsDigit(at(2)) {
		return "0" + strconv.Itoa(d), 2
	}
	n, i, last, found := 0, 0, 10000, false
	for i < len(rs) {
		zero := digitZh(rs[i]) == 0
		if zero && !found {
			return "", 0
		}
		j := i
		if zero {
			j++
		}
		d := digitZh(at(j))
		size := map[rune]int{'千': 1000, '百': 100, '十': 10}[at(j+1)]
		switch {
		case d > 0 && size > 0 && size < last: // 二十
			n, i, last, found = n+d*size, j+2, size, true
			continue
		case at(j) == '十' && last > 10 && (!found || zero): // 十, 一百零十 is none but harmless
			n, i, last, found = n+10, j+1, 10, true
			continue
		case d > 0 && last > 1 && (!found || zero || last == 10): // 七
			n, i, last, found = n+d, j+1, 1, true
			continue
		case d > 0 && found && last >= 100: // 一百八
			n, i, last = n+d*last/10, j+1, 1
			continue
		}
		break
	}
	if !found {
		return "", 0
	}
	return strconv.Itoa(n), i
}
