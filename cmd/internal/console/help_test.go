package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// tool is a program with a command that takes flags and arguments, and one with subcommands.
func tool(out io.Writer, ran *bool) *cli.App {
	act := func(*cli.Context) error { *ran = true; return nil }
	flags := []cli.Flag{
		&cli.IntFlag{Name: "n", Aliases: []string{"most"}}, &cli.Uint64Flag{Name: "seed"}, &cli.Float64Flag{Name: "temp"},
		&cli.DurationFlag{Name: "budget"}, &cli.BoolFlag{Name: "json"}, &cli.StringFlag{Name: "name"},
	}
	run := Describe(&cli.Command{Name: "run", Usage: "run it", Flags: flags, Action: act}, "tool run", "", "tool run x")
	build := Describe(&cli.Command{Name: "build", Usage: "build it", Action: act}, "tool data build", "", "tool data build x")
	data := Describe(&cli.Command{Name: "data", Usage: "data", Subcommands: []*cli.Command{build}}, "tool data", "", "tool data build x")
	return NewApp("tool", "a tool", "\nCOMMANDS:\n", []*cli.Command{run, data}, out, io.Discard, nil)
}

// TestHelpAnywhere: help is help wherever it stands, but for where it is a value or a text.
func TestHelpAnywhere(t *testing.T) {
	const run, build, data = "tool run: run it", "tool data build: build it", "tool data: data"
	for _, c := range []struct{ args, want string }{
		{"run --help", run}, {"run -h", run}, {"run x --help", run}, {"run x -h y", run}, {"run --help x", run},
		{"run -n 3 x --help", run}, {"run --help -n 3", run}, {"run -n no x --help", run}, {"run x --help -- y", run},
		{"data build --help", build}, {"data build x --help", build}, {"data --help build", build}, {"data --help", data},
		{"run -- --help", ""}, {"run x -- -h", ""}, {"run --name --help x", ""},
	} {
		var out strings.Builder
		ran := false
		err := Execute(context.Background(), tool(&out, &ran), strings.Fields(c.args))
		head, _, _ := strings.Cut(out.String(), "\n")
		if err != nil || head != c.want || ran != (c.want == "") {
			t.Errorf("tool %s: %v, ran %v, help %q; want %q", c.args, err, ran, head, c.want)
		}
	}
}

// TestBadValue: a value that cannot be read is told with the flag as it is written, and what
// it takes.
func TestBadValue(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--seed", "-1"}, `--seed "-1": it must be a whole number from 0 to 18446744073709551615; see tool run --help`},
		{[]string{"-n", "1e3"}, `-n "1e3": it must be a whole number of at most 18 digits; see tool run --help`},
		{[]string{"--most", "99999999999999999999"}, `--most "99999999999999999999": it must be a whole number of at most 18 digits; see tool run --help`},
		{[]string{"--temp", "abc: d"}, `--temp "abc: d": it must be a number, such as 0.5; see tool run --help`},
		{[]string{"--temp", ""}, `--temp "": it must be a number, such as 0.5; see tool run --help`},
		{[]string{"--budget", "3"}, `--budget "3": it must be a time, such as 90s or 1h30m; see tool run --help`},
		{[]string{"--json=yep"}, `--json "yep": it must be true or false, and is true without either; see tool run --help`},
	} {
		ran := false
		err := Execute(context.Background(), tool(io.Discard, &ran), append([]string{"run"}, c.args...))
		var usage UsageError
		if !errors.As(err, &usage) || err.Error() != c.want || ran {
			t.Errorf("tool run %q: %v; want %s", c.args, err, c.want)
		}
	}
}

// outOfRange is an error of a library that says whose fault it is.
type outOfRange struct{}

func (outOfRange) Error() string { return "size 0: it must be 1 to 9" }
func (outOfRange) WrongUsage()   {}

// TestOfUsage: what a library marks as wrong usage is that, and nothing else is.
func TestOfUsage(t *testing.T) {
	for _, c := range []struct {
		err   error
		usage bool
	}{
		{outOfRange{}, true}, {fmt.Errorf("x: %w", outOfRange{}), true}, {errors.Join(outOfRange{}, nil), true},
		{Usagef("x"), true}, {errors.New("x"), false}, {context.Canceled, false}, {nil, false},
	} {
		app := tool(io.Discard, new(bool))
		app.Commands[0].Action = func(*cli.Context) error { return c.err }
		err := Execute(context.Background(), app, []string{"run"})
		var usage UsageError
		if errors.As(err, &usage) != c.usage || fmt.Sprint(err) != fmt.Sprint(c.err) {
			t.Errorf("%v became %T %v", c.err, err, err)
		}
	}
}
