package generate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/home"
)

// Example is a sentence with its line.
type Example struct {
	Text    string
	Lang    string // zh, en, or mixed
	Section string // of the grammar, for reports
	Command home.Command
}

// Generator makes examples, the same ones in the same order from the same seed.
type Generator struct {
	rng   *rand.Rand
	split Split
	langs map[string]*language
}

// New starts a sequence of examples.
func New(seed uint64, split Split) (*Generator, error) {
	if split != Train && split != Test {
		return nil, fmt.Errorf("split %q is neither %s nor %s", split, Train, Test)
	}
	langs, err := load()
	if err != nil {
		return nil, err
	}
	return &Generator{rng: rand.New(rand.NewPCG(seed, hash(string(split)))), split: split, langs: langs}, nil
}

// tries bounds what is begun again because its parts do not go together.
const tries = 1000

// Next makes one more example. It may be one that was there before.
func (g *Generator) Next() (Example, error) {
	lang := "en"
	if g.chance(.5) {
		lang = "zh"
	}
	var last error
	for range tries {
		e, err := g.try(lang)
		if err == nil {
			return e, nil
		}
		last = err
	}
	return Example{}, fmt.Errorf("no sentence came out: %w", last)
}

// sentence is one that is being made.
type sentence struct {
	*Generator
	l       *language
	lang    string
	section *section
	style   style
	device  string
	rooms   []string
	roomed  bool       // a slot has decided on the room
	ended   string     // the room's or value's phrase, if the text ends with it
	amount  home.Value // Word, or Number and Unit
	when    home.Value // Day and Clock, Delay, or For
	spoke   bool       // the device has been said
	said    string     // the words of {v}
	plural  bool       // of the device's name
	mixed   bool       // some words are of the other language
	none    bool       // an inner sentence: what it means does not count
	text    string
	used    []string // templates, for the proof that the parts share none
}

var errAgain = errors.New("parts do not go together")

func (g *Generator) try(lang string) (Example, error) {
	s, err := g.base(lang, func(x *section) bool { return true })
	if err != nil {
		return Example{}, err
	}
	intent := s.section.intent
	if intent != "none" {
		if err := s.correct(&intent); err != nil {
			return Example{}, err
		}
	}
	s.wrap()
	text := s.slips(s.speak(tidy(s.text, lang, s.mixed && s.chance(.5))))
	if n := len([]rune(text)); n == 0 || n > 120 {
		return Example{}, errAgain
	}
	c := s.command(intent)
	c.Reply = Reply(c, hasHan(text))
	if err := c.Check(); err != nil {
		return Example{}, fmt.Errorf("section %s, %q: %w", s.section.name, text, err)
	}
	e := Example{text, langOf(text), s.section.name, c}
	if !oneReading(e) {
		return Example{}, errAgain
	}
	return e, nil
}

func (s *sentence) command(intent string) home.Command {
	c := home.Command{Intent: intent}
	if intent == "none" {
		return c
	}
	c.Device, c.Room = s.device, strings.Join(s.rooms, "+")
	if c.Device == "all" && c.Room == "" {
		c.Room = "all"
	}
	if intent == "query" || intent == "next" || intent == "previous" {
		return c
	}
	v := s.amount
	v.Day, v.Clock, v.Delay, v.For = s.when.Day, s.when.Clock, s.when.Delay, s.when.For
	c.Value = v.String()
	return c
}

// base is a sentence as a section's template has it, with its time.
func (g *Generator) base(lang string, fits func(*section) bool) (*sentence, error) {
	l := g.langs[lang]
	var total float64
	for _, x := range l.sections {
		if fits(x) && g.covers(x) {
			total += x.weight
		}
	}
	at := g.rng.Float64() * total
	var sec *section
	for _, x := range l.sections {
		if fits(x) && g.covers(x) {
			sec = x
			if at -= x.weight; at < 0 {
				break
			}
		}
	}
	if sec == nil {
		return nil, errors.New("no section fits")
	}
	for range 50 {
		s, err := g.inSection(l, lang, sec)
		if !errors.Is(err, errAgain) {
			return s, err
		}
	}
	return nil, errAgain
}

