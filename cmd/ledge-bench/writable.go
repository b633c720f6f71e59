package main

import (
	"os"
	"slices"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench/receipt"
	"github.com/ledge-run/ledge/runtime/bench/suite"
	"github.com/ledge-run/ledge/runtime/hub"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// reads remembers a file that the command reads: what is for messages.
func (a *app) reads(path, what string) {
	if path != "" && path != "-" {
		a.read = append(a.read, source{path, what})
	}
}

// source is a file that is read.
type source struct{ path, what string }

// readsSuite remembers a suite and all that it names.
func (a *app) readsSuite(path string, s *suite.Suite) {
	a.reads(path, "the suite")
	a.reads(s.Journal, "the journal")
	a.reads(s.Ledge, "the program that is measured")
	models, seen := map[string]bool{}, map[string]bool{"": true}
	once := func(path, what string) {
		if !seen[path] {
			seen[path] = true
			a.reads(path, what)
		}
	}
	for i := range s.Cases {
		c := &s.Cases[i]
		if !models[c.Model.File] {
			models[c.Model.File] = true
			for _, path := range a.modelFiles(s, c.Model.File) {
				once(path, "the model "+c.Model.Name)
			}
		}
		once(c.Text, "a text of quality")
		once(c.Reference, "a reference of quality")
	}
	for _, p := range s.Peers {
		once(p.Program, "the peer "+p.Name)
		for _, word := range slices.Concat(p.Command, p.Args) {
			if st, err := os.Stat(word); err == nil && st.Mode().IsRegular() {
				once(word, "the peer "+p.Name)
			}
		}
	}
}

// modelFiles are those of a model that a suite names.
func (a *app) modelFiles(s *suite.Suite, name string) []string {
	path := s.Path(name)
	if _, err := os.Stat(path); err != nil {
		if known, err := hub.New(hub.Config{Getenv: a.getenv}).Resolve(name); err == nil {
			path = known
		}
	}
	return gguf.PartNames(path)
}

// spare refuses to write over what is read, and over the user's own key.
func (a *app) spare(path string) error {
	all := a.read
	if key, err := receipt.KeyPath(); err == nil {
		all = append(all[:len(all):len(all)], source{key, "your key"})
	}
	for _, s := range all {
		if console.SameFile(path, s.path) {
			return console.Usagef("%s is read, too (%s): name another file to write", path, s.what)
		}
	}
	return nil
}
