package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ledge-run/ledge/runtime/home"
	"github.com/ledge-run/ledge/runtime/home/devset"
	"github.com/ledge-run/ledge/runtime/home/evalset"
)

// judged is a sentence as ledge eval reads it: with its command, or with the intents
// that are as good as right.
type judged struct {
	ID      string        `json:"id"`
	Lang    string        `json:"lang"`
	Prompt  string        `json:"prompt"`
	Command *home.Command `json:"command,omitempty"`
	Answer  []string      `json:"answer,omitempty"`
}

// judgedSets are the sentences that are for evaluation and development only.
var judgedSets = []struct {
	name  string
	read  func() ([]evalset.Item, error)
	route bool // only whether a sentence is in the task is asked
}{
	{"handwritten", evalset.Handwritten, false},
	{"routing", evalset.Routing, true},
	{"dev", devset.Sentences, false},
	{"dev2", devset.Second, false},
	{"dev3", devset.Third, false},
}

// judgedBy is an index of them, as the model reads them.
func judgedBy() (*evalset.Index, error) {
	index := evalset.NewIndex()
	for _, set := range judgedSets {
		items, err := set.read()
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			index.Add(home.Prompt(it.Text))
		}
	}
	return index, nil
}

// writeSets writes the sets that the model is judged by, and to w how many sentences each
// has. Of routing.jsonl only whether a sentence is in the task is asked: its answers are
// "none", or all other intents (ledge eval --regex takes the intent out of the line).
func writeSets(w io.Writer, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var commands []string
	for _, i := range home.Intents {
		if i != "none" {
			commands = append(commands, i)
		}
	}
	for _, set := range judgedSets {
		items, err := set.read()
		if err != nil {
			return err
		}
		var lines bytes.Buffer
		enc := json.NewEncoder(&lines)
		enc.SetEscapeHTML(false)
		for _, it := range items {
			line := judged{ID: it.ID, Lang: it.Lang, Prompt: home.Prompt(it.Text)}
			switch {
			case !set.route:
				line.Command = &it.Command
			case it.InTask():
				line.Answer = commands
			default:
				line.Answer = []string{"none"}
			}
			if err := enc.Encode(line); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(dir, set.name+".jsonl"), lines.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: %d sentences\n", set.name, len(items))
	}
	return nil
}

// vocabularyLines is how many lines a vocabulary is trained on.
const vocabularyLines = 100000

// vocabularyText is what a vocabulary is trained on: prompts and completions, with every
// Chinese character on a line of its own. So no token has two of them: 一点 is "one
// o'clock" in 十一点半 and "a bit" elsewhere, and a model of a million parameters learns
// such things from characters more readily than which token hides which.
func vocabularyText(lines []byte) []byte {
	var out bytes.Buffer
	n := 0
	for line := range bytes.Lines(lines) {
		var r row
		if n++; n > vocabularyLines || json.Unmarshal(line, &r) != nil {
			break
		}
		for _, c := range r.Prompt + r.Completion + "\n" {
			if c < 0x2e80 { // scripts before the first of Chinese
				out.WriteRune(c)
				continue
			}
			out.WriteByte('\n')
			out.WriteRune(c)
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}
