package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/compress/prune"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// finishPrune writes a plan and shows what it did; lines say that in words.
func (a *app) finishPrune(c *cli.Context, f *gguf.File, q pruneArgs, source string, r pruneJSON,
	write func(context.Context, string, prune.WriteOptions) error, lines []string) error {
	took := time.Duration(0)
	if c.Bool("dry-run") {
		r.File = ""
	} else {
		start := time.Now()
		bar := a.newStages()
		err := write(c.Context, q.path, prune.WriteOptions{Threads: c.Int("threads"), Replace: c.Bool("force"), Progress: func(done, total int64) {
			bar.show("writing", fraction(done, total), "%d of %d MB", done/1e6, total/1e6)
		}})
		bar.done()
		if err != nil {
			return err
		}
		took = time.Since(start)
		if r.Report, err = a.delta(c, source, q.path, q.eval, q.measuredOn(), q.task); err != nil {
			return err
		}
		if q.heal != nil {
			if r.Healing, err = a.measureHealing(c, q, source); err != nil {
				return err
			}
		}
		if q.zeros != nil {
			if err := countZeros(f, q.path, r.Report); err != nil {
				return err
			}
		}
	}
	r.Seconds = took.Seconds()
	if r.Healing != nil {
		if err := os.RemoveAll(q.heal.dir); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return a.out.JSON(r, true)
	}
	if r.Healing != nil {
		lines = append(lines, r.Healing.lines(r.Report)...)
	}
	fmt.Fprintln(a.out, strings.Join(lines, "\n"))
	if r.Report != nil {
		fmt.Fprintln(a.out)
		var err error
		if r.Healing != nil {
			err = r.WriteHealing(a.out, r.Healing.Pruned)
		} else {
			err = r.WriteTable(a.out)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "\n%s written in %.1f s\n", q.path, took.Seconds())
	}
	return a.out.Flush()
}

// countZeros fills in the shares of zeros before and after.
func countZeros(before *gguf.File, path string, r *delta.Report) (err error) {
	after, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, after.Close()) }()
	for _, side := range []struct {
		f  *gguf.File
		to *delta.Model
	}{{before, &r.Before}, {after, &r.After}} {
		n, err := prune.CountZeros(side.f)
		if err != nil {
			return err
		}
		side.to.Zeros = &n
	}
	return nil
}
