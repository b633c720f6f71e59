package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ledge-run/ledge/cmd/internal/console"
)

// Bounds of the history.
const (
	historyLines = 1000
	historyBytes = 1 << 20
)

// history are the lines typed in chats, kept in a file of the user's. It is a
// convenience: where the file can't be read or written, there is no history
// beyond this chat.
type history struct {
	lines []string // oldest first
	path  string   // "" for none
}

// historyPath is where the history is kept; "" if there is no home folder.
func (a *app) historyPath() string {
	dir := a.userDir("XDG_STATE_HOME", ".local/state", "AppData/Local", "Library/Application Support")
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "ledge", "chat_history")
}

func openHistory(path string) *history {
	h := &history{path: path}
	if path == "" {
		return h
	}
	f, err := os.Open(path)
	if err != nil {
		return h
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > historyBytes {
		if _, err := f.Seek(-historyBytes, io.SeekEnd); err != nil {
			return h
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, historyBytes))
	if err != nil {
		return h
	}
	for line := range bytes.Lines(data) {
		if s := clean(string(line)); s != "" {
			h.lines = append(h.lines, s)
		}
	}
	if extra := len(h.lines) - historyLines; extra > 0 {
		h.lines = h.lines[extra:]
		if extra > historyLines {
			h.rewrite()
		}
	}
	return h
}

// clean makes a line safe to show again.
func clean(s string) string { return strings.Map(console.Printable, strings.TrimSpace(s)) }

// Add appends a line, unless it repeats the last one.
func (h *history) Add(line string) {
	line = strings.ReplaceAll(clean(line), "\n", " ")
	if line == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if len(h.lines) > 2*historyLines {
		h.lines = append([]string(nil), h.lines[len(h.lines)-historyLines:]...)
	}
	if h.path == "" {
		return
	}
	if err := os.MkdirAll(filepath.Dir(h.path), 0o700); err != nil {
		h.path = ""
		return
	}
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		h.path = ""
		return
	}
	_, werr := f.WriteString(line + "\n")
	if cerr := f.Close(); werr != nil || cerr != nil {
		h.path = ""
	}
}

// rewrite shortens the file to what is remembered.
func (h *history) rewrite() {
	temp := h.path + ".part"
	if os.WriteFile(temp, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600) != nil || os.Rename(temp, h.path) != nil {
		_ = os.Remove(temp) // the long file stays
	}
}

// Len is the number of lines.
func (h *history) Len() int { return len(h.lines) }

// At gives a line, 0 being the latest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
