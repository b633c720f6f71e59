package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// licenceFolder is where the licences are kept in the source tree.
const licenceFolder = "third_party/licences"

// index is the file there that lists modules: path, version, licences.
const index = "MODULES"

// licences collects the licences of what is linked, or (-check) says whether what is
// there is what would be collected.
func (t *task) licences(args []string) error {
	check := len(args) > 0 && args[0] == "-check"
	if check {
		args = args[1:]
	}
	folder := filepath.Join(t.root, licenceFolder)
	if len(args) > 0 {
		folder = args[0]
	}
	want, err := t.collect()
	if err != nil {
		return err
	}
	return settle(folder, want, check)
}

// settle makes a folder have the files that are wanted and no others, or (check) says
// what is not so.
func settle(folder string, want map[string][]byte, check bool) error {
	have, err := readFolder(folder)
	if err != nil {
		return err
	}
	var stale []string
	for _, name := range sortedKeys(want) {
		if !bytes.Equal(want[name], have[name]) {
			stale = append(stale, name)
		}
	}
	for _, name := range sortedKeys(have) {
		if _, ok := want[name]; !ok {
			stale = append(stale, name)
		}
	}
	if check && len(stale) > 0 {
		return fmt.Errorf("%s is not what the programs link now (%s): run go run ./build/release licences", folder, strings.Join(stale, ", "))
	}
	for _, name := range stale {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if data, ok := want[name]; ok {
			err = write(file, data)
		} else {
			err = os.Remove(file)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// collect reads the licences of all linked modules: MODULE/LICENSE, ... and the index.
func (t *task) collect() (map[string][]byte, error) {
	modules, err := t.linked()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	var list strings.Builder
	for _, m := range modules {
		own, ids, err := licencesOf(m)
		if err != nil {
			return nil, err
		}
		for name, text := range own {
			files[path.Join(m.path, name)] = text
		}
		version := m.version
		if m.path == standard {
			version = "" // that of whoever builds
		}
		fmt.Fprintf(&list, "%s\t%s\t%s\n", m.path, version, strings.Join(ids, " AND "))
	}
	files[index] = []byte(list.String())
	return files, nil
}

// readFolder reads all files below a folder, by their paths within it.
func readFolder(folder string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(folder, func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && file == folder {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, file)
		files[filepath.ToSlash(name)] = data
		return err
	})
	return files, err
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
