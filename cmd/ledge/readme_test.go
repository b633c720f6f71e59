package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite what the built-in model answers in the READMEs")

var readmes = []string{"../../README.md", "../../README.zh-CN.md"}

// TestREADME: both languages have the same commands, the first ones need no model but
// the built-in one, and it answers as they say.
func TestREADME(t *testing.T) {
	var blocks [][]string
	for _, path := range readmes {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(data), "\n")
		var code []string
		answers := 0
		for i, line := range lines {
			text, indented := strings.CutPrefix(line, "    ")
			if !indented {
				continue
			}
			if strings.HasPrefix(text, "{\"") || text == "{}" {
				prompt, ok := strings.CutPrefix(lines[i-1], "    go run ./cmd/ledge run \"")
				if !ok {
					t.Fatalf("%s, line %d: an answer to %q", path, i+1, lines[i-1])
				}
				answers++
				r := ledge("run", strings.TrimSuffix(prompt, `"`))
				if want := strings.TrimSuffix(r.out, "\n"); text != want {
					if lines[i] = "    " + want; !*update {
						t.Errorf("%s, line %d: %s; it answers %s (-update writes that)", path, i+1, text, want)
					}
				}
				if r.code != 0 {
					t.Errorf("%q: %+v", prompt, r)
				}
				text = lines[i][4:]
			}
			code = append(code, text)
		}
		for _, want := range []string{"`\"intent\":\"none\"`", " 6"} { // what is no command
			if !strings.Contains(string(data), want) {
				t.Errorf("%s says nothing of %s", path, want)
			}
		}
		if answers < 2 || len(code) < 10 || !strings.HasPrefix(code[0], "go run ./cmd/ledge run \"") {
			t.Errorf("%s: %d answers in %q", path, answers, code)
		}
		blocks = append(blocks, code)
		if *update {
			if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(blocks[0], blocks[1]) {
		t.Errorf("%s has %q, %s has %q", readmes[0], blocks[0], readmes[1], blocks[1])
	}
}

// TestDesignGraph: docs/design.md shows a graph as ledge graph prints it, but for what is
// left out (...).
func TestDesignGraph(t *testing.T) {
	model := filepath.Join(os.Getenv("LEDGE_TEST_MODELS"), "smollm2-135m-instruct-q4_1.gguf")
	if _, err := os.Stat(model); err != nil {
		t.Skip("LEDGE_TEST_MODELS names no folder with smollm2-135m-instruct-q4_1.gguf")
	}
	page, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	graph := strings.Split(must(t, "graph", model, "--stage", "fused", "--device", "cpu"), "\n")
	shown := 0
	for line := range strings.Lines(string(page)) {
		text, ok := strings.CutPrefix(line, "    %")
		if !ok {
			continue
		}
		shown++
		var parts []string
		for _, part := range strings.Split(strings.TrimSpace(text), "...") {
			parts = append(parts, regexp.QuoteMeta(part))
		}
		like := regexp.MustCompile("^%" + strings.Join(parts, ".*") + "$")
		if !slices.ContainsFunc(graph, like.MatchString) {
			t.Errorf("docs/design.md shows a line that the graph has not: %s", line)
		}
	}
	if shown == 0 {
		t.Error("docs/design.md shows no graph")
	}
}
