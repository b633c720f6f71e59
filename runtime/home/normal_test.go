package home

import (
	"strings"
	"testing"
)

func TestNormal(t *testing.T) {
	for text, want := range map[string]string{
		"Turn on the AC, please!":        "turn on the ac, please",
		"  把客厅的灯，调到４０％。 ":                "把客厅的灯,调到40%",
		"Is it  on？":                     "is it on?",
		"I’m home...":                    "i'm home",
		"HDMI 2":                         "hdmi 2",
		"it｀s on":                        "it's on",
		"调到26℃":                          "调到26度",
		"-18":                            "-18",
		"。。。":                            "",
		"twenty–five":                    "25",
		"turn on the… no, turn off 6:30": "turn on the no, turn off 6:30",

		"set it to twenty-seven degrees":             "set it to 27 degrees",
		"a hundred and five, one hundred eighty":     "105, 180",
		"two thousand seven hundred kelvin":          "2700 kelvin",
		"at six thirty, eleven twenty nine":          "at 6:30, 11 29",
		"one more, the next one, one thirty":         "one more, the next one, one 30",
		"half past seven in ninety seconds":          "7:30 in 90 seconds",
		"often turn it on, tennis, someone, height":  "often turn it on, tennis, someone, height",
		"a hundred, hundred of them, three hundreds": "100, hundred of them, 3 hundreds",
		"二十七度半":                                      "27.5度",
		"十一点半, 一点半, 亮一点":                             "11:30, 1:30, 亮一点",
		"百分之四十, 十, 一百, 一百八, 一百零五, 两百二十":              "百分之40, 10, 100, 180, 105, 220",
		"四千开尔文, 两千七, 三千五百":                           "4000开尔文, 2700, 3500",
		"周五五点, 星期六十点, 十九点零五分":                        "周五5点, 星期六10点, 19:05",
		"四档, 三档, 两小时, 第五个":                           "4档, 三档, 两小时, 第5个",
		"一百一十":                                       "110",
		"二十二点二十二分":                                   "22:22",

		"quarter to seven, at a quarter before one":                      "6:45, at 12:45",
		"25 past eleven at night, five minutes after 9, half after 12":   "11:25 at night, 9:05, 12:30",
		"at twenty to three, from twenty to three, lights to 10":         "at 2:40, from 20 to 3, lights to 10",
		"17 minutes before 3, ten minutes to 8":                          "2:43, 7:50",
		"from a quarter to 7, a quarter to 70, quarter past 7 percent":   "from a quarter to 7, a quarter to 70, quarter past 7 percent",
		"five o'clock, seven oh five, 5 oclock":                          "5:00, 7:05, 5:00",
		"at half one, lights at half at 7, at half eight":                "at 1:30, lights at half at 7, at 8:30",
		"at 6 30 percent, at 7 20 minutes":                               "at 6 30 percent, at 7 20 minutes",
		"eighteen point five degrees, 3 point 25, 20 and a half degrees": "18.5 degrees, 3 point 25, 20.5 degrees",
		"一点一刻, 七点三刻, 两点半, 三点零五分":                                         "1:15, 7:45, 2:30, 3:05",
		"差一刻七点, 明晚七点差一刻, 差8分4点, 差五分钟":                                    "6:45, 明晚6:45, 3:52, 差5分钟",
		"九点过九分, 十一点二十六开灯, 八点整, 一点钟":                                      "9:09, 11:26开灯, 8:00, 1:00",
		"十八点五度, 二点五度, 七点五十度, 调到七点5分钟, 亮一点半小时后关":                          "18.5度, 2.5度, 7点50度, 调到7点5分钟, 亮一点半小时后关",
		// Amounts, lengths and "a bit" are no clocks.
		"for 5 minutes after nine, the volume to 20 after 9, channel 5 after 6":       "for 5 minutes after 9, the volume to 20 after 9, channel 5 after 6",
		"by 2 to 20, bedroom at 18 to 20, from around ten to six":                     "by 2 to 20, bedroom at 18 to 20, from around 10 to 6",
		"by half one more, keep it around 21 22, 10 minutes after one song":           "by half one more, keep it around 21 22, 10 minutes after one song",
		"ac on at 7 26 celsius, channel one oh five, at 6 30 degrees":                 "ac on at 7 26 celsius, channel one oh 5, at 6 30 degrees",
		"at five-thirty, five o clock, ten till eight, at ten till eight":             "at 5:30, 5:00, 10 till 8, at 7:50",
		"alarm for 25 past 11, half past 6 second floor lights":                       "alarm for 11:25, 6:30 second floor lights",
		"at 5PM, 6:15pm, 7a.m., half past 8pm, 5 pm, 20amp":                           "at 17:00, 18:15, 7:00, 20:30, 17:00, 20amp",
		"11 p.m. or 12 AM, 12:30 pm, 11.45 p.m, 12:05am, 6 p m, 7:00 a.m.":            "23:00 or 0:00, 12:30, 23:45, 0:05, 18:00, 7:00",
		"eleven p.m., quarter to seven pm, 10 o'clock pm, 10 past 11 p.m":             "23:00, 18:45, 22:00, 23:10",
		"17 pm, 0:30 am, 0 pm, 13 am, 25 pm, 7:60 pm, 94.5 am, channel 5 am, 1112 am": "17:00, 0:30, 0 pm, 13 am, 25 pm, 7:60 pm, 94.5 am, channel 5 am, 1112 am",
		"from 9 am to 5 pm i am out, dim it 10 amber":                                 "from 9:00 to 17:00 i am out, dim it 10 amber",
		"six fifteen pm, 7 20 p.m, 10-45 am, 7 75 pm, 13 20 pm":                       "18:15, 19:20, 10:45, 7 75 pm, 13 20 pm",
		"tonight turn off all of the living room lights at 7 PM":                      "tonight turn off all of the living room lights at 7 pm",
		"今晚9pm关灯, 11:30pm关空调":                                                         "今晚9 pm关灯, 11:30 pm关空调",
		"on weeknights off at 9pm":                                                    "on weeknights off at 9 pm",
		"9pm关灯":                                                                       "21:00关灯",
		"11PM tonight, off at 5p.m. this afternoon":                                   "11 pm tonight, off at 5 p.m. this afternoon",
		"tomorrow night set an alarm for 11:30p.m.":                                   "tomorrow night set an alarm for 11:30 p.m",
		"this evening at half past 8pm dim it":                                        "this evening at 8:30 pm dim it",
		"one point five degrees, 21 and a half c":                                     "1.5 degrees, 21.5 c",
		"灯暗一点半夜起来, 风扇开大一点半分钟, 音量小一点整晚开着, 空调低一点26, 亮一点10分以后关, 早一点10点半叫我": "灯暗一点半夜起来, 风扇开大一点半分钟, 音量小一点整晚开着, 空调低一点26, 亮一点10分以后关, 早一点10点半叫我",
		"凌晨一点半, 下午一点一刻, 周日一点整, 明天一点零五分":                                 "凌晨1:30, 下午1:15, 周日1:00, 明天1:05",
		"早上7点24摄氏度, 晚上8点12台, 7点25到26度, 明早8点整理书房, 24点半":                  "早上7点24摄氏度, 晚上8点12台, 7点25到26度, 明早8点整理书房, 24点半",
		"7 点半, 晚上 8 点 30 分, 差五分钟八点, 八点差五分钟, 差两分八点, 七点过三分, 零点半":          "7:30, 晚上 8:30, 7:55, 7:55, 7:58, 7:03, 0:30",
		"18点5摄氏度":      "18.5摄氏度",
		"25点半, 差70分8点": "25点半, 差70分8点",
	} {
		got := Normal(text)
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if again := Normal(got); again != got {
			t.Errorf("%q: %q, then %q", text, got, again)
		}
	}
}

// TestClockRules: each compiles, and has a hint that its matches have.
func TestClockRules(t *testing.T) {
	for _, r := range clockRules {
		r.pattern()
		r.notAfter()
		r.notBefore()
		found := false
		for h := range strings.SplitSeq(r.hints, "|") {
			found = found || strings.Contains(r.pattern().String(), strings.TrimSpace(h))
		}
		if !found {
			t.Errorf("%s has none of %q", r.pattern(), r.hints)
		}
	}
}

func FuzzNormal(f *testing.F) {
	for _, s := range []string{"turn on the AC at twenty-two", "两千零五十五", "a hundred and", "twenty-one hundred and ten thousand", "十百千一二三零零五十", "０１：３０。", "\xff一", "5 past 5 past 5 o'clock", "差一刻差一刻一点半点半", "at 1 10 10 to 5", "1点1点1度度"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if once := Normal(text); Normal(once) != once {
			t.Errorf("%q: %q, then %q", text, once, Normal(once))
		}
	})
}
