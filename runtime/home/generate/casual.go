package generate

import (
	"slices"
	"strings"
)

// swap is a way of saying that another stands for as well, whatever the sentence.
type swap struct{ from, to string }

// fuller are contractions written out, and short ones of chats and hurry.
var fuller = []swap{
	{"it's", "it is"}, {"I'm", "I am"}, {"what's", "what is"}, {"don't", "do not"}, {"there's", "there is"}, {"can't", "cannot"}, {"can't", "can not"},
	{"we're", "we are"}, {"let's", "let us"}, {"I'd like", "I would like"}, {"isn't", "is not"}, {"that's", "that is"}, {"how's", "how is"}, {"who's", "who is"},
	{"is not", "isn't"}, {"I would", "I'd"}, {"do not", "don't"},
}

var casual = []swap{
	{"please", "pls"}, {"please", "plz"}, {"thanks", "thx"}, {"thanks", "cheers"}, {"thank you", "ta"}, {"you", "u"}, {"want to", "wanna"}, {"going to", "gonna"},
	{"a bit", "a wee bit"}, {"a bit", "a tiny bit"}, {"a bit", "a smidge"}, {"a little", "a little bit"}, {"a little", "a tad"}, {"a lot", "loads"}, {"a lot", "tons"},
	{"minutes", "mins"}, {"minute", "min"}, {"seconds", "secs"}, {"hours", "hrs"}, {"temperature", "temp"}, {"really", "proper"}, {"very", "super"}, {"so", "soo"},
	{"and", "n"}, {"okay", "ok"}, {"percent", "per cent"}, {"can you", "could you maybe"}, {"give me", "gimme"}, {"let me", "lemme"},
	{"maximum", "max"}, {"minimum", "min"}, {"because", "cause"}, {"because", "cos"}, {"TV", "tele"}, {"television", "tv"}, {"yes", "yep"},
}

// spokenZh are words of everyday speech and of regions for those of the book.
var spokenZh = []swap{
	{"什么", "啥"}, {"怎么样", "咋样"}, {"怎么", "咋"}, {"为什么", "为啥"}, {"我们", "咱们"}, {"我们", "咱"}, {"现在", "这会儿"}, {"现在", "眼下"}, {"一下", "下"}, {"一下", "一下下"},
	{"一点", "一点儿"}, {"一点", "一丢丢"}, {"一点", "一丁点"}, {"一些", "些"}, {"太", "忒"}, {"很", "蛮"}, {"非常", "贼"}, {"里面", "里头"}, {"房间里", "房里"}, {"家里", "家里头"},
	{"是不是", "是否"}, {"有没有", "有无"}, {"多少", "多少来着"}, {"帮我", "给我"}, {"帮我", "替我"}, {"请", "劳烦"}, {"麻烦", "麻烦你"}, {"谢谢", "谢啦"}, {"谢谢", "多谢"}, {"谢谢", "谢了"},
	{"晚上", "夜里头"}, {"早上", "早晨"}, {"早上", "大早上"}, {"孩子", "娃"}, {"孩子", "小孩"}, {"没有", "没"}, {"不要", "甭"}, {"不用", "甭"}, {"关掉", "关咯"}, {"关了", "关咯"},
	{"这里", "这儿"}, {"那里", "那儿"}, {"哪里", "哪儿"}, {"分钟", "分"}, {"小时", "个钟头"}, {"可以", "能"}, {"能不能", "可不可以"}, {"赶紧", "麻溜"}, {"马上", "立马"},
}

// endingsZh close a sentence that asks or tells.
var endingsZh = []string{"啊", "哈", "哦", "呀", "嘛", "呗", "吧", "啦", "咯", "喽", "噢", "嘞"}

// speak rewords a sentence as people do who do not write: one way of saying for
// another, here and there. What it means stays.
func (s *sentence) speak(text string) string {
	if hasHan(text) {
		return s.speakZh(text)
	}
	switch p := s.rng.Float64(); {
	case p < .05:
		return s.swapped(text, fuller)
	case p < .09:
		return s.swapped(text, casual)
	case p < .13:
		return strings.ReplaceAll(text, "'", "")
	case p < .17 && s.section.intent != "none":
		return strings.TrimPrefix(strings.ReplaceAll(" "+text, " the ", " "), " ")
	}
	return text
}

func (s *sentence) speakZh(text string) string {
	if s.chance(.1) {
		var fits []swap
		for _, w := range spokenZh {
			hour := w.from == "一点" && s.when.Clock != "" // one o'clock
			if strings.Contains(text, w.from) && !hour && !misread(text, w.from) {
				fits = append(fits, w)
			}
		}
		if len(fits) > 0 {
			w := oneOf(s.Generator, fits...)
			text = strings.Replace(text, w.from, w.to, 1)
		}
	}
	if last := []rune(text); s.style != whole && isHan(last[len(last)-1]) && !strings.ContainsRune("吗吧呗啊呢了的", last[len(last)-1]) && s.chance(.08) {
		text += oneOf(s.Generator, endingsZh...)
	}
	return text
}

// within are phrases in which a word is only there by chance, as 太 in 太阳 and 一点 in
// 十一点, or that know no other.
var within = map[string][]string{
	"很": {"很多"}, "太": {"太阳", "太太"}, "请": {"请问", "请假", "请客", "请不要", "请你", "请您"},
	"一下": {"下一", "一下子", "一下午", "一下首"}, "一点": {"一点钟", "十一点", "一点半", "一点一刻", "一点三", "一点二", "一点五", "一点零", "一点四", "早上一点", "下午一点", "晚上一点", "凌晨一点", "中午一点", "夜里一点", "上一点", "午一点", "晨一点", "里一点", "明天一点", "天一点", "每天一点", "日一点", "末一点"},
	"一些": {"多一些", "一些音", "放一些"}, "怎么": {"怎么样", "怎么做"}, "什么": {"为什么", "什么都"}, "小时": {"小时候", "个小时"},
	"没有": {"没有没", "有没有"}, "打开": {"打开着"}, "可以": {"可不可以"}, "晚上": {"晚上好"}, "早上": {"早上好"}, "帮我": {"帮帮我"}, "孩子": {"孩子的", "孩子房", "小孩子"},
	"不要": {"要不要"}, "不用": {"用不用"}, "关了": {"关了没", "关了吗", "有关了"}, "关掉": {"关掉了"}, "家里": {"家里头"}, "麻烦": {"麻烦你", "麻烦您"},
}

func misread(text, word string) bool {
	return slices.ContainsFunc(within[word], func(in string) bool { return strings.Contains(text, in) })
}

// swapped puts one of the ways of saying that fit in place of its words.
func (s *sentence) swapped(text string, ways []swap) string {
	var fits []swap
	in := " " + text + " "
	for _, w := range ways {
		if strings.Contains(in, " "+w.from+" ") {
			fits = append(fits, w)
		}
	}
	if len(fits) == 0 {
		return text
	}
	w := oneOf(s.Generator, fits...)
	return strings.TrimSpace(strings.Replace(in, " "+w.from+" ", " "+w.to+" ", 1))
}
