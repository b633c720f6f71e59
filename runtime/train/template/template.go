// Package template names what stands for a record's texts in the text around them, which recipes give and feeds fill in.
package template

import (
	"fmt"
	"strings"
)

// What stands for a record's texts.
const (
	Prompt     = "{prompt}"
	Trimmed    = "{prompt|trim}" // without white space around it, as many chat templates have a message
	Completion = "{completion}"
)

// Check reports a template that does not have a prompt and then a completion, each once.
func Check(text string) error {
	if n := strings.Count(text, Prompt) + strings.Count(text, Trimmed); n != 1 {
		return fmt.Errorf("must have %s in it, or %s, once", Prompt, Trimmed)
	}
	if strings.Count(text, Completion) != 1 {
		return fmt.Errorf("must have %s in it, once", Completion)
	}
	if at := strings.Index(text, Completion); at < strings.Index(text, Prompt[:len(Prompt)-1]) {
		return fmt.Errorf("has %s before %s", Completion, Prompt)
	}
	return nil
}
