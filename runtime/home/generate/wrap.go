package generate

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/home"
)

// wrap puts politeness, fillers, names, reasons and thanks around a sentence.
func (s *sentence) wrap() {
	if s.chance(.5) {
		s.around()
	}
	if s.chance(.15) {
		s.lead()
	}
}

func (s *sentence) around() {
	name := map[style]string{imperative: "wrap.imperative", fragment: "wrap.fragment", whole: "wrap.whole"}[s.style]
	x := s.l.lists[name]
	if x == nil {
		return
	}
	t := s.pick(x, false)
	in, rest := s.text, strings.TrimRight(s.text, "?？.。!！")
	if strings.HasSuffix(t.text, "}") {
		rest = in
	}
	if s.style == whole && rest != in && !strings.HasSuffix(t.text, "}") {
		return // what ends with its own mark takes nothing behind it
	}
	if (strings.HasPrefix(t.text, "请问") || strings.HasPrefix(t.text, "quick question")) && !s.asks() {
		return // asks, where there is no question
	}
	s.used = append(s.used, name+": "+t.text)
	inner := &sentence{Generator: s.Generator, l: s.l, lang: s.lang, section: s.section, none: true, device: s.device, rooms: s.rooms, roomed: true}
	text, err := inner.expand(t.root)
	if err != nil {
		return
	}
	s.text = strings.Replace(text, "\x00", rest, 1)
}

// lead puts a word or two before a sentence that say nothing, once or twice.
func (s *sentence) lead() {
	x := s.l.lists["lead"]
	for range 2 {
		t := s.pick(x, false)
		comma := map[string]string{"en": ", ", "zh": "，"}[s.lang]
		if s.chance(.3) {
			comma = gap(s.lang)
		}
		s.text = t.text + comma + s.text
		if s.chance(.75) {
			return
		}
	}
}

// correct makes some sentences say something and then something else: the last
// version counts, and the first where the last leaves it out.
func (s *sentence) correct(intent *string) error {
	if s.when.Timed() || s.style == whole || s.device == "scene" || s.device == "alarm" {
		if s.chance(.006) {
			return s.takeBack(intent)
		}
		return nil
	}
	switch p := s.rng.Float64(); {
	case p < .006:
		return s.takeBack(intent)
	case p < .036 && len(s.rooms) == 1 && s.rooms[0] != "all":
		return s.otherRoom()
	case p < .055 && s.style == imperative && len(s.rooms) < 2:
		lead, err := s.from("corrected.lead")
		if err != nil {
			return err
		}
		s.text = lead + gap(s.lang) + s.text
	case p < .13 && s.ended == "value" && s.amount.Unit != "":
		return s.otherValue()
	}
	return nil
}

func (s *sentence) takeBack(intent *string) error {
	back, err := s.from("corrected.back")
	if err != nil {
		return err
	}
	*intent = "none"
	s.text += gap(s.lang) + back
	s.style = whole
	return nil
}

func (s *sentence) otherRoom() error {
	room := oneOf(s.Generator, everywhere...)
	if room == s.rooms[0] || strings.Contains(" door lock window ", " "+s.device+" ") {
		return errAgain
	}
	attr, where, noun, err := s.roomWords(room)
	if err != nil || attr == "_" {
		return errAgain
	}
	no, err := s.from("corrected.no")
	if err != nil {
		return err
	}
	s.rooms = []string{room}
	no = gap(s.lang) + no + gap(s.lang)
	if s.lang == "zh" {
		s.text += no + oneOf(s.Generator, attr+"的", attr, "是"+attr+"的", "是"+attr, "我说的是"+attr)
	} else {
		s.text += no + oneOf(s.Generator, noun, noun, where, "the "+attr+" one")
	}
	s.style = whole
	return nil
}

// otherValue says another amount of the same kind at the end.
func (s *sentence) otherValue() error {
	before := s.amount
	old := s.section.kinds
	kind := map[home.Unit]string{home.Percent: "pct", home.Celsius: "c", home.Fahrenheit: "f", home.Level: "lvl", home.Kelvin: "k"}[s.amount.Unit]
	if s.device == "tv" {
		return nil
	}
	sec := *s.section
	sec.kinds = []string{kind}
	s.section = &sec
	text, err := s.value()
	sec.kinds = old
	if err != nil {
		return err
	}
	if s.amount == before {
		return errAgain
	}
	no, err := s.from("corrected.no")
	if err != nil {
		return err
	}
	no = gap(s.lang) + no + gap(s.lang)
	if s.lang == "en" {
		no += oneOf(s.Generator, "", "make it ", "make that ", "")
	} else {
		no += oneOf(s.Generator, "", "还是", "改成", "")
	}
	s.text += no + text
	s.style = whole
	return nil
}

// slips are what keyboards and speech recognition do to a sentence.
func (s *sentence) slips(text string) string {
	if hasHan(text) {
		text = s.slipsZh(text)
	} else {
		text = s.slipsEn(text)
	}
	return text
}

