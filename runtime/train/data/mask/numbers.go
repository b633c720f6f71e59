package mask

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// number tells what a run is: of the kinds, in the order of Kinds, the first.
func number(text string, r run, kinds []Kind) (Span, bool) {
	for _, k := range kinds {
		switch {
		case k == ID && identity(text, r), k == Card && card(r):
			return Span{r.start, r.end, k}, true
		case k == Phone && len(r.digits) >= 5:
			if start, end, ok := phone(text, r); ok {
				return Span{start, end, k}, true
			}
		}
	}
	return Span{}, false
}

// findNumbers finds the numbers of a kind among those that the view has.
func findNumbers(kind Kind) func(*view) []Span {
	return func(v *view) []Span {
		var spans []Span
		for _, s := range v.numbers {
			if s.Kind == kind {
				spans = append(spans, s)
			}
		}
		return spans
	}
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

// card: 13 to 19 digits with a right check digit, whose first digits are those of a card's issuer, in groups as
// on cards or in one piece.
func card(r run) bool {
	n := len(r.digits)
	if n < 15 && !strings.HasPrefix(r.digits, "4") && !strings.HasPrefix(r.digits, "3") {
		return false // 13 digits are an article's number (EAN), too, 14 only Diners'
	}
	return !r.plus && n >= 13 && n <= mostDigits && !strings.Contains(r.digits, "X") && issuer(r.digits) && luhn(r.digits) && grouped(r.text, 2, 8)
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

// identity: China's identity numbers of 18 digits by date and check digit (GB 11643-1999), of 15 by date and a word
// before them; social security numbers written with dashes, or behind a word; numbers of passports behind a word.
func identity(text string, r run) bool {
	switch d := r.digits; {
	case len(d) == 18 && chineseID(d),
		len(d) == 15 && !strings.Contains(d, "X") && date("19"+d[6:12]) && province(d[:2]) && before(text, r.start, idWords),
		len(d) == 9 && ssn(d) && (dashed(r.text, 3, 2, 4) || before(text, r.start, ssnWords)),
		len(d) == 9 && len(r.text) == 9 && before(text, r.start, passportWords):
		return true
	}
	return false
}

// findIDs: identity numbers, and those with letters: of passports and of the United Kingdom's national insurance, behind
// a word.
func findIDs(v *view) []Span {
	spans := findNumbers(ID)(v)
	text := v.text
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
