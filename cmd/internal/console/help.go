package console

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/clidoc"
)

// The library's own printer formats help by text/template, which the packages' programs have
// not (build/lean.sh).
func init() { cli.HelpPrinter = printHelp }

// Describe sets a command's help: usage lines, what it does, examples.
func Describe(c *cli.Command, usage, text string, examples ...string) *cli.Command {
	c.UsageText = strings.ReplaceAll(usage, "\n", "\n   ")
	if text != "" {
		c.Description = "   " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n   ")
	}
	c.CustomHelpTemplate = "\nEXAMPLES:\n   " + strings.Join(examples, "\n   ") + "\n"
	return c
}

// printHelp writes the help of a program or of a command, whose text of its own is no
// template: a program's has the commands put in below their heading, a command's comes
// last.
func printHelp(out io.Writer, text string, of any) {
	var b strings.Builder
	switch of := of.(type) {
	case *cli.App:
		fmt.Fprintf(&b, "%s: %s\n", of.Name, of.Usage)
		head, rest, _ := strings.Cut(text, "\nCOMMANDS:\n")
		b.WriteString(head + "\nCOMMANDS:\n")
		commandLines(&b, of.VisibleCommands())
		b.WriteString(rest)
	case *cli.Command:
		commandHelp(&b, of)
		b.WriteString(text)
	}
	_, _ = io.WriteString(out, b.String()) // as the library's own: nobody would hear of it
}

func commandHelp(b *strings.Builder, c *cli.Command) {
	fmt.Fprintf(b, "%s: %s\n\nUSAGE:\n   %s\n", c.HelpName, c.Usage, c.UsageText)
	if c.Description != "" {
		b.WriteString("\n" + c.Description + "\n")
	}
	if len(c.Subcommands) > 0 {
		b.WriteString("\nCOMMANDS:\n")
		commandLines(b, c.VisibleCommands())
	}
	category := "none yet"
	for _, f := range clidoc.FlagsOf(c) {
		if f.Category != category {
			category = f.Category
			heading := category
			if heading == "" {
				heading = "FLAGS"
			}
			b.WriteString("\n" + heading + ":\n")
		}
		b.WriteString("   " + FlagLine(f) + "\n")
	}
}

func commandLines(b *strings.Builder, all []*cli.Command) {
	for _, c := range all {
		fmt.Fprintf(b, "   %-12s %s\n", c.Name, c.Usage)
	}
}

// FlagLine is how help shows a flag: short names first, a default only where
// there is one.
func FlagLine(d clidoc.Flag) string {
	names, usage := strings.Join(d.Names, ", "), d.Usage
	if d.Value != "" {
		names += " " + d.Value
	}
	if d.Default != "" {
		usage += " (default: " + d.Default + ")"
	}
	return fmt.Sprintf("%-30s %s", names, usage)
}

// Only refuses arguments beyond those that a command takes.
func Only(c *cli.Context, most int, what string) error {
	if c.NArg() <= most {
		return nil
	}
	if most == 0 {
		return Usagef("%s takes no arguments, %q was given; see %s --help", c.Command.HelpName, c.Args().First(), c.Command.HelpName)
	}
	return Usagef("%s takes %s, %d arguments were given (%q); see %s --help",
		c.Command.HelpName, what, c.NArg(), strings.Join(c.Args().Slice(), " "), c.Command.HelpName)
}

// TableCommand writes what build/release makes manual pages of.
func TableCommand(program string) *cli.Command {
	return Describe(clidoc.Hidden(), program+" "+clidoc.Name, "", program+" "+clidoc.Name+` | jq -r ".commands[].name"`)
}

