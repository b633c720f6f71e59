package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/home"
	"github.com/ledge-run/ledge/runtime/home/generate"
)

// counts is what the report says of a part.
type counts struct {
	split generate.Split
	seed  uint64

	lines, drawn, twice, tested, near int
	runes                             int
	commands                          map[string]bool
	by                                map[string]map[string]int // field, value, lines
	length                            map[int]int               // by tens of characters
}

func newCounts(split generate.Split, seed uint64) *counts {
	return &counts{split: split, seed: seed, commands: map[string]bool{}, by: map[string]map[string]int{}, length: map[int]int{}}
}

func (c *counts) add(e generate.Example) {
	c.lines++
	n := utf8.RuneCountInString(e.Text)
	c.runes += n
	c.length[n/10*10]++
	label := e.Command
	label.Reply = ""
	c.commands[label.String()] = true
	c.count("language", e.Lang)
	c.count("intent", e.Command.Intent)
	if e.Command.Intent != "none" {
		c.count("device", nameless(e.Command.Device))
		c.count("room", roomKind(e.Command))
		c.count("value", valueKind(e.Command.Value))
	}
}

func (c *counts) count(field, value string) {
	if c.by[field] == nil {
		c.by[field] = map[string]int{}
	}
	c.by[field][value]++
}

func nameless(s string) string {
	if s == "" {
		return "(none named)"
	}
	return s
}

func roomKind(c home.Command) string {
	if n := len(c.Rooms()); n > 1 {
		return fmt.Sprintf("(%d rooms)", n)
	}
	return nameless(c.Room)
}

// valueKind is what a value is made of.
func valueKind(s string) string {
	v, err := home.ParseValue(s)
	if err != nil || v.Empty() {
		return "(none)"
	}
	var kinds []string
	switch {
	case v.Word != "":
		kinds = append(kinds, "word")
	case v.Unit != "":
		kinds = append(kinds, map[home.Unit]string{home.Percent: "percent", home.Celsius: "Celsius", home.Fahrenheit: "Fahrenheit", home.Kelvin: "kelvin", home.Level: "plain number"}[v.Unit])
	}
	switch {
	case v.Day != "":
		kinds = append(kinds, "day and time")
	case v.Clock != "":
		kinds = append(kinds, "time of day")
	case v.Delay != 0:
		kinds = append(kinds, "delay")
	case v.For != 0:
		kinds = append(kinds, "duration")
	}
	return strings.Join(kinds, ", ")
}

// report writes the tables.
func (c *counts) report(w io.Writer) {
	fmt.Fprintf(w, "| %s | seed %d |\n| --- | --- |\n", c.split, c.seed)
	fmt.Fprintf(w, "| lines, all different | %d |\n", c.lines)
	fmt.Fprintf(w, "| different commands | %d |\n", len(c.commands))
	fmt.Fprintf(w, "| drawn | %d |\n", c.drawn)
	fmt.Fprintf(w, "| left out: there before | %d (%.1f %%) |\n", c.twice, percent(c.twice, c.drawn))
	if c.tested > 0 {
		fmt.Fprintf(w, "| left out: said in the test | %d (%.2f %%) |\n", c.tested, percent(c.tested, c.drawn))
	}
	fmt.Fprintf(w, "| left out: near an evaluation sentence | %d (%.2f %%) |\n", c.near, percent(c.near, c.drawn))
	fmt.Fprintf(w, "| characters a sentence | %.1f |\n", float64(c.runes)/float64(c.lines))
	for _, field := range []string{"language", "intent", "device", "room", "value"} {
		fmt.Fprintf(w, "\n| %s | lines | share |\n| --- | ---: | ---: |\n", field)
		values := slices.Collect(maps.Keys(c.by[field]))
		slices.SortFunc(values, func(a, b string) int {
			if d := c.by[field][b] - c.by[field][a]; d != 0 {
				return d
			}
			return strings.Compare(a, b)
		})
		for _, v := range values {
			fmt.Fprintf(w, "| %s | %d | %.1f %% |\n", v, c.by[field][v], percent(c.by[field][v], c.lines))
		}
	}
	fmt.Fprintf(w, "\n| characters | lines | share |\n| --- | ---: | ---: |\n")
	for _, n := range slices.Sorted(maps.Keys(c.length)) {
		fmt.Fprintf(w, "| %d-%d | %d | %.1f %% |\n", n, n+9, c.length[n], percent(c.length[n], c.lines))
	}
}

func percent(part, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(part) / float64(of)
}

// mark is where the tables begin in the page, what is above it is written by hand.
const mark = "<!-- written by go run ./build/homedata -doc docs/home-data.md -->"

// document writes the tables of both parts into the page.
func document(path string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, _, found := bytes.Cut(old, []byte(mark))
	if !found {
		return fmt.Errorf("%s has no line %q", path, mark)
	}
	page := bytes.NewBuffer(head)
	fmt.Fprintln(page, mark)
	for _, p := range []struct {
		split generate.Split
		n     int
	}{{generate.Train, 1000000}, {generate.Test, 5000}} {
		c, err := collect(io.Discard, p.split, 1, p.n)
		if err != nil {
			return err
		}
		fmt.Fprintf(page, "\n### %s\n\n", map[generate.Split]string{generate.Train: "Training", generate.Test: "Test"}[p.split])
		c.report(page)
	}
	return os.WriteFile(path, page.Bytes(), 0o644)
}
