package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/compress/prune"
	"github.com/ledge-run/ledge/runtime/train/recipe"
	training "github.com/ledge-run/ledge/runtime/train/run"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

const (
	healingFlags = "HEALING"

	healTokens  = 512            // that a step of healing learns
	healKeyName = "healing.json" // says what the folder is the healing of
	prunedName  = "pruned.gguf"  // what learns, in the folder
)

// healing is what --heal asks for, and what came of it.
type healing struct {
	file  string // text to learn on
	held  bool   // only the part of it that was chosen by: the rest is measured on
	steps int
	rate  float64
	dir   string // of what is kept meanwhile

	rounded int // quantised tensors that were encoded again
	result  *training.Result
}

// readHealing reads the flags of healing; the texts are known.
func (q *pruneArgs) readHealing(c *cli.Context) error {
	h := &healing{file: c.String("heal"), steps: c.Int("heal-steps"), rate: c.Float64("heal-rate"), dir: q.path + ".heal"}
	if h.file == "" {
		for _, n := range []string{"heal", "heal-steps", "heal-rate"} {
			if c.IsSet(n) {
				return usagef("a text is needed to heal with: name one with --heal TEXT")
			}
		}
		return nil
	}
	switch {
	case q.zeros != nil:
		return usagef("--heal and --zeros: learning would fill the zeros again")
	case h.steps < 1:
		return usagef("--heal-steps %d: it must be 1 or more", h.steps)
	case !(h.rate > 0):
		return usagef("--heal-rate %g: it must be above 0", h.rate)
	}
	switch st, err := os.Stat(h.file); {
	case errors.Is(err, fs.ErrNotExist):
		return usagef("--heal %s: there is no such file", h.file)
	case err != nil:
		return err
	case st.IsDir():
		return usagef("--heal %s: it is a folder: name a text or a JSONL file", h.file)
	}
	if q.evalName != "" && sameFile(h.file, q.evalName) {
		if !q.held {
			return usagef("--heal %s is the text that is measured on: name another", h.file)
		}
		h.held = true
	}
	q.heal = h
	return nil
}

// spares refuses to heal in a folder that has something that is read: to begin anew is to
// remove it.
func (h *healing) spares(c *cli.Context, source string) error {
	ins := []string{source}
	for _, flag := range []string{"file", "eval-file", "imatrix", "task", "heal"} {
		ins = append(ins, filesOf(c, flag)...)
	}
	for _, in := range ins {
		if in != "" && in != "-" && within(h.dir, in) {
			return usagef("%s is read, and lies in the folder of the healing, %s: name another file to write, or move it", in, h.dir)
		}
	}
	return nil
}

// healKey is what a folder's healing depends on.
type healKey struct {
	Source, Text     string
	SourceIs, TextIs string // sizes and times
	Held             bool
	Steps            int
	Rate             float64
	Removed          []int
	Layers           []prune.Choice
}

// heal writes what is pruned into a folder, lets it learn there from the source, and
// writes what came of that in the types of what was pruned. A folder of the same healing
// is gone on with.
func (a *app) heal(c *cli.Context, q pruneArgs, source string, p *prune.Plan, o prune.WriteOptions) error {
	h := q.heal
	if err := h.begin(c.Bool("force"), source, p); err != nil {
		return err
	}
	student := filepath.Join(h.dir, prunedName)
	if _, err := os.Stat(student); err != nil {
		first := o
		first.Replace = true
		if err := p.Write(c.Context, student, first); err != nil {
			return err
		}
	}
	text := h.file
	if h.held {
		text = filepath.Join(h.dir, "learn.txt")
		if err := os.WriteFile(text, []byte(q.parts.Text), 0o644); err != nil {
			return err
		}
	}
	files, err := lines(h.dir, []string{text})
	if err != nil {
		return err
	}
	l := recipe.Lesson{Teacher: source, Student: student, Files: files, Out: h.dir, Steps: h.steps, Rate: h.rate, Mix: -1}
	r, err := l.Recipe([]string{fmt.Sprintf("train.tokens_per_step=%d", healTokens), "export.type=F32"})
	if err != nil {
		return err
	}
	if h.result, err = a.runRecipe(c, r); err != nil {
		if errors.Is(err, training.ErrStopped) {
			a.note("note: %s keeps what was learnt: the same command goes on from there", h.dir)
		}
		return fmt.Errorf("healing: %w", err)
	}
	return h.write(c, q.path, p, o)
}

