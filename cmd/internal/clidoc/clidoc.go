// Package clidoc says what commands, flags and help texts a program has, as data:
// build/release makes manual pages of it. The pages come from the tables that the
// program itself works with, and so cannot fall behind it.
package clidoc

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/cmd/internal/cli"
)

// Name is the hidden command that writes a Program as JSON.
const Name = "__commands"

// Program is what a program shows of itself in its help.
type Program struct {
	Name     string    `json:"name"`
	Usage    string    `json:"usage"`              // one line, no capital, no full stop
	Synopsis []string  `json:"synopsis,omitempty"` // lines
	Sections []Section `json:"sections,omitempty"` // of the help, in order
	Flags    []Flag    `json:"flags,omitempty"`
	Commands []Command `json:"commands,omitempty"`
}

// Section is a part of the help text with its heading.
type Section struct {
	Title string `json:"title"` // as it stands: EXIT CODES
	Text  string `json:"text"`  // lines, without the indent
}

// Command is a command or a subcommand.
type Command struct {
	Name        string    `json:"name"`
	Aliases     []string  `json:"aliases,omitempty"`
	Usage       string    `json:"usage"`
	Synopsis    []string  `json:"synopsis,omitempty"`
	Description string    `json:"description,omitempty"`
	Flags       []Flag    `json:"flags,omitempty"`
	Examples    []string  `json:"examples,omitempty"`
	Commands    []Command `json:"commands,omitempty"`
}

// Flag is a flag of a command.
type Flag struct {
	Names    []string `json:"names"`             // with their dashes, short ones first
	Value    string   `json:"value,omitempty"`   // what stands for its value: N
	Usage    string   `json:"usage"`             // without the marks around the value
	Default  string   `json:"default,omitempty"` // "" if there is none to speak of
	Category string   `json:"category,omitempty"`
}

// Hidden is the command that writes the table of the program it is called in.
func Hidden() *cli.Command {
	return &cli.Command{
		Name:   Name,
		Usage:  "write the table of commands as JSON",
		Hidden: true,
		Action: func(c *cli.Context) error {
			enc := json.NewEncoder(c.App.Writer)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", " ")
			return enc.Encode(Of(c.App))
		},
	}
}

// Of reads a program's tables. Sections come from HelpText.
func Of(app *cli.App) Program {
	p := Program{Name: app.Name, Usage: app.Usage, Synopsis: lines(app.UsageText)}
	p.Flags = flags(&cli.Command{Flags: app.Flags})
	for _, s := range sections(app.HelpText) {
		switch {
		case s.Title == "USAGE":
			p.Synopsis = lines(s.Text)
		case s.Title == "COMMANDS": // they follow
		default:
			p.Sections = append(p.Sections, s)
		}
	}
	if app.Description != "" && app.HelpText == "" {
		p.Sections = append(p.Sections, Section{"DESCRIPTION", outdent(app.Description)})
	}
	p.Commands = commands(app.Commands)
	return p
}

func commands(all []*cli.Command) []Command {
	var out []Command
	for _, c := range all {
		if c.Hidden {
			continue
		}
		d := Command{
			Name: c.Name, Aliases: c.Aliases, Usage: c.Usage, Synopsis: lines(c.UsageText),
			Description: outdent(c.Description), Flags: flags(c), Examples: lines(strings.Join(c.Examples, "\n")), Commands: commands(c.Subcommands),
		}
		out = append(out, d)
	}
	return out
}

// flags describes flags by their categories, or all of them if none has one.
func flags(cmd *cli.Command) []Flag {
	var out []Flag
	add := func(category string, f cli.Flag) {
		if d := FlagOf(f); !slices.Contains(d.Names, "--help") {
			d.Category = category
			out = append(out, d)
		}
	}
	for _, c := range cmd.VisibleFlagCategories() {
		for _, f := range c.Flags {
			add(c.Name, f)
		}
	}
	if len(out) == 0 {
		for _, f := range cmd.VisibleFlags() {
			add("", f)
		}
	}
	return out
}

// FlagOf describes a flag.
func FlagOf(d cli.Flag) Flag {
	out := Flag{Usage: d.GetUsage()}
	if a, rest, ok := strings.Cut(out.Usage, "`"); ok {
		if b, c, ok := strings.Cut(rest, "`"); ok {
			out.Usage, out.Value = a+b+c, b
		}
	}
	for _, n := range d.Names() {
		if len(n) == 1 {
			out.Names = append(out.Names, "-"+n)
		} else {
			out.Names = append(out.Names, "--"+n)
		}
	}
	slices.SortStableFunc(out.Names, func(a, b string) int { return len(a) - len(b) })
	switch v := d.GetDefaultText(); v {
	case "", "0", "-1", "false":
	default:
		out.Default = strings.Trim(v, `"`)
	}
	return out
}
