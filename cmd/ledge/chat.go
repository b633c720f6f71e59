package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/engine"
)

func (a *app) chatCommand() *cli.Command {
	c := &cli.Command{
		Name:   "chat",
		Usage:  "talk with a model",
		Flags:  join(generationFlags(), limitFlags(), nameFlags(), []cli.Flag{loraFlag()}, deviceFlags()),
		Action: a.chat,
	}
	return describe(c, "ledge chat [FLAGS]\nledge chat [FLAGS] < FILE", `
Every line is a message. On a terminal, a line that ends in a backslash goes on in the
next; Ctrl-C stops an answer, Ctrl-D or /exit leaves. From a pipe, each line is a message
as it stands, with a backslash at its end, too, and each answer ends with a newline on
standard output. When the context is full, the oldest messages leave (the system message
stays), and you are told. An answer that the battery's floor ended can be asked for again
with a charger; from a pipe the chat ends.

`+chatHelp,
		`ledge chat`,
		`ledge chat -m qwen3:0.6b --system "You answer briefly."`,
		`ledge chat --battery-floor 20 --max-temp 75`,
		`printf 'My name is Ada.\nWhat is my name?\n' | ledge chat --temp 0`)
}

const chatHelp = `/system [TEXT]   show or set the system message; "" removes it
/clear           forget the conversation; the system message stays
/save FILE       write the conversation as JSON
/load FILE       go on with a conversation from a file
/stats           figures of the last answer and of the context
/help            this list
/exit            leave
A message that begins with a slash has a space before it.`

// conversation is a chat in progress.
type conversation struct {
	a       *app
	m       *engine.Model
	session *reader
	set     engine.Settings
	inputs  []string // files that are read besides the model
	stats   bool     // after every answer

	system   string
	messages []chat.Message // without the system message
	answered bool           // there is a last answer
	failed   bool           // a message could not be answered
}

func (a *app) chat(c *cli.Context) (err error) {
	if err := only(c, 0, ""); err != nil {
		return err
	}
	if is, err := a.asksBuiltin(c); err != nil {
		return err
	} else if is {
		return usagef("the built-in model does not talk, but turns household commands into JSON: ledge run asks it; for a chat name a model, such as -m %s", defaultModel)
	}
	set, err := settings(c)
	if err != nil {
		return err
	}
	if set.Grammar, err = a.grammar(c); err != nil {
		return err
	}
	if err := checkUTF8("the system message", c.String("system")); err != nil {
		return err
	}
	m, name, err := a.open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close(m)) }()
	t, err := m.Chat()
	if err != nil {
		return err
	}
	a.noteFallback(t)
	v := &conversation{a: a, m: m, session: a.newReader(m), set: set, system: c.String("system"), stats: c.Bool("stats"),
		inputs: append(filesOf(c, "lora"), filesOf(c, "json-schema")...)}
	defer v.session.Close()
	lines := a.newLineReader()
	if lines.interactive() {
		a.note("%s on %s. /help lists the commands, Ctrl-D leaves.", name, m.Device().Name)
	}
	return v.loop(c.Context, lines)
}

// loop takes messages and commands until there are no more.
func (v *conversation) loop(ctx context.Context, lines lineReader) error {
	for {
		line, err := lines.read(ctx)
		switch {
		case errors.Is(err, io.EOF):
			if v.failed && !lines.interactive() {
				return errSilent
			}
			return nil
		case err != nil:
			return err
		}
		if strings.HasPrefix(line, "/") {
			leave, err := v.command(ctx, line)
			if leave {
				return nil
			}
			v.report(err)
			continue
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		err = v.turn(ctx, line, lines.interactive())
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, console.ErrOutput):
			return err
		case v.session.Usage().Reason == engine.ReasonLimit && err != nil:
			if err = ofLimit(err); !lines.interactive() {
				return err
			}
		}
		v.report(err)
	}
}

// report tells what went wrong with a message or a command; the chat goes on.
func (v *conversation) report(err error) {
	if err != nil {
		v.failed = true
		fmt.Fprintln(v.a.stderr, "ledge: "+oneLine(err.Error()))
	}
}

