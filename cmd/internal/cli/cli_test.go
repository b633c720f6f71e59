package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// call runs a command line and tells of what the command got.
func call(t *testing.T, env map[string]string, args ...string) (*Context, string, error) {
	t.Helper()
	var got *Context
	var out bytes.Buffer
	keep := func(c *Context) error { got = c; return nil }
	app := &App{
		Name: "p", Writer: &out, Getenv: func(name string) string { return env[name] },
		Help: func(_ *App, c *Command) string {
			if c == nil {
				return "help of p"
			}
			return "help of " + c.HelpName
		},
		Mistake: func(err error) error { return fmt.Errorf("mistake: %w", err) },
		Commands: []*Command{
			{Name: "a", Aliases: []string{"aa"}, Action: keep, Flags: []Flag{
				&BoolFlag{Name: "bool", Aliases: []string{"b"}},
				&IntFlag{Name: "int", Aliases: []string{"i"}, Value: 3},
				&Int64Flag{Name: "int64", Value: -1},
				&Uint64Flag{Name: "uint64"},
				&Float64Flag{Name: "float", Value: .5},
				&DurationFlag{Name: "wait", Value: time.Second},
				&StringFlag{Name: "text", Aliases: []string{"t"}, Value: "none", EnvVars: []string{"NO", "TEXT"}},
				&StringSliceFlag{Name: "list", Aliases: []string{"l"}, Value: []string{"x"}, EnvVars: []string{"LIST"}},
			}},
			{Name: "b", Subcommands: []*Command{{Name: "c", Action: keep, Flags: []Flag{&BoolFlag{Name: "deep"}}}}},
			{Name: "refused", Action: keep, Before: func(*Context) error { return fmt.Errorf("before") }},
		},
	}
	err := app.RunContext(context.Background(), append([]string{"p"}, args...))
	return got, out.String(), err
}

func TestFlags(t *testing.T) {
	c, _, err := call(t, nil, "aa", "-b", "-i", "7", "--int64=9", "--uint64", "18446744073709551615", "--float", "-2.5e3", "--wait=3m", "-t", "-x", "-l", "1,2", "--list=", "--", "-y", "z")
	if err != nil {
		t.Fatal(err)
	}
	if !c.Bool("bool") || !c.Bool("b") || c.Int("int") != 7 || c.Int("i") != 7 || c.Int64("int64") != 9 || c.Uint64("uint64") != 1<<64-1 ||
		c.Float64("float") != -2500 || c.Duration("wait") != 3*time.Minute || c.String("text") != "-x" || !slices.Equal(c.StringSlice("l"), []string{"1,2", ""}) {
		t.Errorf("%+v", c.values)
	}
	if c.NArg() != 2 || c.Args().First() != "-y" || c.Args().Get(1) != "z" || c.Args().Get(2) != "" || c.Command.HelpName != "p a" {
		t.Errorf("%q of %s", c.Args(), c.Command.HelpName)
	}
	for _, name := range []string{"bool", "b", "int", "i", "text", "t", "list", "l", "wait"} {
		if !c.IsSet(name) {
			t.Errorf("%s is not set", name)
		}
	}
	c, _, err = call(t, nil, "a", "--bool=false", "word", "-b")
	if err != nil || c.Bool("b") || !c.IsSet("b") || c.NArg() != 2 || c.IsSet("int") || c.IsSet("nothing") || c.Int("i") != 3 ||
		c.String("text") != "none" || !slices.Equal(c.StringSlice("list"), []string{"x"}) || c.Int("text") != 0 || c.Int64("int64") != -1 {
		t.Errorf("%v: %+v", err, c)
	}
}

func TestEnvironment(t *testing.T) {
	env := map[string]string{"TEXT": "env", "LIST": "e"}
	c, _, err := call(t, env, "a")
	if err != nil || c.String("text") != "env" || !c.IsSet("t") || !slices.Equal(c.StringSlice("list"), []string{"e"}) || !c.IsSet("list") {
		t.Errorf("%v: %q %q", err, c.String("text"), c.StringSlice("list"))
	}
	c, _, err = call(t, env, "a", "-t", "said", "-l", "1", "-l", "2")
	if err != nil || c.String("text") != "said" || !slices.Equal(c.StringSlice("list"), []string{"1", "2"}) {
		t.Errorf("%v: %q %q", err, c.String("text"), c.StringSlice("list"))
	}
}

func TestCommands(t *testing.T) {
	for _, x := range []struct {
		args      []string
		out, fail string
	}{
		{nil, "help of p", ""},
		{[]string{"a", "--help"}, "help of p a", ""},
		{[]string{"a", "-b", "-h", "x"}, "help of p a", ""},
		{[]string{"b"}, "help of p b", ""},
		{[]string{"b", "c", "-h"}, "help of p b c", ""},
		{[]string{"b", "c", "--deep"}, "", ""},
		{[]string{"x"}, "", `mistake: no command "x"`},
		{[]string{"a", "--nothing"}, "", "mistake: flag provided but not defined: -nothing"},
		{[]string{"a", "-i", "many"}, "", `mistake: invalid value "many" for flag -i`},
		{[]string{"a", "-i"}, "", "mistake: flag needs an argument: -i"},
		{[]string{"refused"}, "", "before"},
	} {
		_, out, err := call(t, nil, x.args...)
		if out != x.out || (err == nil) != (x.fail == "") || err != nil && !strings.Contains(err.Error(), x.fail) {
			t.Errorf("%q: %q, %v", x.args, out, err)
		}
	}
}

func TestCategories(t *testing.T) {
	c := &Command{Flags: []Flag{&BoolFlag{Name: "z"}, &BoolFlag{Name: "b", Category: "TWO"}, &BoolFlag{Name: "y", Hidden: true}, &IntFlag{Name: "x", Category: "ONE"}, &BoolFlag{Name: "a"}}}
	var got string
	for _, k := range c.VisibleFlagCategories() {
		got += k.Name + ":"
		for _, f := range k.Flags {
			got += " " + f.Names()[0]
		}
		got += "\n"
	}
	if want := ": a z\nONE: x\nTWO: b\n"; got != want {
		t.Errorf("%q", got)
	}
	if none := (&Command{Flags: c.Flags[:1]}).VisibleFlagCategories(); none != nil {
		t.Errorf("%+v", none)
	}
	for f, want := range map[Flag]string{
		&StringFlag{}: "", &StringFlag{Value: "x"}: `"x"`, &IntFlag{Value: 3}: "3", &BoolFlag{}: "false",
		&StringSliceFlag{Value: []string{"a", "b"}}: "a, b", &DurationFlag{Value: time.Minute}: "1m0s", &IntFlag{DefaultText: "all"}: "all",
	} {
		if got := f.GetDefaultText(); got != want {
			t.Errorf("%T: %q, want %q", f, got, want)
		}
	}
}
