package generate

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// The grammar's files, NAME.LANG.txt. Lines that begin with # are comments.
//
//	== on | dev=light,fan | w=3 | time=.2   a section: templates of one intent
//	turn on {d}                             a template: an imperative
//	- {n} on                                one that is no clause of its own
//	? is {d} on                             a whole sentence, which takes no "could you"
//	! ? dinner is served                    one that is never held back for tests: an idiom; so
//	                                        are all with a word that few others have (see explained)
//	:: d.light                              a list that {d.light} draws from
//	lights *3                               three times as likely as the others
//	:: topic split                          a list of which a part is for tests only
//
// In a template [a|b|] is one of a, b and nothing, and {x} a slot: a list, or one
// of those in slots.go. A section's keys: intent (its name otherwise), dev, value
// (what its sentences mean, fixed), v (what {v} can be), w (weight), time and room
// (the share of sentences that name them, where a template leaves it open).
//
// phrases/NAME.LANG.txt are the phrasebook, in the same form: what people say, one by one,
// where the grammar has what many of them say. All of it is for training, and each of its
// templates is as likely as another, whatever section it is in.
//
//go:embed grammar/*.txt grammar/phrases/*.txt
var files embed.FS

// Split is a part of the data that shares no template and no number with the other.
type Split string

// The parts.
const (
	Train Split = "train"
	Test  Split = "test"
)

// phrased is the share of sentences that come from the phrasebook.
const phrased = .5

// held is how many templates there are for each that only tests see.
const held = 8

type style byte

// How a template can be wrapped.
const (
	imperative style = ' '
	fragment   style = '-'
	whole      style = '?'
)

type template struct {
	text   string
	style  style
	weight float64
	known  bool // nothing else explains it, or another says it as well: never for tests
	idiom  bool // of a section, and without a slot that says something: what it means cannot be told from others
	test   bool // only the test data has it; else only the training data, or both where shared
	root   seq
}

// list is what a slot draws from, or the templates of a section.
type list struct {
	name    string
	split   bool
	entries []template
}

type section struct {
	list
	intent, value string
	devices       []string
	kinds         []string
	weight        float64
	phrases       bool // of the phrasebook
	time, room    float64
}

type language struct {
	sections []*section
	lists    map[string]*list
}

type node struct {
	text string // literal, or the name of a slot
	slot bool
	alts []seq
}

type seq []node

var load = sync.OnceValues(func() (map[string]*language, error) {
	langs := map[string]*language{}
	for _, dir := range []string{"grammar", "grammar/phrases"} {
		entries, err := files.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, f := range entries {
			if f.IsDir() {
				continue
			}
			_, lang, _ := strings.Cut(strings.TrimSuffix(f.Name(), ".txt"), ".")
			text, err := files.ReadFile(dir + "/" + f.Name())
			if err != nil {
				return nil, err
			}
			if langs[lang] == nil {
				langs[lang] = &language{lists: map[string]*list{}}
			}
			if err := langs[lang].read(string(text), dir != "grammar"); err != nil {
				return nil, fmt.Errorf("%s/%s: %w", dir, f.Name(), err)
			}
		}
	}
	for name, l := range langs {
		if err := l.finish(); err != nil {
			return nil, fmt.Errorf("grammar of %s: %w", name, err)
		}
	}
	return langs, nil
})

// read adds a file's sections and lists. What is wrong is told of every line.
func (l *language) read(text string, phrases bool) error {
	var at *list
	var wrong []error
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		var err error
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "=="):
			var s *section
			if s, err = parseSection(line[2:]); err == nil {
				s.phrases = phrases
				l.sections = append(l.sections, s)
				at = &s.list
			}
		case phrases && strings.HasPrefix(line, "::"):
			err = errors.New("a phrasebook has no lists")
		case strings.HasPrefix(line, "::"):
			f := strings.Fields(line[2:])
			if len(f) == 0 || l.lists[f[0]] != nil {
				err = errors.New("a list needs a name of its own")
				break
			}
			at = &list{name: f[0], split: slices.Contains(f[1:], "split")}
			l.lists[f[0]] = at
		case at == nil:
			err = errors.New("a template before the first section")
		default:
			var t template
			if t, err = parseTemplate(line, phrases); err == nil {
				at.entries = append(at.entries, t)
			}
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", n, err))
		}
	}
	return errors.Join(wrong...)
}

