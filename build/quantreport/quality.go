package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/compress/imatrix"
	"github.com/ledge-run/ledge/runtime/compress/quantize"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"

	_ "github.com/ledge-run/ledge/backend/cpu"
)

var qualityTypes = []string{"Q6_K", "Q5_K_M", "Q5_0", "Q4_K_M", "Q4_1", "IQ4_NL", "Q4_0", "MXFP4", "IQ4_XS", "Q3_K_M", "Q2_K"}

// made is a file of either program.
type made struct {
	kind, by, path string
	bytes          int64
	loss           *delta.Report
}

// quality quantises the model with both programs, the same importance matrix given,
// and with a budget of the size of each of llama-quantize's files.
func (r *report) quality(ctx context.Context) (_ string, err error) {
	calib, err := os.ReadFile(r.calib)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(r.text)
	if err != nil {
		return "", err
	}
	matrix := r.path("imatrix.gguf")
	if _, err := os.Stat(matrix); err != nil {
		m, err := imatrix.Collect(ctx, r.model, string(calib), engine.Options{Threads: r.thread}, imatrix.Options{Dataset: r.calib})
		if err != nil {
			return "", err
		}
		w, err := m.Writer()
		if err != nil {
			return "", err
		}
		if err := w.Save(ctx, matrix, true); err != nil {
			return "", err
		}
	}
	m, err := imatrix.Read(matrix)
	if err != nil {
		return "", err
	}
	f, err := gguf.Open(r.model)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var measured *quantize.Measured
	if r.budget {
		measured, err = quantize.Measure(ctx, f, quantize.PlanOptions{Matrix: m, Source: matrix}, quantize.SearchOptions{Text: string(calib), Progress: func(what string, done, of int) {
			if done%16 == 0 {
				fmt.Fprintf(r.log, "%s: %d of %d\n", what, done, of)
			}
		}})
		if err != nil {
			return "", err
		}
	}
	var all []made
	for _, t := range r.list(qualityTypes) {
		ours, theirs := r.path("ledge-"+t+".gguf"), r.path("llama-"+t+".gguf")
		recipe, err := quantize.FindRecipe(t)
		if err != nil {
			return "", err
		}
		p, err := quantize.NewPlan(f, recipe, quantize.PlanOptions{Matrix: m, Source: matrix})
		if err != nil {
			return "", err
		}
		if err := p.Write(ctx, ours, quantize.WriteOptions{Replace: true}); err != nil {
			return "", err
		}
		if err := r.program(ctx, "llama-quantize", llamaArgs(t, matrix, r.model, theirs, r.thread)...); err != nil {
			return "", err
		}
		st, err := os.Stat(theirs)
		if err != nil {
			return "", err
		}
		all = append(all, made{kind: t, by: "llama-quantize", path: theirs}, made{kind: t, by: "ledge", path: ours})
		if r.budget && (t == "Q4_K_M" || t == "Q4_0" || t == "Q3_K_M") {
			best := r.path("budget-" + t + ".gguf")
			p, err := measured.Plan(quantize.Budget{Bytes: st.Size()})
			if err != nil {
				return "", err
			}
			if err := p.Write(ctx, best, quantize.WriteOptions{Replace: true}); err != nil {
				return "", err
			}
			all = append(all, made{kind: t, by: "ledge --target-size", path: best})
		}
	}
	for i := range all {
		st, err := os.Stat(all[i].path)
		if err != nil {
			return "", err
		}
		all[i].bytes = st.Size()
	}
	for i := range all {
		all[i].loss, err = delta.Measure(ctx, r.model, all[i].path, delta.Options{Engine: engine.Options{Device: "cpu"}, Text: string(text), Chunks: r.chunks,
			Progress: func(_ string, done, of int) {
				fmt.Fprintf(r.log, "%s: chunk %d of %d\n", filepath.Base(all[i].path), done, of)
			}})
		if err != nil {
			return "", err
		}
	}
	return qualityTable(all), nil
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

func qualityTable(all []made) string {
	var b strings.Builder
	q := all[0].loss.Quality
	fmt.Fprintf(&b, "%d positions compared, the second halves of %d chunks of %d tokens; the source's perplexity is %.4f.\n\n", q.Tokens, q.Chunks, q.ChunkSize, *all[0].loss.Before.Perplexity)
	b.WriteString("| Type | By | MB | KL to the source | Same first choice | Perplexity |\n|---|---|--:|--:|--:|--:|\n")
	for _, m := range all {
		fmt.Fprintf(&b, "| %s | %s | %.1f | %.5f ± %.5f | %.2f %% | %.3f |\n", m.kind, m.by, float64(m.bytes)/1e6, m.loss.Quality.KL, m.loss.Quality.KLError, 100*m.loss.Quality.SameTop, *m.loss.After.Perplexity)
	}
	return b.String()
}