// heard are words that sound alike, none of which is another command's.
var heard = map[string]string{
	"their": "there", "there": "their", "your": "you're", "the": "teh", "please": "plese", "lights": "lites", "light": "lite", "kitchen": "kichen",
	"bedroom": "bed room", "bathroom": "bath room", "curtains": "curtins", "degrees": "degress", "percent": "per cent", "temperature": "temprature",
	"washing": "washin", "machine": "mashine", "living": "livin", "heater": "heeter", "turn": "tern", "speaker": "speeker", "vacuum": "vaccum",
	"humidifier": "humidifer", "thermostat": "thermastat", "brightness": "brightnes", "garage": "garrage", "projector": "projecter", "dining": "dinning",
	"volume": "volum", "balcony": "balconey", "minutes": "minuts", "tomorrow": "tommorow", "can": "cn", "could": "cud", "you": "u", "hallway": "hall way",
}

func (s *sentence) slipsEn(text string) string {
	if s.chance(.03) {
		words := strings.Split(text, " ")
		i := s.rng.IntN(len(words))
		if w, is := heard[strings.ToLower(words[i])]; is {
			words[i] = w
		} else if w := words[i]; len(w) > 5 && strings.Trim(strings.ToLower(w), "abcdefghijklmnopqrstuvwxyz") == "" {
			at := 1 + s.rng.IntN(len(w)-3)
			words[i] = w[:at] + w[at+1:at+2] + w[at:at+1] + w[at+2:]
			if s.chance(.5) {
				words[i] = w[:at] + w[at+1:]
			}
		}
		text = strings.Join(words, " ")
	}
	p := s.rng.Float64()
	switch {
	case p < .45:
		return strings.ToLower(strings.TrimRight(text, "."))
	case p < .55:
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(",;!", r) {
				return -1
			}
			return r
		}, strings.ToLower(text))
	}
	if first, size := utf8.DecodeRuneInString(text); size > 0 {
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	for _, d := range []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "fahrenheit", "celsius"} {
		text = strings.Replace(text, d, strings.ToUpper(d[:1])+d[1:], 1)
	}
	if !strings.ContainsAny(text[len(text)-1:], ".?!") && s.chance(.55) {
		if s.chance(.06) {
			return text + "!"
		}
		if s.asks() {
			return text + "?"
		}
		return text + "."
	}
	if p > .998 {
		return strings.ToUpper(text)
	}
	return text
}

// openers are English words that a question begins with.
const openers = " how what why when who whose where which is are am was were can could would do does did has have had should shall will may might mind any what's how's who's where's when's isn't aren't can't don't "

// asks reports whether the sentence before its wrapping was a question.
func (s *sentence) asks() bool {
	if s.section.intent == "query" || s.section.name == "none_fact" {
		return true
	}
	first, _, _ := strings.Cut(s.text, " ")
	return s.style == whole && strings.Contains(openers, " "+strings.ToLower(first)+" ")
}

// askingZh are what Chinese questions have, or end with.
var askingZh = strings.Fields("吗 呢 什么 啥 怎么 咋 多少 几点 几度 几个 几次 几岁 几号 几楼 几天 谁 哪 是不是 有没有 能不能 要不要 可不可以 好不好 行不行 会不会 为何")

func asksZh(text string) bool {
	return strings.HasSuffix(text, "没") || strings.HasSuffix(text, "没有") || slices.ContainsFunc(askingZh, func(w string) bool { return strings.Contains(text, w) })
}

// heardZh are characters that sound alike, in words that stay the only ones meant.
var heardZh = [][2]string{{"客厅", "客听"}, {"空调", "空条"}, {"窗帘", "窗连"}, {"卧室", "握室"}, {"书房", "输房"}, {"打开", "大开"}, {"厨房", "除房"}, {"电视", "电是"},
	{"温度", "文度"}, {"音量", "音亮"}, {"台灯", "抬灯"}, {"暖气", "暖汽"}, {"关掉", "关吊"}, {"帮我", "邦我"}, {"的", "得"}, {"闹钟", "闹中"}, {"风扇", "风善"},
	{"洗衣机", "洗衣鸡"}, {"阳台", "洋台"}, {"卫生间", "卫生件"}, {"加湿器", "加湿气"}, {"扫地机", "扫地鸡"}, {"音乐", "音月"}, {"亮度", "量度"}, {"调到", "掉到"}, {"一点", "一典"}, {"走廊", "走郎"}}

func (s *sentence) slipsZh(text string) string {
	if s.chance(.06) {
		w := heardZh[s.rng.IntN(len(heardZh))]
		text = strings.Replace(text, w[0], w[1], 1)
	}
	if asksZh(text) && isHan([]rune(text)[len([]rune(text))-1]) && s.chance(.45) {
		text += "？"
	}
	switch p := s.rng.Float64(); {
	case p < .3:
		text = strings.TrimRight(text, "。！")
	case p < .4:
		text = strings.NewReplacer("，", "", "。", "", "？", "").Replace(text)
	case p < .45:
		text = strings.NewReplacer("，", ",", "。", ".", "？", "?").Replace(text)
	case p < .5:
		text = strings.ReplaceAll(text, "，", " ")
	case p < .72 && isHan([]rune(text)[len([]rune(text))-1]):
		text += "。"
	}
	return text
}

// gap is what stands between words.
func gap(lang string) string {
	if lang == "en" {
		return " "
	}
	return ""
}
