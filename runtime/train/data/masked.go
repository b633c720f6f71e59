package data

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/ledge-run/ledge/runtime/train/data/mask"
	"github.com/ledge-run/ledge/runtime/train/data/neardup"
)

// maskedBeginning is the beginning of a text that was removed before it was masked. It is masked before it is cut, or half a
// number would be left, and more is masked than is shown, but not a whole book.
func (b Build) maskedBeginning(text string) string {
	const enough = 100 * exampleSize
	return mask.New(b.Settings.Mask...).Apply(text[:min(len(text), enough)], nil)
}

// maskedJSON masks the strings in a JSON value, names in objects among them, and numbers, which become strings. A value that has
// nothing to mask stays as it is, byte for byte.
func maskedJSON(m *mask.Masker, value []byte, counts map[mask.Kind]int) ([]byte, error) {
	var b bytes.Buffer
	for at := 0; at < len(value); {
		n := tokenSize(value[at:])
		token := value[at : at+n]
		at += n
		text := string(token)
		if token[0] == '"' {
			if err := json.Unmarshal(token, &text); err != nil {
				return nil, fmt.Errorf("a kept field is not JSON: %w", err)
			}
		}
		masked := m.Apply(text, counts)
		if masked == text {
			b.Write(token)
			continue
		}
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(masked); err != nil {
			return nil, err
		}
		b.Truncate(b.Len() - 1) // the end of the line
	}
	return b.Bytes(), nil
}

// tokenSize is the size of what a JSON value begins with: a string, a number or word, or a sign.
func tokenSize(value []byte) int {
	if value[0] == '"' {
		for i := 1; i < len(value); i++ {
			switch value[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(value)
	}
	if i := bytes.IndexAny(value, "{}[]:,\" \t\r\n"); i >= 0 {
		return max(1, i)
	}
	return len(value)
}

// groupHash tells groups apart; 0 is none.
func groupHash(group string) uint64 {
	if group == "" {
		return 0
	}
	return max(1, neardup.Hash(group))
}

// groupNames names groups whose values masking has changed, and may have made the same: by a number behind what is left, in the
// order in which they come. A hash in its place would tell who tries all telephone numbers which it was.
type groupNames struct {
	taken map[uint64]uint32 // by hash: all groups there are
	names map[uint64]string
	n     int
}

func newGroupNames(groups map[uint64]uint32) *groupNames {
	return &groupNames{taken: groups, names: map[uint64]string{}}
}

// name is what is written for a group: masked is its value as it was masked, hash that of what it was.
func (g *groupNames) name(masked string, hash uint64) string {
	if groupHash(masked) == hash {
		return masked
	}
	if name, known := g.names[hash]; known {
		return name
	}
	for {
		g.n++
		name := fmt.Sprintf("%s %d", masked, g.n)
		if _, other := g.taken[groupHash(name)]; !other {
			g.names[hash] = name
			return name
		}
	}
}
