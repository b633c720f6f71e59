package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocs: the code in docs/libledge.md is that of the examples, which the other tests
// run. LEDGE_TEST_UPDATE=1 writes it there.
func TestDocs(t *testing.T) {
	const page = "../../docs/libledge.md"
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	want := regexp.MustCompile("(?s)<!-- (cmd/libledge/\\S+) -->\n```(\\w+)\n.*?```\n").ReplaceAllStringFunc(string(have), func(block string) string {
		name := strings.Fields(block)[1]
		code, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		blocks++
		_, language, _ := strings.Cut(block, "```")
		language, _, _ = strings.Cut(language, "\n")
		return "<!-- " + name + " -->\n```" + language + "\n" + string(code) + "```\n"
	})
	if blocks != 4 {
		t.Errorf("%d files are shown", blocks)
	}
	if want == string(have) {
		return
	}
	if os.Getenv("LEDGE_TEST_UPDATE") == "" {
		t.Fatal("docs/libledge.md shows code that is not in the examples: run this with LEDGE_TEST_UPDATE=1")
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
