package home

import "strings"

// Prompt is a sentence as the model reads it: in its one way of writing, and with a
// newline that says that it is complete. What the model writes then is the command's
// line.
func Prompt(text string) string { return Normal(text) + "\n" }

// None is the line of a sentence that is no household command.
const None = `{"intent":"none","device":"","room":"","value":""}`

// WithoutReply takes the reply off an output line, whole or cut within the reply.
// False: the line was cut before that, or is none.
func WithoutReply(line string) (string, bool) {
	head, _, ok := strings.Cut(line, `,"reply":`)
	return head + "}", ok
}
