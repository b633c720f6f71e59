// Package suite reads the YAML files that say what a benchmark measures: models,
// devices, threads, lengths, peers, and the bars that figures must reach. Every
// combination of a file's lists is a case. Errors name the line and the column.
package suite

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/strictyaml"
)

// Suite is what a file asks for.
type Suite struct {
	Name   string
	Dir    string // of the file: its paths start there
	SHA256 string // of its bytes

	Journal string        // where results go
	Ledge   string        // the program that is measured; "" for the one that measures
	Rounds  int           // of each case, unless it says otherwise
	Timeout time.Duration // of a process

	Peers  []Peer
	Cases  []Case
	Tables []Table
}

// Case is one combination of settings on one model.
type Case struct {
	ID, Group string
	Model     Model
	Settings  record.Settings

	Text, Reference string // files of Settings.Quality

	Peers  []string // those that are measured beside Ledge
	Bars   map[string]Bar
	Rounds int
	Slow   bool // measured only if slow cases are asked for
}

// Model is a model as the file names it.
type Model struct {
	Name string // in reports and identifiers
	File string // a path from the suite's folder, or a name that Ledge knows
}

// Table is a table of a report.
type Table struct {
	Title   string
	Note    string // a paragraph below
	Groups  []string
	Figures []string
}

// Defaults of a file that does not say.
const (
	DefaultRounds  = 5
	DefaultTimeout = 15 * time.Minute
	DefaultPrompt  = 512
	DefaultGen     = 128
	DefaultStart   = "The capital of France is"
	DefaultContext = 4096 // of start: engine.DefaultContext, which ledge run opens
)

const maxCases = 10000

// Error is what is wrong with a suite, and where.
type Error = strictyaml.Error

// Load reads a file; set replaces values of its vars.
func Load(path string, set map[string]string) (*Suite, error) {
	data, err := strictyaml.Load(path)
	if err != nil {
		return nil, err
	}
	return Parse(data, path, set)
}

// Parse reads a file's bytes; the path is for messages and names.
func Parse(data []byte, path string, set map[string]string) (*Suite, error) {
	r := &reader{vars: map[string]string{}}
	r.Reader = strictyaml.Reader{File: path, Kind: "suite", Example: "ledge-bench init writes an example", Most: 60, Expand: r.fill}
	root, err := r.Document(data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	s := &Suite{Name: base, Dir: filepath.Dir(path), SHA256: hex.EncodeToString(sum[:]), Rounds: DefaultRounds, Timeout: DefaultTimeout}
	if err := r.readVars(root, set); err != nil {
		return nil, err
	}
	top := &group{}
	var groups []*yaml.Node
	var tables *yaml.Node
	known := top.keys(r)
	known["vars"] = func(*yaml.Node) error { return nil } // read already
	known["name"] = r.TextTo(&s.Name)
	known["journal"] = r.TextTo(&s.Journal)
	known["ledge"] = r.TextTo(&s.Ledge)
	known["timeout"] = func(n *yaml.Node) (err error) { s.Timeout, err = r.duration(n); return err }
	known["peers"] = func(n *yaml.Node) (err error) { s.Peers, err = r.readPeers(n); return err }
	known["cases"] = func(n *yaml.Node) (err error) { groups, err = r.list(n); return err }
	known["tables"] = func(n *yaml.Node) error { tables = n; return nil } // names the groups: read last
	if err := r.Fields(root, "a suite", known); err != nil {
		return nil, err
	}
	s.Rounds = cmp.Or(top.rounds, s.Rounds)
	s.Journal = s.Path(cmp.Or(s.Journal, base+".jsonl"))
	s.Ledge = s.program(s.Ledge)
	for i := range s.Peers {
		s.Peers[i].resolve(s)
	}
	if groups == nil {
		groups = []*yaml.Node{nil}
	}
	for _, n := range groups {
		if err := r.expand(s, top, n, root); err != nil {
			return nil, err
		}
	}
	if tables != nil {
		if err := r.readTables(s, tables); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Path is a path of the file, which starts in the file's folder.
func (s *Suite) Path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(s.Dir, p)
}

// program is a program's path, or a folder's of programs; a name without a folder is
// looked up when it runs.
func (s *Suite) program(p string) string {
	if p == "" || !strings.ContainsAny(p, `/\`) && p != "." && p != ".." {
		return p
	}
	path, err := filepath.Abs(s.Path(p)) // else "./x" would become a name to look up
	if err != nil {
		return s.Path(p)
	}
	return path
}

// Case gives the case of an identifier.
func (s *Suite) Case(id string) (*Case, bool) {
	for i := range s.Cases {
		if s.Cases[i].ID == id {
			return &s.Cases[i], true
		}
	}
	return nil, false
}

// Peer gives the peer of a name.
func (s *Suite) Peer(name string) (*Peer, bool) {
	for i := range s.Peers {
		if s.Peers[i].Name == name {
			return &s.Peers[i], true
		}
	}
	return nil, false
}
