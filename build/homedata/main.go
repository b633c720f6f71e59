// Command homedata writes the data of the default model: sentences of household
// commands and their lines, made by runtime/home/generate from a seed.
//
//	go run ./build/homedata -n 1000000 -seed 1 -split train -o DIR    DIR/train.jsonl, DIR/train.md, DIR/vocabulary.txt
//	go run ./build/homedata -n 5000 -seed 1 -split test -o DIR
//	go run ./build/homedata -sets DIR                                what the model is judged by, for ledge eval
//	go run ./build/homedata -doc docs/home-data.md                   the report in the docs, of both
//	go run ./build/homedata -phrases FILE [-brief]                   what a phrasebook's templates make, or what is wrong with them
//
// A line is {"prompt":"...","completion":"...","lang":"en","section":"on"}: what goes in, with the
// newline that ends it, and what is to come out; lines for tests have the "command" that is right,
// too. No line comes twice, and none is within trigram Jaccard 0.8 of a sentence that the model is
// judged by, both as the model reads them: those are counted and left out.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ledge-run/ledge/runtime/home"
	"github.com/ledge-run/ledge/runtime/home/evalset"
	"github.com/ledge-run/ledge/runtime/home/generate"
)

func main() {
	n := flag.Int("n", 200000, "lines to write")
	seed := flag.Uint64("seed", 1, "seed; the same one gives the same lines")
	split := flag.String("split", "train", "train or test")
	dir := flag.String("o", "", "folder to write SPLIT.jsonl and its report SPLIT.md to")
	sets := flag.String("sets", "", "write handwritten.jsonl, routing.jsonl, dev.jsonl, dev2.jsonl and dev3.jsonl for ledge eval to this folder instead")
	doc := flag.String("doc", "", "write the report of the documentation to this file instead")
	phrases := flag.String("phrases", "", "print what the templates of this phrasebook make instead")
	brief := flag.Bool("brief", false, "with -phrases: only what is wrong")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0 || *n < 1 || given(*dir, *doc, *sets, *phrases) != 1:
		err = fmt.Errorf("give one of -o DIR, -sets DIR, -doc FILE and -phrases FILE, and -n at least 1; see -h")
	case *phrases != "":
		err = checkPhrases(os.Stdout, *phrases, *brief)
	case *sets != "":
		err = writeSets(os.Stdout, *sets)
	case *doc != "":
		err = document(*doc)
	case generate.Split(*split) == generate.Test && (*n > testLines || *seed != testSeed):
		err = fmt.Errorf("-n %d -seed %d: training data are kept away from the first %d lines of the test of seed %d", *n, *seed, testLines, testSeed)
	default:
		err = write(*dir, generate.Split(*split), *seed, *n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "homedata:", err)
		os.Exit(1)
	}
}

func given(flags ...string) int {
	n := 0
	for _, f := range flags {
		if f != "" {
			n++
		}
	}
	return n
}

// write makes one part and its report.
func write(dir string, split generate.Split, seed uint64, n int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var lines bytes.Buffer
	c, err := collect(&lines, split, seed, n)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, string(split)+".jsonl"), lines.Bytes(), 0o644); err != nil {
		return err
	}
	if split == generate.Train {
		if err := os.WriteFile(filepath.Join(dir, "vocabulary.txt"), vocabularyText(lines.Bytes()), 0o644); err != nil {
			return err
		}
	}
	var page bytes.Buffer
	c.report(&page)
	return os.WriteFile(filepath.Join(dir, string(split)+".md"), page.Bytes(), 0o644)
}

// row is a line of the data.
type row struct {
	Prompt     string `json:"prompt"`
	Completion string `json:"completion"`
	Lang       string `json:"lang"`
	Section    string `json:"section"`

	Command *home.Command `json:"command,omitempty"` // of tests: without the reply
}

// collect draws lines until there are n.
func collect(w io.Writer, split generate.Split, seed uint64, n int) (*counts, error) {
	g, err := generate.New(seed, split)
	if err != nil {
		return nil, err
	}
	judged, err := judgedBy()
	if err != nil {
		return nil, err
	}
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	c := newCounts(split, seed)
	held := map[string]bool{} // what the test says
	if split == generate.Train {
		if held, err = tested(); err != nil {
			return nil, err
		}
	}
	type label struct {
		home.Command
		section string
	}
	labels := map[string]label{}
	var two []error
	// Grammars run dry at some size: most of what is drawn then was there before.
	for c.lines < n {
		if c.drawn++; c.drawn > 20*n+1000 {
			return nil, fmt.Errorf("only %d different lines in %d: ask for fewer", c.lines, c.drawn)
		}
		e, err := g.Next()
		if err != nil {
			return nil, err
		}
		line := e.Command.String()
		prompt := home.Prompt(e.Text)
		if before, twice := labels[prompt]; twice {
			if !before.Same(e.Command) { // replies may differ, in the language
				two = append(two, fmt.Errorf("%q has two lines: %s (%s) and %s (%s)", e.Text, before.Command, before.section, line, e.Section))
			}
			c.twice++
			continue
		}
		labels[prompt] = label{e.Command, e.Section}
		if held[prompt] {
			c.tested++
			continue
		}
		if _, s := judged.Nearest(prompt); s >= evalset.TooNear {
			c.near++
			continue
		}
		r := row{prompt, line, e.Lang, e.Section, nil}
		if split == generate.Test {
			e.Command.Reply = ""
			r.Command = &e.Command
		}
		if err := enc.Encode(r); err != nil {
			return nil, err
		}
		c.add(e)
	}
	return c, errors.Join(append(two, out.Flush())...)
}

// testSeed and testLines say which test training data keep away from.
const (
	testSeed  = 1
	testLines = 5000
)

// tested is what the test says, by its prompts: other templates can come to the same words.
func tested() (map[string]bool, error) {
	g, err := generate.New(testSeed, generate.Test)
	if err != nil {
		return nil, err
	}
	prompts := map[string]bool{}
	for n := 0; len(prompts) < testLines+testLines/10 && n < 20*testLines; n++ {
		e, err := g.Next()
		if err != nil {
			return nil, err
		}
		prompts[home.Prompt(e.Text)] = true
	}
	return prompts, nil
}
