// Package evalset holds the sentences that the default model is judged by, with
// their commands: handwritten.jsonl, and routing.jsonl for telling what is in the
// task from what is not. They were written one by one, before there was a generator,
// for evaluation only: what makes or sees training data must not learn from them.
// It may use Index to keep its lines away from them.
package evalset

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/ledge-run/ledge/runtime/home"
)

//go:embed handwritten.jsonl routing.jsonl
var files embed.FS

// maxLine is the longest line Read takes, in bytes.
const maxLine = 1 << 16

// Item is a sentence and the command it means.
type Item struct {
	ID      string       `json:"id"`
	Lang    string       `json:"lang"` // zh, en or mixed
	Text    string       `json:"text"`
	Command home.Command `json:"command"`
}

// InTask reports whether the sentence asks for something that a home does.
func (it Item) InTask() bool { return it.Command.Intent != "none" }

// Handwritten is the set for exact match and slots.
func Handwritten() ([]Item, error) { return Open(files, "handwritten.jsonl") }

// Routing is the held-out set for telling in from out of the task, half of it each.
func Routing() ([]Item, error) { return Open(files, "routing.jsonl") }

// Open reads a file of items.
func Open(folder fs.FS, name string) ([]Item, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	items, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return items, nil
}

// Read reads items, one JSON object a line; empty lines are passed over. The
// first wrong line is named.
func Read(r io.Reader) ([]Item, error) {
	var items []Item
	ids := map[string]int{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		it, err := parse(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if before, twice := ids[it.ID]; twice {
			return nil, fmt.Errorf("line %d: id %q is that of line %d", n, it.ID, before)
		}
		ids[it.ID] = n
		items = append(items, it)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return items, nil
}

func parse(line []byte) (Item, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	var it Item
	if err := dec.Decode(&it); err != nil {
		return Item{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Item{}, errors.New("something follows the object")
	}
	switch {
	case it.ID == "":
		return Item{}, errors.New("no id")
	case it.Lang != "zh" && it.Lang != "en" && it.Lang != "mixed":
		return Item{}, fmt.Errorf("%s: lang %q is not zh, en or mixed", it.ID, it.Lang)
	case it.Text == "":
		return Item{}, fmt.Errorf("%s: no text", it.ID)
	case it.Command.Intent == "":
		return Item{}, fmt.Errorf("%s: no command", it.ID)
	}
	return it, nil
}
