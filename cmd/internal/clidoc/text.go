package clidoc

import "strings"

// indent is what stands before the lines of a section.
const indent = "   "

// sections divides a help text (or its template) at its headings: lines that begin
// at the margin, in capitals, with a colon at their end. What stands before the
// first is left out.
func sections(text string) []Section {
	var out []Section
	for _, line := range strings.Split(text, "\n") {
		if title, ok := strings.CutSuffix(line, ":"); ok && heading(title) {
			out = append(out, Section{Title: title})
		} else if len(out) > 0 {
			out[len(out)-1].Text += line + "\n"
		}
	}
	for i := range out {
		out[i].Text = outdent(out[i].Text)
	}
	return out
}

// heading reports whether a line's beginning is a heading.
func heading(s string) bool {
	return s != "" && s[0] != ' ' && s == strings.ToUpper(s) && !strings.ContainsAny(s, "{}")
}

// outdent takes the indent of sections from lines, and empty lines from the ends.
func outdent(text string) string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		out = append(out, strings.TrimRight(strings.TrimPrefix(line, indent), " \t"))
	}
	return strings.Trim(strings.Join(out, "\n"), "\n")
}

// lines gives the lines of a text without empty ones.
func lines(text string) []string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}
