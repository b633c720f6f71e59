package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/grad"
	"github.com/ledge-run/ledge/runtime/bench/process"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// hello is the first line of a side.
type hello struct {
	Version    string `json:"version"`
	Parameters int    `json:"parameters"`
}

// answer says how steps went.
type answer struct {
	Seconds []float64 `json:"seconds"`
	Losses  []float64 `json:"losses"`
	Used    float64   `json:"used"`   // processor time of the steps, in seconds
	Peak    int64     `json:"peak"`   // memory of the process at most, in bytes
	Before  int64     `json:"before"` // and before there was a model
}

// work is Ledge's side: see peer.py.
func work(ctx context.Context, path string, in io.Reader, out io.Writer) (err error) {
	var s settings
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return err
	}
	before, err := process.Memory(process.Resident)
	if err != nil {
		return err
	}
	parts, err := s.readTokens()
	if err != nil {
		return err
	}
	precision, err := dtype.Parse(s.Precision)
	if err != nil {
		return err
	}
	g, err := s.graph()
	if err != nil {
		return err
	}
	dev, err := cpu.Open(backend.Options{Threads: s.Threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	t, err := step.New(ctx, dev, g, s.random(), step.Options{
		AdamW: grad.AdamW{Beta1: s.Beta1, Beta2: s.Beta2, Eps: s.AdamEps, Decay: s.Decay, Clip: s.Clip},
		Rate:  step.Constant(s.Rate), Precision: precision,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	first := hello{Version: dev.Info().Numerics.String()}
	for _, p := range t.Params() {
		first.Parameters += p.Elems()
	}
	e := json.NewEncoder(out)
	if err := e.Encode(first); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		a, used := answer{Before: before}, process.Used()
		for range n {
			start := time.Now()
			r, err := t.Step(ctx, parts[t.Taken()%len(parts)])
			if err != nil {
				return err
			}
			a.Seconds, a.Losses = append(a.Seconds, time.Since(start).Seconds()), append(a.Losses, r.Loss)
		}
		a.Used = (process.Used() - used).Seconds()
		if a.Peak, err = process.Memory(process.Peak); err != nil {
			return err
		}
		if err := e.Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}