func parseSection(head string) (*section, error) {
	s := &section{weight: 1, room: .4, list: list{split: true}}
	for i, part := range strings.Split(head, "|") {
		part = strings.TrimSpace(part)
		if i == 0 {
			s.name, s.intent = part, part
			continue
		}
		key, is, _ := strings.Cut(part, "=")
		var err error
		switch key {
		case "intent":
			s.intent = is
		case "value":
			s.value = is
		case "dev":
			s.devices = strings.Split(is, ",")
		case "v":
			s.kinds = strings.Split(is, ",")
		case "w":
			s.weight, err = strconv.ParseFloat(is, 64)
		case "time":
			s.time, err = strconv.ParseFloat(is, 64)
		case "room":
			s.room, err = strconv.ParseFloat(is, 64)
		default:
			err = fmt.Errorf("section %s has no key %q", s.name, key)
		}
		if err != nil {
			return nil, err
		}
	}
	if s.devices == nil {
		s.devices = []string{""}
	}
	return s, nil
}

// parseTemplate reads a template. Phrases are known all of them, and have no mark of a
// question: who asks is given one now and then, whoever wrote it (see asks).
func parseTemplate(line string, phrase bool) (template, error) {
	t := template{style: imperative, weight: 1}
	line, t.known = strings.CutPrefix(line, "! ")
	if strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "? ") {
		t.style, line = style(line[0]), strings.TrimSpace(line[2:])
	}
	if i := strings.LastIndex(line, " *"); i >= 0 {
		if w, err := strconv.ParseFloat(line[i+2:], 64); err == nil {
			t.weight, line = w, strings.TrimSpace(line[:i])
		}
	}
	if phrase {
		line, t.known = strings.TrimRight(line, "?？"), true
	}
	t.text = line
	root, rest, err := parseSeq(line, 0)
	if err == nil && rest != "" {
		err = fmt.Errorf("%q is left over", rest)
	}
	if err != nil {
		return t, fmt.Errorf("template %q: %w", line, err)
	}
	t.root = root
	return t, nil
}

// parseSeq reads up to the end or to what ends an alternative.
func parseSeq(s string, depth int) (seq, string, error) {
	var out seq
	for s != "" {
		i := strings.IndexAny(s, "[]{|")
		if i < 0 {
			i = len(s)
		}
		if i > 0 {
			out, s = append(out, node{text: s[:i]}), s[i:]
			continue
		}
		switch s[0] {
		case '{':
			name, rest, closed := strings.Cut(s[1:], "}")
			if !closed {
				return nil, "", errors.New("a slot does not end")
			}
			out, s = append(out, node{text: name, slot: true}), rest
		case '[':
			var alts []seq
			for rest := s; ; {
				alt, after, err := parseSeq(rest[1:], depth+1)
				if err != nil {
					return nil, "", err
				}
				if after == "" {
					return nil, "", errors.New("[ is not closed")
				}
				alts = append(alts, alt)
				if rest = after; after[0] == ']' {
					s = after[1:]
					break
				}
			}
			out = append(out, node{alts: alts})
		default: // | or ]
			if depth == 0 {
				return nil, "", fmt.Errorf("%q stands outside of [ ]", s[:1])
			}
			return out, s, nil
		}
	}
	return out, "", nil
}

