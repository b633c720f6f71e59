package home

import "testing"

func TestNormal(t *testing.T) {
	for text, want := range map[string]string{
		"Turn on the AC, please!":        "turn on the ac, please",
		"  把客厅的灯，调到４０％。 ":                "把客厅的灯,调到40%",
		"Is it  on？":                     "is it on?",
		"I’m home...":                    "i'm home",
		"HDMI 2":                         "hdmi 2",
		"调到26℃":                          "调到26度",
		"-18":                            "-18",
		"。。。":                            "",
		"twenty–five":                    "25",
		"turn on the… no, turn off 6:30": "turn on the no, turn off 6:30",

		"set it to twenty-seven degrees":             "set it to 27 degrees",
		"a hundred and five, one hundred eighty":     "105, 180",
		"two thousand seven hundred kelvin":          "2700 kelvin",
		"at six thirty, eleven twenty nine":          "at 6 30, 11 29",
		"one more, the next one, one thirty":         "one more, the next one, one 30",
		"half past seven in ninety seconds":          "half past 7 in 90 seconds",
		"often turn it on, tennis, someone, height":  "often turn it on, tennis, someone, height",
		"a hundred, hundred of them, three hundreds": "100, hundred of them, 3 hundreds",
		"二十七度半":                                      "27度半",
		"十一点半, 一点半, 亮一点":                             "11点半, 一点半, 亮一点",
		"百分之四十, 十, 一百, 一百八, 一百零五, 两百二十":              "百分之40, 10, 100, 180, 105, 220",
		"四千开尔文, 两千七, 三千五百":                           "4000开尔文, 2700, 3500",
		"周五五点, 星期六十点, 十九点零五分":                        "周五5点, 星期六10点, 19点05分",
		"四档, 三档, 两小时, 第五个":                           "4档, 三档, 两小时, 第5个",
		"一百一十":                                       "110",
		"二十二点二十二分":                                   "22点22分",
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

func FuzzNormal(f *testing.F) {
	for _, s := range []string{"turn on the AC at twenty-two", "两千零五十五", "a hundred and", "twenty-one hundred and ten thousand", "十百千一二三零零五十", "０１：３０。", "\xff一"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if once := Normal(text); Normal(once) != once {
			t.Errorf("%q: %q, then %q", text, once, Normal(once))
		}
	})
}
