package distill

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// What a tokenizer is made of: the keys of a file that decide which ids a text is.
const (
	keyModel  = "tokenizer.ggml.model"
	keyPre    = "tokenizer.ggml.pre"
	keyTokens = "tokenizer.ggml.tokens"
	keyTypes  = "tokenizer.ggml.token_type"
	keyMerges = "tokenizer.ggml.merges"
	keyScores = "tokenizer.ggml.scores"
)

// SameTokenizer asks that a teacher's file and a student's cut a text into the same
// ids. The error says, in one line, where they differ first.
func SameTokenizer(teacher, student *gguf.File) error {
	const so = "; a student learns from a teacher with its own tokenizer only"
	text := func(f *gguf.File, key string) string {
		s, _ := f.String(key)
		return s
	}
	a, ok := teacher.Strings(keyTokens)
	b, ok2 := student.Strings(keyTokens)
	if !ok || !ok2 {
		return fmt.Errorf("the %s has no vocabulary%s", map[bool]string{false: "teacher", true: "student"}[ok], so)
	}
	if x, y := text(teacher, keyModel), text(student, keyModel); x != y {
		return fmt.Errorf("the teacher's tokenizer is of kind %q, the student's %q%s", x, y, so)
	}
	if len(a) != len(b) {
		return fmt.Errorf("the teacher's tokenizer has %d tokens, the student's %d%s", len(a), len(b), so)
	}
	for i, x := range a {
		if x != b[i] {
			return fmt.Errorf("token %d is %q in the teacher's tokenizer, %q in the student's%s", i, x, b[i], so)
		}
	}
	if x, y := text(teacher, keyPre), text(student, keyPre); x != y {
		return fmt.Errorf("the teacher's tokenizer cuts words as %q, the student's as %q%s", x, y, so)
	}
	x, _ := teacher.Strings(keyMerges)
	y, _ := student.Strings(keyMerges)
	if !slices.Equal(x, y) {
		return fmt.Errorf("the tokenizers of teacher and student merge in other orders (%d and %d merges)%s", len(x), len(y), so)
	}
	p, _ := teacher.Floats(keyScores)
	q, _ := student.Floats(keyScores)
	if text(teacher, keyModel) == "llama" && !slices.Equal(p, q) {
		return fmt.Errorf("the tokens of teacher and student have other scores%s", so)
	}
	return nil
}

// VocabularyKey tells vocabularies apart.
func VocabularyKey(f *gguf.File) (key [sha256.Size]byte) {
	h := sha256.New()
	for _, k := range []string{keyModel, keyPre, keyTokens, keyTypes, keyMerges, keyScores} {
		v, _ := f.Value(k)
		fmt.Fprintf(h, "%s=%#v\n", k, v) // where an element ends is to be seen
	}
	h.Sum(key[:0])
	return key
}
