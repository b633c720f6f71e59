package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/home"
	"github.com/ledge-run/ledge/runtime/home/evalset"
	"github.com/ledge-run/ledge/runtime/home/generate"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	for _, again := range []string{"a", "b"} {
		if err := write(filepath.Join(dir, again), generate.Train, 3, 2000); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "a", "train.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	same, err := os.ReadFile(filepath.Join(dir, "b", "train.jsonl"))
	if err != nil || !bytes.Equal(data, same) {
		t.Errorf("the same seed gives another file (%v)", err)
	}
	judged, err := judgedBy()
	if err != nil {
		t.Fatal(err)
	}
	prompts := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		var r row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		text, ends := strings.CutSuffix(r.Prompt, "\n")
		if !ends || prompts[text] {
			t.Errorf("prompt %q", r.Prompt)
		}
		prompts[text] = true
		if _, err := home.Parse(r.Completion); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if _, s := judged.Nearest(r.Prompt); s >= evalset.TooNear {
			t.Error("a line is too near to an evaluation sentence")
		}
	}
	if len(prompts) != 2000 {
		t.Errorf("%d lines", len(prompts))
	}
	page, err := os.ReadFile(filepath.Join(dir, "a", "train.md"))
	if err != nil || !strings.Contains(string(page), "| lines, all different | 2000 |") {
		t.Errorf("the report (%v):\n%.300s", err, page)
	}
	if err := write(dir, "validation", 1, 1); err == nil || !strings.Contains(err.Error(), "validation") {
		t.Errorf("a split that is none: %v", err)
	}
}

func TestDocumentNeedsItsMark(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("# Data\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := document(page); err == nil || !strings.Contains(err.Error(), mark) {
		t.Errorf("a page without the mark: %v", err)
	}
}
