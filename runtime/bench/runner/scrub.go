package runner

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
)

// Records are signed and published: where files lie, and what opens doors, must not
// get into them.

// hidden stands where a secret was.
const hidden = "***"

// wholePath is a path from the root, from the home folder or from ./ or ../, at the
// beginning of a word or after what divides a word; of Unix or of Windows.
var wholePath = regexp.MustCompile(`(^|[\s=,;:"'` + "`" + `(\[{<@|])((?:~|\.{1,2})?/[^\s=,;:"'` + "`" + `)\]}>|]*|(?:[A-Za-z]:|\.{1,2}|~|\\)\\[^\s=,;:"'` + "`" + `)\]}>|]*)`)

// user is a name, with or without a password, in an address.
var user = regexp.MustCompile(`://[^/@\s]+@`)

// pathless shortens the paths of a text to their last part.
func pathless(s string) string {
	s = user.ReplaceAllString(s, "://"+hidden+"@")
	var b strings.Builder
	for {
		m := wholePath.FindStringSubmatchIndex(s)
		if m == nil {
			b.WriteString(s)
			return b.String()
		}
		at, end := m[4], m[5]
		path := s[at:end]
		b.WriteString(s[:at])
		if strings.HasPrefix(path, "//") && strings.HasSuffix(s[:at], ":") && !strings.HasSuffix(s[:at], "file:") {
			b.WriteString(path) // an address
		} else {
			b.WriteString(lastPart(path))
		}
		s = s[end:]
	}
}

func lastPart(path string) string {
	short := strings.TrimRight(path, `/\`)
	if i := strings.LastIndexAny(short, `/\`); i >= 0 {
		short = short[i+1:]
	}
	if short == "" || short == "~" {
		return "."
	}
	return short
}

// secretParts are what the names of options and variables with secrets end with.
var secretParts = []string{"key", "token", "password", "passwd", "passphrase", "secret", "secrets", "credential", "credentials", "bearer"}

// secret reports whether an option or a variable is named like one that holds a
// secret: --api-key, HF_TOKEN, clientSecret; but not --tokens, which are counted.
func secret(name string) bool {
	parts := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, p := range parts {
		var words []string // of camel case, too
		start := 0
		runes := []rune(p)
		for i := 1; i <= len(runes); i++ {
			if i == len(runes) || unicode.IsUpper(runes[i]) && unicode.IsLower(runes[i-1]) {
				words = append(words, strings.ToLower(string(runes[start:i])))
				start = i
			}
		}
		for _, w := range words {
			if slices.ContainsFunc(secretParts, func(s string) bool { return strings.HasSuffix(w, s) }) {
				return true
			}
		}
	}
	return false
}

// short is a command line as records have it: paths shortened to their last part,
// values of options that are named like secrets hidden.
func short(words []string) []string {
	out := slices.Clone(words)
	each(words, func(i int, name, value string) { // name holds the =
		switch {
		case i == 0 || name == "" && filepath.IsAbs(value):
			out[i] = lastPart(filepath.Base(value)) // spaces are a part of it
		case filepath.IsAbs(value) && !strings.ContainsAny(value, ",;:"):
			out[i] = name + lastPart(filepath.Base(value))
		default:
			out[i] = pathless(name + value)
		}
	}, func(i int, name, _ string) { out[i] = name + hidden })
	return out
}

// each divides words at their first = and tells what is a secret from what is none.
func each(words []string, plain, secretly func(i int, name, value string)) {
	after := false // an option whose value is a secret
	for i, w := range words {
		name, value, has := strings.Cut(w, "=")
		option := strings.HasPrefix(w, "-") && len(w) > 1
		switch {
		case after && !option:
			secretly(i, "", w)
			after = false
			continue
		case i > 0 && has && !strings.ContainsAny(name, " \t/\\") && secret(name):
			secretly(i, name+"=", value)
		case has && !strings.ContainsAny(name, " \t/\\") && i > 0:
			plain(i, name+"=", value)
		default:
			plain(i, "", w)
		}
		after = i > 0 && option && !has && secret(w)
	}
}

// scrubber takes out of texts what programs say of where they ran.
type scrubber struct {
	folders []*regexp.Regexp // longest first
	secrets []string
}

// newScrubber knows this process's folders and secrets, and the suite's.
func newScrubber(s *suite.Suite) *scrubber {
	c := &scrubber{}
	var dirs []string
	add := func(dir string, err error) {
		if err != nil || dir == "" {
			return
		}
		if dir, err = filepath.Abs(dir); err != nil {
			return
		}
		for _, d := range []func(string) (string, error){func(d string) (string, error) { return d, nil }, filepath.EvalSymlinks} {
			if p, err := d(dir); err == nil && len(p) > 3 && !slices.Contains(dirs, p) { // not / or C:\
				dirs = append(dirs, p)
			}
		}
	}
	add(os.UserHomeDir())
	add(os.Getwd())
	add(s.Dir, nil)
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) })
	for _, d := range dirs {
		text := regexp.QuoteMeta(d)
		if runtime.GOOS == "windows" {
			text = `(?i)` + strings.ReplaceAll(text, `\\`, `[\\/]+`) // quoted texts have two
		}
		c.folders = append(c.folders, regexp.MustCompile(text+`([/\\]+|$|[^\pL\pN_.-])`))
	}
	for _, pair := range os.Environ() {
		c.variable(strings.Cut(pair, "="))
	}
	for i := range s.Peers {
		p := &s.Peers[i]
		for k, v := range p.Env {
			c.variable(k, v, true)
		}
		for _, words := range [][]string{p.Command, append([]string{""}, p.Args...)} {
			each(words, func(int, string, string) {}, func(_ int, _, value string) { c.secret(value) })
		}
	}
	for i := range s.Cases {
		for k, v := range s.Cases[i].Settings.Env {
			c.variable(k, v, true)
		}
	}
	slices.SortFunc(c.secrets, func(a, b string) int { return len(b) - len(a) })
	return c
}

func (c *scrubber) variable(name, value string, _ bool) {
	if secret(name) {
		c.secret(value)
	}
}

// secret remembers one; short ones would be found where they are none.
func (c *scrubber) secret(value string) {
	if len(value) >= 6 && !slices.Contains(c.secrets, value) {
		c.secrets = append(c.secrets, value)
	}
}

// text is a line without folders and secrets.
func (c *scrubber) text(s string) string {
	for _, v := range c.secrets {
		s = strings.ReplaceAll(s, v, hidden)
	}
	for _, f := range c.folders {
		s = f.ReplaceAllStringFunc(s, func(m string) string {
			switch end := m[len(m)-1]; {
			case end == '/' || end == '\\':
				return ""
			case f.FindStringSubmatch(m)[1] == "":
				return "."
			}
			return "." + f.FindStringSubmatch(m)[1]
		})
	}
	words := strings.Fields(s)
	each(words, func(int, string, string) {}, func(i int, name, _ string) { words[i] = name + hidden })
	return pathless(strings.Join(words, " "))
}

// run scrubs what an engine, or its failure, says.
func (c *scrubber) run(r *record.Run) {
	r.Failure = c.text(r.Failure)
	for i, n := range r.Notes {
		r.Notes[i] = c.text(n)
	}
}
