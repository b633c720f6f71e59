// Package devset holds sentences with their commands that the grammar of the default
// model is developed against: what a model trained on generated data gets wrong in them
// may be read, and shows what the grammar lacks. Neither the grammar nor training data
// may have them.
//
// Both sets were written one by one, as people speak, from schema.md alone, before their
// writers had read the grammar's files. The second is there because the grammar was
// improved with the first: its writer had not seen the first set's sentences either, so
// that it tells what the improvements are worth on sentences that nobody improved for.
//
// Then came the phrasebook, and the third set, whose writer had seen neither of the others
// nor the phrasebook.
//
// Seventeen of 544 of the first, 39 of 718 of the second and 66 of 938 of the third were left
// out because the evaluation set or a set before has them, too, by chance: which the
// evaluation set has is told by number only.
package devset

import (
	"embed"

	"github.com/ledge-run/ledge/runtime/home/evalset"
)

//go:embed sentences.jsonl second.jsonl third.jsonl
var files embed.FS

// Sentences are all of the first set.
func Sentences() ([]evalset.Item, error) { return evalset.Open(files, "sentences.jsonl") }

// Second are all of the second set, written after the grammar had been improved with
// the first. Once what is wrong in it has been read for the same end, it is as the first.
func Second() ([]evalset.Item, error) { return evalset.Open(files, "second.jsonl") }

// Third are all of the third set, written when there was a phrasebook.
func Third() ([]evalset.Item, error) { return evalset.Open(files, "third.jsonl") }
