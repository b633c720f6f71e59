package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// limits are the sizes that stripped binaries may have, by the beginning of their
// names: promises of the README.
var limits = []struct {
	name  string
	bytes int64
}{
	{"libledge.so", 18_000_000},
	{"ledge", 20_000_000},
}

// sizes writes a table of binaries and fails if one is larger than it may be.
func (t *task) sizes(args []string) error {
	var tooLarge []string
	table := "| file | bytes | MB | at most | symbols |\n| --- | ---: | ---: | ---: | --- |\n"
	for _, path := range args {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no file", path)
		}
		most := "-"
		if limit, ok := limitOf(filepath.Base(path)); ok {
			most = megabytes(limit) + " MB"
			if info.Size() > limit {
				tooLarge = append(tooLarge, fmt.Sprintf("%s has %d bytes, %d too many", path, info.Size(), info.Size()-limit))
			}
		}
		symbols, err := symbols(path)
		if err != nil {
			return err
		}
		table += fmt.Sprintf("| %s | %d | %s | %s | %s |\n", filepath.Base(path), info.Size(), megabytes(info.Size()), most, symbols)
	}
	if _, err := fmt.Fprint(t.stdout, table); err != nil {
		return err
	}
	if len(tooLarge) > 0 {
		return errors.New(strings.Join(tooLarge, "; "))
	}
	return nil
}

// limitOf is how many bytes a file of a name may have.
func limitOf(name string) (int64, bool) {
	for _, l := range limits {
		if name == l.name || l.name == "libledge.so" && strings.HasPrefix(name, l.name+".") {
			return l.bytes, true
		}
	}
	return 0, false
}

func megabytes(n int64) string { return fmt.Sprintf("%.2f", float64(n)/1e6) }

// symbols says whether a binary still has its symbols.
func symbols(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		var format *elf.FormatError
		if errors.As(err, &format) {
			return "-", nil // another system's
		}
		return "", fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	if f.Section(".symtab") != nil {
		return "kept", nil
	}
	return "stripped", nil
}
