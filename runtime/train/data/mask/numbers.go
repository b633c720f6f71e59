package mask

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// run is a run of digits with single separators between them, as numbers are written:
// 138 1234 5678, 010-62345678, (555) 123-4567.
type run struct {
	start, end int
	text       string
	digits     string // ASCII
	plus       bool
}

var digitRuns = lazily(`[+＋]?[(（]?[0-9０-９](?:[)） .·\-－–—]{0,2}[(（]?[0-9０-９Xx])*`)

// runs finds runs of digits that are not a part of something larger: a word, a path, a decimal.
func runs(text string) []run {
	var all []run
	for _, m := range digitRuns().FindAllStringIndex(text, -1) {
		r := run{start: m[0], end: m[1]}
		before, _ := utf8.DecodeLastRuneInString(text[:r.start])
		after, size := utf8.DecodeRuneInString(text[r.end:])
		if r.start > 0 && partOf(before) || r.end < len(text) && partOf(after) {
			continue
		}
		// 3.5% and 12,345.67: a point or comma and more digits.
		if r.end < len(text) && strings.ContainsRune(",.:/", after) {
			if next, _ := utf8.DecodeRuneInString(text[r.end+size:]); unicode.IsDigit(next) {
				continue
			}
		}
		if r.start > 0 && strings.ContainsRune(".,:/", before) {
			if prev, _ := utf8.DecodeLastRuneInString(text[:r.start-utf8.RuneLen(before)]); unicode.IsDigit(prev) {
				continue
			}
		}
		r.text = text[r.start:r.end]
		r.plus = strings.HasPrefix(r.text, "+") || strings.HasPrefix(r.text, "＋")
		r.digits = strings.Map(func(c rune) rune {
			switch {
			case c >= '0' && c <= '9':
				return c
			case c >= '０' && c <= '９':
				return c - '０' + '0'
			case c == 'x' || c == 'X':
				return 'X'
			}
			return -1
		}, r.text)
		all = append(all, r)
	}
	return all
}

// partOf reports characters that make what is beside them a part of something else.
func partOf(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '@' || r == '#' || r == '$' || r == '¥' || r == '€' || r == '%' || r == '/'
}

// luhn is the check of ISO/IEC 7812-1 B.
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// cards: 13 to 19 digits with a right check digit, whose first digits are those of a card's issuer, in groups as
// on cards or in one piece.
func findCards(v *view) []Span {
	var spans []Span
	for _, r := range v.runs {
		n := len(r.digits)
		if n < 15 && !strings.HasPrefix(r.digits, "4") && !strings.HasPrefix(r.digits, "3") {
			continue // 13 digits are an article's number (EAN), too, 14 only Diners'
		}
		if r.plus || n < 13 || n > 19 || strings.Contains(r.digits, "X") || !issuer(r.digits) || !luhn(r.digits) || !grouped(r.text, 2, 8) {
			continue
		}
		spans = append(spans, Span{r.start, r.end, Card})
	}
	return spans
}

// issuer reports the first digits of Visa, Mastercard, American Express, Discover, JCB, Diners, UnionPay and
// the other 6 of China's banks.
func issuer(d string) bool {
	switch d[0] {
	case '4', '6':
		return true
	case '5':
		return d[1] >= '0' && d[1] <= '8'
	case '3':
		return strings.ContainsRune("045678", rune(d[1]))
	case '2':
		return d[:4] >= "2221" && d[:4] <= "2720"
	case '9':
		return strings.HasPrefix(d, "95") || strings.HasPrefix(d, "99")
	}
	return false
}

// grouped reports whether the parts of a number, if it has several, have each from least to most digits.
func grouped(text string, least, most int) bool {
	parts := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsDigit(r) && r != 'X' && r != 'x' })
	if len(parts) == 1 {
		return true
	}
	for _, p := range parts {
		if n := utf8.RuneCountInString(p); n < least || n > most {
			return false
		}
	}
	return true
}

