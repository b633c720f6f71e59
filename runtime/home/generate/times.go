package generate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/home"
)

// duration draws how long, and says it.
func (s *sentence) duration() (time.Duration, string) {
	if s.split == Train && s.chance(.2) {
		d := lengths[s.rng.IntN(len(lengths))]
		text := d.en
		if s.lang == "zh" {
			text = d.zh
		}
		return d.is, oneOf(s.Generator, strings.Split(text, "|")...)
	}
	n, unit, name := 0, time.Minute, oneOf(s.Generator, " minutes", " minutes", " mins", " min")
	zh := "分钟"
	switch p := s.rng.Float64(); {
	case p < .65:
		n = s.number(1, 59)
	case p < .85:
		n, unit, name, zh = s.number(1, 12), time.Hour, " hours", oneOf(s.Generator, "小时", "个小时", "个钟头")
	default:
		n, unit, name, zh = s.number(5, 59), time.Second, oneOf(s.Generator, " seconds", " secs"), oneOf(s.Generator, "秒", "秒钟")
	}
	text := s.spell(n)
	if s.lang == "zh" {
		if n == 2 {
			text = oneOf(s.Generator, "两", "2")
		}
		text += zh
	} else {
		if n == 1 {
			name = strings.TrimSuffix(name, "s")
		}
		text += name
	}
	d := time.Duration(n) * unit
	if unit == time.Hour && s.chance(.25) {
		if m := s.number(5, 55); s.lang == "zh" {
			return d + time.Duration(m)*time.Minute, strings.TrimSuffix(text, "钟头") + strings.Repeat("小时", strings.Count(text, "钟头")) + s.spell(m) + "分钟"
		} else {
			return d + time.Duration(m)*time.Minute, text + oneOf(s.Generator, " and ", " ") + s.spell(m) + " minutes"
		}
	}
	return d, text
}

// lengths are said in words of their own.
var lengths = []struct {
	is     time.Duration
	en, zh string
}{
	{30 * time.Minute, "half an hour|half an hour|thirty minutes|30 minutes", "半小时|半个小时|半个钟头|三十分钟"},
	{15 * time.Minute, "a quarter of an hour|fifteen minutes|15 minutes", "一刻钟|十五分钟|15分钟"},
	{45 * time.Minute, "three quarters of an hour|forty-five minutes", "三刻钟|四十五分钟"},
	{90 * time.Minute, "an hour and a half|one and a half hours|ninety minutes|90 minutes", "一个半小时|一个半钟头|九十分钟|90分钟"},
	{150 * time.Minute, "two and a half hours|two hours and a half", "两个半小时|两个半钟头"},
	{time.Hour, "an hour|one hour|1 hour|sixty minutes", "一小时|一个小时|一个钟头|1小时|1个小时"},
	{2 * time.Hour, "two hours|a couple of hours|2 hours", "两小时|两个小时|两个钟头|2小时"},
	{2 * time.Minute, "a couple of minutes|two minutes|2 minutes", "两分钟|2分钟"},
	{time.Minute, "a minute|one minute|1 minute", "一分钟|1分钟"},
	{90 * time.Second, "a minute and a half|ninety seconds|90 seconds|one and a half minutes", "一分半钟|九十秒|90秒|一分半"},
	{10 * time.Minute, "ten minutes|10 minutes", "十分钟|10分钟"},
	{5 * time.Minute, "five minutes|5 minutes", "五分钟|5分钟"},
	{20 * time.Minute, "twenty minutes|20 minutes", "二十分钟|20分钟"},
	{30 * time.Second, "thirty seconds|half a minute|30 seconds", "三十秒|半分钟|30秒"},
}

func (s *sentence) delay() (time.Duration, string) {
	d, text := s.duration()
	if s.lang == "zh" {
		return d, oneOf(s.Generator, text+"后", text+"后", text+"以后", text+"之后", "过"+text, "再过"+text)
	}
	return d, oneOf(s.Generator, "in "+text, "in "+text, "in "+text, "after "+text, text+" from now", "in about "+text)
}

// moment draws hour and minute of the split.
func (s *sentence) moment(low, high int) (h, m int) {
	for {
		h, m = low+s.rng.IntN(high-low+1), 0
		switch p := s.rng.Float64(); {
		case p < .45:
		case p < .62:
			m = 30
		case p < .78:
			m = oneOf(s.Generator, 15, 45)
		case p < .93:
			m = 5 * s.rng.IntN(12)
		default:
			m = s.rng.IntN(60)
		}
		if s.clocked(h, m) {
			return h, m
		}
	}
}

