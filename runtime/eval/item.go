package eval

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/jsonfault"
)

// Task is what a data set asks for.
type Task string

// The tasks, by what a line has besides its text.
const (
	Choice  Task = "choice"  // options, and the label of the right one
	Label   Task = "label"   // a label; the options are those of all lines
	Answer  Task = "answer"  // one answer, or a list of which one is right
	Command Task = "command" // a JSON object, scored field by field
)

// maxLine bounds a line of a data set.
const maxLine = 4 << 20

// Item is one line of a data set.
type Item struct {
	Line    int
	Text    string
	Options []string // Choice and Label
	Is      string   // Choice and Label: the right option
	Answers []string
	Command map[string]any
	raw     string // Command, compact, as examples show it
}

// right is the text that answers the item.
func (i *Item) right(t Task) string {
	switch t {
	case Answer:
		return i.Answers[0]
	case Command:
		return i.raw
	}
	return i.Is
}

// Data is a data set.
type Data struct {
	Task    Task
	Items   []Item
	Options []string // Label: all labels, in order; Choice: nil
	Skipped []error  // lines left out, with what is wrong with them
}

// row is a line as it is written.
type row struct {
	Text    *string         `json:"text"`
	Prompt  *string         `json:"prompt"`
	Options []string        `json:"options"`
	Label   json.RawMessage `json:"label"`
	Answer  json.RawMessage `json:"answer"`
	Command json.RawMessage `json:"command"`
}

// ReadData reads a data set: JSON objects, one on a line, with "text" (or "prompt")
// and either "label" and "options", "label", "answer" or "command"; other fields
// are left out. A line that is not so is an error that names it, or, with
// skipBad, is skipped. labels, if not nil, are the options of lines that have none.
func ReadData(r io.Reader, labels []string, skipBad bool) (*Data, error) {
	if err := CheckLabels(labels); err != nil {
		return nil, err
	}
	d := &Data{Options: slices.Clone(labels)}
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	line := 0
	for s.Scan() {
		line++
		text := bytes.TrimSpace(s.Bytes())
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		if len(text) == 0 {
			continue
		}
		item, task, err := readItem(text)
		if err == nil && d.Task != "" && task != d.Task {
			err = fmt.Errorf("it is of the task %s, the lines before of %s", task, d.Task)
		}
		if err != nil {
			err = fmt.Errorf("line %d: %w", line, err)
			if !skipBad {
				return nil, err
			}
			d.Skipped = append(d.Skipped, err)
			continue
		}
		item.Line, d.Task = line, task
		d.Items = append(d.Items, item)
	}
	if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d: it is longer than %d MiB", line+1, maxLine>>20)
	} else if err != nil {
		return nil, err
	}
	if len(d.Items) == 0 {
		return nil, fmt.Errorf("there is no item in it (%d lines, %d left out)", line, len(d.Skipped))
	}
	return d, d.label(labels, skipBad)
}

// CheckLabels refuses labels that are not told apart: an average over classes would
// count one twice.
func CheckLabels(labels []string) error {
	for i, l := range labels {
		if l == "" {
			return errors.New("one of the labels is empty")
		}
		if slices.Contains(labels[:i], l) {
			return fmt.Errorf("the label %.60q is given twice", l)
		}
	}
	return nil
}

// label gives items without options those of all.
func (d *Data) label(labels []string, skipBad bool) error {
	if d.Task != Label {
		d.Options = nil
		return nil
	}
	if labels == nil {
		for _, i := range d.Items {
			d.Options = append(d.Options, i.Is)
		}
		slices.Sort(d.Options)
		d.Options = slices.Compact(d.Options)
	}
	if len(d.Options) < 2 {
		return fmt.Errorf("all lines have the label %.60q: there is nothing to tell apart; --labels names others", d.Options)
	}
	kept := d.Items[:0]
	for _, i := range d.Items {
		i.Options = d.Options
		if !slices.Contains(d.Options, i.Is) {
			err := fmt.Errorf("line %d: the label %.60q is none of those given", i.Line, i.Is)
			if !skipBad {
				return err
			}
			d.Skipped = append(d.Skipped, err)
			continue
		}
		kept = append(kept, i)
	}
	if d.Items = kept; len(kept) == 0 {
		return errors.New("no line has one of the labels given")
	}
	return nil
}

