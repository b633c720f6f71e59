package main

import (
	"fmt"
	"strings"
)

// page is a manual page in the language of the man macros (groff_man(7)), of which it
// uses what mandoc reads, too.
type page struct {
	b     strings.Builder
	fresh bool // a heading was the last: what comes is a paragraph already
}

// newPage begins a page; date is a day: 2026-11-26.
func newPage(title, section, date, source, manual string) *page {
	p := &page{}
	fmt.Fprintf(&p.b, ".TH %s %s %s %s %s\n", quoted(strings.ToUpper(title)), section, date, quoted(source), quoted(manual))
	p.b.WriteString(".ad l\n.nh\n") // narrow terminals: no gaps, and no flag divided
	return p
}

// section begins a section, sub a part of it.
func (p *page) section(title string) { p.heading(".SH", title) }
func (p *page) sub(title string)     { p.heading(".SS", title) }

func (p *page) heading(macro, title string) {
	fmt.Fprintf(&p.b, "%s %s\n", macro, quoted(title))
	p.fresh = true
}

// begin begins a paragraph.
func (p *page) begin() {
	if !p.fresh {
		p.b.WriteString(".PP\n")
	}
	p.fresh = false
}

// paragraph is text that is filled.
func (p *page) paragraph(text string) {
	p.begin()
	p.fill(text)
}

// fill is text that goes on in a paragraph.
func (p *page) fill(text string) {
	for _, line := range strings.Split(text, "\n") {
		p.b.WriteString(atStart(breakable(escape(line))) + "\n")
	}
	p.fresh = false
}

// breakable lets very long words be divided where one would: a;b;c.
func breakable(line string) string {
	words := strings.Split(line, " ")
	for i, w := range words {
		if len(w) > 40 {
			words[i] = strings.NewReplacer(";", `;\:`, ",", `,\:`, "/", `/\:`).Replace(w)
		}
	}
	return strings.Join(words, " ")
}

// item is a term, ready for roff, and what it means.
func (p *page) item(term, text string) {
	p.b.WriteString(".TP\n" + term + "\n")
	p.fill(text)
}

// literal is text that is shown as it stands.
func (p *page) literal(lines []string) {
	p.begin()
	p.b.WriteString(".RS 4\n.nf\n")
	for _, line := range lines {
		p.b.WriteString(atStart(verbatim(line)) + "\n")
	}
	p.b.WriteString(".fi\n.RE\n")
}

// text is text of a help screen: paragraphs, lists of terms, and examples.
func (p *page) text(text string) {
	for _, part := range strings.Split(text, "\n\n") {
		lines := strings.Split(strings.Trim(part, "\n"), "\n")
		if terms, ok := listOf(lines); ok {
			for _, t := range terms {
				p.item(bold(t[0]), t[1])
			}
			continue
		}
		n := len(lines)
		for i, line := range lines {
			if strings.HasPrefix(line, "{") || strings.HasPrefix(line, " ") {
				n = i
				break
			}
		}
		if n > 0 && lines[0] != "" {
			p.paragraph(strings.Join(lines[:n], "\n"))
		}
		if n < len(lines) {
			p.literal(lines[n:])
		}
	}
}

// listOf reads lines of a term, at least two spaces and its meaning, which can go on
// in lines that begin with spaces; the term can have a line for itself.
func listOf(lines []string) (terms [][2]string, ok bool) {
	meanings := 0
	for _, line := range lines {
		rest := strings.TrimLeft(line, " ")
		if rest != line { // goes on
			if len(terms) == 0 {
				return nil, false
			}
			t := &terms[len(terms)-1]
			if t[1] == "" {
				meanings++
			}
			t[1] = strings.TrimSpace(t[1] + "\n" + rest)
			continue
		}
		term, meaning, both := strings.Cut(line, "  ")
		if both {
			meanings++
		} else if strings.Contains(term, " ") || strings.HasSuffix(term, ":") {
			return nil, false
		}
		terms = append(terms, [2]string{term, strings.TrimSpace(meaning)})
	}
	return terms, meanings == len(terms) && meanings > 0
}

func bold(s string) string   { return `\fB` + verbatim(s) + `\fR` }
func italic(s string) string { return `\fI` + verbatim(s) + `\fR` }

// quoted is an argument of a macro.
func quoted(s string) string { return `"` + strings.ReplaceAll(escape(s), `"`, `\(dq`) + `"` }

var escapes = strings.NewReplacer(`\`, `\e`, `-`, `\-`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`)

// escape is text for roff. Dashes are those that can be copied into a command line.
func escape(s string) string {
	s = escapes.Replace(s)
	var b strings.Builder
	for _, r := range s {
		if r < 128 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}

// verbatim is text for roff in which an apostrophe stays one.
func verbatim(s string) string { return strings.ReplaceAll(escape(s), "'", `\(aq`) }

// atStart keeps a line of text from being a request.
func atStart(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}
