package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/jsonfault"
	"github.com/ledge-run/ledge/runtime/train/data"
	dataclean "github.com/ledge-run/ledge/runtime/train/data/clean"
	"github.com/ledge-run/ledge/runtime/train/data/mask"
	"github.com/ledge-run/ledge/runtime/train/data/segment"
	"github.com/ledge-run/ledge/runtime/train/data/source"
)

const (
	catRead  = "READING"
	catClean = "CLEANING"
	catSplit = "DUPLICATES AND SPLITS"
	catWrite = "WRITING"
)

// sourceFlags say how files are read.
func sourceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "field", Value: "text", Usage: "`NAME` of the field of JSON lines, or column of CSV, that has the text", Category: catRead},
		&cli.StringFlag{Name: "unit", Value: "file", Usage: "a document of a text file is its `PART`: file, paragraph or line", Category: catRead},
		&cli.StringFlag{Name: "encoding", Usage: "`NAME` of the encoding of all files (default: found out for each)", Category: catRead},
		&cli.BoolFlag{Name: "skip-bad", Usage: "leave out what cannot be read, and count it (default: stop there, naming the line)", Category: catRead},
	}
}

func threadsFlag() cli.Flag {
	return &cli.IntFlag{Name: "threads", Aliases: []string{"t"}, Usage: "`N` threads (default: as many as there are processors); the result is the same"}
}

func (a *app) dataCommand() *cli.Command {
	c := &cli.Command{Name: "data", Usage: "make training data out of files: clean, mask, remove duplicates, split",
		Subcommands: []*cli.Command{a.dataBuildCommand(), a.dataReportCommand(), a.dataMaskCommand(), a.dataWordsCommand()}}
	return describe(c, "ledge data build -o FOLDER [FLAGS] PATH...\nledge data report FOLDER\nledge data mask [FLAGS] [FILE]\nledge data words [FLAGS] [FILE]", `
Nothing leaves the machine. docs/data.md tells each step, its rules and how well it does.`,
		`ledge data build -o corpus --lang zh,en --mask all texts/ notes.jsonl`,
		`ledge data report corpus`)
}

