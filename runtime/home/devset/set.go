// Package devset holds sentences with their commands that the grammar of the default
// model is developed against: what a model trained on generated data gets wrong in them
// may be read, and shows what the grammar lacks. They were written one by one, as people
// speak, from schema.md alone, before their writer had read the grammar's files; neither
// the grammar nor training data may have them. Seventeen of 544 were left out because the
// evaluation set has them, too, by chance: such sentences are told by their numbers only.
package devset

import (
	"bytes"
	_ "embed"
	"fmt"

	"github.com/ledge-run/ledge/runtime/home/evalset"
)

//go:embed sentences.jsonl
var sentences []byte

// Sentences are all of the set.
func Sentences() ([]evalset.Item, error) {
	items, err := evalset.Read(bytes.NewReader(sentences))
	if err != nil {
		return nil, fmt.Errorf("sentences.jsonl: %w", err)
	}
	return items, nil
}
