package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLicencesAreNew: what is committed is what is linked.
func TestLicencesAreNew(t *testing.T) {
	must(t, "licences", "-check")
}

// TestStaleLicences: a module, a text or a line more or less is found, and mended.
func TestStaleLicences(t *testing.T) {
	want, err := readFolder("../../third_party/licences")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "licences")
	mend := func() {
		t.Helper()
		if err := settle(dir, want, false); err != nil {
			t.Fatal(err)
		}
		if err := settle(dir, want, true); err != nil {
			t.Fatal(err)
		}
	}
	mend()
	for _, spoil := range []func() error{
		func() error { return os.Remove(filepath.Join(dir, "std", "LICENSE")) },
		func() error { return write(filepath.Join(dir, "example.com", "old", "LICENSE"), []byte("old")) },
		func() error { return write(filepath.Join(dir, "gorgonia.org", "cu", "LICENSE"), []byte("else")) },
		func() error { return write(filepath.Join(dir, index), []byte("std\t\tMIT\n")) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if err := settle(dir, want, true); err == nil || !strings.Contains(err.Error(), "go run ./build/release licences") {
			t.Errorf("a stale folder is found right: %v", err)
		}
		mend()
	}
}

func TestIdentify(t *testing.T) {
	mit, err := os.ReadFile("../../third_party/licences/github.com/urfave/cli/v2/LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text, want string
	}{
		{"LICENSE", string(mit), "MIT"},
		{"LICENSE", "All rights reserved. You may look.", ""},
		{"LICENSE", string(mit) + strings.Repeat("And you must send us a postcard from where you live. ", 40), ""},
		{"LICENSE", "", ""},
	} {
		ids, err := identify(c.name, []byte(c.text))
		if got := strings.Join(ids, " "); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%.40q: %q, %v; want %q", c.text, got, err, c.want)
		}
	}
	for name, want := range map[string]bool{
		"LICENSE": true, "LICENCE.md": true, "license.txt": true, "COPYING": true, "NOTICE": true, "LICENSE-MIT": true, "PATENTS": true,
		"UNLICENSE": true, "licenses": false, "relicense.go": false, "README.md": false,
	} {
		if licenceFile.MatchString(name) != want {
			t.Errorf("%s is a licence: %v", name, !want)
		}
	}
}

// TestNotices: the file has every licence that is committed, once.
func TestNotices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "THIRD_PARTY_NOTICES")
	must(t, "notices", path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files, err := readFolder("../../third_party/licences")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for name, data := range files {
		if name == index {
			continue
		}
		module, file := filepath.Split(name)
		if module == "std/" {
			module = "The Go runtime and standard library/"
		}
		if !bytes.Contains(text, bytes.Trim(data, "\n")) {
			t.Errorf("%s is not in it", name)
		}
		heads := 0
		for _, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, strings.TrimSuffix(module, "/")) && strings.HasSuffix(line, ": "+file) {
				heads++
			}
		}
		if heads != 1 {
			t.Errorf("%s has %d headings", name, heads)
		}
	}
}
