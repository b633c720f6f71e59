package sampler

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// goldens are what testdata/make_goldens.py computed with NumPy.
type goldens struct {
	Off   json.RawMessage   `json:"off"`
	Rows  map[string][]byte `json:"rows"` // float32, little-endian, base64
	Cases []struct {
		Row      string          `json:"row"`
		Params   json.RawMessage `json:"params"`
		History  []int32         `json:"history"`
		Breakers []int32         `json:"breakers"`
		Kept     int             `json:"kept"`
		IDs      []int32         `json:"ids"`
		Probs    []float64       `json:"probs"`
		IDSum    int64           `json:"id_sum"`
	} `json:"cases"`
}

func TestGoldens(t *testing.T) {
	data, err := os.ReadFile("testdata/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	var g goldens
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	for i, c := range g.Cases {
		row := make([]float32, len(g.Rows[c.Row])/4)
		if err := binary.Read(bytes.NewReader(g.Rows[c.Row]), binary.LittleEndian, row); err != nil {
			t.Fatal(err)
		}
		var p Params
		for _, j := range []json.RawMessage{g.Off, c.Params} {
			if err := json.Unmarshal(j, &p); err != nil {
				t.Fatal(err)
			}
		}
		s, err := New(p, len(row))
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		var seqs [][]int32
		for _, id := range c.Breakers {
			seqs = append(seqs, []int32{id})
		}
		if err := s.SetDRYBreakers(seqs); err != nil {
			t.Fatal(err)
		}
		if err := s.AcceptPrompt(c.History); err != nil {
			t.Fatal(err)
		}
		got, err := s.Distribution(nil, row)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		if len(got) != c.Kept {
			t.Errorf("case %d, row %s, %s: %d tokens kept, want %d", i, c.Row, c.Params, len(got), c.Kept)
			continue
		}
		idSum, sum := int64(0), 0.0
		for k, tok := range got {
			idSum += int64(tok.ID)
			sum += math.Exp(float64(tok.Logprob))
			if k >= len(c.IDs) {
				continue
			}
			// A token's probability is a multiple of 2^-43 of the best one's.
			if d := math.Exp(float64(tok.Logprob)) - c.Probs[k]; tok.ID != c.IDs[k] || math.Abs(d) > 2e-6*c.Probs[k]+1e-12 {
				t.Errorf("case %d, row %s, %s: token %d is %d with p %g, want %d with %g",
					i, c.Row, c.Params, k, tok.ID, math.Exp(float64(tok.Logprob)), c.IDs[k], c.Probs[k])
				break
			}
		}
		if idSum != c.IDSum || math.Abs(sum-1) > 1e-5 {
			t.Errorf("case %d, row %s, %s: ids sum to %d, want %d; probabilities to %g", i, c.Row, c.Params, idSum, c.IDSum, sum)
		}
	}
	t.Logf("%d cases", len(g.Cases))
}
