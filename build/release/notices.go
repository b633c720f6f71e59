package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// entry is a line of the index.
type entry struct{ path, version, licence string }

// readIndex reads the committed licences.
func (t *task) readIndex() ([]entry, map[string][]byte, error) {
	folder := filepath.Join(t.root, licenceFolder)
	files, err := readFolder(folder)
	if err != nil {
		return nil, nil, err
	}
	var all []entry
	for n, line := range strings.Split(strings.TrimSuffix(string(files[index]), "\n"), "\n") {
		fields := strings.Split(line, "\t")
		if len(fields) != 3 {
			return nil, nil, fmt.Errorf("%s/%s, line %d: want a module, a version and licences, divided by tabs", licenceFolder, index, n+1)
		}
		all = append(all, entry{fields[0], fields[1], fields[2]})
	}
	return all, files, nil
}

const noticesHead = `Ledge contains software of others. Ledge itself is under the Apache License 2.0;
what follows are the parts that are linked into its programs, their licences, and
what those ask to be passed on.
`

const rule = "------------------------------------------------------------------------------\n"

// notices writes the file that packages install: all licences in one.
func (t *task) notices(args []string) error {
	entries, files, err := t.readIndex()
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(noticesHead + "\n")
	for _, e := range entries {
		fmt.Fprintf(&b, "  %s (%s)\n", e.title(), e.licence)
	}
	for _, e := range entries {
		if c := decisions[e.path].credit; c != "" {
			b.WriteString("\n" + rule + e.title() + "\n" + rule + "\n" + c + "\n")
		}
		for _, name := range sortedKeys(files) {
			if !e.owns(entries, name) {
				continue
			}
			b.WriteString("\n" + rule + e.title() + ": " + strings.TrimPrefix(name, e.path+"/") + "\n" + rule + "\n")
			b.WriteString(strings.Trim(string(files[name]), "\n") + "\n")
		}
	}
	words, err := os.ReadFile(filepath.Join(t.root, wordsLicence))
	if err != nil {
		return err
	}
	b.WriteString("\n" + rule + "Words of jieba's dictionary, by which Chinese text is divided (MIT)\n" + rule + "\n" + string(words))
	return write(args[0], []byte(b.String()))
}

// wordsLicence is that of data which is embedded and belongs to no module.
const wordsLicence = "runtime/train/data/segment/words.LICENSE"

func (e entry) title() string {
	if e.path == standard {
		return "The Go runtime and standard library"
	}
	return strings.TrimSpace(e.path + " " + e.version)
}

// owns reports whether a file of the folder is a module's and not that of a module
// whose path is longer.
func (e entry) owns(all []entry, name string) bool {
	best := ""
	for _, o := range all {
		if strings.HasPrefix(name, o.path+"/") && len(o.path) > len(best) {
			best = o.path
		}
	}
	return best == e.path && path.Dir(name) != "."
}
