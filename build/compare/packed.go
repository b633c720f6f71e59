package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// Ledge keeps what it packed for the next start, in the background of the first
// one. Rounds are of later starts, so that the folder is filled beforehand; it is
// one of the harness, a level and build its own, so that a run can be repeated.

// packedDir is the folder of a level, empty for the best.
func (p *programs) packedDir(level string) string {
	if level == "" {
		level = "best"
	}
	return filepath.Join(p.packed, level)
}

// ledgeEnv is the environment of ledge's processes.
func (p *programs) ledgeEnv(level string) []string {
	env := []string{"LEDGE_PACK_CACHE=" + p.packedDir(level)}
	if level != "" {
		env = append(env, "LEDGE_CPU="+level)
	}
	return env
}

// choosePacked takes a folder for a build of ledge and removes those of others.
func (p *programs) choosePacked(dir, build string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	others, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, o := range others {
		if o.Name() != build {
			if err := os.RemoveAll(filepath.Join(dir, o.Name())); err != nil {
				return err
			}
		}
	}
	p.packed = filepath.Join(dir, build)
	return nil
}

// fill sees to it that a case's model is kept packed. Keeping takes as long as
// the model runs beside it, so that what was not enough is done for longer.
func fill(ctx context.Context, p *programs, c *benchCase) error {
	if p.packed == "" {
		return nil
	}
	model, err := p.model(c)
	if err != nil {
		return err
	}
	env := p.ledgeEnv(c.level)
	for repeat := 1; ; repeat *= 4 {
		ok, err := isKept(ctx, p.ledge, env, filepath.Base(model))
		if ok || err != nil {
			return err
		}
		if repeat > 64 {
			return fmt.Errorf("ledge does not keep the packed weights of %s in %s", c.model, p.packedDir(c.level))
		}
		if _, err := execute(ctx, env, p.ledge, "bench", "-q", "-m", model, "-p", "0", "-n", "64", "-r", strconv.Itoa(repeat), "-o", "json"); err != nil {
			return err
		}
	}
}

// isKept says whether ledge lists a model.
func isKept(ctx context.Context, ledge string, env []string, label string) (bool, error) {
	r, err := execute(ctx, env, ledge, "cache", "list", "--json")
	if err != nil {
		return false, err
	}
	return listed(r.stdout, label)
}

func listed(out []byte, label string) (bool, error) {
	var list struct {
		Entries []struct {
			Model string `json:"model"`
		} `json:"entries"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return false, fmt.Errorf("ledge cache list: %w", err)
	}
	for _, e := range list.Entries {
		if e.Model == label {
			return true, nil
		}
	}
	return false, nil
}
