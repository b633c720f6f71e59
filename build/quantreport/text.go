package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// readText reads a text, or the prompts and completions of a .jsonl file as models are
// trained on them, a line for each.
func readText(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(path, ".jsonl") {
		return b, err
	}
	var text bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		var l struct{ Prompt, Completion string }
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, n, err)
		}
		fmt.Fprintf(&text, "%s%s\n", l.Prompt, l.Completion)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text.Bytes(), nil
}