// clocked reports whether a time of day belongs to this split: 7 in the evening and 19:00 are one.
func (g *Generator) clocked(h, m int) bool { return (h%12*12+m/5)%7 == 4 == (g.split == Test) }

// part is a part of the day, and the hours that are said with it.
type part struct {
	en, zh    string
	low, high int
	add       func(h int) int
}

func asSaid(h int) int { return h % 12 }
func pm(h int) int     { return h%12 + 12 }
func night(h int) int {
	if h >= 5 && h < 12 {
		return h + 12
	}
	return h % 12
}

var parts = []part{
	{"in the morning|in the morning|a.m.|am|this morning", "早上|早上|早晨|上午|今早|清晨", 5, 11, asSaid},
	{"a.m.|am|in the morning", "凌晨|凌晨", 1, 5, asSaid},
	{"in the afternoon|p.m.|pm|this afternoon", "下午|下午|今天下午", 1, 6, pm},
	{"in the evening|p.m.|pm|this evening", "傍晚|傍晚", 5, 7, pm},
	{"p.m.|pm|in the evening", "晚上|晚上", 7, 10, pm},
	{"at night|tonight|tonight", "晚上|今晚|今天晚上|夜里", 8, 11, night},
	{"at night|tonight", "夜里|半夜|晚上", 12, 12, night},
	{"at night", "夜里|半夜", 1, 3, night},
}

// clock draws a time of day and says it without "at"; bare leaves out its part of the day.
func (s *sentence) clock(bare bool) (clock, text string) {
	if s.split == Train && !bare && s.chance(.08) {
		if s.chance(.5) {
			return "12:00", map[string]string{"en": oneOf(s.Generator, "noon", "midday"), "zh": oneOf(s.Generator, "中午", "正午", "中午十二点", "中午12点")}[s.lang]
		}
		return "00:00", map[string]string{"en": "midnight", "zh": oneOf(s.Generator, "午夜", "零点", "半夜十二点", "晚上十二点")}[s.lang]
	}
	if !bare && s.chance(.55) {
		p := parts[s.rng.IntN(len(parts))]
		h, m := s.moment(p.low, p.high)
		text = s.sayClock(h, m, true)
		clock = fmt.Sprintf("%02d:%02d", p.add(h), m)
		if s.lang == "zh" {
			return clock, oneOf(s.Generator, strings.Split(p.zh, "|")...) + text
		}
		word := oneOf(s.Generator, strings.Split(p.en, "|")...)
		if strings.HasSuffix(text, "o'clock") && strings.HasSuffix(word, "m") {
			word = "in the morning"
			if p.add(h) >= 12 {
				word = "in the evening"
			}
			if p.low == 12 || p.low == 1 {
				return clock, s.sayClock(h, m, true) + " " + oneOf(s.Generator, strings.Split(p.en, "|")...)
			}
		}
		return clock, text + " " + word
	}
	if s.chance(.12) {
		h, m := s.moment(13, 23)
		if s.lang == "zh" {
			return fmt.Sprintf("%02d:%02d", h, m), s.sayClock(h, m, true)
		}
		return fmt.Sprintf("%02d:%02d", h, m), fmt.Sprintf("%d:%02d", h, m)
	}
	h, m := s.moment(1, 12)
	return fmt.Sprintf("%02d:%02d", h, m), s.sayClock(h, m, false)
}