// finish gives every list its part for tests, and looks for slots that are not there.
func (l *language) finish() error {
	taught := map[string]map[string]int{} // by domain, how many templates of the training have a word
	count := func(domain string, x *list) {
		if taught[domain] == nil {
			taught[domain] = map[string]int{}
		}
		for _, t := range x.entries {
			for w := range t.root.words() {
				taught[domain][w]++
			}
		}
	}
	for _, s := range l.sections {
		if !s.phrases { // a phrase says what it says, and explains no other
			count(s.domain(), &s.list)
		}
	}
	check := func(x *list) error {
		if len(x.entries) == 0 {
			return fmt.Errorf("%s is empty", x.name)
		}
		for _, t := range x.entries {
			if err := l.known(t.root); err != nil {
				return fmt.Errorf("%s: %q: %w", x.name, t.text, err)
			}
		}
		return nil
	}
	// What another template says as well, where a room or a size is left out, or in the
	// phrasebook, would be kept from the model altogether if it were held.
	said := map[string]int{} // by how many templates
	for _, s := range l.sections {
		for _, t := range s.entries {
			for _, way := range t.root.spelled() {
				said[way]++
			}
		}
	}
	for _, s := range l.sections {
		for i := range s.entries {
			t := &s.entries[i]
			t.idiom = !t.root.open()
			t.known = t.known || slices.ContainsFunc(t.root.spelled(), func(way string) bool { return said[way] > 1 })
		}
		s.hold(s.intent, taught[s.domain()])
		if err := check(&s.list); err != nil {
			return err
		}
	}
	l.ask()
	for _, name := range slices.Sorted(maps.Keys(l.lists)) {
		x := l.lists[name]
		if strings.HasPrefix(name, "wrap.") {
			count(name, x)
		}
		if x.split {
			x.hold(name, taught[name])
		}
		if err := check(x); err != nil {
			return err
		}
	}
	l.share()
	return nil
}

// ask holds some templates of intents of which none or few are, because all that is said is
// short and each in its own words.
func (l *language) ask() {
	type place struct {
		s *section
		i int
	}
	held, free := map[string]int{}, map[string][]place{}
	for _, s := range l.sections {
		for i, t := range s.entries {
			switch {
			case t.test:
				held[s.intent]++
			case !t.known && t.weight < common && len(s.entries) >= 4:
				free[s.intent] = append(free[s.intent], place{s, i})
			}
		}
	}
	for intent, places := range free {
		slices.SortFunc(places, func(a, b place) int {
			p, q := a.s.entries[a.i], b.s.entries[b.i]
			if p.idiom != q.idiom { // the others first
				if q.idiom {
					return -1
				}
				return 1
			}
			return cmp.Compare(hash(intent, p.text), hash(intent, q.text))
		})
		for _, p := range places[:min(len(places), max(0, asked-held[intent]))] {
			p.s.entries[p.i].test = true
		}
	}
}

// domain names the templates whose words explain each other: those of an intent and, where
// sections are of one device or mean one value, of that; of what is none, which has nothing
// in common, those of the section.
func (s *section) domain() string {
	if s.intent == "none" {
		return "none: " + s.name
	}
	device := ""
	if len(s.devices) == 1 {
		device = s.devices[0]
	}
	return strings.Join([]string{s.intent, device, s.value}, "|")
}

// spelled are the ways in which a template is said, as letters and digits alone in lower
// case, without slots that may say nothing and with the names of the others. Of more than
// some ways, the first.
func (s seq) spelled() []string {
	const most = 64
	ways := []string{""}
	for _, n := range s {
		var parts []string
		switch {
		case n.alts != nil:
			for _, a := range n.alts {
				parts = append(parts, a.spelled()...)
			}
		case n.silent():
			continue
		case n.slot:
			parts = []string{"{" + n.text + "}"}
		default:
			parts = []string{strings.Map(func(r rune) rune {
				if unicode.IsLetter(r) || unicode.IsDigit(r) {
					return unicode.ToLower(r)
				}
				return -1
			}, n.text)}
		}
		var next []string
		for _, w := range ways {
			for _, p := range parts {
				next = append(next, w+p)
			}
		}
		ways = next[:min(len(next), most)]
	}
	slices.Sort(ways)
	return slices.Compact(ways)
}

