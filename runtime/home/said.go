package home

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// said says what of a command its sentence does not: a number, a day, that a door be opened. A
// model that has not seen a number writes one that it has.
func said(text string, c Command) error {
	v, err := ParseValue(c.Value)
	if err != nil {
		return err
	}
	switch opens := c.Intent == "unlock" || c.Intent == "open" && c.Device == "door"; {
	case !daySaid(text, v):
		return fmt.Errorf("the model wrote %q, and the sentence says another day", c.Value)
	case opens && !openingWords().MatchString(shutting().ReplaceAllString(text, "")):
		return errors.New("the model would open the house, and the sentence does not say so")
	case !numbersSaid(text, v):
		return fmt.Errorf("the model wrote %q, and the sentence says no such number", c.Value)
	}
	return nil
}

// daySaid reports whether a value with a time has the day that a text says, if it says one.
func daySaid(text string, v Value) bool {
	for _, d := range saidDays {
		if v.Clock != "" && hinted(text, d.hints) && d.pattern().MatchString(text) && !strings.Contains(d.days, "|"+v.Day+"|") {
			return false
		}
	}
	return true
}

// numbersSaid reports whether a value's numbers are said, or follow from one that is: hours by the
// part of the day, minutes to the next hour, what is left of 100 %.
func numbersSaid(text string, v Value) bool {
	n := numbersIn(text)
	if v.Unit != "" && !n.amount(math.Abs(v.Number)) {
		return false
	}
	if h, m, clock := strings.Cut(v.Clock, ":"); clock && !n.clock(h, m) {
		return false
	}
	d := v.Delay + v.For
	return d == 0 || n.duration(d) && inParts(text, d)
}

// openingWords are those for opening doors and locks. A model may take what is locked for what is to be unlocked.
var openingWords = re(`open|lock\w* .*off|off .*lock|un\w*l\w*ock|u\w*latch|unl|undo|releas|free|unbolt|uln|bolt[^,]* (?:off|back)|(?:off|back)[^,]* (?:dead)?bolt|draw|\blet\b|up\b|rais|lift|\broll|\bpop\b|wide|haul|crack|ajar|swing|pull|slide|开|解|抽|去掉|升|起|敞|上去|抬|推|拉|让|取消`)

// shutting are words that have those of opening, and mean the contrary.
var shutting = re(`\b(?:lock|close|shut) (?:it |the [a-z]+ )?up\b|\b(?:pull|push|swing|slide|roll)[^,]* (?:shut|closed|to)\b|[拉关推锁]上`)

// saidDays are the days that a text says, with those that a value can then have.
var saidDays = []struct {
	hints   string
	pattern lazy
	days    string
}{
	{"tomorrow|明", re(`\btomorrow\b|(?:^|[^照])明天|明早|明晚`), "|tomorrow|"},
	{"every |daily|每", re(`\b(?:every (?:day|morning|evening|night)|daily)\b|每(?:天|早|晚)`), "|daily|weekdays|weekend|"},
	{"day", re(`\b(?:on |this |next )(?:mon|tues|wednes|thurs|fri|satur|sun)day\b`), "|mon|tue|wed|thu|fri|sat|sun|"},
}

// numbers are those that a text says, and the words for some that stay words.
type numbers map[float64]bool

// twoParts are durations of two numbers: 7 minutes 30 seconds, 1小时20分.
var twoParts = re(`(\d+) ?(hours?|minutes?|mins?|个?小时|分钟?)(?: and)? ?(\d+) ?(minutes?|mins?|seconds?|secs?|分钟?|秒)`)

// inParts reports whether a duration is the one of two numbers that a text says, if it says one.
func inParts(text string, d time.Duration) bool {
	m := twoParts().FindStringSubmatch(text)
	if m == nil {
		return true
	}
	unit := func(s string) time.Duration {
		switch {
		case strings.Contains(s, "h") || strings.Contains(s, "时"):
			return time.Hour
		case strings.Contains(s, "m") || strings.Contains(s, "分"):
			return time.Minute
		}
		return time.Second
	}
	more, _ := strconv.Atoi(m[1]) // digits; too many are no duration
	less, _ := strconv.Atoi(m[3])
	return d == time.Duration(more)*unit(m[2])+time.Duration(less)*unit(m[4])
}

var inDigits = re(`\d+(?:\.\d+)?`)

// numberWords are what Normal leaves in words.
var numberWords = map[string]float64{
	"one": 1, "一": 1, "二": 2, "两": 2, "三": 3, "零": 0, "俩": 2, "couple": 2, "noon": 12, "midday": 12, "中午": 12, "正午": 12, "午夜": 0, "midnight": 0,
	"半夜": 0, "half": 30, "quarter": 15, "半": 30, "刻": 15, "三刻": 45, "zero": 0, "nought": 0, "oh": 0, "双": 2, "仨": 3, "third": 3, "dozen": 12, "an hour": 1, "a minute": 1,
}

func numbersIn(text string) numbers {
	n := numbers{}
	add := func(s string) {
		if x, err := strconv.ParseFloat(s, 64); err == nil {
			n[x] = true
		}
	}
	for _, s := range inDigits().FindAllString(text, -1) {
		add(s)
		if whole, tenths, point := strings.Cut(s, "."); point {
			add(whole)
			add(tenths)
		} else if len(s) == 3 || len(s) == 4 { // 630 and 0630 may be a clock
			add(s[:len(s)-2])
			add(s[len(s)-2:])
		}
	}
	for w, x := range numberWords {
		if strings.Contains(text, w) {
			n[x] = true
		}
	}
	return n
}

// amount: of parts (half, 一半, 三成, three quarters) there are too many ways to say.
func (n numbers) amount(x float64) bool {
	switch x {
	case .5, 1, 1.5, 25, 33, 67, 75:
		return true
	}
	if math.Mod(x, 10) == 0 && x <= 100 {
		return true
	}
	return n[x] || n[100-x] || n[x-.5] || n[x/10] || n[x/100]
}

func (n numbers) clock(hour, minute string) bool {
	h, m := float64(hourOf(strings.TrimPrefix(hour, "0"))), float64(hourOf(strings.TrimPrefix(minute, "0")))
	if hour == "00" {
		h = 0
	}
	if minute == "00" {
		m = 0
	}
	hourSaid := h == 0 && (n[12] || n[24])
	for _, d := range []float64{0, -12, 1, -11, -23, 13} {
		hourSaid = hourSaid || n[h+d]
	}
	minuteSaid := m == 0 || m == 15 || m == 30 || m == 45 || n[m] || n[60-m]
	return hourSaid && minuteSaid
}

func (n numbers) duration(d time.Duration) bool {
	for _, whole := range []float64{d.Hours(), d.Minutes(), d.Seconds()} {
		if n[whole] || n[whole-.5] || whole == .5 && n[30] || whole == .25 && n[15] || whole == .75 && n[15] {
			return true
		}
	}
	for _, part := range []time.Duration{d / time.Hour, d / time.Minute % 60, d / time.Second % 60} {
		if part > 1 && !n[float64(part)] && (part != 45 || !n[15]) { // an hour and three quarters
			return false
		}
	}
	return true
}
