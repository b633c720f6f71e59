package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
)

// BeforeFunc and ActionFunc are what is called for a command.
type (
	BeforeFunc func(*Context) error
	ActionFunc func(*Context) error
)

// Command is a command of a program, or of another command.
type Command struct {
	Name        string
	Aliases     []string
	Usage       string   // one line
	UsageText   string   // how it is called, a line each
	Description string   // lines
	Examples    []string // lines
	Flags       []Flag
	Subcommands []*Command
	Hidden      bool // help and completion do not tell of it

	Action ActionFunc
	Before BeforeFunc // called ahead of the action; may be nil

	// HelpName is the program's name and those of the commands that lead here; set when a
	// command line is read.
	HelpName string
}

// App is a program.
type App struct {
	Name        string
	Usage       string // one line
	UsageText   string
	Description string
	HelpText    string // what else help says, in sections
	Flags       []Flag // of a program without commands; described only
	Commands    []*Command
	Writer      io.Writer

	Help    func(app *App, c *Command) string // the help of the program (nil) or of a command
	Mistake func(error) error                 // what becomes of an error in a command line; nil: nothing
	Getenv  func(string) string               // nil: os.Getenv
}

// helpFlag is one of every command.
var helpFlag = &BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show help"}

// Names are the name and the aliases.
func (c *Command) Names() []string { return append([]string{c.Name}, c.Aliases...) }

// HasName reports whether a command is called so.
func (c *Command) HasName(name string) bool { return slices.Contains(c.Names(), name) }

// VisibleFlags are those that help tells of.
func (c *Command) VisibleFlags() []Flag { return visible(c.Flags) }

// VisibleFlagCategories are these under their headings; there are none if no flag has one.
func (c *Command) VisibleFlagCategories() []Category { return categories(c.Flags) }

// VisibleCommands are those that help tells of.
func (c *Command) VisibleCommands() []*Command { return visibleCommands(c.Subcommands) }

// VisibleCommands are those that help tells of.
func (a *App) VisibleCommands() []*Command { return visibleCommands(a.Commands) }

func visibleCommands(all []*Command) []*Command {
	return slices.DeleteFunc(slices.Clone(all), func(c *Command) bool { return c.Hidden })
}

// RunContext runs a command line: the program's name, the command's, that of a command
// within it, flags, and arguments after the first word that is no flag. Without a command
// it writes the program's help.
func (a *App) RunContext(ctx context.Context, args []string) error {
	if len(args) > 0 {
		args = args[1:]
	}
	if len(args) == 0 {
		return a.show(nil)
	}
	cmd := find(a.Commands, args[0])
	if cmd == nil {
		return a.mistake(fmt.Errorf("no command %q", args[0]))
	}
	cmd.HelpName = a.Name + " " + cmd.Name
	args = args[1:]
	for len(args) > 0 {
		sub := find(cmd.Subcommands, args[0])
		if sub == nil {
			break
		}
		sub.HelpName = cmd.HelpName + " " + sub.Name
		cmd, args = sub, args[1:]
	}
	return a.run(ctx, cmd, args)
}

func find(all []*Command, name string) *Command {
	for _, c := range all {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// run reads a command's flags and calls it.
func (a *App) run(ctx context.Context, cmd *Command, args []string) error {
	c := &Context{Context: ctx, App: a, Command: cmd, set: flag.NewFlagSet(cmd.Name, flag.ContinueOnError), values: map[string]*given{}}
	c.set.SetOutput(io.Discard)
	getenv := a.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	for _, f := range append(slices.Clone(cmd.Flags), helpFlag) {
		g, err := f.apply(c.set, getenv)
		if err != nil {
			return a.mistake(err)
		}
		for _, name := range g.names {
			c.values[name] = g
		}
	}
	if err := c.set.Parse(args); err != nil {
		return a.mistake(err)
	}
	if c.Bool("help") || cmd.Action == nil {
		return a.show(cmd)
	}
	if cmd.Before != nil {
		if err := cmd.Before(c); err != nil {
			return err
		}
	}
	return cmd.Action(c)
}

func (a *App) mistake(err error) error {
	if a.Mistake == nil {
		return err
	}
	return a.Mistake(err)
}

// ShowHelp writes the program's help.
func (a *App) ShowHelp() error { return a.show(nil) }

func (a *App) show(c *Command) error {
	w := a.Writer
	if w == nil {
		w = os.Stdout
	}
	if a.Help == nil {
		return nil
	}
	_, err := io.WriteString(w, a.Help(a, c))
	return err
}
