package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu" // registers the processor
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
)

const builtin = "../../runtime/home/model/home.gguf"

// TestModel: the model that is built in does what the page about it says, on sentences
// that it was not trained on: the development set, with its output left free. Its scores
// on the sets that judge it are in docs/default-model.md.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	if err := writeSets(io.Discard, dir); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "dev.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := eval.ReadData(f, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	data.Sample(200, 1)
	m, err := engine.Open(t.Context(), builtin, engine.Options{Device: "cpu", Threads: 1, Sequences: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r, err := eval.Run(t.Context(), m, data, eval.Plan{Prompting: eval.Prompting{Raw: true}, MaxTokens: 120, Parallel: 8})
	if err != nil {
		t.Fatal(err)
	}
	if r.Items != 200 || r.Score < 0.85 {
		t.Errorf("%d items, %.3f of them right", r.Items, r.Score)
	}
}

// TestModelSum: the page names the file that is built in.
func TestModelSum(t *testing.T) {
	file, err := os.ReadFile(builtin)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/default-model.md")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file)
	if !strings.Contains(string(page), hex.EncodeToString(sum[:])) || bytes.Count(page, []byte("<!-- written by build/home-scores.sh -->")) != 1 {
		t.Errorf("docs/default-model.md does not name the SHA-256 of the model, %x: run build/home-scores.sh", sum)
	}
	for _, left := range []string{"EPOCHS", "MINUTES", "AIMS"} {
		if strings.Contains(string(page), left) {
			t.Errorf("docs/default-model.md has %s where there is to be something", left)
		}
	}
}
