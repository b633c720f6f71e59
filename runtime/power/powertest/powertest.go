// Package powertest has the files of machines for tests of what reads sensors.
package powertest

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"testing/fstest"
)

//go:embed testdata/*.txt
var texts embed.FS

// Machines are the names of the trees.
func Machines() []string {
	entries, _ := texts.ReadDir("testdata") // they are in the program
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".txt"))
	}
	return names
}

// FS is a machine's files, which may be changed while they are read.
type FS struct {
	mu    sync.Mutex
	files fstest.MapFS
	locks map[string]error // what opening a file gives
}

// Machine gives the files of a machine, as they were recorded.
func Machine(name string) *FS {
	data, err := texts.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		panic(err) // a test names one that is not there
	}
	return Parse(string(data))
}

// Parse reads files: each begins with a line "-- its path --"; what stands before the
// first is a comment. \0 stands for a zero byte.
func Parse(text string) *FS {
	f := &FS{files: fstest.MapFS{}, locks: map[string]error{}}
	name := ""
	for l := range strings.Lines(text) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(l, "\n"), "-- "); ok && strings.HasSuffix(p, " --") {
			name = strings.TrimSuffix(p, " --")
			f.files[name] = &fstest.MapFile{}
		} else if name != "" {
			m := f.files[name]
			m.Data = append(m.Data, strings.ReplaceAll(l, `\0`, "\x00")...)
		}
	}
	return f
}

// Names are the files' paths, sorted.
func (f *FS) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for n := range f.files {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// Set writes a file.
func (f *FS) Set(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[name] = &fstest.MapFile{Data: []byte(text)}
}

// Remove takes a file away.
func (f *FS) Remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.files, name)
}

// Lock has opening a file or listing a folder give an error, as the kernel does where
// only root may; nil unlocks it.
func (f *FS) Lock(name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locks[name] = err
}

// Open opens a file.
func (f *FS) Open(name string) (fs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.locks[path.Clean(name)]; err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return f.files.Open(name)
}
