package main

import (
	"fmt"
	"path/filepath"
)

// completionFiles are where shells look for completions below /usr/share, by
// Debian's and most others' rules; %s is the program.
var completionFiles = map[string]string{
	"bash": "bash-completion/completions/%s",
	"zsh":  "zsh/vendor-completions/_%s",
	"fish": "fish/vendor_completions.d/%s.fish",
}

// completions writes the completions of the programs.
func (t *task) completions(args []string) error {
	for _, name := range t.present() {
		p, err := t.table(name)
		if err != nil {
			return err
		}
		if !p.has("completion") {
			continue
		}
		for shell, file := range completionFiles {
			script, err := t.ask(name, "completion", shell)
			if err != nil {
				return err
			}
			if err := write(filepath.Join(args[0], fmt.Sprintf(file, name)), script); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p program) has(name string) bool {
	for _, c := range p.Commands {
		if c.Name == name {
			return true
		}
	}
	return false
}
