package home

import (
	"slices"
	"strings"
	"testing"
)

const deed = `{"intent":"on","device":"light","room":"","value":"","reply":"Light on."}`

// TestAnswer: what is doubted of a deed that a model wrote, and what is not.
func TestAnswer(t *testing.T) {
	for why, texts := range map[string][]string{
		"when something happens": {
			"if it rains close the windows", "when I leave turn everything off", "turn the porch light on once somebody comes home", "unless the door is shut, heating off",
			"turn on the light every time the doorbell rings", "as soon as the kids are asleep dim the hall light", "turn off the heater once it's 22 degrees", "play jazz when guests arrive",
			"if you hear glass breaking turn on every light", "leave the fan on until I'm back", "unlock it when i get home", "close it if it rains", "if there's a fire unlock the doors", "if it's too hot turn on the ac",
			"if it's cold, set the heater to 23", "when it gets down to 18 degrees turn on the heater", "when it's supper turn on the light", "if someone would ring the bell unlock the door",
			"温度到30就开空调", "水温40的时候关热水器", "7点一到就关灯,如果下雨就关窗", "孩子回来的时候老人不在就开门", "有人按门铃需要的话开门", "should it start raining, close the blinds", "if下雨就关窗",
			"下雨就关窗", "等我到家开灯", "如果有人按门铃就开灯", "要是太热就开空调", "到二十二度的时候关暖气", "电影开始时把灯调暗", "温度低于18度打开暖气", "回家前打开空调", "每次出门关灯",
		},
		"not to be done": {"under no circumstances unlock the door", "please refrain from opening the blinds", "nobody should turn on the tv", "I wouldn't turn on the AC", "禁止开窗", "严禁打开大门"},
		"tells what was or is": {
			"somebody unlocked the back door", "I've locked the back door", "the garage door opened by itself", "yesterday we had the heater on", "the light went out", "the oven is on", "he told me to turn off the light",
			"我把灯关了", "妈妈拉上了窗帘", "窗户开着呢", "洗衣机洗完了", "我锁门了",
		},
		"asks a question":     {"what does turning on eco mode do", "is it better to leave the AC on", "do you think we should open the window", "怎么打开烤箱"},
		"about words":         {"repeat after me turn on the fan", "pretend to turn off the lights"},
		"emergency":           {"I smell gas", "help, the kitchen is on fire", "闻到煤气味", "老人晕倒了", "厨房着火了"},
		"a time with an end":  {"fan on from 7 to 9", "run the fan until midnight", "between 2 and 4 keep the blinds down", "从六点到八点开灯", "空调开到早上六点"},
		"that no command":     {"wake me on tuesday and thursday at 7", "lights on in three days", "turn on the fan every ten minutes", "turn off the radio next week", "后天早上八点开灯", "三天后关窗", "5月3号开暖气"},
		"leaves something":    {"all lights on but only the kitchen, except the study", "除了厨房的灯其他都打开"},
		"cannot be told":      {"make the light twice as bright", "把灯调亮一倍"},
		"no such time":        {"light on at 25:00", "灯二十五点开", "light on at 7:75"},
		"more than one":       {"turn on the kitchen light and turn off the bedroom light", "open the window then turn off the AC", "wake me at 7 and start the coffee", "先关窗再开空调", "打开卧室的灯关掉客厅的灯"},
		"what room":           {"kitchen", "Bedroom.", "客厅", "the garage"},
		"no such number":      nil, // TestSaid
		"nothing in a home d": nil,
	} {
		for _, text := range texts {
			got, err := Answer(text, deed)
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%q: %s, %v, want %q", text, got, err, why)
				continue
			}
			c, err := Parse(got)
			if err != nil || c.Intent != "none" || c.Reply == "" {
				t.Errorf("%q: %s, %v, want none with a reply", text, got, err)
			}
			if zh := strings.ContainsFunc(c.Reply, isHan); zh != strings.ContainsFunc(text, isHan) {
				t.Errorf("%q is answered by %q", text, c.Reply)
			}
		}
	}
	for _, text := range []string{
		"turn on the light", "if you don't mind, turn on the light", "could you turn on the light if it's not too much trouble", "if someone could get the light", "turn on the light when it gets dark",
		"turn on the light when it's 7 o'clock", "light on in ten minutes", "tell me, light on please", "before we go, light on", "light on at 7 for 45 minutes", "turn the light up from 20 to 40 percent",
		"turn the key and unlock the gate", "turn off, no wait, turn on the light", "the light should be on", "that's when the lights go on", "it was dark yesterday, light on", "the light needs to be turned on",
		"I'm going to read, light on", "turn on the kitchen light", "check if it's dark, light on", "what if you turned the light on", "would it be possible to have the light on", "I can't breathe in here, light on",
		"如果方便的话开灯", "开灯，麻烦等一下", "天黑了就开灯", "日落之后开灯", "十分钟后开灯", "两小时以后开灯", "七点的时候开灯", "解除了布防，开灯", "关了，不对，开灯", "咋关了，再打开", "把灯打开", "灯好了再亮一点",
		"客厅的灯", "什么时候了，开灯", "然后天色暗了，开灯",
		"I smell gas, turn on all the lights", "the kitchen is on fire, light on", "着火了把灯都打开", "有煤气味,快开灯", "把灯的定时删除了", "如果你方便的话,把灯打开", "要是你不忙,开灯", "等到天黑了开灯", "等到日落开灯",
		"when night falls, light on", "when the sun comes up light on", "turn on the light and set the brightness to 50", "打开灯再把亮度调到50%", "set the light from 20 to 40", "10:30以后开灯", "晚上10点之后开灯", "没让你关灯,打开",
		"is it ok to turn on the light", "avoid waking the baby, light on", "客厅的灯开了,卧室的也打开", "好的话说开灯", "light on ⏰",
	} {
		if got, err := Answer(text, deed); err != nil || got != deed {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

// TestAnswerHarmless: what does nothing is not doubted, and what a home cannot do is not said to be done.
func TestAnswerHarmless(t *testing.T) {
	for _, line := range []string{`{"intent":"query","device":"light","room":"","value":""}`, None} {
		if got, err := Answer("is the light on when I leave", line); err != nil || got != line {
			t.Errorf("%s: %s, %v", line, got, err)
		}
	}
	for _, line := range []string{`{"intent":"off","device":"fridge","room":"","value":""}`, "", "x", `{"intent":"on","device":"light"`} {
		got, err := Answer("turn off the fridge", line)
		if c, perr := Parse(got); err == nil || perr != nil || c.Intent != "none" {
			t.Errorf("%s: %s, %v", line, got, err)
		}
	}
}

// TestOpens: the house is opened only for who says so.
func TestOpens(t *testing.T) {
	const unlock = `{"intent":"unlock","device":"lock","room":"","value":""}`
	for text, right := range map[string]bool{
		"unlock the door": true, "undo the bolt": true, "take the door off the lock": true, "取消大门的锁定": true, "开锁": true,
		"lock all doors, the back one stays": false, "lock up the house": false, "bolt the door": false, "pull the door shut": false, "把大门拉上": false, "unbolt it": true, "门全锁上，后门先留着": false,
	} {
		if _, err := Answer(text, unlock); (err == nil) != right {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSaid(t *testing.T) {
	for _, c := range []struct {
		text, value string
		right       bool
	}{
		{"lights to forty two percent", "42%", true},
		{"lights to forty two percent", "43%", false},
		{"close the blinds by 70 percent", "30%", true},
		{"a third", "33%", true},
		{"百叶窗关七成", "30%", true},
		{"heater to eighteen and a half degrees", "18.5C", true},
		{"a degree and a half warmer", "1.5C", true},
		{"空调升半度", "0.5C", true},
		{"freezer to minus eighteen", "-18C", true},
		{"fan on speed three", "3", true},
		{"fan on speed three", "4", false},
		{"heater on at 06:30 for 45 minutes", "@04:30", false},
		{"heater on at 6:30", "@06:30", true},
		{"heater on at 6:30 in the evening", "@18:30", true},
		{"quarter to seven", "@06:45", true},
		{"at noon", "@12:00", true},
		{"at midnight", "@00:00", true},
		{"twelve at night", "@00:00", true},
		{"晚上八点差五分", "@19:55", true},
		{"lights on in 20 minutes", "+20m", true},
		{"lights on in 20 minutes", "+30m", false},
		{"定时一百二十秒", "12s", false},
		{"ninety minutes", "1h30m", true},
		{"an hour and a half", "1h30m", true},
		{"timer 7 minutes 30 seconds", "7m", false},
		{"timer 7 minutes 30 seconds", "7m30s", true},
		{"timer for an hour and 10 minutes", "1h10m", true},
		{"计时1小时20分", "1h20m", true},
		{"计时1小时20分", "20m", false},
		{"timer 99999999999999999999 minutes 3 seconds", "3s", false},
		{"turn it up", "lot", true},
		{"light on", "", true},
		{"at sunset", "@sunset", true},
		{"tomorrow at sunrise", "@sunrise", false},
		{"tomorrow at sunrise", "tomorrow@sunrise", true},
		{"every day at 7", "@07:00", false},
		{"every morning at 7", "daily@07:00", true},
		{"周五七点, 每天", "daily@07:00", true},
		{"exam tomorrow, fan on 3", "3", true},
		{"on friday at 7", "tomorrow@07:00", false},
	} {
		if err := said(Normal(c.text), Command{Value: c.value}); (err == nil) != c.right {
			t.Errorf("%q, %s: %v", c.text, c.value, err)
		}
	}
}

// TestSigns: each compiles, with hints that it has, and every reply is one.
func TestSigns(t *testing.T) {
	for _, s := range slices.Concat(signsEn, signsZh, signsAny) {
		s.pattern()
		if s.hints == "" {
			t.Errorf("%s has no hints", s.pattern())
		}
		for _, reply := range []string{s.en, s.zh} {
			if err := (Command{Intent: "none", Reply: reply}).Check(); err != nil || reply == "" {
				t.Errorf("%s: %q: %v", s.why, reply, err)
			}
		}
	}
	for _, s := range slices.Concat(sparesEn, sparesZh) {
		s.pattern()
	}
	for _, w := range wordings {
		w.pattern()
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"if it rains", "等我到家", "from 7 to 9", "99999999999999999999 minutes 9 seconds", "25:00", "\xff"} {
		f.Add(s, "on", "light", "40% @06:30")
	}
	f.Fuzz(func(t *testing.T, text, intent, device, value string) {
		line := Command{Intent: intent, Device: device, Value: value}.String()
		got, err := Answer(text, line)
		if _, perr := Parse(got); perr != nil {
			t.Fatalf("%q, %s: %s, which is no line: %v", text, line, got, perr)
		}
		if err == nil && got != line {
			t.Errorf("%q, %s: %s, and nothing says why", text, line, got)
		}
	})
}
