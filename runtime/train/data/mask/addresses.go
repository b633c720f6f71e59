package mask

import (
	"regexp"
	"strings"
)

// Chinese addresses go from large to small: province, city, district, road and number, building, room. What tells one
// from the mere name of a place is a number on a road, or of a house.
var (
	zhRegion = `(?:[\p{Han}]{2,7}?(?:特别行政区|自治区|省))?(?:[\p{Han}]{2,6}?(?:自治州|市|地区|盟))?(?:[\p{Han}]{1,6}?(?:区|县|旗))?(?:[\p{Han}]{1,6}?(?:街道|镇|乡))?`
	zhRoad   = `(?:[\p{Han}]{1,8}?(?:路|街|大道|大街|胡同|巷|弄|村|里)(?:[东南西北中一二三四五六七八九十]段)?)`
	zhNumber = `(?:[0-9０-９]{1,5}|[一二三四五六七八九十百]{1,5})(?:弄|巷|号院|号楼|号)`
	zhRest   = `(?:[\p{Han}]{0,10}?[A-Za-z0-9０-９]{1,5}(?:号楼|号院|号|栋|幢|座|楼|层|单元|室|房)|(?:[A-Z]座|[\p{Han}]{2,8}(?:大厦|广场|小区|花园|公寓|中心))(?:[A-Z]?[0-9]{1,5}[A-Z]?(?:室|楼|层|座)?)?|[A-Z]?[0-9]{3,4}[A-Z]?室?)`
	zhAddr   = lazily(zhRegion + zhRoad + zhNumber + zhRest + `{0,4}`)

	// Words that the first part of an address takes along from the sentence.
	zhLead = lazily(`^(?:.*(?:地址写|地址是|地址在|地址为|地址|住在|住址|寄到|送到|寄往|送往|搬到了|搬到|位于|老家是|去了|去|到|在|放|住|是|写|请|至))+`)
)

// Words for roads in English, in full and as they are shortened.
const enRoad = `(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Terrace|Ter|Way|Parkway|Pkwy|Circle|Cir|Square|Sq|Highway|Hwy|Close|Crescent|Row|Walk|Alley|Trail)`

var (
	enName  = `(?:[NSEW]\.? )?(?:(?:Mt|St|Fort|[A-Z][A-Za-z'’]*|[0-9]{1,3}(?:st|nd|rd|th))\.? ){1,5}?`
	enUnit  = `(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|Room|Rm|#)\.? ?[A-Za-z0-9\-]{1,6})?`
	enState = `A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]`
	enCity  = `(?:, (?:[A-Z][A-Za-z'’.]+ ?){1,4},? (?:` + enState + `)(?: [0-9]{5}(?:-[0-9]{4})?)?|, (?:[A-Z][a-z]+ ?){1,3}[A-Z]{1,2}[0-9][0-9A-Z]? [0-9][A-Z]{2})?`
	enAddr  = lazily(`\b[0-9]{1,5}[A-Z]? ` + enName + enRoad + `\b\.?` + `(?: St\b)?` + enUnit + enCity)
	poBox   = lazily(`\b(?:P\.? ?O\.? Box|PO Box|Post Office Box) [0-9]{1,6}` + enCity)
)

// chinese are the matches of zhAddr, which is slow, where there may be some.
func chinese(text string) [][]int {
	if !strings.ContainsAny(text, "号弄巷") || !strings.ContainsAny(text, "路街道同巷弄村里") {
		return nil
	}
	return zhAddr().FindAllStringIndex(text, -1)
}

func findAddresses(v *view) []Span {
	var spans []Span
	text := v.text
	for _, m := range chinese(text) {
		start := m[0]
		if lead := zhLead().FindStringIndex(text[start:m[1]]); lead != nil && lead[1] < m[1]-m[0] {
			rest := text[start+lead[1] : m[1]]
			if zhAddr().FindString(rest) == rest { // what is left is still one
				start += lead[1]
			}
		}
		spans = append(spans, Span{start, m[1], Address})
	}
	if !strings.ContainsAny(text, "0123456789") {
		return spans
	}
	for _, x := range []*regexp.Regexp{poBox(), enAddr()} {
		for _, m := range x.FindAllStringIndex(text, -1) {
			end := m[1]
			for strings.HasSuffix(text[m[0]:end], ".") {
				end--
			}
			spans = append(spans, Span{m[0], end, Address})
		}
	}
	return spans
}
