package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ledge-run/ledge/runtime/compress/imatrix"
	"github.com/ledge-run/ledge/runtime/compress/quantize"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/gguf"

	_ "github.com/ledge-run/ledge/backend/cpu"
)

var qualityTypes = []string{"Q8_0", "Q6_K", "Q5_K_M", "Q5_0", "Q4_K_M", "Q4_1", "IQ4_NL", "Q4_0", "MXFP4", "IQ4_XS", "Q3_K_M", "Q2_K"}

// budgets are the types whose files' sizes are given to the search.
var budgets = map[string]bool{"Q5_K_M": true, "Q4_K_M": true, "Q4_0": true, "Q3_K_M": true}

// made is a file of either program.
type made struct {
	kind, by, path string
}

// quality quantises the model with both programs, the same importance matrix given,
// and with a budget of the size of some of llama-quantize's files; then it compares
// all of them with the model, a few chunks of the text at a time. What is measured
// is in the folder's quality.jsonl, so that a run that ends goes on.
func (r *job) quality(ctx context.Context) (string, error) {
	text, err := readText(r.text)
	if err != nil {
		return "", err
	}
	calib, err := readText(r.calib)
	if err != nil {
		return "", err
	}
	all, err := r.make(ctx, string(calib))
	if err != nil {
		return "", err
	}
	tally, err := openTally(r.path("quality.jsonl"), header{Model: filepath.Base(r.model), Text: sum(text), Calibration: sum(calib), Chunk: r.context, Lot: r.lot})
	if err != nil {
		return "", err
	}
	err = r.measure(ctx, all, string(text), tally)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = nil // the table tells how far it came
	}
	if err := errors.Join(err, tally.close()); err != nil {
		return "", err
	}
	return tally.table(all)
}

// measure compares the files lot by lot.
func (r *job) measure(ctx context.Context, all []made, text string, tally *tally) (err error) {
	o := engine.Options{Device: "cpu", Threads: r.thread, Context: r.context, Sequences: 1}
	source, err := engine.Open(ctx, r.model, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	t, err := eval.NewText(source, text, r.context, r.chunks)
	if err != nil {
		return err
	}
	open := map[string]*engine.Model{}
	defer func() {
		for _, m := range open {
			err = errors.Join(err, m.Close())
		}
	}()
	for lot := 0; lot*r.lot < t.Chunks(); lot++ {
		part := eval.Text{Size: t.Size, Tokens: t.Tokens[lot*r.lot*t.Size : min((lot+1)*r.lot, t.Chunks())*t.Size]}
		var kept *eval.Kept
		for _, f := range all {
			if tally.has(f, lot) {
				continue
			}
			if kept == nil {
				if kept, err = eval.Keep(ctx, source, part, nil); err != nil {
					return err
				}
			}
			m := open[f.path]
			if m == nil {
				if m, err = engine.Open(ctx, f.path, o); err != nil {
					return fmt.Errorf("%s: %w", f.path, err)
				}
				open[f.path] = m
			}
			so, err := eval.Compare(ctx, m, part, kept, nil)
			if err != nil {
				return fmt.Errorf("%s: %w", f.path, err)
			}
			if so.Partial {
				return context.Cause(ctx)
			}
			if err := tally.add(f, lot, so); err != nil {
				return err
			}
		}
		fmt.Fprintf(r.log, "chunks %d of %d\n", min((lot+1)*r.lot, t.Chunks()), t.Chunks())
	}
	return nil
}

// make quantises the model; files that are there already are taken as they are.
func (r *job) make(ctx context.Context, calib string) (all []made, err error) {
	matrix := r.path("imatrix.gguf")
	if err := r.collect(ctx, matrix, calib); err != nil {
		return nil, err
	}
	m, err := imatrix.Read(matrix)
	if err != nil {
		return nil, err
	}
	f, err := gguf.Open(r.model)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	po := quantize.PlanOptions{Matrix: m, Source: matrix}
	var measured *quantize.Measured
	for _, t := range r.list(qualityTypes) {
		ours, theirs, best := r.path("ledge-"+t+".gguf"), r.path("llama-"+t+".gguf"), r.path("budget-"+t+".gguf")
		if !exists(ours) {
			recipe, err := quantize.FindRecipe(t)
			if err != nil {
				return nil, err
			}
			p, err := quantize.NewPlan(f, recipe, po)
			if err != nil {
				return nil, err
			}
			if err := p.Write(ctx, ours, quantize.WriteOptions{Threads: r.thread}); err != nil {
				return nil, err
			}
		}
		if !exists(theirs) {
			part := theirs + ".part"
			if err := r.program(ctx, "llama-quantize", llamaArgs(t, matrix, r.model, part, r.thread)...); err != nil {
				return nil, err
			}
			if err := os.Rename(part, theirs); err != nil {
				return nil, err
			}
		}
		all = append(all, made{t, "llama-quantize", theirs}, made{t, "ledge", ours})
		if !r.budget || !budgets[t] {
			continue
		}
		if !exists(best) {
			if measured == nil {
				measured, err = quantize.Measure(ctx, f, po, quantize.SearchOptions{Text: calib, Threads: r.thread, Progress: func(what string, done, of int) {
					if done%16 == 0 {
						fmt.Fprintf(r.log, "%s: %d of %d\n", what, done, of)
					}
				}})
				if err != nil {
					return nil, err
				}
			}
			st, err := os.Stat(theirs)
			if err != nil {
				return nil, err
			}
			p, err := measured.Plan(quantize.Budget{Bytes: st.Size()})
			if err != nil {
				return nil, err
			}
			if err := p.Write(ctx, best, quantize.WriteOptions{Threads: r.thread}); err != nil {
				return nil, err
			}
		}
		all = append(all, made{t, "ledge --target-size", best})
	}
	return all, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// collect makes the importance matrix that both programs get.
func (r *job) collect(ctx context.Context, path, calib string) error {
	if exists(path) {
		return nil
	}
	m, err := imatrix.Collect(ctx, r.model, calib, engine.Options{Threads: r.thread}, imatrix.Options{Dataset: r.calib, ChunkSize: r.context})
	if err != nil {
		return err
	}
	w, err := m.Writer()
	if err != nil {
		return err
	}
	return w.Save(ctx, path, false)
}

// llamaArgs are those of llama-quantize. It has no MXFP4 for models without experts:
// its own mixture is asked for by type.
func llamaArgs(t, matrix, from, to string, threads int) []string {
	args := []string{"--allow-requantize"}
	if matrix != "" {
		args = append(args, "--imatrix", matrix)
	}
	if t == "MXFP4" {
		t = "MXFP4_MOE"
		args = append(args, "--pure", "--token-embedding-type", "q8_0", "--output-tensor-type", "q8_0")
	}
	return append(args, from, to, t, fmt.Sprint(threads))
}

// table has a line for each file that something is known of.
func (t *tally) table(all []made) (string, error) {
	var b strings.Builder
	b.WriteString("| Type | By | MB | Positions | KL to the source | Same first choice | Perplexity |\n|---|---|--:|--:|--:|--:|--:|\n")
	for _, m := range all {
		s := t.total(m)
		if s.n == 0 {
			continue
		}
		st, err := os.Stat(m.path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s | %s | %.1f | %d | %.5f ± %.5f | %.2f %% | %.3f |\n", m.kind, m.by, float64(st.Size())/1e6, s.n, s.kl, s.klErr, 100*s.same, s.ppl)
	}
	fmt.Fprintf(&b, "\nThe source's perplexity on these positions is %.4f.\n", t.base())
	return b.String(), nil
}