// sayClock says hour and minute on the clock's face. Before a part of the day,
// nothing counts down to the next hour: twelve would have to change it.
func (s *sentence) sayClock(h, m int, parted bool) string {
	if s.lang == "zh" {
		return s.sayClockZh(h, m, parted)
	}
	num := func(n int) string {
		if s.chance(.5) {
			return strconv.Itoa(n)
		}
		return english(n)
	}
	next := h + 1
	if m > 30 && h < 12 && !(parted && next >= 12) && s.chance(.5) {
		left := num(60 - m)
		if m == 45 {
			left = oneOf(s.Generator, "quarter", "a quarter")
		} else if m%5 != 0 {
			left += " minutes"
		}
		return left + oneOf(s.Generator, " to ", " to ", " to ", " before ") + num(next)
	}
	if m > 0 && m <= 30 && s.chance(.55) {
		past := num(m)
		switch {
		case m == 30:
			if s.chance(.2) {
				return "half " + english(h)
			}
			past = "half"
		case m == 15:
			past = oneOf(s.Generator, "quarter", "a quarter")
		case m%5 != 0:
			past += " minutes"
		}
		return past + oneOf(s.Generator, " past ", " past ", " past ", " after ") + num(h)
	}
	if m == 0 {
		return oneOf(s.Generator, num(h), num(h), english(h)+" o'clock", strconv.Itoa(h)+" o'clock", strconv.Itoa(h)+":00")
	}
	words := english(h) + " " + strings.ReplaceAll(english(m), "-", oneOf(s.Generator, "-", " "))
	if m < 10 {
		words = english(h) + " oh " + english(m)
	}
	return oneOf(s.Generator, words, fmt.Sprintf("%d:%02d", h, m), fmt.Sprintf("%d:%02d", h, m))
}

func (s *sentence) sayClockZh(h, m int, parted bool) string {
	digits := s.chance(.45)
	num := func(n int) string {
		if digits {
			return strconv.Itoa(n)
		}
		return chinese(n)
	}
	hour := func(n int) string {
		if n == 2 && !digits {
			return "两点"
		}
		return num(n) + "点"
	}
	if m > 30 && h < 12 && !(parted && h+1 >= 12) && s.chance(.2) {
		left := num(60-m) + "分"
		if m == 45 {
			left = "一刻"
		}
		return oneOf(s.Generator, "差"+left+hour(h+1), hour(h+1)+"差"+left)
	}
	switch {
	case m == 0:
		return oneOf(s.Generator, hour(h), hour(h), hour(h), hour(h)+"钟", hour(h)+"整", strconv.Itoa(h)+":00")
	case m == 30 && s.chance(.75):
		return hour(h) + "半"
	case m == 15 && s.chance(.6):
		return hour(h) + "一刻"
	case m == 45 && s.chance(.4):
		return hour(h) + "三刻"
	case s.chance(.25):
		return fmt.Sprintf("%d:%02d", h, m)
	case m < 10:
		return hour(h) + oneOf(s.Generator, "零", "过") + num(m) + "分"
	}
	return hour(h) + num(m) + oneOf(s.Generator, "", "分")
}

// day says a day before its time of day, in ways that fit the hour.
type day struct{ is, en, zh string }

var days = []day{
	{"tomorrow", "tomorrow", "明天"}, {"tomorrow", "tomorrow", "明天"}, {"daily", "every day", "每天"}, {"daily", "daily", "每天"}, {"weekdays", "on weekdays", "工作日"},
	{"weekdays", "every weekday", "每个工作日"}, {"weekend", "on weekends", "周末"}, {"weekend", "at the weekend", "每个周末"},
	{"mon", "on monday", "周一"}, {"tue", "on tuesday", "周二"}, {"wed", "on wednesday", "周三"}, {"thu", "on thursday", "周四"},
	{"fri", "on friday", "周五"}, {"sat", "on saturday", "周六"}, {"sun", "on sunday", "周日"},
	{"mon", "next monday", "星期一"}, {"tue", "on tuesday", "星期二"}, {"wed", "on wednesday", "礼拜三"}, {"thu", "on thursday", "星期四"},
	{"fri", "this friday", "礼拜五"}, {"sat", "this saturday", "星期六"}, {"sun", "on sunday", "星期天"},
}

// daypart are days that hold their part of the day.
var dayparts = []struct {
	is, en, zh string
	low, high  int
	add        func(int) int
}{
	{"tomorrow", "tomorrow morning", "明早|明天早上|明天上午", 5, 11, asSaid},
	{"tomorrow", "tomorrow evening", "明晚|明天晚上", 6, 10, pm},
	{"tomorrow", "tomorrow night", "明晚|明天夜里", 8, 11, night},
	{"tomorrow", "tomorrow afternoon", "明天下午", 1, 5, pm},
	{"daily", "every morning", "每天早上|每天早晨", 5, 11, asSaid},
	{"daily", "every evening", "每晚|每天晚上", 6, 10, pm},
	{"daily", "every night", "每晚|每天晚上", 8, 11, night},
	{"daily", "every afternoon", "每天下午", 1, 5, pm},
	{"", "this morning", "今早|今天早上", 5, 11, asSaid},
	{"", "this evening", "今晚|今天晚上", 6, 10, pm},
	{"", "tonight", "今晚|今天晚上", 8, 11, night},
	{"", "today", "今天", 1, 12, func(h int) int { return h }},
}