// findIDs: China's identity numbers of 18 digits by date and check digit (GB 11643-1999), of 15 by date and a word
// before them; social security numbers written with dashes, or behind a word; numbers of passports and of the
// United Kingdom's national insurance behind a word.
func findIDs(v *view) []Span {
	var spans []Span
	text := v.text
	for _, r := range v.runs {
		switch d := r.digits; {
		case len(d) == 18 && chineseID(d),
			len(d) == 15 && !strings.Contains(d, "X") && date("19"+d[6:12]) && province(d[:2]) && before(text, r.start, idWords),
			len(d) == 9 && ssn(d) && (dashed(r.text, 3, 2, 4) || before(text, r.start, ssnWords)),
			len(d) == 9 && len(r.text) == 9 && before(text, r.start, passportWords):
			spans = append(spans, Span{r.start, r.end, ID})
		}
	}
	if lower := strings.ToLower(text); !passportWords(lower) && !insuranceWords(lower) {
		return spans
	}
	for _, m := range lettered().FindAllStringIndex(text, -1) {
		if before(text, m[0], passportWords) {
			spans = append(spans, Span{m[0], m[1], ID})
		}
	}
	for _, m := range insurance().FindAllStringIndex(text, -1) {
		if before(text, m[0], insuranceWords) {
			spans = append(spans, Span{m[0], m[1], ID})
		}
	}
	return spans
}

var (
	lettered       = lazily(`\b[A-Z]{1,2}[0-9]{7,8}\b`)
	insurance      = lazily(`\b[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b`)
	idWords        = words("身份证", "证件", "identity", "id number", "id card")
	ssnWords       = words("ssn", "social security", "social insurance", "tax id")
	passportWords  = words("护照", "通行证", "回乡证", "台胞证", "passport")
	insuranceWords = words("national insurance", "ni number", "nino")
)

// words makes a test for any of some words.
func words(list ...string) func(string) bool {
	return func(s string) bool {
		for _, w := range list {
			if strings.Contains(s, w) {
				return true
			}
		}
		return false
	}
}

// before reports whether one of the words stands shortly before a place, in the same sentence.
func before(text string, at int, any func(string) bool) bool {
	const near = 48 // bytes: some 16 Chinese characters
	from := max(0, at-near)
	for from < at && !utf8.RuneStart(text[from]) {
		from++
	}
	s := text[from:at]
	if i := strings.LastIndexAny(s, "。！？!?\n；;"); i >= 0 {
		s = s[i:]
	}
	return any(strings.ToLower(s))
}

// dashed reports digits in groups of these lengths with dashes between.
func dashed(text string, lengths ...int) bool {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == '-' || r == '–' })
	if len(parts) != len(lengths) {
		return false
	}
	for i, p := range parts {
		if len(p) != lengths[i] {
			return false
		}
	}
	return true
}

// ssn: no area 000, 666 or 900 and up, no group 00, no serial 0000 (Social Security Administration, since 2011).
func ssn(d string) bool {
	return d[:3] != "000" && d[:3] != "666" && d[0] != '9' && d[3:5] != "00" && d[5:] != "0000" && !strings.Contains(d, "X")
}

// chineseID checks area, date of birth and check digit (ISO 7064 MOD 11-2).
func chineseID(d string) bool {
	if strings.Contains(d[:17], "X") || !province(d[:2]) || !date(d[6:14]) {
		return false
	}
	sum := 0
	for i := range 17 {
		sum += int(d[i]-'0') * (1 << (17 - i) % 11)
	}
	return "10X98765432"[sum%11] == d[17]
}

// province reports the first two digits of China's codes of areas (GB/T 2260).
func province(two string) bool {
	switch two[0] {
	case '1', '3':
		return two[1] >= '1' && two[1] <= '7'
	case '2':
		return two[1] >= '1' && two[1] <= '3'
	case '4', '6':
		return two[1] >= '1' && two[1] <= '6'
	case '5':
		return two[1] >= '0' && two[1] <= '4'
	case '7':
		return two == "71"
	case '8':
		return two == "81" || two == "82" || two == "83"
	}
	return false
}

// date reports a day as YYYYMMDD that somebody living may be born on.
func date(d string) bool {
	y, m, day := d[:4], d[4:6], d[6:8]
	return !strings.Contains(d, "X") && y >= "1900" && y <= "2099" && m >= "01" && m <= "12" && day >= "01" && day <= "31"
}