// begin makes the folder, or finds that it is of the same healing.
func (h *healing) begin(force bool, source string, p *prune.Plan) error {
	k := healKey{Held: h.held, Steps: h.steps, Rate: h.rate, Removed: p.Removed, Layers: p.Choices}
	for _, f := range []struct {
		path     string
		name, is *string
	}{{source, &k.Source, &k.SourceIs}, {h.file, &k.Text, &k.TextIs}} {
		st, err := os.Stat(f.path)
		if err != nil {
			return err
		}
		if *f.name, err = filepath.Abs(f.path); err != nil {
			return err
		}
		*f.is = fmt.Sprintf("%d bytes of %d", st.Size(), st.ModTime().UnixNano())
	}
	key, err := json.MarshalIndent(k, "", " ")
	if err != nil {
		return err
	}
	path := filepath.Join(h.dir, healKeyName)
	was, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(was, key):
		return nil
	case err == nil && force:
		if err := os.RemoveAll(h.dir); err != nil {
			return err
		}
	case err == nil:
		return fmt.Errorf("%s is there, of another healing: give --force to begin anew, or name another file to write", h.dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		if _, err := os.Lstat(h.dir); err == nil {
			return fmt.Errorf("%s is there, and not of a healing: move it away, or name another file to write", h.dir)
		}
	}
	// The folder gets its name when it has the key, so that one without is of somebody else.
	temp, err := os.MkdirTemp(filepath.Dir(h.dir), ".heal")
	if err != nil {
		return err
	}
	if err = os.Chmod(temp, 0o755); err == nil {
		if err = os.WriteFile(filepath.Join(temp, healKeyName), key, 0o644); err == nil {
			err = os.Rename(temp, h.dir)
		}
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return nil
}

// write encodes what was learnt.
func (h *healing) write(c *cli.Context, path string, p *prune.Plan, o prune.WriteOptions) (err error) {
	var files [2]*gguf.File
	for i, name := range []string{filepath.Join(h.dir, prunedName), h.result.Model} {
		if files[i], err = gguf.Open(name); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, files[i].Close()) }()
	}
	h.rounded = p.Quantized()
	return p.WriteHealed(c.Context, files[0], files[1], path, o)
}

// healingJSON is what --json says of it.
type healingJSON struct {
	Steps         int           `json:"steps"`
	TokensPerStep int           `json:"tokens_per_step"`
	Epochs        float64       `json:"epochs"`  // times that the text was gone through
	Seconds       float64       `json:"seconds"` // of learning, in this call
	Rounded       int           `json:"tensors_rounded_again"`
	Pruned        *delta.Report `json:"pruned,omitempty"`          // the source, and what was pruned before it was healed
	Unrounded     *delta.Report `json:"before_rounding,omitempty"` // the source, and what was healed in float32
}

// measureHealing measures what was pruned and, if types round, what was learnt.
func (a *app) measureHealing(c *cli.Context, q pruneArgs, source string) (*healingJSON, error) {
	h := q.heal
	r := &healingJSON{Steps: h.result.Steps, TokensPerStep: healTokens, Epochs: h.result.Epochs, Seconds: h.result.Seconds, Rounded: h.rounded}
	var err error
	if r.Pruned, err = a.deltaAt(c, source, filepath.Join(h.dir, prunedName), q.eval, q.measuredOn(), q.task, delta.NoSpeed); err != nil {
		return nil, err
	}
	if q.eval != "" && h.rounded > 0 {
		r.Unrounded, err = a.deltaAt(c, source, h.result.Model, q.eval, q.measuredOn(), nil, delta.NoSpeed)
	}
	return r, err
}

// lines say in words what was done; last is the report of the file.
func (r *healingJSON) lines(last *delta.Report) []string {
	s := fmt.Sprintf("healed: %d steps of %d tokens (%.2f times through the text) in %s", r.Steps, r.TokensPerStep, r.Epochs, time.Duration(r.Seconds*float64(time.Second)).Round(time.Second))
	if r.Rounded == 0 {
		return []string{s}
	}
	round := fmt.Sprintf("rounded again: all %d quantised tensors, to the types they had", r.Rounded)
	if r.Unrounded != nil && r.Unrounded.Quality != nil && last.Quality != nil {
		round += fmt.Sprintf("; the divergence from the source was %.5f before and is %.5f", r.Unrounded.Quality.KL, last.Quality.KL)
	}
	return []string{s, round}
}
