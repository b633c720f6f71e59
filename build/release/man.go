package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// man writes the manual pages of the programs and of the C library.
func (t *task) man(args []string) error {
	date, err := t.date()
	if err != nil {
		return err
	}
	day, version := date.Format("2006-01-02"), t.version()
	for _, name := range t.present() {
		p, err := t.table(name)
		if err != nil {
			return err
		}
		for file, text := range pagesOf(p, day, version) {
			if err := write(filepath.Join(args[0], "man1", file), text); err != nil {
				return err
			}
		}
	}
	files, err := t.libraryPages(day, version)
	if err != nil {
		return err
	}
	for file, text := range files {
		if err := write(filepath.Join(args[0], "man3", file), text); err != nil {
			return err
		}
	}
	return nil
}

// pagesOf makes the pages of a program: its own, and one for each command.
func pagesOf(p program, day, version string) map[string][]byte {
	const manual = "Ledge manual"
	source := "ledge " + version
	pages := map[string][]byte{}

	top := newPage(p.Name, "1", day, source, manual)
	top.name(p.Name, p.Usage)
	top.synopsis(p.Synopsis)
	if len(p.Commands) > 0 {
		top.section("COMMANDS")
		for _, c := range p.Commands {
			top.item(bold(p.Name+" "+c.Name), c.Usage+": see "+p.pageOf(c)+"(1)")
		}
	}
	top.flags(p.Flags)
	for _, s := range p.Sections {
		title := s.Title
		switch title {
		case "EXIT CODES":
			title = "EXIT STATUS" // what man-pages(7) calls it
		case "CONFIGURATION":
			title = "FILES"
		}
		top.section(title)
		if title == "EXAMPLES" {
			top.literal(strings.Split(s.Text, "\n"))
		} else {
			top.text(s.Text)
		}
	}
	var see []string
	for _, c := range p.Commands {
		see = append(see, p.pageOf(c))
	}
	top.seeAlso(see)
	pages[p.Name+".1"] = []byte(top.b.String())

	for _, c := range p.Commands {
		name := p.pageOf(c)
		q := newPage(name, "1", day, source, manual)
		q.name(name, c.Usage)
		q.synopsis(c.Synopsis)
		q.command(c)
		q.seeAlso([]string{p.Name})
		pages[name+".1"] = []byte(q.b.String())
	}
	return pages
}

// pageOf is the name of a command's page: ledge-run, but ledge-bench-command, since
// ledge-bench is a program.
func (p program) pageOf(c command) string {
	name := p.Name + "-" + c.Name
	if slices.Contains(programs, name) {
		name += "-command"
	}
	return name
}

func (p *page) name(name, usage string) {
	p.section("NAME")
	p.fresh = false
	p.b.WriteString(escape(name) + ` \- ` + escape(usage) + "\n")
}

// synopsis shows how a program is called. What stands after many spaces in a line is
// a remark.
func (p *page) synopsis(lines []string) {
	if len(lines) == 0 {
		return
	}
	p.section("SYNOPSIS")
	p.calls(lines)
	for _, line := range lines {
		if _, remark, ok := strings.Cut(line, "   "); ok {
			p.paragraph(sentence(strings.TrimSpace(remark)))
		}
	}
}

// calls are lines of commands; capitals stand for something.
func (p *page) calls(lines []string) {
	p.fresh = false
	p.b.WriteString(".nf\n")
	for _, line := range lines {
		line, _, _ = strings.Cut(line, "   ")
		var words []string
		for _, w := range strings.Fields(line) {
			if w == strings.ToLower(w) && w != "-" && w != "<" && w != "|" {
				w = bold(w)
			} else {
				w = verbatim(w)
			}
			words = append(words, w)
		}
		p.b.WriteString(strings.Join(words, " ") + "\n")
	}
	p.b.WriteString(".fi\n")
}

// command is what the page of a command says of it.
func (p *page) command(c command) {
	if c.Description != "" {
		p.section("DESCRIPTION")
		p.text(c.Description)
	}
	if len(c.Aliases) > 0 {
		p.paragraph("The same as: " + strings.Join(c.Aliases, ", ") + ".")
	}
	p.flags(c.Flags)
	if len(c.Commands) > 0 {
		p.section("COMMANDS")
		for _, s := range c.Commands {
			p.sub(c.Name + " " + s.Name)
			p.paragraph(sentence(s.Usage))
			if len(s.Synopsis) > 0 {
				p.begin()
				p.calls(s.Synopsis)
			}
			if s.Description != "" {
				p.text(s.Description)
			}
			for _, f := range s.Flags {
				p.flag(f)
			}
			if len(s.Examples) > 0 {
				p.literal(s.Examples)
			}
		}
	}
	if len(c.Examples) > 0 {
		p.section("EXAMPLES")
		p.literal(c.Examples)
	}
}

// flags lists flags by category.
func (p *page) flags(flags []optionFlag) {
	if len(flags) == 0 {
		return
	}
	p.section("OPTIONS")
	category := ""
	for _, f := range flags {
		if f.Category != category {
			category = f.Category
			p.sub(title(category))
		}
		p.flag(f)
	}
}

func (p *page) flag(f optionFlag) {
	var names []string
	for _, n := range f.Names {
		names = append(names, bold(n))
	}
	term, text := strings.Join(names, ", "), f.Usage
	if f.Value != "" {
		term += " " + italic(f.Value)
	}
	if f.Default != "" {
		text += " (default: " + f.Default + ")"
	}
	p.item(term, text)
}

// seeAlso names other pages of section 1.
func (p *page) seeAlso(names []string) {
	if len(names) == 0 {
		return
	}
	p.section("SEE ALSO")
	for i, n := range names {
		end := ","
		if i == len(names)-1 {
			end = ""
		}
		p.b.WriteString(".BR " + escape(n) + " (1)" + end + "\n")
	}
}

// sentence gives a line a capital and a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// title turns the capitals of help into a heading: MODEL AND DEVICE, Model and device.
func title(s string) string {
	if s == "" {
		return s
	}
	return s[:1] + strings.ToLower(s[1:])
}
