package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestWork: Ledge's side takes the steps that are asked for, at a loss that is that
// of guessing.
func TestWork(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads /proc")
	}
	dir := t.TempDir()
	s, err := parseCase("2x8-bf16")
	if err != nil {
		t.Fatal(err)
	}
	s.Vocab, s.Layers, s.Threads, s.Tokens = 50, 1, 1, filepath.Join(dir, "tokens")
	if err := s.writeTokens(s.Tokens, 2); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "settings.json")
	text, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run([]string{"-worker", path}, strings.NewReader("2\n1\n"), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(&out)
	var first hello
	var answers [2]answer
	for _, to := range []any{&first, &answers[0], &answers[1]} {
		if err := d.Decode(to); err != nil {
			t.Fatal(err)
		}
	}
	if first.Parameters == 0 || len(answers[0].Losses) != 2 || len(answers[1].Seconds) != 1 || answers[1].Peak <= answers[1].Before {
		t.Errorf("%+v, %+v", first, answers)
	}
	if l := answers[0].Losses[0]; math.Abs(l-math.Log(50)) > 0.2 {
		t.Errorf("the first loss is %g, guessing's is %g", l, math.Log(50))
	}
}

// TestWeights: the file has every weight under transformers' name, and rows of q in
// its order.
func TestWeights(t *testing.T) {
	s := standard()
	s.Batch, s.Length, s.Vocab, s.Layers = 1, 4, 10, 2
	path := filepath.Join(t.TempDir(), "w")
	if err := s.writeWeights(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]struct {
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	n := binary.LittleEndian.Uint64(data)
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	end := 0
	for name, e := range header {
		if size := e.Offsets[1] - e.Offsets[0]; len(e.Shape) == 2 && size != 4*e.Shape[0]*e.Shape[1] {
			t.Errorf("%s has %d bytes, shape %v", name, size, e.Shape)
		}
		end = max(end, e.Offsets[1])
	}
	if want := 2 + 9*s.Layers; len(header) != want || end != len(data)-8-int(n) {
		t.Errorf("%d weights, want %d; they end at %d of %d", len(header), want, end, len(data)-8-int(n))
	}
	if e, ok := header["model.layers.1.self_attn.q_proj.weight"]; !ok || e.Shape[0] != s.Hidden {
		t.Errorf("q of layer 1: %+v", e)
	}
	rows := make([]byte, s.Hidden) // a row's byte is its number
	for i := range rows {
		rows[i] = byte(i)
	}
	// A head of 32: its even rows, then its odd ones.
	if got := s.turn("blk.0.attn_q.weight", rows, s.Hidden); got[1] != 2 || got[16] != 1 || got[17] != 3 || got[32] != 32 || got[33] != 34 {
		t.Errorf("rows in the order %v", got[:40])
	}
}

// TestTable: of several measurements of a case the newest counts, and only what stands
// between the marks changes.
func TestTable(t *testing.T) {
	dir := t.TempDir()
	journal, page := filepath.Join(dir, "j"), filepath.Join(dir, "p.md")
	r := result{Case: "1x64-f32", Checked: 3, Apart: 1e-7}
	r.Settings, _ = parseCase(r.Case)
	var lines []byte
	for _, ours := range []float64{0.4, 0.1} {
		r.Sides = [2]side{{Turns: []float64{ours, ours, ours}, Peak: 50e6}, {Turns: []float64{0.2, 0.2, 0.3}, Peak: 400e6, Before: 300e6}}
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	for name, text := range map[string]string{journal: string(lines), page: "before\n" + begin + "old\n" + end + "after\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := run([]string{"table", "-journal", journal, "-docs", page}, nil, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want := "| 1 x 64 | f32 | 100.0 | 200.0 | 640 | 320 | **2.00** (2.00 to 3.00) | 50 (50) | 400 (100) | 1.0e-07 |"
	if s := string(got); !strings.Contains(s, want) || strings.Contains(s, "old") || !strings.HasPrefix(s, "before\n") || !strings.HasSuffix(s, end+"after\n") {
		t.Errorf("the page is\n%s", s)
	}
}

func TestMisuse(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "say measure or table"},
		{[]string{"measure", "-cases", "16x128"}, "documents x tokens"},
		{[]string{"measure", "-cases", "16x128-f16"}, "documents x tokens"},
		{[]string{"measure", "-cases", "0x128-f32"}, "documents x tokens"},
		{[]string{"table", "-journal", filepath.Join(t.TempDir(), "none")}, "measure first"},
	} {
		err := run(c.args, nil, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: error %v, want %q in one line", c.args, err, c.want)
		}
	}
}
