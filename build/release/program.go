package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// programs are the commands of Ledge that have manual pages and completions, if they
// are in the source tree.
var programs = []string{"ledge", "ledge-bench"}

// present lists the programs that are in the source tree.
func (t *task) present() []string {
	var out []string
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join(t.root, "cmd", p)); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// ask runs a program and gives what it writes. Without built programs it is built
// from source for this machine, whatever machine is being built for.
func (t *task) ask(program string, args ...string) ([]byte, error) {
	var cmd *exec.Cmd
	if t.bin != "" {
		cmd = exec.Command(filepath.Join(t.bin, program), args...)
	} else {
		cmd = exec.Command("go", append([]string{"run", "./cmd/" + program}, args...)...)
		cmd.Dir = t.root
		for _, e := range os.Environ() {
			name, _, _ := strings.Cut(e, "=")
			switch name {
			case "GOOS", "GOARCH", "CC", "CXX", "CGO_ENABLED", "CGO_CFLAGS", "CGO_LDFLAGS":
			default:
				cmd.Env = append(cmd.Env, e)
			}
		}
		cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), withStderr(err))
	}
	return out, nil
}

// program is what a program says of itself: cmd/internal/clidoc writes it.
type program struct {
	Name, Usage string
	Synopsis    []string
	Sections    []struct{ Title, Text string }
	Flags       []optionFlag
	Commands    []command
}

type command struct {
	Name        string
	Aliases     []string
	Usage       string
	Synopsis    []string
	Description string
	Flags       []optionFlag
	Examples    []string
	Commands    []command
}

type optionFlag struct {
	Names                           []string
	Value, Usage, Default, Category string
}

// table asks a program for its table of commands.
func (t *task) table(name string) (program, error) {
	out, err := t.ask(name, "__commands")
	if err != nil {
		return program{}, err
	}
	var p program
	if err := json.Unmarshal(out, &p); err != nil {
		return program{}, fmt.Errorf("what %s __commands wrote: %w", name, err)
	}
	if p.Name != name || p.Usage == "" {
		return program{}, fmt.Errorf("%s __commands wrote the table of %q, %q", name, p.Name, p.Usage)
	}
	return p, nil
}

// version is that of the release: what was asked for, or git's description.
func (t *task) version() string {
	if t.release != "" {
		return t.release
	}
	out, err := t.git("describe", "--tags", "--always", "--dirty")
	if err != nil {
		return "devel"
	}
	return out
}

// date is SOURCE_DATE_EPOCH, or the time of the revision.
func (t *task) date() (time.Time, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		var err error
		if epoch, err = t.git("log", "-1", "--format=%ct"); err != nil {
			return time.Time{}, fmt.Errorf("no date: set SOURCE_DATE_EPOCH, since git does not tell the revision's: %w", err)
		}
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%s: want a number of seconds since 1970", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func (t *task) git(args ...string) (string, error) {
	out, err := exec.Command("git", append([]string{"-C", t.root}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], withStderr(err))
	}
	return strings.TrimSpace(string(out)), nil
}
