package home

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// MaxReply is the length of the longest reply in characters.
const MaxReply = 80

// Command is what a sentence wants. Empty fields are what it leaves open.
type Command struct {
	Intent string
	Device string
	Room   string // rooms in the order they are named, joined by "+"
	Value  string // as Value.String writes it
	Reply  string // what is said in answer; labels have none
}

// keys in the order of the line.
var keys = []string{"intent", "device", "room", "value", "reply"}

func (c *Command) field(key string) *string {
	switch key {
	case "intent":
		return &c.Intent
	case "device":
		return &c.Device
	case "room":
		return &c.Room
	case "value":
		return &c.Value
	case "reply":
		return &c.Reply
	}
	return nil
}

// String is the command as its line of JSON. Without a reply that key is left out.
func (c Command) String() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, key := range keys {
		text := *c.field(key)
		if key == "reply" && text == "" {
			continue
		}
		b.WriteByte("{,"[min(i, 1)])
		fmt.Fprintf(&b, "%q:", key)
		enc.Encode(text) // a string always encodes
		b.Truncate(b.Len() - 1)
	}
	b.WriteByte('}')
	return b.String()
}

// MarshalJSON writes the line of String.
func (c Command) MarshalJSON() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalJSON reads what Parse reads.
func (c *Command) UnmarshalJSON(b []byte) error {
	parsed, err := Parse(string(b))
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}

// Same reports whether two commands ask for the same; replies may differ.
func (c Command) Same(d Command) bool {
	c.Reply, d.Reply = "", ""
	return c == d
}

// Rooms are the rooms a command names, in the order they are named.
func (c Command) Rooms() []string {
	if c.Room == "" {
		return nil
	}
	return strings.Split(c.Room, "+")
}

// Parse reads an output line: an object with the keys intent, device, room and
// value in this order, and reply or not. It refuses what Check refuses.
func Parse(line string) (Command, error) {
	var c Command
	if !utf8.ValidString(line) {
		return Command{}, errors.New("a command is not UTF-8")
	}
	dec := json.NewDecoder(strings.NewReader(line))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return Command{}, fmt.Errorf("a command is one JSON object, not %.40q", line)
	}
	n := 0
	for ; dec.More(); n++ {
		t, err := dec.Token()
		if err != nil {
			return Command{}, fmt.Errorf("command %.80q: %w", line, err)
		}
		if n == len(keys) || t != keys[n] {
			return Command{}, fmt.Errorf("command %.80q: key %q where %s", line, fmt.Sprint(t), expected(n))
		}
		if t, err = dec.Token(); err != nil {
			return Command{}, fmt.Errorf("command %.80q: %w", line, err)
		}
		text, is := t.(string)
		if !is {
			return Command{}, fmt.Errorf("command %.80q: %s is no string", line, keys[n])
		}
		*c.field(keys[n]) = text
	}
	if _, err := dec.Token(); err != nil {
		return Command{}, fmt.Errorf("command %.80q: the object does not end: %w", line, err)
	}
	if n < len(keys)-1 {
		return Command{}, fmt.Errorf("command %.80q: %q is missing", line, keys[n])
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Command{}, fmt.Errorf("command %.80q: something follows the object", line)
	}
	if n == len(keys) && c.Reply == "" {
		return Command{}, fmt.Errorf("command %.80q: an empty reply; leave the key out", line)
	}
	if err := c.Check(); err != nil {
		return Command{}, err
	}
	return c, nil
}

func expected(n int) string {
	if n == len(keys) {
		return "the object ends"
	}
	return fmt.Sprintf("%q belongs", keys[n])
}
