package home

import "testing"

func TestNormal(t *testing.T) {
	for text, want := range map[string]string{
		"Turn on the AC, please!":       "turn on the ac, please",
		"  把客厅的灯，调到４０％。 ":             "把客厅的灯,调到40%",
		"Is it  on？":                     "is it on?",
		"I’m home...":                   "i'm home",
		"HDMI 2":                        "hdmi 2",
		"调到26℃":                         "调到26度",
		"-18":                           "-18",
		"。。。":                           "",
		"twenty–five":                   "twenty-five",
		"turn on the… no, turn off 6:30": "turn on the no, turn off 6:30",
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
