package generate

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/home"
)

// slots are those that are no lists.
var slots = []string{
	"d", "n", "D", "da", "is", "are", // the device: with its room and article; with its room; alone; with 都; after is or are; before
	"r", "R", "in", "Ra", // the room: where it is named at all; as a noun; as "in the ..."; as an attribute
	"closed", "v", "s", "S", "m", "M", // how far it is closed; an amount; the size of a step, if any; the same, always one; a bit or a lot of a comparative
	"t", "dur", "delay", "clock", "at", "hour", // a time; for how long; in how long; a time of day; the same as "at ..."; a whole hour's number
	"anyd", "anycmd", "anyroom", "n100", "bad", // of none: a device, a command, a room, a number, an amount out of range
	"w",      // a word of the device, sets the value
	"scenes", // a scene's name
}

func isSlot(name string) bool {
	return slices.Contains(slots, name) || strings.HasPrefix(name, "=") || strings.HasPrefix(name, "w.") || strings.HasSuffix(name, ".vol") || name == "x"
}

// slot puts words into a slot, and what they mean into the sentence.
func (s *sentence) slot(name string) (string, error) {
	s.ended = ""
	switch name {
	case "d", "n", "D", "da":
		return s.noun(name)
	case "is", "are":
		text, err := s.noun("d")
		if name == "are" {
			return text + map[bool]string{true: " are", false: " is"}[s.plural], err
		}
		if s.plural {
			return "are " + text, err
		}
		return "is " + text, err
	case "m", "M": // beside a comparative; M always says how much
		switch p := s.rng.Float64(); {
		case p < .35 && name == "m":
			return "", nil
		case p < .8:
			return s.from("m_bit")
		}
		s.amount = home.Value{Word: "lot"}
		return s.from("m_lot")
	case "r", "R", "in", "Ra":
		return s.room(name)
	case "v":
		text, err := s.value()
		s.said = text
		return text, err
	case "closed":
		return s.closed()
	case "s", "S":
		return s.step(name == "S")
	case "t":
		return s.time()
	case "dur":
		v, text := s.duration()
		s.when.For = v
		return text, nil
	case "delay":
		v, text := s.delay()
		s.when.Delay = v
		return text, nil
	case "hour":
		h := 1 + s.rng.IntN(12)
		for !s.clocked(h, 0) {
			h = 1 + s.rng.IntN(12)
		}
		s.when.Clock = fmt.Sprintf("%02d:00", h)
		return s.spell(h), nil
	case "clock", "at":
		return s.clockOnly(name == "at")
	case "x": // in what goes around a sentence: the sentence
		return "\x00", nil
	case "w":
		return s.word()
	case "scenes":
		return s.scene()
	case "anyd", "anycmd", "anyroom":
		return s.any(name)
	case "n100":
		n := s.number(1, 100)
		return s.spell(n), nil
	case "bad":
		return s.outOfRange(), nil
	}
	if form, is := strings.CutSuffix(name, ".vol"); is {
		return s.volumeOf(form)
	}
	if word, is := strings.CutPrefix(name, "w."); is && s.l.lists[name] != nil {
		v, err := home.ParseValue(word)
		if err != nil {
			return "", err
		}
		s.amount = v
		return s.from(name)
	}
	if set, is := strings.CutPrefix(name, "="); is { // {=dev:lamp}, {=room:garage}, {=value:dock}
		return "", s.assign(set)
	}
	return s.from(name)
}

func (s *sentence) assign(set string) error {
	key, is, _ := strings.Cut(set, ":")
	switch key {
	case "dev":
		if s.spoke && s.device != is {
			return errAgain
		}
		s.device = is
	case "room":
		if s.roomed && len(s.rooms) > 0 {
			return errAgain
		}
		s.rooms, s.roomed = nil, true
		if is != "" {
			s.rooms = []string{is}
		}
	case "v":
		for _, sign := range map[string][]string{"deg": {"degree", "C", "F", "°", "celsius", "fahrenheit", "度", "℃"}, "chan": {"channel", "台", "频道"}}[is] {
			if strings.Contains(s.said, sign) {
				return nil
			}
		}
		return errAgain
	case "not": // what the device must not be
		if s.device == is {
			return errAgain
		}
	case "media": // a device that plays
		if !strings.Contains(" music tv projector speaker radio ", " "+s.device+" ") {
			return errAgain
		}
	case "lit": // a device with a brightness
		if s.device != "light" && s.device != "lamp" && s.device != "light_strip" {
			return errAgain
		}
	case "wind": // a device that blows
		if s.device != "fan" && s.device != "extractor" && s.device != "ac" && s.device != "air_purifier" || s.device == "ac" && s.amount.Unit == "" {
			return errAgain
		}
	case "blow": // a device that one feels blowing
		if s.device != "fan" && s.device != "ac" && s.device != "heater" {
			return errAgain
		}
	case "deg": // a step in degrees
		if s.amount.Unit != home.Celsius {
			return errAgain
		}
	case "value":
		v, err := home.ParseValue(is)
		if err != nil {
			return err
		}
		return s.fix(v)
	default:
		return fmt.Errorf("{=%s} sets nothing", set)
	}
	return nil
}

