package main

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// decision is what a module's files leave open, and was decided by reading them.
type decision struct {
	licence string   // where there is a choice
	files   []string // that have it
	credit  string   // what is asked to be said, beyond the licence's text
}

var decisions = map[string]decision{
	// One's choice of the FreeType License or the GPL. The former wants to be named.
	"github.com/golang/freetype": {"FTL", []string{"LICENSE", "licenses/ftl.txt"},
		"Portions of this software are copyright The FreeType Project (www.freetype.org) and the Freetype-Go Authors. All rights reserved."},
	// Creative Commons asks for the author's name, the source, and whether it was changed.
	"github.com/ajstarks/svgo": {credit: "SVGo by Anthony Starks, https://github.com/ajstarks/svgo, unchanged."},
}

// licenceFile is what a file with a licence, or with what must go along with it, is
// called.
var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|notice|patents|copyright)([-._].*)?$`)

// besideFile is the name of one that goes along with a licence and has none itself.
var besideFile = regexp.MustCompile(`(?i)^(notice|patents|copyright)`)

// licencesOf reads the files with licences in a module's folder and in those of its
// linked packages, up to it, and names the licences.
func licencesOf(m module) (files map[string][]byte, ids []string, err error) {
	if m.dir == "" {
		return nil, nil, fmt.Errorf("%s %s is not in the module cache: run go mod download", m.path, m.version)
	}
	if d := decisions[m.path]; d.licence != "" {
		files = map[string][]byte{}
		for _, name := range d.files {
			if files[name], err = readText(filepath.Join(m.dir, filepath.FromSlash(name))); err != nil {
				return nil, nil, fmt.Errorf("%s %s: %w", m.path, m.version, err)
			}
		}
		return files, []string{d.licence}, nil
	}
	if files, err = licenceTexts(m); err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w", m.path, m.version, err)
	}
	var links []string
	for _, name := range sortedKeys(files) {
		found, link, err := identify(name, files[name])
		if err != nil {
			return nil, nil, fmt.Errorf("%s %s: %w", m.path, m.version, err)
		}
		if link {
			links = append(links, found...)
			continue
		}
		for _, id := range found {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	for _, id := range links {
		if !slices.Contains(ids, id) {
			return nil, nil, fmt.Errorf("%s %s names the licence %s and does not have it", m.path, m.version, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil, fmt.Errorf("%s %s has no licence that is known: it cannot be shipped", m.path, m.version)
	}
	return files, ids, nil
}

// licenceTexts reads the files of a module that are called as licences are.
func licenceTexts(m module) (map[string][]byte, error) {
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
			return nil, err
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || !licenceFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			if files[path.Join(folder, e.Name())], err = readText(filepath.Join(m.dir, filepath.FromSlash(folder), e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// readText reads a file with lines as they end here.
func readText(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), err
}

// identify names the licences in a text by their SPDX identifiers; link says that the
// text only has the address of one. A file that goes along with a licence has none.
func identify(name string, text []byte) (ids []string, link bool, err error) {
	if besideFile.MatchString(path.Base(name)) {
		return nil, false, nil
	}
	cover := licensecheck.Scan(text)
	link = len(cover.Match) > 0
	for _, m := range cover.Match {
		if !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
		link = link && m.IsURL
	}
	if !link && (len(ids) == 0 || cover.Percent < 75) {
		return nil, false, fmt.Errorf("%s is no licence that is known, or more than one (%.0f %% of it is %s): read it, and decide in build/release/identify.go",
			name, cover.Percent, strings.Join(ids, ", "))
	}
	return ids, link, nil
}