// dated draws a time of day with or without a day. at puts "at" before the hour.
func (s *sentence) dated(at bool) (home.Value, string) {
	prep := ""
	if at && s.lang == "en" {
		prep = oneOf(s.Generator, "at ", "at ", "at ", "at ", "at ", "at about ")
	}
	switch p := s.rng.Float64(); {
	case p < .5:
		clock, text := s.clock(false)
		if strings.HasPrefix(text, "mid") || strings.HasPrefix(text, "noon") {
			prep = strings.Replace(prep, "about ", "", 1)
		}
		return home.Value{Clock: clock}, prep + text
	case p < .75:
		d := dayparts[s.rng.IntN(len(dayparts))]
		h, m := s.moment(d.low, d.high)
		v := home.Value{Day: d.is, Clock: fmt.Sprintf("%02d:%02d", d.add(h), m)}
		text := s.sayClock(h, m, true)
		if s.lang == "zh" {
			return v, oneOf(s.Generator, strings.Split(d.zh, "|")...) + text
		}
		if d.en == "tonight" || d.en == "today" || s.chance(.6) {
			return v, oneOf(s.Generator, d.en+" at "+text, prep+text+" "+d.en)
		}
		return v, d.en + " at " + text
	}
	d := days[s.rng.IntN(len(days))]
	clock, text := s.clock(false)
	v := home.Value{Day: d.is, Clock: clock}
	if s.lang == "zh" {
		if strings.HasPrefix(text, "今") {
			text = strings.TrimPrefix(strings.TrimPrefix(text, "今天"), "今")
			if strings.HasPrefix(text, "早") && !strings.HasPrefix(text, "早上") || strings.HasPrefix(text, "晚") && !strings.HasPrefix(text, "晚上") {
				text = text[:3] + "上" + text[3:]
			}
		}
		return v, d.zh + text
	}
	for _, w := range [][2]string{{"this morning", "in the morning"}, {"this afternoon", "in the afternoon"}, {"this evening", "in the evening"}, {"tonight", "at night"}} {
		text = strings.Replace(text, w[0], w[1], 1)
	}
	return v, oneOf(s.Generator, d.en+" at "+text, prep+text+" "+d.en)
}

// clockOnly is a time of day, said to have been given with a day or not.
func (s *sentence) clockOnly(at bool) (string, error) {
	v, text := s.dated(at)
	s.when = v
	return text, nil
}

// time is any of the times, as an adjunct.
func (s *sentence) time() (string, error) {
	switch p := s.rng.Float64(); {
	case p < .5:
		return s.clockOnly(true)
	case p < .85:
		d, text := s.delay()
		s.when = home.Value{Delay: d}
		return text, nil
	}
	s.when.Clock = oneOf(s.Generator, "sunrise", "sunset")
	return s.from(s.when.Clock)
}

// timed adds a time to a sentence that has none.
func (s *sentence) timed() error {
	if s.style == whole || strings.ContainsAny(s.text, "?？.。!！") {
		return nil
	}
	lasts := s.section.intent == "on" || s.section.intent == "start" || s.section.intent == "set" || s.section.intent == "open"
	if lasts && s.device != "scene" && s.chance(.25) {
		d, text := s.duration()
		s.when = home.Value{For: d}
		if s.lang == "en" {
			s.text += " for " + text
			return nil
		}
		if last, _ := utf8.DecodeLastRuneInString(s.text); strings.ContainsRune("0123456789零一二三四五六七八九十百", last) {
			s.text += "，" // or it is one number with the next
		}
		s.text += text
		return nil
	}
	text, err := s.time()
	if err != nil {
		return err
	}
	switch {
	case s.lang == "zh" && s.chance(.93):
		s.text = text + s.text
	case s.lang == "zh":
		s.text += "，" + text
	case s.chance(.28):
		s.text = text + oneOf(s.Generator, ", ", " ") + s.text
	default:
		s.text += " " + text
	}
	s.ended = ""
	return nil
}
