package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"github.com/ledge-run/ledge/runtime/eval"
)

// header is the first line of a tally: what it is of.
type header struct {
	Model       string `json:"model"`
	Text        string `json:"text_sha256"`
	Calibration string `json:"calibration_sha256"`
	Chunk       int    `json:"chunk_tokens"`
	Lot         int    `json:"chunks_a_lot"`
}

// measuredLot is another line: one file on one lot of chunks.
type measuredLot struct {
	Type      string  `json:"type"`
	By        string  `json:"by"`
	Lot       int     `json:"lot"`
	Positions int     `json:"positions"`
	KL        float64 `json:"kl"`
	KLErr     float64 `json:"kl_stderr"`
	SameTop   float64 `json:"same_top"`
	PPL       float64 `json:"perplexity"`
	BasePPL   float64 `json:"source_perplexity"`
}

// tally is what has been measured, in memory and in a file that grows line by line.
type tally struct {
	lots []measuredLot
	file *os.File
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// openTally reads what there is, which must be of the same model and texts, and goes on
// from there. A last line that is not whole is measured again.
func openTally(path string, h header) (*tally, error) {
	first, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	t := &tally{}
	keep := append(first, '\n')
	if len(old) > 0 {
		whole := old[:bytes.LastIndexByte(old, '\n')+1]
		lines := bufio.NewScanner(bytes.NewReader(whole))
		for n := 1; lines.Scan(); n++ {
			if n == 1 {
				if !bytes.Equal(lines.Bytes(), first) {
					return nil, fmt.Errorf("%s is of another model, text or lot: %s: remove it, or name another folder", path, lines.Text())
				}
				continue
			}
			var m measuredLot
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				return nil, fmt.Errorf("%s, line %d: %w", path, n, err)
			}
			t.lots = append(t.lots, m)
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(whole) > 0 {
			keep = whole
		}
	}
	if err := os.WriteFile(path, keep, 0o644); err != nil {
		return nil, err
	}
	t.file, err = os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	return t, err
}

func (t *tally) close() error { return t.file.Close() }

func (t *tally) has(f made, lot int) bool {
	for _, m := range t.lots {
		if m.Type == f.kind && m.By == f.by && m.Lot == lot {
			return true
		}
	}
	return false
}

func (t *tally) add(f made, lot int, so eval.Divergence) error {
	m := measuredLot{f.kind, f.by, lot, so.Positions, so.KL, so.KLErr, so.SameTop, so.Model.PPL, so.Reference.PPL}
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	t.lots = append(t.lots, m)
	_, err = t.file.Write(append(line, '\n'))
	return err
}

// total is what the lots of a file come to.
type total struct {
	n                    int
	kl, klErr, same, ppl float64
}

// total puts lots together: the standard error of the mean from the sums of squares that
// those of the lots stand for, each being sqrt((mean of squares - mean²) / (n-1)).
func (t *tally) total(f made) (s total) {
	var squares, nll float64
	for _, m := range t.lots {
		if m.Type != f.kind || m.By != f.by {
			continue
		}
		n := float64(m.Positions)
		s.n += m.Positions
		s.kl += n * m.KL
		squares += n * (m.KLErr*m.KLErr*(n-1) + m.KL*m.KL)
		s.same += n * m.SameTop
		nll += n * math.Log(m.PPL)
	}
	if s.n == 0 {
		return s
	}
	n := float64(s.n)
	s.kl, s.same, s.ppl = s.kl/n, s.same/n, math.Exp(nll/n)
	s.klErr = math.Sqrt(max(0, squares/n-s.kl*s.kl) / (n - 1))
	return s
}

// base is the source's perplexity on all lots.
func (t *tally) base() float64 {
	seen, n, nll := map[int]bool{}, 0.0, 0.0
	for _, m := range t.lots {
		if !seen[m.Lot] {
			seen[m.Lot] = true
			n += float64(m.Positions)
			nll += float64(m.Positions) * math.Log(m.BasePPL)
		}
	}
	return math.Exp(nll / max(n, 1))
}
