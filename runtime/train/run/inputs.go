package run

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ledge-run/ledge/runtime/files"
	"github.com/ledge-run/ledge/runtime/train/feed"
	"github.com/ledge-run/ledge/runtime/train/recipe"
)

// Check finds whether a recipe's files are there, and none of them would be written over.
func Check(r *recipe.Recipe) error {
	n, err := OpenNetwork(r)
	if err != nil {
		return err
	}
	x := &running{net: n}
	return errors.Join(x.checkInputs(r), n.Close())
}

// checkInputs refuses a folder in which the run would write over what it reads.
func (x *running) checkInputs(r *recipe.Recipe) error {
	var inputs []string
	for _, patterns := range [][]string{r.Data.Train, r.Data.Valid} {
		if len(patterns) == 0 {
			continue
		}
		files, err := feed.Find(patterns)
		if err != nil {
			return err
		}
		inputs = append(inputs, files...)
	}
	inputs = append(inputs, x.net.vocab.Paths()...)
	if x.net.base != nil {
		inputs = append(inputs, x.net.base.Paths()...)
	}
	if r.Distill != nil {
		inputs = append(inputs, r.Distill.Teacher)
	}
	for _, name := range []string{
		ModelName, AdapterName, LogName, CurveName, lockName,
		tokensOf(trainName), tokensOf(validName), filepath.Join(cacheName, wordsName),
	} {
		written := filepath.Join(r.Out, name)
		is, err := os.Stat(written)
		if err != nil {
			continue // it is not there, so it is none of the inputs
		}
		for _, in := range inputs {
			if st, err := os.Stat(in); err == nil && os.SameFile(st, is) {
				return fmt.Errorf("%s is read, and would be written over: take another folder with --out", in)
			}
		}
	}
	return nil
}

// checkFresh refuses to begin anew in a folder with a model that no checkpoint is left
// of: what was meant to go on, or to be in another folder, would replace it.
func (x *running) checkFresh() error {
	name := ModelName
	if x.plan.r.Adapters != nil {
		name = AdapterName
	}
	path := filepath.Join(x.plan.r.Out, name)
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%s is there, and no whole checkpoint of its run: --restart begins anew and replaces it, --out takes another folder", path)
}

// baseKey tells apart the files that adapters are trained beside: their weights are in no
// checkpoint.
func (x *running) baseKey(ctx context.Context) (key [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, path := range x.net.base.Paths() {
		if err := files.CopyTo(ctx, h, path); err != nil {
			return key, err
		}
	}
	h.Sum(key[:0])
	return key, nil
}
