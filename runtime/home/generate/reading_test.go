package generate

import (
	"testing"

	"github.com/ledge-run/ledge/runtime/home"
)

func TestOneReading(t *testing.T) {
	for _, c := range []struct {
		text, value string
		want        bool
	}{
		{"turn on the heater at 6", "@06:00", true},
		{"turn on the heater in the bedroom at six", "@06:00", true},
		{"turn on the radio in the bedroom at 10", "10%", false},
		{"put the fan on at three please", "3", false},
		{"turn on the lamp at 6 percent", "6%", true},
		{"turn on the AC at 26", "26C", true},
		{"lights at half at 7", "50% @07:00", true},
		{"set the oven to three hundred and sevenC", "307C", false},
		{"hall ac at eighteen point five degrees", "18.5C", true},
		{"烤箱145度45分钟", "145C 45m", true},
		{"烤箱设成14545分钟", "145C 45m", false},
		{"烤箱14545分钟", "145C 45m", false},
		{"调到二十七度半", "27.5C", true},
		{"freezer to minus eight degrees", "-8C", true},
		{"blinds 30 percent closed at 7", "70% @07:00", true},
		{"7点把温度调高两度", "2C @07:00", true},
		{"lock the door", "", true},
	} {
		if got := oneReading(Example{Text: c.text, Command: home.Command{Value: c.value}}); got != c.want {
			t.Errorf("%s (%s, read as %q): %v", c.text, c.value, home.Prompt(c.text), got)
		}
	}
}
