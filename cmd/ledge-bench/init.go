package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench/suite"
)

func (a *app) initCommand() *cli.Command {
	c := &cli.Command{Name: "init", Usage: "write a suite to begin with", Flags: []cli.Flag{
		&cli.BoolFlag{Name: "full", Usage: "with every key that a suite can have"}, quietFlag(),
	}, Action: a.init}
	return console.Describe(c, "ledge-bench init [--full] [FILE]", `
Without a file it goes to standard output. A file that is there already stays as it is.`,
		`ledge-bench init board.yaml`, `ledge-bench init --full | less`)
}

func (a *app) init(c *cli.Context) error {
	if err := console.Only(c, 1, "one FILE"); err != nil {
		return err
	}
	text := suite.Example
	if c.Bool("full") {
		text = suite.FullExample
	}
	path := c.Args().First()
	if path == "" {
		_, err := io.WriteString(a.out, text)
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: name another file", path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot write %s: there is no folder %s", path, filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	a.note("%s is written: put your models into it, then ledge-bench run %s", path, path)
	return nil
}
