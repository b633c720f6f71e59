package mask

import (
	"strings"
	"unicode/utf8"
)

var (
	mobile     = lazily(`^(?:0?0?86)?1[3-9][0-9]{9}$`)
	fixed      = lazily(`^0(?:10|2[0-9]|[3-9][0-9]{2})[2-9][0-9]{6,7}$`)
	fixedParts = lazily(`^[(（]?0(?:10|2[0-9]|[3-9][0-9]{2})[)） \-－–]{1,2}[2-9][0-9]{2,3}[ \-]?[0-9]{4}$`)
	service    = lazily(`^[48]00[ \-]?[0-9]{3,4}[ \-]?[0-9]{3,4}$`)
	american   = lazily(`^(?:\+?1[ .\-]{0,1})?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .\-])[0-9]{3}[ .\-][0-9]{4}$`)
	american00 = lazily(`^1[ .\-]8(?:00|33|44|55|66|77|88)[ .\-][0-9]{3}[ .\-][0-9]{4}$`)
	intl       = lazily(`^[+＋][1-9][0-9 .()\-]{6,20}$`)
	phoneWords = words("电话", "手机", "号码", "热线", "拨打", "致电", "座机", "传真", "联系", "微信", "客服", "phone", "call ", "tel", "mobile", "cell", "fax", "dial", "text ", "whatsapp")
	// Words for other numbers: what stands right behind them is no telephone.
	otherWords = words("订单", "单号", "流水", "编号", "序列", "会议号", "学号", "时间戳", "毫秒", "第", "群号", "代码", "版本", "order", "serial",
		"tracking", "version", "isbn", "invoice", "meeting id", "batch", "lot", "lines", "score", "part no")
)

// phone reports whether a run is a telephone number, and where that is: a run may go on with something else. There are
// mobile numbers of China, its fixed lines with their area codes, 400 and 800 numbers, numbers of North America, numbers
// with a country code, and shorter ones right behind a word for telephone.
func phone(text string, r run) (start, end int, ok bool) {
	d := r.digits
	if strings.Contains(d, "X") {
		return 0, 0, false
	}
	other := before(text, r.start, func(s string) bool { return otherWords(lastWords(s)) })
	cjkAfter := strings.HasPrefix(text[r.end:], "元") || strings.HasPrefix(text[r.end:], "位") || strings.HasPrefix(text[r.end:], "人") || strings.HasPrefix(text[r.end:], "号专利")
	switch {
	case other || cjkAfter:
		return 0, 0, false
	case mobile().MatchString(d) && grouped(r.text, 2, 5) || mobile().MatchString(d) && len(r.text) <= len(d)+6 && !strings.ContainsAny(r.text, "."):
		// 0086-138...: the code is shown as one
		if strings.HasPrefix(d, "0086") && !r.plus {
			i := strings.Index(r.text, "86") + 2
			i += len(r.text[i:]) - len(strings.TrimLeft(r.text[i:], " -"))
			return r.start + i, r.end, true
		}
		return r.start, r.end, true
	case fixed().MatchString(d) && (fixedParts().MatchString(r.text) || len(r.text) == len(d) && before(text, r.start, phoneWords)):
		return r.start, r.end, true
	case len(d) == 10 && service().MatchString(r.text) && r.text != d:
		return r.start, r.end, true
	case american().MatchString(r.text), american00().MatchString(r.text):
		return r.start, r.end, true
	case r.plus && len(d) >= 8 && len(d) <= 15 && intl().MatchString(r.text):
		return r.start, r.end, true
	case (len(d) == 10 && d == r.text || len(d) >= 7 && len(d) <= 8 || len(d) == 5 && strings.HasPrefix(d, "95")) &&
		before(text, r.start, func(s string) bool { return phoneWords(lastWords(s)) }):
		return r.start, r.end, true
	case len(d) == 10 && american10().MatchString(r.text):
		return r.start, r.end, true
	}
	return 0, 0, false
}

// american10 is 555.012.3456: the exchange may begin with 0 in numbers that are made up.
var american10 = lazily(`^\(?[2-9][0-9]{2}\)?[ .\-]?[0-9]{3}[.\-][0-9]{4}$`)

// lastWords is the end of a text: what stands right before a number.
func lastWords(s string) string {
	const near = 18
	if i := strings.LastIndexAny(s, ",，、)）"); i >= 0 && len(strings.TrimSpace(s[i:])) > 3 {
		_, n := utf8.DecodeRuneInString(s[i:])
		s = s[i+n:]
	}
	if len(s) <= near {
		return s
	}
	s = s[len(s)-near:]
	for s != "" && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	return s
}

var emails = lazily(`[\pL0-9._%+\-'’]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,62})\.)+[A-Za-z]{2,24}`)

// findEmails: RFC 5321's Dot-string with letters of any script, and a domain with a dot. Chinese before the address
// is text, not a part of it.
func findEmails(v *view) []Span {
	var spans []Span
	text := v.text
	if !strings.Contains(text, "@") {
		return nil
	}
	for _, m := range emails().FindAllStringIndex(text, -1) {
		local := text[m[0] : m[0]+strings.IndexByte(text[m[0]:m[1]], '@')]
		cut := 0
		for i, r := range local {
			if r >= 0x2E80 {
				cut = i + utf8.RuneLen(r)
			}
		}
		cut += len(local[cut:]) - len(strings.TrimLeft(local[cut:], ".-'’%+"))
		if cut == len(local) {
			continue
		}
		spans = append(spans, Span{m[0] + cut, m[1], Email})
	}
	return spans
}

// Plates of China (GA 36-2018): a province, a letter, five characters, six on electric cars.
var (
	chinesePlates = lazily(`[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·• ]?(?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳领]|[A-HJ-NP-Z][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[A-HJ-NP-Z])`)
	otherPlates   = lazily(`\b(?:[A-Z]{2}[0-9]{2} [A-Z]{3}|[0-9][A-Z]{3}[0-9]{3}|[A-Z]{3}[ \-]?[0-9]{3,4}|[A-Z]{1,3}[ \-][0-9]{1,4}[A-Z]{0,2})\b`)
	plateWords    = words("plate", "registration", "车牌", "牌照")
)

func findPlates(v *view) []Span {
	var spans []Span
	text := v.text
	if !strings.ContainsAny(text, "0123456789") {
		return nil
	}
	for _, m := range chinesePlates().FindAllStringIndex(text, -1) {
		end := m[1]
		// 津C1234学 is matched by the first form; a digit that goes on makes it something else.
		if after, _ := utf8.DecodeRuneInString(text[end:]); after >= '0' && after <= '9' || after >= 'A' && after <= 'Z' {
			if len(text[m[0]:end]) >= 9 {
				// electric cars have one more: try with it
				if longer := m[1] + 1; longer <= len(text) && electric().MatchString(text[m[0]:longer]) {
					spans = append(spans, Span{m[0], longer, Plate})
				}
			}
			continue
		}
		if !strings.ContainsAny(text[m[0]:end], "0123456789") {
			continue
		}
		spans = append(spans, Span{m[0], end, Plate})
	}
	if !plateWords(strings.ToLower(text)) {
		return spans
	}
	for _, m := range otherPlates().FindAllStringIndex(text, -1) {
		if before(text, m[0], plateWords) {
			spans = append(spans, Span{m[0], m[1], Plate})
		}
	}
	return spans
}

var electric = lazily(`^.[A-HJ-NP-Z][·• ]?(?:[A-HJ-NP-Z][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[A-HJ-NP-Z])$`)
