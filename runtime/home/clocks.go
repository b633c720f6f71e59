package home

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// clocks writes times of day as clocks show them, and parts of degrees as numbers have them:
// half past 7 and 7点半 are 7:30, 5pm is 17:00, 18 point 5 degrees and 18度半 are 18.5. What counts back to the
// next hour, or on from noon, would have to be reckoned, elsewise, by the model. The text has its numbers in digits.
// What could be something else stays as it is: from 20 to 3, 8点.
func clocks(text string) string {
	for _, r := range clockRules {
		text = r.apply(text)
	}
	// Where a part of the day is named an hour stays one of the clock's face: nobody says
	// 23:00 tonight, and the model has not read it.
	if day := halfDays.apply(text); day != text && !partOfDay().MatchString(text) {
		return day
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
	if !hinted(text, r.hints) {
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
	face      = `(\d{1,2}|one\b)` // an hour of the clock's face
	hourZh    = `(\d{1,2}|[零一两二三]) ?点 ?`
	laterZh   = `(\d{1,2}|[零两二三]) ?点 ?` // which are no "bit"
	amPm      = `(am\b|pm\b|a m\b|p m\b|a\.m\b\.?|p\.m\b\.?)`
	minutesOf = `(一刻|(?:\d{1,2}|[一两二三]) ?分钟?)`
)

var (
	inNumber  = re(`(?:[\d:.点差-]|\bchannel )$`)                    // a part of another number
	afterFrom = re(`(?:[\d:.点差-]|\bfrom(?: a| about| around)? )$`) // ... or the beginning of a span: "from quarter past 3"
	// What an amount or a length stands behind: "for 5 minutes after 9", "from 20 to 3".
	amount = re(`(?:[\d:.点差-]|\b(?:from|to|by|in|of|channel|level|speed|number|another)(?: a| about| around)? )$`)
	length = re(`(?:[\d:.点差-]|\b(?:from|to|by|in|of|for|channel|level|speed|number|another)(?: a| about| around)? )$`)
	// 一点 is "a bit" but behind a day, a part of it, or nothing.
	bit = re(`(?:[\d:.点差]|[^午晨上里夜天日末,到在定 ])$`)

	// What is counted by a number, which then is of no clock.
	counted = re(`^(?:[\d:%°度档级个成]|\.\d|[ -]?(?:percent|per cent|degree|celsius|fahrenheit|kelvin|minute|min\b|mins\b|seconds|sec\b|secs\b|hour|k\b|c\b|f\b|rpm|watt|lumen))`)
	spanned = re(`^(?:[\d:小个钟分]|\.\d)`) // 半小时, 一刻钟, 半分钟
	whole   = re(`^[\d:理个晚夜天体洁齐]`)      // 整理
	more    = re(`^[\d.:]`)
	nothing = re(`.^`) // matches no text
)

var clockRules = []clockRule{
	{"point", re(`(\d+|\bone) point (\d)`), inNumber, more, func(g []string) string { return strings.Replace(g[1], "one", "1", 1) + "." + g[2] }},
	{"点", re(`(\d+)点(\d)(度|摄氏|华氏)`), inNumber, re(`^半`), func(g []string) string { return g[1] + "." + g[2] + g[3] }},
	{"点", re(`([二两三])点(\d)(度|摄氏)`), inNumber, re(`^半`), func(g []string) string { return strconv.Itoa(hourOf(g[1])) + "." + g[2] + g[3] }},
	{"half", re(`(\d+) and a half( degrees?| celsius| ?c\b|°)`), inNumber, more, func(g []string) string { return g[1] + ".5" + g[2] }},
	{"度半", re(`(\d+)度半`), inNumber, spanned, func(g []string) string { return g[1] + ".5度" }},

	{"half|quarter", re(`\b(?:(half)|(?:a )?(quarter)) (?:past|after) ` + face), afterFrom, counted, func(g []string) string {
		return clock(g[3], map[string]string{"half": "30"}[g[1]]+map[string]string{"quarter": "15"}[g[2]], 12)
	}},
	{"quarter", re(`\b(?:a )?quarter (?:to|till|before|of) ` + face), afterFrom, counted, func(g []string) string { return clockBack(g[1], "15") }},
	{"past", re(`\b(\d{1,2})(?: minutes| mins| min)? past ` + face), afterFrom, counted, func(g []string) string { return clock(g[2], g[1], 12) }},
	{"after", re(`\b(5|10|20|25) after ` + face), amount, counted, func(g []string) string { return clock(g[2], g[1], 12) }},
	{"after", re(`\b(\d{1,2}) (?:minutes|mins|min) after (\d{1,2})`), length, counted, func(g []string) string { return clock(g[2], g[1], 12) }},
	{"before|to|till", re(`\b(\d{1,2}) (?:minutes|mins|min) (?:before|to|till) (\d{1,2})`), length, counted, func(g []string) string { return clockBack(g[2], g[1]) }},
	{"before", re(`\b(5|10|20|25) before ` + face), amount, counted, func(g []string) string { return clockBack(g[2], g[1]) }},
	{"to|till", re(`\b((?:at|at about|for|alarm to) )(5|10|20|25) (?:to|till) ` + face), inNumber, counted, func(g []string) string { return joined(g[1], clockBack(g[3], g[2])) }},
	{"half", re(`\b((?:at|at about|for) )half ` + face), inNumber, counted, func(g []string) string { return joined(g[1], clock(g[2], "30", 12)) }},
	{"at |for |about ", re(`\b((?:at|at about|for) )` + face + `[ -](\d\d)`), inNumber, counted, func(g []string) string { return joined(g[1], clock(g[2], g[3], 12)) }},
	{"at ", re(`\b(at )([01]\d|2[0-3])([0-5]\d)`), inNumber, counted, func(g []string) string { return joined(g[1], clock(g[2], g[3], 23)) }},
	{"at ", re(`\b(at )(\d{1,2})\.([0-5]\d)`), inNumber, counted, func(g []string) string { return joined(g[1], clock(g[2], g[3], 23)) }},
	{"midnight|noon", re(`\b(\d{1,2}) (?:minutes|mins|min) (?:before|to) (midnight|noon)`), length, more, func(g []string) string {
		return clockBefore(map[string]string{"midnight": "24", "noon": "12"}[g[2]], g[1])
	}},
	{"oh", re(`\b` + face + ` oh (\d)`), inNumber, counted, func(g []string) string { return clock(g[1], "0"+g[2], 12) }},
	{"clock", re(`\b` + face + ` o'? ?clock`), inNumber, more, func(g []string) string { return clock(g[1], "00", 12) }},
	{"am|pm|a.m|p.m|a m|p m", re(`\b` + face + `[ -](\d\d) ` + amPm), inNumber, nothing, func(g []string) string { return joined(clock(g[1], g[2], 12), " "+g[3]) }},
	{"am|pm|a.m|p.m", re(`(\d)(am|pm|a\.m|p\.m)\b`), nothing, nothing, func(g []string) string { return g[1] + " " + g[2] }},

	{"差", re(`差` + minutesOf + `(?:到)?` + hourZh), re(`[\d点]$`), counted, func(g []string) string { return clockBack(g[2], minutesZh(g[1])) }},
	{"差", re(hourZh + `差` + minutesOf), inNumber, re(`^[\d:小个钟]`), func(g []string) string { return clockBack(g[1], minutesZh(g[2])) }},
	{"一点", re(`一点(半|一刻|三刻)`), bit, spanned, func(g []string) string { return clock("一", minutesZh(g[1]), 23) }},
	{"一点", re(`一点[过零]?((?:\d{1,2}|[一两二三])分)`), bit, spanned, func(g []string) string { return clock("一", minutesZh(g[1]), 23) }},
	{"一点", re(`一点(?:钟|整)`), bit, whole, func([]string) string { return clock("一", "00", 23) }},
	{"点", re(laterZh + `(半|一刻|三刻)`), inNumber, spanned, func(g []string) string { return clock(g[1], minutesZh(g[2]), 23) }},
	{"分", re(laterZh + `[过零]?((?:\d{1,2}|[一两二三]) ?分)`), inNumber, spanned, func(g []string) string { return clock(g[1], minutesZh(g[2]), 23) }},
	{"点", re(laterZh + `(\d\d)`), inNumber, re(`^(?: ?(?:[\d:.%°度档级个成秒小分摄华台频号楼层人点到至ckf-]|开尔))`), func(g []string) string { return clock(g[1], g[2], 23) }},
	{"点", re(laterZh + `(?:钟|整)`), inNumber, whole, func(g []string) string { return clock(g[1], "00", 23) }},
}

var (
	partOfDay = re(`(?:noon|night|evening)s?\b|[午晚夜]`)
	halfDays  = clockRule{"am|pm|a.m|p.m|a m|p m", re(`\b(\d{1,2})(?:[:.](\d\d))? ` + amPm), re(`(?:[\d:.点差-] ?|\bchannel )$`), nothing, func(g []string) string { return halfDay(g[1], g[2], g[3][:1]) }}
)

func minutesZh(s string) string {
	switch s {
	case "半":
		return "30"
	case "一刻":
		return "15"
	case "三刻":
		return "45"
	}
	n, _, _ := strings.Cut(s, "分")
	return strconv.Itoa(hourOf(strings.TrimSpace(n)))
}

// hourOf reads a number below 60, in digits but for those that stay words; -1 for another.
func hourOf(s string) int {
	switch s {
	case "零":
		return 0
	case "一", "one":
		return 1
	case "两", "二":
		return 2
	case "三":
		return 3
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > 59 {
		return -1
	}
	return n
}

// clock is hour and minute, or nothing where there are no such; most is the last hour
// there is: 12 on the clock's face.
func clock(hour, minute string, most int) string {
	h, m := hourOf(hour), hourOf(strings.TrimPrefix(minute, "0"))
	if minute == "00" {
		m = 0
	}
	if h < 0 || h > most || h == 0 && most == 12 || m < 0 {
		return ""
	}
	return fmt.Sprintf("%d:%02d", h, m)
}

// halfDay is an hour of the clock's face, and minutes, before noon (a) or after it (p), by the day's 24 hours:
// 12 am is 0:00, and 17 pm what it is meant to be. Nothing for 0 pm and 13 am.
func halfDay(hour, minute, half string) string {
	h := hourOf(hour)
	switch {
	case h < 0 || half == "a" && h > 12 || half == "p" && h == 0:
		return ""
	case half == "a" && h == 12:
		h = 0
	case half == "p" && h < 12:
		h += 12
	}
	return clock(strconv.Itoa(h), cmp.Or(minute, "00"), 23)
}

// clockBack is so many minutes before an hour of the clock's face: 12:45 is a quarter to 1.
func clockBack(hour, minute string) string {
	switch h := hourOf(hour); {
	case h < 1 || h > 12:
		return ""
	case h == 1:
		return clockBefore("13", minute)
	}
	return clockBefore(hour, minute)
}

// clockBefore is so many minutes before one of the day's 24 hours.
func clockBefore(hour, minute string) string {
	h, m := hourOf(hour), hourOf(minute)
	if m < 1 {
		return ""
	}
	return fmt.Sprintf("%d:%02d", h-1, 60-m)
}

// joined is the parts one after the other, or nothing where one is nothing.
func joined(parts ...string) string {
	if slices.Contains(parts, "") {
		return ""
	}
	return strings.Join(parts, "")
}
