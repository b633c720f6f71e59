package recipe

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Lesson is a short distillation: a student, such as what is left of a model after
// pruning, learns on some text to say what its teacher says.
type Lesson struct {
	Teacher, Student string
	Files            []string // JSONL
	Valid            []string // likewise; may be empty
	Out              string   // folder of all that comes of it

	Steps       int     // 0: by Epochs
	Epochs      float64 // 0: 1
	Rate        float64 // 0: 2e-4
	Temperature float64 // 0: as recipes have it
	Mix         float64 // of the labels; negative: as recipes have it
	TopK        int     // 0: as recipes have it
}

// Recipe is the lesson as a recipe, with settings that replace parts of it.
func (l Lesson) Recipe(set []string) (*Recipe, error) {
	length := l.length()
	for _, s := range set {
		if strings.HasPrefix(s, "train.steps=") || strings.HasPrefix(s, "train.epochs=") {
			length = "" // it is one of them
		}
	}
	text, err := l.yaml(length)
	if err != nil {
		return nil, err
	}
	return Parse(text, filepath.Join(l.Out, "recipe.yaml"), set)
}

func (l Lesson) length() string {
	if l.Steps > 0 {
		return fmt.Sprintf("steps: %d, ", l.Steps)
	}
	return "epochs: " + numberOr(l.Epochs, 1) + ", "
}

// numberOr writes a number, or the usual one if it is 0.
func numberOr(v, usual float64) string {
	if v == 0 {
		v = usual
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func (l Lesson) yaml(length string) ([]byte, error) {
	var failed error
	path := func(p string) string {
		abs, err := filepath.Abs(p)
		if err != nil {
			failed = err
		}
		return strconv.Quote(abs)
	}
	list := func(files []string) string {
		var all []string
		for _, f := range files {
			all = append(all, path(f))
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	valid := ""
	if len(l.Valid) > 0 {
		valid = "valid: " + list(l.Valid) + ", "
	}
	distill := "teacher: " + path(l.Teacher)
	if l.Temperature > 0 {
		distill += fmt.Sprintf(", temperature: %g", l.Temperature)
	}
	if l.Mix >= 0 {
		distill += fmt.Sprintf(", mix: %g", l.Mix)
	}
	if l.TopK > 0 {
		distill += fmt.Sprintf(", top_k: %d", l.TopK)
	}
	text := fmt.Sprintf(`# What a student learns from its teacher: ledge distill.
from: %s
distill: {%s}
data: {train: %s, %scontext: 512}
train: {%stokens_per_step: 2048, tokens_at_once: 512, rate: %s, decay: 0}
export: {type: F16}
out: %s
`, path(l.Student), distill, list(l.Files), valid, length, numberOr(l.Rate, 2e-4), path(l.Out))
	return []byte(text), failed
}