// HelpCommand is the command help of a program, which newCLI builds.
func HelpCommand(program string, out io.Writer, exitCodes string, newCLI func() *cli.App) *cli.Command {
	c := &cli.Command{
		Name:  "help",
		Usage: "help about a command, or: exit-codes",
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			switch {
			case len(words) == 0:
				return cli.ShowAppHelp(c.Lineage()[len(c.Lineage())-2])
			case words[0] == "exit-codes":
				_, err := io.WriteString(out, exitCodes)
				return err
			}
			// Asking the command itself shows the same as --help.
			cmd := Find(c.App.Commands, words[0])
			if cmd == nil {
				return Usagef("no command %q%s; see %s help", words[0], Suggest(words[0], Names(c.App.Commands)), program)
			}
			path := []string{cmd.Name}
			if len(words) > 1 && Find(cmd.Subcommands, words[1]) != nil {
				path = append(path, words[1])
			}
			return newCLI().RunContext(c.Context, append(append([]string{program}, path...), "--help"))
		},
	}
	return Describe(c, program+" help [COMMAND]", "", program+" help run", program+" help exit-codes")
}

// Ask turns the ways of asking for help and the version into commands.
func Ask(args []string) []string {
	if len(args) == 0 {
		return []string{"help"}
	}
	switch args[0] {
	case "--version", "-v", "-V":
		return append([]string{"version"}, args[1:]...)
	case "--help", "-h", "-help":
		return append([]string{"help"}, args[1:]...)
	}
	return args
}

// NewApp is a program's table of commands, with what all of them have in common:
// complaints about a command line are the caller's to report, and each command first
// calls before, which may be nil. The program's help is a line of its own, the sections of
// text up to that of the commands, which are listed there, and the others.
func NewApp(name, usage, text string, commands []*cli.Command, out, complaints io.Writer, before cli.BeforeFunc) *cli.App {
	var finish func([]*cli.Command)
	finish = func(commands []*cli.Command) {
		for _, c := range commands {
			c.Before = before
			c.OnUsageError = UsageFault
			c.HideHelpCommand = true
			finish(c.Subcommands)
		}
	}
	finish(commands)
	return &cli.App{
		Name:                      name,
		Usage:                     usage,
		Commands:                  commands,
		HideVersion:               true,
		Writer:                    out,
		ErrWriter:                 complaints,
		CustomAppHelpTemplate:     text,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {}, // the program reports errors
		OnUsageError:              UsageFault,
	}
}

// Execute finds the command of a command line (without the program's name) and runs
// it.
func Execute(ctx context.Context, c *cli.App, args []string) error {
	args, err := Arrange(c.Name, c.Commands, Ask(args))
	if err != nil {
		return err
	}
	return ofUsage(c.RunContext(ctx, append([]string{c.Name}, args...)))
}

// UsageFault says what the flag library has against a command line: of a value that a flag
// does not take, which ones it does.
func UsageFault(c *cli.Context, err error, _ bool) error {
	name, value, ok := badValue(err.Error())
	if !ok || c == nil || c.Command == nil {
		return Usagef("%s", err)
	}
	if kind := valuesOf(c.Command.Flags, name); kind != "" {
		return Usagef("%s %s: it must be %s; see %s --help", Dashed(name), value, kind, c.Command.HelpName)
	}
	return Usagef("%s %s: it cannot be read; see %s --help", Dashed(name), value, c.Command.HelpName)
}

// badValue takes apart what the library says of a value: invalid value "abc" for flag -temp:
// parse error, or invalid boolean value "x" for -json: parse error. The value stays quoted.
func badValue(text string) (name, value string, ok bool) {
	rest, plain := strings.CutPrefix(text, "invalid value ")
	rest, boolean := strings.CutPrefix(rest, "invalid boolean value ")
	value, err := strconv.QuotedPrefix(rest)
	if err != nil || !plain && !boolean {
		return "", "", false
	}
	_, rest, ok = strings.Cut(rest[len(value):], " -")
	name, _, _ = strings.Cut(rest, ":")
	return name, value, ok
}

// valuesOf says what a flag takes; "" if that is not known.
func valuesOf(flags []cli.Flag, name string) string {
	for _, f := range flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		switch f.(type) {
		case *cli.BoolFlag:
			return "true or false, and is true without either"
		case *cli.Uint64Flag:
			return "a whole number from 0 to 18446744073709551615"
		case *cli.IntFlag, *cli.Int64Flag:
			return "a whole number of at most 18 digits"
		case *cli.Float64Flag:
			return "a number, such as 0.5"
		case *cli.DurationFlag:
			return "a time, such as 90s or 1h30m"
		}
	}
	return ""
}