// inSection is a sentence of a section; errAgain if its parts do not go together.
func (g *Generator) inSection(l *language, lang string, sec *section) (*sentence, error) {
	s := &sentence{Generator: g, l: l, lang: lang, section: sec, device: sec.devices[g.rng.IntN(len(sec.devices))]}
	s.mixed = g.chance(.05)
	if sec.value != "" {
		v, err := home.ParseValue(sec.value)
		if err != nil {
			return nil, fmt.Errorf("section %s: %w", sec.name, err)
		}
		if err := s.fix(v); err != nil {
			return nil, err
		}
	}
	t := g.pick(&sec.list, true)
	s.style = t.style
	s.used = append(s.used, sec.name+": "+t.text)
	text, err := s.expand(t.root)
	if err != nil {
		return nil, err
	}
	s.text = text
	if sec.time > 0 && !s.when.Timed() && g.chance(sec.time) {
		if err := s.timed(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// covers reports whether the split has templates of a section.
func (g *Generator) covers(x *section) bool {
	return g.split == Train || slices.ContainsFunc(x.entries, func(t template) bool { return t.test })
}

// pick draws an entry of the split; strict lists never lend one to the other.
func (g *Generator) pick(x *list, strict bool) template {
	fits := func(t template) bool { return t.test == (g.split == Test) || !strict && x.shared() }
	var total float64
	for _, t := range x.entries {
		if fits(t) {
			total += t.weight
		}
	}
	at := g.rng.Float64() * total
	var found template
	for _, t := range x.entries {
		if fits(t) {
			found = t
			if at -= t.weight; at < 0 {
				break
			}
		}
	}
	return found
}

func (s *sentence) expand(parts seq) (string, error) {
	var b strings.Builder
	for _, n := range parts {
		text := n.text
		var err error
		switch {
		case n.alts != nil:
			text, err = s.expand(n.alts[s.rng.IntN(len(n.alts))])
		case n.slot:
			text, err = s.slot(n.text)
		}
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// from draws from a list by name.
func (s *sentence) from(name string) (string, error) {
	l := s.l
	if foreign := s.langs[map[string]string{"en": "zh", "zh": "en"}[s.lang]]; s.mixed && foreign != nil && s.chance(.6) &&
		(strings.HasPrefix(name, "d.") || strings.HasPrefix(name, "r.") && name != "r.here" && name != "r.all" || strings.HasPrefix(name, "w.")) && name != "d." && foreign.lists[name] != nil {
		l = foreign
	}
	x := l.lists[name]
	if x == nil {
		return "", fmt.Errorf("there is no list %s in %s", name, s.lang)
	}
	t := s.pick(x, false)
	if x.split {
		s.used = append(s.used, name+": "+t.text)
	}
	text, err := s.expand(t.root)
	if l != s.l && s.lang == "zh" { // an English word within Chinese
		text = " " + strings.TrimPrefix(text, "~") + " "
	}
	return text, err
}

func (g *Generator) chance(p float64) bool { return g.rng.Float64() < p }

func oneOf[T any](g *Generator, xs ...T) T { return xs[g.rng.IntN(len(xs))] }

func hasHan(s string) bool {
	return strings.ContainsFunc(s, isHan)
}

func isHan(r rune) bool { return r >= 0x3400 && r <= 0x9fff }

func langOf(text string) string {
	switch {
	case hasHan(text) && strings.ContainsFunc(text, latin):
		return "mixed"
	case hasHan(text):
		return "zh"
	}
	return "en"
}

// tidy joins what slots left apart: in Chinese without spaces between characters.
// A space between Chinese and a Latin word can stay.
func tidy(text, lang string, apart bool) string {
	text = strings.Join(strings.Fields(text), " ")
	rs := []rune(text)
	var b strings.Builder
	for i, r := range rs {
		if r == ' ' && i > 0 && i+1 < len(rs) {
			next := rs[i+1]
			if strings.ContainsRune(",.?!;:，。？！", next) || lang == "zh" && (wide(rs[i-1]) || wide(next)) && !(apart && latin(rs[i-1]) != latin(next)) {
				continue
			}
		}
		b.WriteRune(r)
	}
	out := b.String()
	for _, p := range [][2]string{{",,", ","}, {"，，", "，"}, {",.", "."}, {"?.", "?"}, {"，。", "。"}, {"？。", "？"}, {"??", "?"}, {"？？", "？"}, {",?", "?"}, {"，？", "？"}} {
		out = strings.ReplaceAll(out, p[0], p[1])
	}
	return strings.Trim(out, " ,，")
}

func latin(r rune) bool { return r|32 >= 'a' && r|32 <= 'z' }

func wide(r rune) bool { return isHan(r) || r >= 0x3000 && r < 0x3040 || r >= 0xff00 }
