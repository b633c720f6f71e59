// Package report is what the commands share that write measurements into pages of
// docs: putting a table into its place, and running llama.cpp's programs.
package report

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Insert puts a table between two marks of a page, in place of what stands there.
func Insert(page, begin, table, end string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no marks %q and %q", page, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(page, []byte(head+begin+table+end+tail), 0o644)
}

// Marks are those of one of the tables that a command writes.
func Marks(table, command string) (begin, end string) {
	return "<!-- " + table + ": go run ./build/" + command + " -->\n", "<!-- end of " + table + " -->"
}

// Llama runs one of llama.cpp's programs, which are in the folder bin with their
// libraries, and returns all that it says. An error has the last line of that.
func Llama(ctx context.Context, bin, name string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
	c.Env = append(os.Environ(), "LD_LIBRARY_PATH="+bin)
	out, err := c.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, LastLine(out))
	}
	return out, nil
}

// LastLine is where programs say what went wrong.
func LastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
