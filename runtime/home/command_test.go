package home

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for line, want := range map[string]Command{
		`{"intent":"none","device":"","room":"","value":""}`:                                           {Intent: "none"},
		`{"intent":"set","device":"oven","room":"kitchen","value":"180C 20m","reply":"好的 <1> \"ok\""}`: {"set", "oven", "kitchen", "180C 20m", `好的 <1> "ok"`},
		`{"intent":"on","device":"light","room":"kitchen+hallway","value":"@sunset"}`:                  {Intent: "on", Device: "light", Room: "kitchen+hallway", Value: "@sunset"},
		`{"intent":"start","device":"washer","room":"","value":"quick"}`:                               {Intent: "start", Device: "washer", Value: "quick"},
		`{"intent":"off","device":"scene","room":"","value":"movie"}`:                                  {Intent: "off", Device: "scene", Value: "movie"},
		`{"intent":"pause","device":"alarm","room":"","value":""}`:                                     {Intent: "pause", Device: "alarm"},
	} {
		c, err := Parse(" " + line + "\n")
		if err != nil {
			t.Error(err)
			continue
		}
		if c != want || c.String() != line {
			t.Errorf("%s is read as %#v and written %s", line, c, c)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for line, says := range map[string]string{
		``:                             "one JSON object",
		`[]`:                           "one JSON object",
		`{"intent":"on"`:               "does not end",
		`{"intent":"on"}`:              `"device" is missing`,
		`{"device":"ac"}`:              `key "device" where "intent" belongs`,
		`{"intent":1}`:                 "intent is no string",
		`{"Intent":"on"}`:              `key "Intent"`,
		"{\"intent\":\"\xff\"}":        "not UTF-8",
		line("on", "ac", "", "") + "x": "follows the object",
		`{"intent":"on","device":"ac","room":"","value":"","reply":"a","reply":"b"}`:                   "where the object ends",
		`{"intent":"on","device":"ac","room":"","value":"","reply":""}`:                                "empty reply",
		`{"intent":"on","device":"ac","room":"","value":"","reply":"a\nb"}`:                            "control character",
		`{"intent":"on","device":"ac","room":"","value":"","reply":"` + strings.Repeat("好", 81) + `"}`: "81 characters",
		line("dance", "ac", "", ""):                        `intent "dance"`,
		line("on", "car", "", ""):                          `device "car"`,
		line("on", "ac", "pool", ""):                       `room "pool"`,
		line("on", "ac", "study+study", ""):                "named twice",
		line("on", "ac", "study+all", ""):                  "stands alone",
		line("on", "ac", "study+attic+garage+kitchen", ""): "4 rooms",
		line("none", "ac", "", ""):                         "all three are empty",
		line("query", "", "", ""):                          "without a device",
		line("query", "ac", "", "20C"):                     "it has none",
		line("next", "music", "", "jazz"):                  "it has none",
		line("open", "ac", "", ""):                         `cannot be told "open"`,
		line("set", "temperature", "", "20C"):              `cannot be told "set"`,
		line("set", "ac", "", ""):                          "needs an amount",
		line("set", "ac", "", "40%"):                       "not for this device",
		line("set", "ac", "", "jazz"):                      "the words are",
		line("set", "light", "", "lot"):                    "the words are",
		line("up", "light", "", "max"):                     "a step is",
		line("on", "light", "", "40%"):                     "a time or nothing",
		line("lock", "lock", "", "3"):                      "a time or nothing",
		line("start", "music", "", "max"):                  "not started",
		line("on", "scene", "", ""):                        "needs its name",
		line("on", "scene", "", "quick"):                   "the words are",
		line("start", "timer", "", "@06:00"):               "a duration or nothing",
		line("up", "timer", "", ""):                        "needs a duration",
		line("set", "alarm", "", ""):                       "needs a time of day",
		line("set", "alarm", "", "3"):                      "has a time",
		line("off", "alarm", "", "10m"):                    "a time of day or nothing",
		line("pause", "alarm", "", "@06:00"):               "a duration or nothing",
		line("set", "oven", "", "900C"):                    "not between",
		line("set", "oven", "", "180C  20m"):               "no time",
		line("set", "oven", "", "20m 180C"):                "no amount",
		line("set", "oven", "", "180c"):                    "no time",
	} {
		if c, err := Parse(line); err == nil {
			t.Errorf("%s is read as %#v", line, c)
		} else if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; it should say %q", line, err, says)
		}
	}
}

