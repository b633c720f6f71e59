// Package clidoc says what commands, flags and help texts a program has, as data:
// build/release makes manual pages of it. The pages come from the tables that the
// program itself works with, and so cannot fall behind it.
package clidoc

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
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

// Of reads a program's tables. Sections come from CustomAppHelpTemplate, examples
// from a command's CustomHelpTemplate: what stands under EXAMPLES there. Both are texts
// as they are, not templates (console.NewApp).
func Of(app *cli.App) Program {
	p := Program{Name: app.Name, Usage: app.Usage, Synopsis: lines(app.UsageText)}
	p.Flags = FlagsOf(&cli.Command{Flags: app.Flags})
	for _, s := range sections(app.CustomAppHelpTemplate) {
		switch {
		case s.Title == "USAGE":
			p.Synopsis = lines(s.Text)
		case s.Title == "COMMANDS": // they follow
		default:
			p.Sections = append(p.Sections, s)
		}
	}
	if app.Description != "" && app.CustomAppHelpTemplate == "" {
		p.Sections = append(p.Sections, Section{"DESCRIPTION", outdent(app.Description)})
	}
	p.Commands = commands(app.Commands)
	return p
}

// librarysHelp is the usage of the command that the flag library adds itself.
const librarysHelp = "Shows a list of commands or help for one command"

func commands(all []*cli.Command) []Command {
	var out []Command
	for _, c := range all {
		if c.Hidden || c.Usage == librarysHelp {
			continue
		}
		d := Command{
			Name: c.Name, Aliases: c.Aliases, Usage: c.Usage, Synopsis: lines(c.UsageText),
			Description: outdent(c.Description), Flags: FlagsOf(c), Commands: commands(c.Subcommands),
		}
		for _, s := range sections(c.CustomHelpTemplate) {
			if s.Title == "EXAMPLES" {
				d.Examples = lines(s.Text)
			}
		}
		out = append(out, d)
	}
	return out
}

// FlagsOf describes a command's flags by their categories, or all of them if none has one: the
// flag library tells of flags without a category only beside those that have one. Not among
// them is --help, which every command has.
func FlagsOf(c *cli.Command) []Flag {
	var out []Flag
	add := func(category string, f cli.Flag) {
		if d, ok := FlagOf(f); ok && !slices.Contains(d.Names, "--help") {
			d.Category = category
			out = append(out, d)
		}
	}
	for _, c := range c.VisibleFlagCategories() {
		// The library sorts them by lines that it would write.
		named := slices.SortedStableFunc(slices.Values(c.Flags()), func(a, b cli.VisibleFlag) int {
			return strings.Compare(a.Names()[0], b.Names()[0])
		})
		for _, f := range named {
			add(c.Name(), f)
		}
	}
	if len(out) == 0 {
		for _, f := range c.VisibleFlags() {
			add("", f)
		}
	}
	return out
}

// FlagOf describes a flag; false if it cannot be described.
func FlagOf(f cli.Flag) (Flag, bool) {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return Flag{}, false
	}
	out := Flag{Usage: d.GetUsage()}
	if a, rest, ok := strings.Cut(out.Usage, "`"); ok {
		if b, c, ok := strings.Cut(rest, "`"); ok {
			out.Usage, out.Value = a+b+c, b
		}
	}
	for _, n := range f.Names() {
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
	return out, true
}
