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
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// licenceFolder is where the licences are kept in the source tree.
const licenceFolder = "third_party/licences"

// index is the file there that lists modules: path, version, licences.
const index = "MODULES"

// licenceFile is what a file with a licence, or with what must go along with it, is
// called; it ends .md or .txt at most.
var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|notice|patents|copyright)([-._].*)?$`)

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
		own, err := licencesOf(m)
		if err != nil {
			return nil, err
		}
		var ids []string
		for _, name := range sortedKeys(own) {
			files[path.Join(m.path, name)] = own[name]
			found, err := identify(name, own[name])
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", m.path, m.version, err)
			}
			for _, id := range found {
				if !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
		if len(ids) == 0 {
			return nil, fmt.Errorf("%s %s has no licence that is known: it cannot be shipped", m.path, m.version)
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

// licencesOf reads the files with licences in a module's folder and in those of its
// linked packages, up to it.
func licencesOf(m module) (map[string][]byte, error) {
	if m.dir == "" {
		return nil, fmt.Errorf("%s %s is not in the module cache: run go mod download", m.path, m.version)
	}
	folders := map[string]bool{".": true}
	for _, p := range m.packages {
		for below := strings.TrimPrefix(strings.TrimPrefix(p, m.path), "/"); below != "" && below != "."; below = path.Dir(below) {
			folders[below] = true
		}
	}
	files := map[string][]byte{}
	for folder := range folders {
		entries, err := os.ReadDir(filepath.Join(m.dir, filepath.FromSlash(folder)))
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.path, m.version, err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || !licenceFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			data, err := os.ReadFile(filepath.Join(m.dir, filepath.FromSlash(folder), e.Name()))
			if err != nil {
				return nil, err
			}
			files[path.Join(folder, e.Name())] = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		}
	}
	return files, nil
}

// identify names the licences in a text by their SPDX identifiers. A file that only
// goes along with a licence may have none.
func identify(name string, text []byte) ([]string, error) {
	cover := licensecheck.Scan(text)
	var ids []string
	for _, m := range cover.Match {
		if !m.IsURL && !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
	}
	base := strings.ToLower(path.Base(name))
	beside := strings.HasPrefix(base, "notice") || strings.HasPrefix(base, "patents") || strings.HasPrefix(base, "copyright")
	if beside {
		return nil, nil
	}
	if len(ids) == 0 || cover.Percent < 75 {
		return nil, fmt.Errorf("%s is no licence that is known, or more than one (%.0f %% of it is %s): look at it", name, cover.Percent, strings.Join(ids, ", "))
	}
	return ids, nil
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
