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
		link             bool
	}{
		{"LICENSE", string(mit), "MIT", false},
		{"PATENTS", "whatever", "", false},
		{"LICENSE-link.txt", "as described in\nhttps://creativecommons.org/licenses/by/4.0/legalcode", "CC-BY-4.0", true},
		{"LICENSE", "All rights reserved. You may look.", "error", false},
		{"LICENSE", string(mit) + strings.Repeat("And you must send us a postcard from where you live. ", 40), "error", false},
		{"LICENSE", "", "error", false},
	} {
		ids, link, err := identify(c.name, []byte(c.text))
		got := strings.Join(ids, " ")
		if err != nil {
			got = "error"
		}
		if got != c.want || link != c.link {
			t.Errorf("%s, %.40q: %q, %v, %v; want %q, %v", c.name, c.text, got, link, err, c.want, c.link)
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

// TestModules: what a module has decides whether it can be shipped.
func TestModules(t *testing.T) {
	mit, err := os.ReadFile("../../third_party/licences/github.com/urfave/cli/v2/LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	const link = "https://creativecommons.org/licenses/by/4.0/legalcode"
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{map[string]string{"LICENSE": string(mit)}, "MIT"},
		{map[string]string{"sub/COPYING": string(mit), "other/LICENSE": "not linked"}, "MIT"},
		{map[string]string{"LICENSE": string(mit), "PATENTS": "x", "license.go": "package x"}, "MIT"},
		{map[string]string{"README": string(mit)}, "has no licence that is known"},
		{map[string]string{"NOTICE": string(mit)}, "has no licence that is known"},
		{map[string]string{"LICENSE": string(mit), "LICENSE-link.txt": link}, "names the licence CC-BY-4.0 and does not have it"},
		{map[string]string{"LICENSE": "Ask me."}, "decide in build/release/identify.go"},
	} {
		dir := t.TempDir()
		for name, text := range c.files {
			if err := write(filepath.Join(dir, name), []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		_ = os.Mkdir(filepath.Join(dir, "sub"), 0o755)
		_, ids, err := licencesOf(module{path: "m.example", version: "v1.0.0", dir: dir, packages: []string{"m.example/sub"}})
		if got := strings.Join(ids, " "); err == nil && got != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %q, %v; want %q", c.files, got, err, c.want)
		}
	}
	if _, _, err := licencesOf(module{path: "m.example", version: "v1.0.0"}); err == nil {
		t.Error("a module that is not there has licences")
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
		if !bytes.Contains(text, bytes.Trim(data, "\n")) {
			t.Errorf("%s is not in it", name)
		}
		heads := 0
		for i := range name {
			if name[i] != '/' {
				continue
			}
			module, file := name[:i], name[i+1:] // of which one pair is the module's
			if module == "std" {
				module = "The Go runtime and standard library"
			}
			for _, line := range strings.Split(string(text), "\n") {
				if title, rest, ok := strings.Cut(line, ": "); ok && rest == file && (title == module || strings.HasPrefix(title, module+" ")) {
					heads++
				}
			}
		}
		if heads != 1 {
			t.Errorf("%s has %d headings", name, heads)
		}
	}
}
