package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ledge-run/ledge/runtime/home/evalset"
	"github.com/ledge-run/ledge/runtime/home/generate"
)

// checkPhrases prints what a phrasebook, NAME.LANG.txt, makes of each of its templates, or what is wrong.
func checkPhrases(w io.Writer, path string, brief bool) error {
	_, lang, is := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".txt"), ".")
	if !is {
		return fmt.Errorf("%s: the name of a phrasebook is NAME.LANG.txt", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	phrases, err := generate.Phrases(string(text), lang, 2)
	if err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	var bad, near int
	seen := evalset.NewIndex()
	section := ""
	for i, p := range phrases {
		if p.Section != section && !brief {
			section = p.Section
			fmt.Fprintf(w, "\n== %s\n", section)
		}
		if p.Err != nil {
			bad++
			fmt.Fprintf(w, "WRONG  %s: %q: %v\n", p.Section, p.Text, p.Err)
		}
		if at, s := seen.Nearest(p.Text); s >= evalset.TooNear {
			near++
			fmt.Fprintf(w, "NEAR   %s: %q is as %q\n", p.Section, p.Text, phrases[at].Text)
		}
		seen.Add(phrases[i].Text)
		if !brief {
			for _, e := range p.Made {
				fmt.Fprintln(w, "   ", e)
			}
		}
	}
	fmt.Fprintf(w, "%d phrases, %d wrong, %d near another\n", len(phrases), bad, near)
	if bad > 0 {
		return fmt.Errorf("%s: %d phrases make no sentence", path, bad)
	}
	return nil
}