func line(intent, device, room, value string) string {
	return Command{Intent: intent, Device: device, Room: room, Value: value}.String()
}

func TestJSON(t *testing.T) {
	type holder struct{ C Command }
	h := holder{Command{Intent: "on", Device: "ac", Room: "study", Reply: "OK"}}
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var back holder
	if err := json.Unmarshal(b, &back); err != nil || back != h {
		t.Errorf("%s is read as %+v (%v)", b, back, err)
	}
	if err := json.Unmarshal([]byte(`{"C":{"intent":"on"}}`), &back); err == nil {
		t.Error("half a command is read")
	}
}

func TestSame(t *testing.T) {
	a := Command{Intent: "on", Device: "ac", Reply: "A"}
	b := a
	b.Reply = "B"
	if !a.Same(b) {
		t.Error("replies count")
	}
	b.Room = "study"
	if a.Same(b) {
		t.Error("rooms do not count")
	}
}

func TestValue(t *testing.T) {
	for s, want := range map[string]Value{
		"":                   {},
		"40%":                {Number: 40, Unit: Percent},
		"-18C":               {Number: -18, Unit: Celsius},
		"21.5C":              {Number: 21.5, Unit: Celsius},
		"72F":                {Number: 72, Unit: Fahrenheit},
		"4000K":              {Number: 4000, Unit: Kelvin},
		"3":                  {Number: 3, Unit: Level},
		"0":                  {Unit: Level},
		"keep_warm":          {Word: "keep_warm"},
		"@06:30":             {Clock: "06:30"},
		"weekdays@sunrise":   {Day: "weekdays", Clock: "sunrise"},
		"+1h30m":             {Delay: 90 * time.Minute},
		"1m30s":              {For: 90 * time.Second},
		"22C tomorrow@06:00": {Number: 22, Unit: Celsius, Day: "tomorrow", Clock: "06:00"},
		"47h59m59s":          {For: MaxDuration},
		"defrost 8m":         {Word: "defrost", For: 8 * time.Minute},
		"warm_white +1h":     {Word: "warm_white", Delay: time.Hour},
	} {
		v, err := ParseValue(s)
		if err != nil || v != want || v.String() != s {
			t.Errorf("%q is read as %+v and written %q (%v)", s, v, v, err)
		}
	}
	for _, s := range []string{" ", "40 %", "+40%", "1e2%", "40.5%", "21.3C", "21.50C", "021C", "-0C", "101%", "1000", "-1", "1499K", "3.5",
		"90m", "0m", "1h0m", "30m1h", "48h", "1.5h", "-5m", "+", "@", "@6:30", "@24:00", "@06:60", "today@06:00", "@noon", "red blue", "10m @06:00",
		"20C ", " 20C", "20C  10m", "NaNC", "InfC", "0x1%", "1_0%", "--1C", "1µs", "5ms"} {
		if v, err := ParseValue(s); err == nil {
			t.Errorf("%q is read as %+v", s, v)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"intent":"set","device":"oven","room":"kitchen","value":"180C 20m","reply":"ok"}`)
	f.Add(`{"intent":"on","device":"light","room":"kitchen+hallway","value":"weekdays@sunset"}`)
	f.Add(`{"intent":"none","device":"","room":"","value":""}`)
	f.Add(`{"intent":"up","device":"","room":"","value":"lot"}`)
	s := compiled(f)
	f.Fuzz(func(t *testing.T, in string) {
		c, err := Parse(in)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of more than one line: %v", err)
			}
			return
		}
		out := c.String()
		if back, err := Parse(out); err != nil || back != c {
			t.Errorf("%q is written %q and read as %#v (%v)", in, out, back, err)
		}
		if err := fits(s, out); err != nil {
			t.Errorf("%q passes Parse but not the schema: %v", out, err)
		}
	})
}

func FuzzParseValue(f *testing.F) {
	for _, s := range []string{"", "40%", "-18.5C @06:30", "max", "tomorrow@sunset", "+1h30m", "3 47h59m59s", "4000K"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseValue(s); err == nil && v.String() != s {
			t.Errorf("%q is written %q", s, v)
		}
	})
}
