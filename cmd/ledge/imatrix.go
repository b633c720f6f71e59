package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/compress/imatrix"
)

func (a *app) imatrixCommand() *cli.Command {
	c := &cli.Command{
		Name:  "imatrix",
		Usage: "measure which weights of a model matter, for ledge quantize",
		Flags: join([]cli.Flag{
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "`TEXT` file to measure with; - is standard input"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FILE` to write (default: imatrix.gguf)"},
			&cli.IntFlag{Name: "chunks", Usage: "use the first `N` chunks (default: all)"},
			&cli.IntFlag{Name: "ctx", Aliases: []string{"c"}, Usage: "chunks of `N` tokens", Value: imatrix.DefaultChunk, DefaultText: chunkUsual},
			&cli.IntFlag{Name: "threads", Aliases: []string{"t"}, Usage: "`N` CPU threads (default or 0: as many as help)"},
			&cli.BoolFlag{Name: "process-output", Usage: "measure the output matrix, too"},
			&cli.StringFlag{Name: "output-format", Usage: "`FORMAT` of the file: gguf, or dat as llama.cpp had before 2025 (default: by the file's name)"},
			forceFlag(),
		}, nameFlags()),
		Action: a.imatrix,
	}
	return describe(c, "ledge imatrix [FLAGS] -m MODEL -f TEXT -o FILE", `
Runs the text through the model and writes, for each weight, the sums of the squares
of its inputs: an importance matrix, in llama.cpp's format, either way. A few hundred
kilobytes of text of the kind that the model is for are enough. Take the model with the
most bits that you have.`,
		`ledge imatrix -m model-f16.gguf -f text.txt -o imatrix.gguf`,
		`ledge imatrix -m smollm2:135m -f text.txt --chunks 50 -o imatrix.gguf`,
		`ledge imatrix -m model-f16.gguf -f text.txt --output-format dat -o imatrix.dat`)
}

func (a *app) imatrix(c *cli.Context) error {
	file, path := c.String("file"), c.String("output")
	if err := only(c, 0, ""); err != nil {
		return err
	}
	if file == "" {
		return usagef("no text to measure with: name a file with -f TEXT")
	}
	if path == "" {
		path = "imatrix.gguf"
	}
	legacy := strings.HasSuffix(path, ".dat")
	switch format := c.String("output-format"); format {
	case "":
	case "gguf", "dat":
		legacy = format == "dat"
	default:
		return usagef("--output-format %s: it must be gguf or dat", format)
	}
	for name, least := range map[string]int{"chunks": 0, "ctx": 16, "threads": 0} {
		if n := c.Int(name); n < least || n > 1<<24 {
			return usagef("--%s %d: it must be %d or more", name, n, least)
		}
	}
	if err := spare(c, path, "file"); err != nil {
		return err
	}
	if err := free(c, path); err != nil {
		return err
	}
	text, err := a.readText(c.Context, file)
	if err != nil {
		return err
	}
	eo, err := a.options(c)
	if err != nil {
		return err
	}
	eo.Context = 0
	f, name, err := a.openFile(c, "")
	if err != nil {
		return err
	}
	paths, chunk := f.Paths(), c.Int("ctx")
	if !c.IsSet("ctx") {
		chunk = atMost(f, chunk)
	}
	if err := errors.Join(apart(f, path), f.Close()); err != nil {
		return err
	}
	if len(paths) == 0 {
		return usagef("%s has no file that could be read anew: name a file or a short name", name)
	}
	model := paths[0]
	bar := a.newStages()
	m, err := imatrix.Collect(c.Context, model, text, eo, imatrix.Options{
		ChunkSize: chunk, Chunks: c.Int("chunks"), Output: c.Bool("process-output"), Dataset: file,
		Progress: func(done, of int) {
			bar.show("imatrix", fraction(done, of), "chunk %d of %d", done, of)
		},
	})
	bar.done()
	if err != nil {
		return a.cause(c, inModel(f, err))
	}
	if legacy {
		err = a.writeLegacy(m, path)
	} else {
		err = writeMatrix(c, m, path)
	}
	if err != nil {
		return err
	}
	return a.out.Show(fmt.Sprintf("%s: %d weights, %d chunks of %d tokens\n", path, len(m.Entries), m.Chunks, m.ChunkSize))
}

func writeMatrix(c *cli.Context, m *imatrix.Matrix, path string) error {
	w, err := m.Writer()
	if err != nil {
		return err
	}
	return w.Save(c.Context, path, c.Bool("force"))
}

func (a *app) writeLegacy(m *imatrix.Matrix, path string) error {
	return console.WriteFile(path, a.out, func(w *console.File) error { return m.WriteLegacy(w) })
}