// errTests is a number that stands in a template, and belongs to the other part.
var errTests = fmt.Errorf("a number that belongs to the tests: %w", errAgain)

// fix sets an amount, a time or both.
func (s *sentence) fix(v home.Value) error {
	if v.Word != "" || v.Unit != "" {
		s.amount = v
	}
	if v.Timed() {
		s.when = v
	}
	if s.split == Train && !s.ours(v) {
		return errTests
	}
	return nil
}

// ours reports whether the numbers of a value belong to the sentence's part.
func (s *sentence) ours(v home.Value) bool {
	n := int(math.Abs(v.Number))
	if v.Unit == home.Kelvin {
		n /= 100 // as they are drawn
	}
	if v.Unit != "" && !s.mine(n) {
		return false
	}
	var h, m int
	if n, _ := fmt.Sscanf(v.Clock, "%d:%d", &h, &m); n == 2 && h+m > 0 && h+m != 12 && !s.clocked(h, m) {
		return false
	}
	d := max(v.Delay, v.For)
	return d%(30*time.Minute) == 0 && d <= 150*time.Minute || s.mine(int(d.Hours())) && s.mine(int(d.Minutes())%60) && s.mine(int(d.Seconds())%60)
}

// any is a part whose meaning does not count.
func (s *sentence) any(name string) (string, error) {
	inner := &sentence{Generator: s.Generator, l: s.l, lang: s.lang, section: &section{room: .3}, none: true}
	defer func() { s.used = append(s.used, inner.used...) }()
	switch name {
	case "anyd":
		for {
			inner.device = oneOf(s.Generator, home.Devices...)
			if inner.device != "lock" && s.l.lists["d."+inner.device] != nil {
				break
			}
		}
		return inner.noun("d")
	case "anyroom":
		return inner.room("in")
	}
	b, err := s.base(s.lang, func(x *section) bool { return x.intent != "none" && x.intent != "query" && x.name != "scene_said" })
	if err != nil {
		return "", err
	}
	if b.style != imperative || b.device == "scene" {
		return "", errAgain
	}
	inner.used = b.used
	return b.text, nil
}

// word draws one of the device's modes, kinds or colours that the section takes.
func (s *sentence) word() (string, error) {
	var words []string
	for _, k := range s.section.kinds {
		if s.l.lists["w."+k] != nil && s.takes(home.Value{Word: k}) {
			words = append(words, k)
		}
	}
	if len(words) == 0 {
		for _, w := range home.Words {
			if s.l.lists["w."+w] != nil && w != "max" && w != "min" && s.takes(home.Value{Word: w}) {
				words = append(words, w)
			}
		}
	}
	if len(words) == 0 {
		return "", errAgain
	}
	w := oneOf(s.Generator, words...)
	s.amount = home.Value{Word: w}
	return s.from(s.wordList(w))
}

// wordList names the list of what a word is said as, of the device if that has one.
func (s *sentence) wordList(word string) string {
	if name := "w." + word + "." + s.device; s.l.lists[name] != nil {
		return name
	}
	return "w." + word
}

// takes reports whether the section's command can carry an amount.
func (s *sentence) takes(v home.Value) bool {
	return home.Command{Intent: s.section.intent, Device: s.device, Value: v.String()}.Check() == nil
}

func (s *sentence) scene() (string, error) {
	v := oneOf(s.Generator, "home", "away", "sleep", "wake_up", "movie", "reading", "work", "dinner", "party", "guest", "vacation")
	s.amount = home.Value{Word: v}
	return s.from("scene." + v)
}

// volumeOf is the volume of a device, or the volume.
func (s *sentence) volumeOf(form string) (string, error) {
	if s.lang == "zh" {
		name, err := s.noun("d")
		if s.device == "volume" {
			return name, err
		}
		return name + oneOf(s.Generator, "的音量", "音量", "的声音", "声音"), err
	}
	name, err := s.noun("n")
	if err != nil {
		return "", err
	}
	if s.device != "volume" {
		if len(s.rooms) > 0 || strings.Contains(name, "this") {
			return "", errAgain
		}
		if form == "D" && s.chance(.35) {
			return oneOf(s.Generator, "the volume of the ", "the volume on the ", "the sound of the ") + name, nil
		}
		name += oneOf(s.Generator, " volume", " volume", "'s volume")
	}
	if form == "D" {
		return "the " + name, nil
	}
	return name, nil
}