// readItem reads one line.
func readItem(line []byte) (Item, Task, error) {
	var i Item
	if !utf8.Valid(line) {
		return i, "", errors.New("it is not UTF-8")
	}
	var r row
	if line[0] != '{' {
		return i, "", errors.New("it is no JSON object")
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return i, "", fmt.Errorf("it is no JSON object with the fields of a data set: %w", jsonfault.Of(err))
	}
	switch {
	case r.Text != nil && r.Prompt != nil:
		return i, "", errors.New(`it has both "text" and "prompt"`)
	case r.Text != nil:
		i.Text = *r.Text
	case r.Prompt != nil:
		i.Text = *r.Prompt
	default:
		return i, "", errors.New(`it has no "text" (or "prompt")`)
	}
	has := func(m json.RawMessage) bool { return len(m) > 0 && string(m) != "null" }
	n := 0
	for _, m := range []json.RawMessage{r.Label, r.Answer, r.Command} {
		if has(m) {
			n++
		}
	}
	switch {
	case n == 0:
		return i, "", errors.New(`it has none of "label", "answer" and "command"`)
	case n > 1:
		return i, "", errors.New(`it has more than one of "label", "answer" and "command"`)
	case r.Options != nil && !has(r.Label):
		return i, "", errors.New(`it has "options", but no "label"`)
	case has(r.Command):
		return i, Command, i.readCommand(r.Command)
	case has(r.Answer):
		return i, Answer, i.readAnswer(r.Answer)
	}
	return i.readLabel(r)
}

func (i *Item) readCommand(raw json.RawMessage) error {
	var err error
	if i.Command, err = parseObject(raw); err != nil {
		return fmt.Errorf(`"command" is no JSON object: %w`, err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return err
	}
	i.raw = b.String()
	return nil
}

func (i *Item) readAnswer(raw json.RawMessage) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		i.Answers = []string{one}
		return nil
	}
	if json.Unmarshal(raw, &i.Answers) != nil || len(i.Answers) == 0 {
		return errors.New(`"answer" must be a text or a list of texts`)
	}
	return nil
}

func (i Item) readLabel(r row) (Item, Task, error) {
	var index int
	switch {
	case json.Unmarshal(r.Label, &i.Is) == nil:
	case r.Options == nil || json.Unmarshal(r.Label, &index) != nil:
		return i, "", errors.New(`"label" must be a text, or with "options" the number of one, from 0`)
	case index < 0 || index >= len(r.Options):
		return i, "", fmt.Errorf(`"label" is %d, and there are %d options, from 0`, index, len(r.Options))
	default:
		i.Is = r.Options[index]
	}
	if r.Options == nil {
		if i.Is == "" {
			return i, "", errors.New(`"label" is empty`)
		}
		return i, Label, nil
	}
	i.Options = r.Options
	switch {
	case len(r.Options) < 2:
		return i, "", errors.New(`"options" has less than two texts`)
	case slices.Contains(r.Options, ""):
		return i, "", errors.New(`"options" has an empty text`)
	case !slices.Contains(r.Options, i.Is):
		return i, "", fmt.Errorf(`"label" %.60q is none of the options`, i.Is)
	}
	sorted := slices.Sorted(slices.Values(r.Options))
	if len(slices.Compact(sorted)) < len(r.Options) {
		return i, "", errors.New(`"options" has a text twice`)
	}
	return i, Choice, nil
}

// Sample keeps n items, drawn by a seed, in the order they have; 0 keeps all.
func (d *Data) Sample(n int, seed uint64) {
	if n <= 0 || n >= len(d.Items) {
		return
	}
	r := rand.New(rand.NewPCG(seed, 0x6c65646765))
	at := r.Perm(len(d.Items))[:n]
	slices.Sort(at)
	kept := make([]Item, 0, n)
	for _, i := range at {
		kept = append(kept, d.Items[i])
	}
	d.Items = kept
}

// normal is a text as exact match compares it.
func (o *MatchOptions) normal(s string) string {
	if o.IgnoreCase {
		s = strings.ToLower(s)
	}
	if o.IgnorePunctuation {
		s = strings.Map(func(r rune) rune {
			if isPunctuation(r) {
				return -1
			}
			return r
		}, s)
	}
	return strings.Join(strings.Fields(s), " ")
}