// turn answers a message. In an interactive chat an interrupt stops the answer
// and nothing else.
func (v *conversation) turn(ctx context.Context, text string, interactive bool) error {
	if err := checkUTF8("the message", text); err != nil {
		return err
	}
	before := v.messages
	v.messages = append(v.messages, chat.Message{Role: "user", Content: text})
	ids, dropped, err := v.prompt()
	if err != nil {
		v.messages = before
		return err
	}
	if dropped > 0 {
		v.a.note("(the context is full: the oldest %d messages are forgotten; /clear forgets all)", dropped)
	}
	inner, end := ctx, func() {}
	if interactive {
		inner, end = v.a.intr.Within(ctx)
	}
	answer, err := v.answer(inner, ids)
	stopped := inner.Err() != nil && ctx.Err() == nil
	end()
	if err != nil && inner.Err() == nil {
		v.messages = v.messages[:len(v.messages)-1]
		return err
	}
	if answer == "" && inner.Err() != nil {
		v.messages = v.messages[:len(v.messages)-1] // as if it had not been asked
	} else {
		v.messages = append(v.messages, chat.Message{Role: "assistant", Content: answer})
	}
	switch cut := cutJSON(v.m, v.set, v.session.Usage()); {
	case stopped:
		v.a.note("(stopped)")
	case cut != nil:
		return cut
	case v.session.Usage().Reason == engine.ReasonContext:
		v.a.note("(the context of %d tokens is full: the answer is cut; %s)", v.m.Options.Context, largerContext(v.m))
	}
	return nil
}

// answer generates and shows the answer to a prompt.
func (v *conversation) answer(ctx context.Context, ids []int32) (string, error) {
	var text strings.Builder
	var failed error
	for p, err := range v.session.Generate(ctx, ids, v.set) {
		if failed = err; err != nil {
			break
		}
		text.WriteString(p.Text)
		if p.Text != "" {
			if failed = v.a.out.Show(p.Text); failed != nil {
				break
			}
		}
	}
	v.answered = true
	defer v.a.notes(v.m) // when the answer's line is over
	// An empty answer is a line, too: a reader counts them.
	if err := v.a.out.Show(ending(text.String())); err != nil {
		return "", err
	}
	if v.stats {
		v.a.stats(v.m, v.session.Usage())
		v.a.limitStats(v.session.Usage(), true)
	}
	return strings.TrimRight(text.String(), "\n"), failed
}

func ending(text string) string {
	if strings.HasSuffix(text, "\n") {
		return ""
	}
	return "\n"
}

// prompt encodes the conversation. Where it leaves too little room for an
// answer, the oldest messages are dropped until a quarter of the rest is free,
// so that this does not happen with every message.
func (v *conversation) prompt() (ids []int32, dropped int, err error) {
	size := v.m.Options.Context
	reserve := min(256, size/4)
	if v.set.MaxTokens > 0 {
		reserve = min(v.set.MaxTokens, size/2)
	}
	limit := size - reserve
	messages := v.messages
	for {
		if ids, err = v.encode(messages); err != nil {
			return nil, 0, err
		}
		if len(ids) <= limit {
			break
		}
		limit = (size - reserve) * 3 / 4
		rest := dropTurn(messages)
		if rest == nil {
			if err := v.m.CheckPrompt(ids); err != nil {
				return nil, 0, fmt.Errorf("%w (-c N sets it)", err)
			}
			break
		}
		dropped += len(messages) - len(rest)
		messages = rest
	}
	v.messages = messages
	return ids, dropped, nil
}

// dropTurn leaves out the oldest message of the user with what answered it; nil
// if there is no later one.
func dropTurn(messages []chat.Message) []chat.Message {
	for i := 1; i < len(messages); i++ {
		if messages[i].Role == "user" {
			return messages[i:]
		}
	}
	return nil
}

func (v *conversation) encode(messages []chat.Message) ([]int32, error) {
	return v.m.ChatPrompt(v.withSystem(messages), renderFor(v.set.Grammar))
}

func (v *conversation) withSystem(messages []chat.Message) []chat.Message {
	if v.system == "" {
		return messages
	}
	return append([]chat.Message{{Role: "system", Content: v.system}}, messages...)
}
