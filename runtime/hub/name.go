package hub

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind says what sort of name a Ref is.
type Kind int

// The kinds of names.
const (
	Path        Kind = iota // a file of this machine
	Alias                   // a short name of the catalogue
	HuggingFace             // hf:owner/repo…
	ModelScope              // ms:owner/repo…
	URL                     // http(s)://…
)

// Ref is a parsed model name.
type Ref struct {
	Kind     Kind
	Text     string   // the path, or the alias in lower case
	Owner    string   // hf, ms
	Repo     string   // hf, ms
	Revision string   // hf, ms: branch, tag or commit; "" for the default branch
	Want     string   // hf, ms: file name or quantisation; "" to choose by preference
	Addr     *url.URL // URL: without fragment
	SHA256   string   // URL: from a fragment #sha256=…
}

// maxName bounds what a name may cost anyone who handles it.
const maxName = 4096

var (
	aliasForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(:[A-Za-z0-9][A-Za-z0-9._-]*)?$`)
	repoPart     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$`)
	revisionForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/-]{0,127}$`)
	sha256Form   = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
)

// ParseName reads a model name. It looks at the text alone, not at the disk.
func ParseName(name string) (Ref, error) {
	switch {
	case strings.TrimSpace(name) == "":
		return Ref{}, errors.New("empty model name")
	case len(name) > maxName:
		return Ref{}, fmt.Errorf("model name of %d bytes: too long", len(name))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return Ref{}, fmt.Errorf("model name %q holds characters that no name has", name)
	}
	lower := strings.ToLower(name)
	switch {
	case strings.HasPrefix(lower, "hf:"):
		return parseRepo(HuggingFace, name[3:])
	case strings.HasPrefix(lower, "ms:"):
		return parseRepo(ModelScope, name[3:])
	case strings.HasPrefix(lower, "http://"), strings.HasPrefix(lower, "https://"):
		return parseURL(name)
	}
	if scheme, _, ok := strings.Cut(name, "://"); ok && aliasForm.MatchString(scheme) {
		return Ref{}, fmt.Errorf("model name %s: addresses start with http:// or https://, not %s://", oneLine(name), scheme)
	}
	if aliasForm.MatchString(name) && !strings.HasSuffix(lower, ".gguf") {
		return Ref{Kind: Alias, Text: lower}, nil
	}
	return Ref{Kind: Path, Text: name}, nil
}

// parseRepo reads owner/repo[@revision][:want].
func parseRepo(kind Kind, s string) (Ref, error) {
	prefix := map[Kind]string{HuggingFace: "hf:", ModelScope: "ms:"}[kind]
	form := fmt.Sprintf("model name %s%s: the form is %sowner/repo, %sowner/repo:Q4_K_M or %sowner/repo:file.gguf", prefix, s, prefix, prefix, prefix)
	id, want, hasWant := strings.Cut(s, ":")
	id, revision, hasRevision := strings.Cut(id, "@")
	owner, repo, ok := strings.Cut(id, "/")
	if !ok || !repoPart.MatchString(owner) || !repoPart.MatchString(repo) || strings.Contains(id, "..") ||
		hasWant && want == "" {
		return Ref{}, errors.New(form)
	}
	if hasRevision && (!revisionForm.MatchString(revision) || strings.Contains(revision, "..")) {
		return Ref{}, fmt.Errorf("model name %s%s: %q is no branch, tag or commit", prefix, s, revision)
	}
	if strings.Contains(want, `\`) || strings.HasPrefix(want, "/") || hasDots(want) {
		return Ref{}, fmt.Errorf("model name %s%s: %q is no file of a repository", prefix, s, want)
	}
	return Ref{Kind: kind, Owner: owner, Repo: repo, Revision: revision, Want: want}, nil
}

// hasDots reports a "." or ".." element, or an empty one, in a slash-separated path.
func hasDots(path string) bool {
	if path == "" {
		return false
	}
	for _, elem := range strings.Split(path, "/") {
		if elem == "" || elem == "." || elem == ".." {
			return true
		}
	}
	return false
}

func parseURL(name string) (Ref, error) {
	u, err := url.Parse(name)
	if err != nil {
		var uerr *url.Error // its text would repeat the address, with whatever secret is in it
		if errors.As(err, &uerr) {
			err = uerr.Err
		}
		return Ref{}, fmt.Errorf("this is no web address: %w", err)
	}
	r := Ref{Kind: URL, Addr: u}
	if u.Hostname() == "" {
		return Ref{}, errors.New("this web address names no host")
	}
	if sum, ok := strings.CutPrefix(u.Fragment, "sha256="); ok {
		if !sha256Form.MatchString(sum) {
			return Ref{}, fmt.Errorf("%s: #sha256= takes 64 hexadecimal digits", r)
		}
		r.SHA256 = strings.ToLower(sum)
	}
	u.Fragment, u.RawFragment = "", ""
	if _, err := localName(u.Path); err != nil {
		return Ref{}, fmt.Errorf("%s: the address must end in the name of a file: %w", r, err)
	}
	return r, nil
}

// String is the name in its normal form. Of a URL it leaves out what may be
// secret: user, password and query.
func (r Ref) String() string {
	switch r.Kind {
	case HuggingFace, ModelScope:
		s := "hf:"
		if r.Kind == ModelScope {
			s = "ms:"
		}
		s += r.Owner + "/" + r.Repo
		if r.Revision != "" {
			s += "@" + r.Revision
		}
		if r.Want != "" {
			s += ":" + r.Want
		}
		return s
	case URL:
		return publicURL(r.Addr)
	}
	return oneLine(r.Text)
}

// publicURL is u without user, password, query and fragment.
func publicURL(u *url.URL) string {
	return oneLine((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String())
}

// windowsDevices can't be file names on Windows, whatever follows the first dot.
var windowsDevices = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)`)

// localName is the name under which a remote path is kept: its last element, if
// that is fit to be a file name on every system.
func localName(remote string) (string, error) {
	base := remote[strings.LastIndexByte(remote, '/')+1:]
	switch {
	case base == "" || base == "." || base == "..":
		return "", fmt.Errorf("%q is no file name", base)
	case len(base) > 200:
		return "", fmt.Errorf("the file name has %d bytes", len(base))
	case strings.HasPrefix(base, "."), strings.HasSuffix(base, "."), strings.HasSuffix(base, " "),
		strings.ContainsAny(base, `<>:"|?*\`), strings.ContainsFunc(base, unicode.IsControl),
		!utf8.ValidString(base), windowsDevices.MatchString(base):
		return "", fmt.Errorf("%q is not fit to be a file name", base)
	case strings.HasSuffix(strings.ToLower(base), ".part"), strings.EqualFold(base, manifestName):
		return "", fmt.Errorf("%q is a name that Ledge uses itself", base)
	}
	return base, nil
}

// oneLine makes text from outside fit for a message: no control characters, no
// line breaks, at most 400 characters.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	return cut(s, 400)
}

// cut shortens s to n runes.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
