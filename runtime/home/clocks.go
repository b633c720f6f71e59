package home

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// clocks writes times of day as clocks show them, and parts of degrees as numbers have them:
// half past 7 and 7点半 are 7:30, 18 point 5 degrees and 18度半 are 18.5. What counts back to the next hour
// would have to be reckoned, elsewise, by the model. The text has its numbers in digits.
// What could be something else stays as it is: from 20 to 3, 8点.
func clocks(text string) string {
	for _, r := range clockRules {
		text = r.apply(text)
	}
	return text
}

// clockRule rewrites what a pattern matches, if the match stands between what it may.
type clockRule struct {
	hints               string // texts, of which each that it matches has one
	pattern             lazy
	notAfter, notBefore lazy // what must not stand right before it, and right behind
	write               func(groups []string) string
}

// lazy is an expression that is compiled where it is needed first: most sentences need
// none, and a first token waits for each.
type lazy func() *regexp.Regexp

func re(text string) lazy {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

func (r clockRule) apply(text string) string {
	if !slices.ContainsFunc(strings.Split(r.hints, "|"), func(h string) bool { return strings.Contains(text, h) }) {
		return text
	}
	const near = 24 // bytes, more than what is looked at
	var b strings.Builder
	done := 0
	for from := 0; from < len(text); {
		m := r.pattern().FindStringSubmatchIndex(text[from:])
		if m == nil {
			break
		}
		groups := make([]string, len(m)/2)
		for i := range groups {
			if m[2*i] >= 0 {
				groups[i] = text[from+m[2*i] : from+m[2*i+1]]
			}
		}
		start, end := from+m[0], from+m[1]
		from = end
		out := r.write(groups)
		if out == "" || r.notAfter().MatchString(text[max(0, start-near):start]) || r.notBefore().MatchString(text[end:min(len(text), end+near)]) {
			continue
		}
		b.WriteString(text[done:start])
		b.WriteString(out)
		done = end
	}
	return b.String() + text[done:]
}

const (
	hourEn = `(\d{1,2}|one\b)`
	hourZh = `(\d{1,2}|[一两二三])点`
)

var (
	inNumber = re(`[\d:.点差]$`)                                                                                            // a part of another number
	counted  = re(`^(?:[\d:%°度档级个成]|\.\d| ?(?:percent|per cent|degree|minute|min\b|mins\b|second|sec|hour|k\b|c\b|f\b))`) // or of what counts
	spanned  = re(`^(?:[\d:小个钟后]|\.\d)`)                                                                                  // 半小时, 一刻钟
	span     = re(`(?:[\d:.点差]|\bfrom |\bfrom a )$`)                                                                      // or the end of "from 20 to 3"
	pieces   = re(`^[\d.]`)
)

var clockRules = []clockRule{
	{"point", re(`(\d+) point (\d)`), inNumber, pieces, func(g []string) string { return g[1] + "." + g[2] }},
	{"点", re(`(\d+)点(\d)度`), inNumber, re(`^半`), func(g []string) string { return g[1] + "." + g[2] + "度" }},
	{"点", re(`([二两三])点(\d)度`), inNumber, re(`^半`), func(g []string) string { return strconv.Itoa(hourOf(g[1])) + "." + g[2] + "度" }},
	{"half", re(`(\d+) and a half( degrees?| celsius|c\b|°)`), inNumber, pieces, func(g []string) string { return g[1] + ".5" + g[2] }},
	{"度半", re(`(\d+)度半`), inNumber, spanned, func(g []string) string { return g[1] + ".5度" }},

	{"half|quarter", re(`\b(?:(half)|(?:a )?(quarter)) (?:past|after) ` + hourEn), span, counted, func(g []string) string {
		return clock(g[3], map[string]string{"half": "30"}[g[1]]+map[string]string{"quarter": "15"}[g[2]])
	}},
	{"quarter", re(`\b(?:a )?quarter (?:to|before) ` + hourEn), span, counted, func(g []string) string { return clockBack(g[1], "15") }},
	{"past|after", re(`\b(\d{1,2})(?: minutes| mins| min)? (?:past|after) ` + hourEn), span, counted, func(g []string) string { return clock(g[2], g[1]) }},
	{"before|to", re(`\b(\d{1,2})(?:(?: minutes| mins| min)? before|(?: minutes| mins| min) to) ` + hourEn), span, counted, func(g []string) string { return clockBack(g[2], g[1]) }},
	{"to", re(`\b((?:at|for|by|about|around) )(\d{1,2}) to ` + hourEn), inNumber, counted, func(g []string) string { return then(g[1], clockBack(g[3], g[2])) }},
	{"half", re(`\b((?:at|for|by|about|around) )half ` + hourEn), inNumber, counted, func(g []string) string { return then(g[1], clock(g[2], "30")) }},
	{"at |for |by |about |around ", re(`\b((?:at|for|by|about|around) )` + hourEn + ` (\d\d)`), inNumber, counted, func(g []string) string { return then(g[1], clock(g[2], g[3])) }},
	{"oh", re(`\b` + hourEn + ` oh (\d)`), inNumber, counted, func(g []string) string { return clock(g[1], "0"+g[2]) }},
	{"clock", re(`\b` + hourEn + ` o'?clock`), inNumber, pieces, func(g []string) string { return clock(g[1], "00") }},

	{"差", re(`差(一刻|\d{1,2}分)(?:到)?` + hourZh), re(`[\d点]$`), counted, func(g []string) string { return clockBack(g[2], minutesZh(g[1])) }},
	{"差", re(hourZh + `差(一刻|\d{1,2}分)`), inNumber, spanned, func(g []string) string { return clockBack(g[1], minutesZh(g[2])) }},
	{"点", re(hourZh + `(半|一刻|三刻)`), inNumber, spanned, func(g []string) string { return clock(g[1], minutesZh(g[2])) }},
	{"分", re(hourZh + `[过零]?(\d{1,2}分)`), inNumber, spanned, func(g []string) string { return clock(g[1], minutesZh(g[2])) }},
	{"点", re(hourZh + `(\d\d)`), inNumber, re(`^[\d:.%°度档级个成秒小分k]|^开尔`), func(g []string) string { return clock(g[1], g[2]) }},
	{"点", re(hourZh + `(?:钟|整)`), inNumber, spanned, func(g []string) string { return clock(g[1], "00") }},
}

func minutesZh(s string) string {
	switch s {
	case "半":
		return "30"
	case "一刻":
		return "15"
	case "三刻":
		return "45"
	}
	return s[:len(s)-len("分")]
}

// hourOf reads an hour of the clock's face or of the day.
func hourOf(s string) int {
	switch s {
	case "一", "one":
		return 1
	case "两", "二":
		return 2
	case "三":
		return 3
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > 24 {
		return -1
	}
	return n
}

// clock is hour and minute, or nothing where there are no such.
func clock(hour, minute string) string {
	h := hourOf(hour)
	m, err := strconv.Atoi(minute)
	if h < 0 || err != nil || m > 59 {
		return ""
	}
	return fmt.Sprintf("%d:%02d", h, m)
}

// clockBack is so many minutes before an hour of the clock's face: 12:45 is a quarter to 1.
func clockBack(hour, minute string) string {
	h := hourOf(hour)
	m, err := strconv.Atoi(minute)
	if h < 1 || err != nil || m < 1 || m > 59 {
		return ""
	}
	if h--; h == 0 {
		h = 12
	}
	return fmt.Sprintf("%d:%02d", h, 60-m)
}

// then is a text after what stands before it, or nothing.
func then(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}