func (a *app) dataBuildCommand() *cli.Command {
	d := data.Defaults()
	c := &cli.Command{Name: "build", Usage: "read files and folders, write shards, a manifest and a report", Action: a.dataBuild}
	c.Flags = join([]cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FOLDER` to make", Category: catWrite},
		&cli.BoolFlag{Name: "restart", Usage: "forget what an interrupted build has done (default: go on with it)", Category: catWrite},
		&cli.StringFlag{Name: "shard-size", Value: "64MB", Usage: "begin another file after `SIZE` (MB and GB are powers of 1000, MiB and GiB of 1024)", Category: catWrite},
		&cli.BoolFlag{Name: "gzip", Usage: "compress the shards", Category: catWrite},
		&cli.IntFlag{Name: "words", Usage: "put the `N` most frequent words into the report, without stop words", Category: catWrite},
		&cli.StringFlag{Name: "group", Usage: "documents with the same value of field `NAME` stay in one split", Category: catSplit},
		&cli.StringFlag{Name: "keep", Usage: "keep fields `NAME,...` of the input beside the text", Category: catRead},
		&cli.StringFlag{Name: "normalize", Value: "nfc", Usage: "Unicode `FORM`: nfc, nfkc or none", Category: catClean},
		&cli.StringFlag{Name: "width", Value: "keep", Usage: "`WHAT` becomes half width of full-width ASCII: keep (nothing), alnum (letters and digits) or half (all of it)", Category: catClean},
		&cli.BoolFlag{Name: "collapse", Usage: "make runs of spaces within lines one space, and take away indentation", Category: catClean},
		&cli.IntFlag{Name: "min-units", Value: d.Rules.MinUnits, Usage: "remove documents of fewer than `N` words and Chinese characters", Category: catClean},
		&cli.IntFlag{Name: "max-units", Usage: "remove documents of more than `N`", Category: catClean},
		&cli.StringFlag{Name: "lang", Usage: "`LIST` of languages to keep, of zh and en, told by their letters", Category: catClean},
		&cli.Float64Flag{Name: "lang-share", Value: 0.5, Usage: "`SHARE` of the letters that must be of those languages", Category: catClean},
		&cli.Float64Flag{Name: "max-broken", Value: 0.01, Usage: "remove documents with a larger `SHARE` of characters that could not be read", Category: catClean},
		&cli.StringFlag{Name: "rules", Usage: "`LIST` of published sets of rules for web pages: gopher, c4", Category: catClean},
		&cli.StringFlag{Name: "mask", Usage: "`LIST` of what to mask: email, phone, id, card, plate, address or all", Category: catClean},
		&cli.BoolFlag{Name: "keep-duplicates", Usage: "keep exact duplicates", Category: catSplit},
		&cli.BoolFlag{Name: "keep-near", Usage: "keep near duplicates (in one split each)", Category: catSplit},
		&cli.Float64Flag{Name: "near", Value: d.Threshold, Usage: "documents as similar as `S` (Jaccard) are near duplicates", Category: catSplit},
		&cli.IntFlag{Name: "shingle", Value: d.Shingle, Usage: "similarity is that of the sets of runs of `N` words or Chinese characters", Category: catSplit},
		&cli.StringFlag{Name: "split", Value: "train=0.98,valid=0.02", Usage: "splits and their shares: `NAME=SHARE,...`", Category: catSplit},
		&cli.Uint64Flag{Name: "seed", Usage: "`N` that chooses which documents go where", Category: catSplit},
		jsonFlag(), threadsFlag(), quietFlag(),
	}, sourceFlags())
	return describe(c, "ledge data build -o FOLDER [FLAGS] PATH...", `
Reads text, Markdown, HTML, CSV, TSV and JSON lines (.gz too) in UTF-8, UTF-16 or GB18030 out of files and folders, and
writes FOLDER/train-00000.jsonl and so on, manifest.json (settings, inputs, SHA-256 of the shards) and report.json; the
report's table goes to standard output. Ctrl-C and even a crash lose some seconds: the same command goes on. Near duplicates
that are found and documents of a group never come to stand in two splits.`,
		`ledge data build -o corpus texts/ notes.jsonl page.html`,
		`ledge data build -o corpus --unit line --shingle 3 --split train=0.9,test=0.1 commands.txt`,
		`ledge data build -o corpus --field content --lang zh,en --rules gopher --mask all --words 50 --gzip web/`)
}

// dataSettings are a build's settings by its flags.
func dataSettings(c *cli.Context) (data.Settings, error) {
	s := data.Defaults()
	s.Source = sourceOptions(c)
	s.Source.Group = c.String("group")
	s.Source.Keep = list(c.String("keep"))
	s.SkipBad = c.Bool("skip-bad")
	s.Normalize = dataclean.Normalizer{Form: dataclean.Form(c.String("normalize")), Width: dataclean.Width(c.String("width")), Collapse: c.Bool("collapse")}
	s.Rules = dataclean.Rules{MinUnits: c.Int("min-units"), MaxUnits: c.Int("max-units"), Languages: list(c.String("lang")), MaxBroken: c.Float64("max-broken")}
	if len(s.Rules.Languages) > 0 {
		s.Rules.MinShare = c.Float64("lang-share")
	}
	for _, name := range list(c.String("rules")) {
		switch name {
		case "gopher":
			s.Rules.Gopher = true
		case "c4":
			s.Rules.C4 = true
		default:
			return s, usagef("--rules %s: there are gopher and c4", name)
		}
	}
	var err error
	if m := c.String("mask"); m != "" {
		if s.Mask, err = mask.ParseKinds(m); err != nil {
			return s, usagef("--mask: %v", err)
		}
	}
	s.Exact, s.Near, s.Threshold, s.Shingle = !c.Bool("keep-duplicates"), !c.Bool("keep-near"), c.Float64("near"), c.Int("shingle")
	if s.Splits, err = data.ParseSplits(c.String("split")); err != nil {
		return s, usagef("--split: %v", err)
	}
	s.Seed, s.Gzip, s.TopWords = c.Uint64("seed"), c.Bool("gzip"), c.Int("words")
	if s.ShardBytes, err = parseSize(c.String("shard-size")); err != nil {
		return s, usagef("--shard-size %s: %v", c.String("shard-size"), err)
	}
	if err := s.Check(); err != nil {
		return s, usagef("%v", err)
	}
	return s, nil
}

func sourceOptions(c *cli.Context) source.Options {
	return source.Options{Field: c.String("field"), Unit: source.Unit(c.String("unit")), Encoding: c.String("encoding")}
}

// list divides a list at commas.
func list(s string) []string {
	var all []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// parseSize reads 64MB, 500k, 1.5GiB or a number of bytes: k, M, G and T, with or without B, are
// powers of 1000, Ki, Mi, Gi and Ti of 1024.
func parseSize(s string) (int64, error) {
	s = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(s)), "b")
	s, binary := strings.CutSuffix(s, "i")
	unit := 1.0
	if n := len(s) - 1; n > 0 {
		if i := strings.IndexByte("kmgt", s[n]); i >= 0 {
			base := 1000.0
			if binary {
				base, binary = 1024, false
			}
			unit = math.Pow(base, float64(i+1))
			s = s[:n]
		}
	}
	var v float64
	if n, err := fmt.Sscanf(s+"\n", "%g\n", &v); binary || err != nil || n != 1 || v*unit < 1 || v*unit > 1<<50 {
		return 0, errors.New("it is no size: write a number with k, M or G (powers of 1000) or Ki, Mi or Gi (of 1024), as in 64MB or 64MiB")
	}
	return int64(v * unit), nil
}

func (a *app) dataBuild(c *cli.Context) error {
	out := c.String("output")
	if out == "" {
		return usagef("no folder to make: name one with -o FOLDER")
	}
	if c.NArg() == 0 {
		return usagef("no files: name files or folders to read; see ledge data build --help")
	}
	if slices.Contains(c.Args().Slice(), "-") {
		return usagef("- is standard input, which ledge data build does not read, for it goes on where it stopped: name a file")
	}
	s, err := dataSettings(c)
	if err != nil {
		return err
	}
	if err := checkFields(c, s); err != nil {
		return err
	}
	bar := a.newStages()
	r, err := data.Build{Out: out, Paths: c.Args().Slice(), Settings: s, Threads: c.Int("threads"), Restart: c.Bool("restart"),
		Note: bar.bar.Log,
		Progress: func(p data.Progress) {
			bar.show(p.Stage, p.Fraction, "%.0f %%, %d documents", 100*p.Fraction, p.Docs)
		}}.Run(c.Context)
	bar.done()
	if err != nil {
		var bad *source.BadRecord
		switch {
		case errors.Is(err, data.ErrOtherBuild):
			return fmt.Errorf("%w (--restart starts anew)", err)
		case errors.As(err, &bad):
			return fmt.Errorf("%w (--skip-bad leaves such records out)", err)
		case c.Context.Err() != nil:
			a.note("what is done is kept in %s: the same command goes on", out+".part")
		}
		return err
	}
	return a.showReport(c, r)
}

// checkFields refuses --group and --keep of a field that no document has: it is misspelt,
// and nothing would come of it. The files are read until all are found, so that only those
// of a field that is rare, or nowhere, take time.
func checkFields(c *cli.Context, s data.Settings) error {
	o := s.Source
	if o.Group != "" {
		o.Keep = append(slices.Clone(o.Keep), o.Group)
	}
	missing := slices.Clone(o.Keep)
	found, err := source.Find(c.Args().Slice())
	if err != nil {
		return nil // the build tells what is wrong with files
	}
	some := false
	for _, f := range found.Files {
		for doc, err := range source.Read(f, o, nil) {
			switch {
			case c.Context.Err() != nil:
				return context.Cause(c.Context)
			case err != nil && !s.SkipBad, len(missing) == 0:
				return nil
			case err != nil:
				continue
			}
			some = true
			for _, x := range doc.Extra {
				missing = slices.DeleteFunc(missing, func(name string) bool { return name == x.Name })
			}
		}
	}
	if !some || len(missing) == 0 {
		return nil
	}
	flag := "keep"
	if missing[0] == o.Group {
		flag = "group"
	}
	return usagef("--%s %s: no document has a field or column of that name", flag, missing[0])
}

func (a *app) showReport(c *cli.Context, r *data.Report) error {
	if c.Bool("json") {
		return a.out.JSON(r, true)
	}
	return a.out.Show(r.Table())
}

func (a *app) dataReportCommand() *cli.Command {
	c := &cli.Command{Name: "report", Usage: "show the report of a folder again", Flags: []cli.Flag{jsonFlag()}, Action: a.dataReport}
	return describe(c, "ledge data report [--json] FOLDER", "", "ledge data report corpus", "ledge data report corpus --json | jq .near_duplicates.documents")
}

func (a *app) dataReport(c *cli.Context) error {
	if err := only(c, 1, "one folder"); err != nil {
		return err
	}
	if c.NArg() == 0 {
		return usagef("no folder: name the one that ledge data build has made")
	}
	path := filepath.Join(c.Args().First(), data.ReportName)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s has no %s: name a folder that ledge data build has made", c.Args().First(), data.ReportName)
	case err != nil:
		return fmt.Errorf("cannot read: %w", err)
	}
	var r data.Report
	if err := json.Unmarshal(b, &r); err != nil {
		return fmt.Errorf("%s is no report: %w", path, jsonfault.Of(err))
	}
	return a.showReport(c, &r)
}

func (a *app) dataMaskCommand() *cli.Command {
	c := &cli.Command{Name: "mask", Usage: "replace phone numbers, addresses and the like by labels", Action: a.dataMask, Flags: []cli.Flag{
		&cli.StringFlag{Name: "kinds", Value: "all", Usage: "`LIST` of what to mask: email, phone, id, card, plate, address or all"},
	}}
	return describe(c, "ledge data mask [FLAGS] [FILE]", `
Reads a text file or standard input and writes it with [EMAIL], [PHONE], [ID] (identity numbers of China with a right check digit, social
security and passport numbers), [CARD] (bank cards with a right check digit), [PLATE] and [ADDRESS] in place of what it finds, in
Chinese and English. Rules miss some, names are not looked for: docs/data.md has how much is found.`,
		`ledge data mask letter.txt`, `cat chat.log | ledge data mask --kinds phone,email`)
}

// textOf is the text of the file that is named, or standard input.
func (a *app) textOf(c *cli.Context) (string, error) {
	if err := only(c, 1, "one file"); err != nil {
		return "", err
	}
	path := "-"
	if c.NArg() == 1 {
		path = c.Args().First()
	} else if !a.piped() {
		return "", usagef("no text: name a file, or pipe one in")
	}
	text, err := a.readFile(c.Context, path)
	if err != nil {
		return "", err
	}
	return text, checkUTF8("the text", text)
}

func (a *app) dataMask(c *cli.Context) error {
	kinds, err := mask.ParseKinds(c.String("kinds"))
	if err != nil {
		return usagef("--kinds: %v", err)
	}
	text, err := a.textOf(c)
	if err != nil {
		return err
	}
	m := mask.New(kinds...)
	for line := range strings.Lines(text) {
		if _, err := a.out.Write([]byte(m.Apply(line, nil))); err != nil {
			return err
		}
	}
	return a.out.Flush()
}

func (a *app) dataWordsCommand() *cli.Command {
	c := &cli.Command{Name: "words", Usage: "divide Chinese and English text into words", Action: a.dataWords, Flags: []cli.Flag{
		&cli.BoolFlag{Name: "no-stop", Usage: "leave out stop words, numbers and punctuation"},
	}}
	return describe(c, "ledge data words [FLAGS] [FILE]", `
Reads a text file or standard input and writes each line with its words divided by spaces.`,
		`echo 请把客厅的灯关掉 | ledge data words`, `ledge data words --no-stop article.txt`)
}

func (a *app) dataWords(c *cli.Context) error {
	text, err := a.textOf(c)
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		var words []string
		err := segment.Words(line, func(w string) {
			if !c.Bool("no-stop") || !segment.IsStop(w) {
				words = append(words, w)
			}
		})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(a.out, strings.Join(words, " ")); err != nil {
			return err
		}
	}
	return a.out.Flush()
}
