package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// judgedBy are their texts, in some form, with an index of them.
func judgedBy(form func(evalset.Item) string) (*evalset.Index, []string, error) {
	var texts []string
	for _, set := range judgedSets {
		items, err := set.read()
		if err != nil {
			return nil, nil, err
		}
		for _, it := range items {
			texts = append(texts, form(it))
		}
	}
	return evalset.NewIndex(texts...), texts, nil
}

// promptOf is a sentence as the model reads it.
func promptOf(it evalset.Item) string { return home.Prompt(it.Text) }

// writeSets writes the sets that the model is judged by, and to w how many sentences of
// each. If there is a train.jsonl beside them, what is within trigram Jaccard 0.8 of any of
// its prompts as they are read, with numbers in digits, is left out and counted: that a
// sentence is said in other digits keeps it from being a line of the data, but not from
// being the same to the model. Of routing.jsonl only whether a sentence is in the task is
// asked: its answers are "none", or all other intents (ledge eval --regex takes the intent
// out of the line).
func writeSets(w io.Writer, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	known, err := nearTraining(filepath.Join(dir, "train.jsonl"), filepath.Join(dir, "clear", "train.jsonl"))
	if err != nil {
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
		left := 0
		for _, it := range items {
			line := judged{ID: it.ID, Lang: it.Lang, Prompt: promptOf(it)}
			if known[line.Prompt] {
				left++
				continue
			}
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
		fmt.Fprintf(w, "%s: %d sentences, %d left out: too near a training line\n", set.name, len(items)-left, left)
	}
	return nil
}

// nearTraining are the judged prompts that are too near a line of the training data that there are.
func nearTraining(paths ...string) (map[string]bool, error) {
	index, prompts, err := judgedBy(promptOf)
	if err != nil {
		return nil, err
	}
	near := map[string]bool{}
	for _, path := range paths {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		for d := json.NewDecoder(bufio.NewReader(f)); ; {
			var r row
			if err := d.Decode(&r); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			if at, s := index.Nearest(r.Prompt); s >= evalset.TooNear {
				near[prompts[at]] = true
			}
		}
	}
	return near, nil
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