// share gives the phrasebook's sections their weights.
func (l *language) share() {
	var others, phrases float64
	weight := func(s *section) (sum float64) {
		for _, t := range s.entries {
			sum += t.weight
		}
		return sum
	}
	for _, s := range l.sections {
		if s.phrases {
			phrases += weight(s)
		} else {
			others += s.weight
		}
	}
	for _, s := range l.sections {
		if s.phrases {
			s.weight = weight(s) / phrases * others * phrased / (1 - phrased)
		}
	}
}

func (l *language) known(s seq) error {
	for _, n := range s {
		if n.slot && l.lists[n.text] == nil && !isSlot(n.text) {
			return fmt.Errorf("there is no slot {%s}", n.text)
		}
		for _, a := range n.alts {
			if err := l.known(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// common is the weight from which a wording is one that everybody uses: what is
// learnt should have it. Of words and names tests get the others first, of templates only those.
const common = 4

// asked is how many templates of each intent tests have at least.
const asked = 3

// explained is how many templates of the training must have a word for it to be one that is
// learnt without a certain one of them.
const explained = 3

// hold sets an eighth aside, at least one of four or more, by the entries' own
// words: another entry moves few of the others. What is common stays, and so does an idiom,
// which has a word that nothing else teaches. taught is nil where any may be held.
func (x *list) hold(domain string, taught map[string]int) {
	if len(x.entries) < 4 {
		return
	}
	var byHash []int
	for i, t := range x.entries {
		if !t.known {
			byHash = append(byHash, i)
		}
	}
	slices.SortFunc(byHash, func(a, b int) int {
		if p, q := x.entries[a].weight >= common, x.entries[b].weight >= common; p != q {
			if q {
				return -1
			}
			return 1
		}
		return cmp.Compare(hash(domain, x.entries[a].text), hash(domain, x.entries[b].text))
	})
	left := int(math.Ceil(float64(len(x.entries)) / held))
	for _, i := range byHash {
		if left == 0 {
			break
		}
		if taught != nil {
			words := x.entries[i].root.words()
			idiom := x.entries[i].weight >= common || x.entries[i].idiom
			for w := range words {
				idiom = idiom || taught[w] <= explained // itself, and the others
			}
			if idiom {
				continue
			}
			for w := range words {
				taught[w]--
			}
		}
		x.entries[i].test = true
		left--
	}
}

// open reports whether a template has a slot that says something, other than a room.
func (s seq) open() bool {
	return slices.ContainsFunc(s, func(n node) bool {
		return n.slot && !n.silent() && n.text != "R" && n.text != "in" && n.text != "Ra" || slices.ContainsFunc(n.alts, seq.open)
	})
}

// silent reports whether a node is a slot that may say nothing.
func (n node) silent() bool {
	return n.slot && (n.text == "r" || n.text == "s" || n.text == "m" || strings.HasPrefix(n.text, "="))
}

// words are those of a template's own, and of its Chinese each two characters that stand
// together.
func (s seq) words() map[string]bool {
	set := map[string]bool{}
	for _, n := range s {
		for _, a := range n.alts {
			maps.Copy(set, a.words())
		}
		if n.slot || n.alts != nil {
			continue
		}
		for _, w := range strings.FieldsFunc(strings.ToLower(n.text), func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' }) {
			rs := []rune(w)
			if !hasHan(w) || len(rs) == 1 {
				set[w] = true
				continue
			}
			for i := range rs[1:] {
				set[string(rs[i:i+2])] = true
			}
		}
	}
	return set
}

// shared reports whether both parts draw from all of the list.
func (x *list) shared() bool { return !x.split || len(x.entries) < 4 }

func hash(parts ...string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(parts, "\x00")))
	return h.Sum64()
}
