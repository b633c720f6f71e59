package generate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Phrase is a template of a phrasebook with sentences that it makes.
type Phrase struct {
	Section, Text string
	Made          []Example
	Err           error // it makes none
}

// Phrases tries a phrasebook that is being written, of the grammar's form: of each template
// a few sentences, as training has them but for what goes around them.
func Phrases(text, lang string, samples int) ([]Phrase, error) {
	langs, err := load()
	if err != nil {
		return nil, err
	}
	if langs[lang] == nil {
		return nil, fmt.Errorf("there is no grammar of language %q", lang)
	}
	l := &language{lists: langs[lang].lists}
	if err := l.read(text, true); err != nil {
		return nil, err
	}
	g := &Generator{rng: rand.New(rand.NewPCG(1, hash(lang))), split: Train, langs: langs}
	var out []Phrase
	for _, sec := range l.sections {
		for _, t := range sec.entries {
			p := Phrase{Section: sec.name, Text: t.text}
			one := *sec
			one.entries = []template{t}
			if p.Err = l.known(t.root); p.Err == nil {
				p.Made, p.Err = g.samples(l, lang, &one, samples)
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// samples makes some sentences of a section.
func (g *Generator) samples(l *language, lang string, sec *section, n int) ([]Example, error) {
	var out []Example
	last := errAgain
	for range 50 * n {
		if len(out) == n {
			break
		}
		s, err := g.inSection(l, lang, sec)
		if err != nil {
			last = err
			continue
		}
		c := s.command(sec.intent)
		if last = c.Check(); last != nil {
			continue
		}
		out = append(out, Example{tidy(s.text, lang, false), lang, sec.name, c})
	}
	if len(out) == 0 {
		if errors.Is(last, errAgain) && !errors.Is(last, errTests) {
			last = errors.New("its parts never go together: two rooms, an amount that the device cannot take, or a time beside a fixed value")
		}
		return nil, last
	}
	return out, nil
}

// String is the sentence and what it means, for people.
func (e Example) String() string {
	c := e.Command
	if c.Intent == "none" {
		return e.Text + "  →  none"
	}
	return e.Text + "  →  " + strings.Join([]string{c.Intent, c.Device, c.Room, c.Value}, " | ")
}
