package table

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/bench/record"
)

// Markdown writes tables as a document has them.
func Markdown(records []record.Record, tables []Table) string {
	var b strings.Builder
	b.WriteString(intro(records))
	for _, t := range tables {
		fmt.Fprintf(&b, "\n### %s\n\n", t.Title)
		line := func(cells []string) {
			for _, c := range cells {
				b.WriteString("| " + escape.Replace(c) + " ")
			}
			b.WriteString("|\n")
		}
		line(t.Head)
		b.WriteString(strings.Repeat("| --- ", len(t.Head)) + "|\n")
		for _, r := range t.Rows {
			line(r)
		}
		for _, n := range t.below("`") {
			b.WriteString("\n" + n + "\n")
		}
	}
	return b.String()
}

// escape keeps a cell in its cell.
var escape = strings.NewReplacer("|", `\|`, "\n", " ")

// below are the paragraphs below a table.
func (t *Table) below(quote string) []string {
	var all []string
	for i, n := range t.Marks {
		s := sign(i)
		if s == "*" && quote != "" {
			s = `\*`
		}
		all = append(all, s+" "+n)
	}
	text := ""
	if t.Bars > 0 {
		text = fmt.Sprintf("%d of %d rows meet their bar.", t.Met, t.Bars)
	}
	if quote != "" && len(t.Commands) > 0 {
		text = strings.TrimSpace(text + " Commands of the peers: " + quote + strings.Join(t.Commands, quote+", "+quote) + quote + ".")
	}
	if text != "" {
		all = append(all, text)
	}
	if t.Note != "" {
		all = append(all, strings.TrimSpace(t.Note))
	}
	return all
}

// Text writes tables for a terminal.
func Text(records []record.Record, tables []Table) string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(intro(records), "\n\n", "\n"))
	for _, t := range tables {
		b.WriteString("\n" + t.Text())
	}
	return b.String()
}

// Text is one table for a terminal.
func (t Table) Text() string {
	var b strings.Builder
	b.WriteString(t.Title + "\n")
	widths := make([]int, len(t.Head))
	all := append([][]string{t.Head}, t.Rows...)
	for _, r := range all {
		for i, c := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(plain(c)))
		}
	}
	for _, r := range all {
		line := ""
		for i, c := range r {
			c = plain(c)
			line += c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2)
		}
		b.WriteString("  " + strings.TrimRight(line, " ") + "\n")
	}
	for _, n := range t.below("") {
		b.WriteString("  " + n + "\n")
	}
	return b.String()
}

func plain(c string) string { return strings.ReplaceAll(c, "**", "") }

// The tables of a document stand between these lines; the text around them is written
// by hand.
const (
	Begin = "<!-- ledge-bench table writes what follows -->\n"
	End   = "<!-- ledge-bench table wrote what is above -->\n"
)

// Replace puts new text into a document's place for it.
func Replace(document, text string) (string, error) {
	before, rest, ok := strings.Cut(document, Begin)
	_, after, ok2 := strings.Cut(rest, End)
	if !ok || !ok2 {
		return "", errors.New("the lines between which the tables stand are missing: " + strings.TrimSpace(Begin) + " and " + strings.TrimSpace(End))
	}
	return before + Begin + "\n" + text + "\n" + End + after, nil
}
