package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/jsonfault"
)

// Bounds of a conversation that is loaded from a file.
const (
	maxConversation = 16 << 20 // bytes
	maxMessages     = 10000
)

var chatCommands = []string{"/system", "/clear", "/save", "/load", "/stats", "/help", "/exit", "/quit"}

// command executes a line that begins with a slash.
func (v *conversation) command(ctx context.Context, line string) (leave bool, err error) {
	name, arg, _ := strings.Cut(line, " ")
	arg = strings.TrimSpace(arg)
	switch name {
	case "/exit", "/quit", "/bye":
		return true, nil
	case "/help", "/?":
		fmt.Fprintln(v.a.stderr, chatHelp)
	case "/clear":
		v.messages, v.answered = nil, false
		v.a.note("(the conversation is forgotten)")
	case "/system":
		err = v.setSystem(arg)
	case "/stats":
		v.showStats()
	case "/save":
		err = v.save(arg)
	case "/load":
		err = v.load(arg)
	default:
		err = fmt.Errorf("no command %s%s; /help lists them; a message that begins with a slash has a space before it", name, suggest(name, chatCommands))
	}
	return false, err
}

func (v *conversation) setSystem(text string) error {
	switch text {
	case "":
		if v.system == "" {
			v.a.note("(no system message)")
		} else {
			v.a.note("(system message: %s)", v.system)
		}
		return nil
	case `""`, "''":
		v.system = ""
		v.a.note("(no system message from now on)")
		return nil
	}
	if err := checkUTF8("the system message", text); err != nil {
		return err
	}
	v.system = text
	v.a.note("(system message set)")
	return nil
}

func (v *conversation) showStats() {
	if !v.answered {
		v.a.note("(no answer yet)")
		return
	}
	v.a.stats(v.m, v.session.Usage())
	v.a.limitStats(v.session.Usage(), true)
	fmt.Fprintf(v.a.stderr, "context   %d of %d tokens, %d messages\n", len(v.session.Tokens()), v.m.Options.Context, len(v.messages))
}

// save writes the conversation as a JSON array of messages.
func (v *conversation) save(path string) error {
	if path == "" {
		return errors.New("/save needs the name of a file")
	}
	full := v.a.expand(path)
	if err := v.spares(full); err != nil {
		return err
	}
	if err := conversationFile.renewable(full, false); err != nil {
		return err
	}
	data, err := json.MarshalIndent(append([]chat.Message{}, v.withSystem(v.messages)...), "", "  ")
	if err != nil {
		return err
	}
	err = console.WriteFile(full, v.a.out, func(f *console.File) error {
		_, err := f.Write(append(data, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	v.a.note("(%d messages saved to %s)", len(v.withSystem(v.messages)), path)
	return nil
}

// spares refuses to write over the model and what else the chat was started with.
func (v *conversation) spares(path string) error {
	if path == "-" {
		return nil
	}
	if err := apart(v.m.File, path); err != nil {
		return err
	}
	for _, in := range v.inputs {
		if sameFile(path, in) {
			return fmt.Errorf("%s is read by this chat: name another file to write", path)
		}
	}
	return nil
}

// load replaces the conversation by one from a file; on failure it stays.
func (v *conversation) load(path string) error {
	if path == "" {
		return errors.New("/load needs the name of a file")
	}
	full := v.a.expand(path)
	// Look first: opening a named pipe would wait for a writer.
	if st, err := os.Stat(full); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("cannot load %s: it is no regular file", path)
	}
	f, err := os.Open(full)
	if err != nil {
		return fmt.Errorf("cannot load: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConversation+1))
	if err != nil {
		return fmt.Errorf("cannot load: %w", err)
	}
	system, messages, err := parseConversation(data)
	if err != nil {
		return fmt.Errorf("cannot load %s: %w", path, err)
	}
	v.system, v.messages, v.answered = system, messages, false
	v.a.note("(%d messages loaded from %s)", len(v.withSystem(messages)), path)
	return nil
}

// parseConversation reads a JSON array of messages, or an object that has one
// under "messages".
func parseConversation(data []byte) (system string, messages []chat.Message, err error) {
	if len(data) > maxConversation {
		return "", nil, fmt.Errorf("it is larger than %d MiB", maxConversation>>20)
	}
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '{' {
		var object struct {
			Messages json.RawMessage `json:"messages"`
		}
		if err := json.Unmarshal(data, &object); err != nil {
			return "", nil, fmt.Errorf("it is no JSON: %w", jsonfault.Of(err))
		}
		data = object.Messages
	}
	if err := json.Unmarshal(data, &messages); err != nil {
		return "", nil, fmt.Errorf(`it is no JSON array of messages such as {"role": "user", "content": "..."}: %w`, jsonfault.Of(err))
	}
	if len(messages) > maxMessages {
		return "", nil, fmt.Errorf("it has %d messages, at most %d are read", len(messages), maxMessages)
	}
	if len(messages) > 0 && messages[0].Role == "system" {
		system, messages = messages[0].Content, messages[1:]
	}
	for i, m := range messages {
		switch m.Role {
		case "user", "assistant", "tool":
		default:
			return "", nil, fmt.Errorf("message %d has the role %q: it must be user, assistant or tool (system only first)", i+1, m.Role)
		}
	}
	if n := len(messages); n > 0 && messages[n-1].Role == "user" {
		messages = messages[:n-1] // never answered: the next message takes its place
	}
	return system, messages, nil
}

// expand puts the home folder in place of a leading ~/.
func (a *app) expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && a.getenv("HOME") != "" {
		return filepath.Join(a.getenv("HOME"), rest)
	}
	return path
}
