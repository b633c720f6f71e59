package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/build/internal/synthmodel"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

func TestSummary(t *testing.T) {
	for _, c := range []struct {
		x                []float64
		median, min, max float64
	}{
		{[]float64{2}, 2, 2, 2},
		{[]float64{3, 1, 2}, 2, 1, 3},
		{[]float64{4, 1, 3, 2}, 2.5, 1, 4},
	} {
		if s := summarize(c.x); s.median != c.median || s.min != c.min || s.max != c.max || s.n != len(c.x) {
			t.Errorf("%v: %+v", c.x, s)
		}
	}
	if s := summarize(nil); s.n != 0 || !math.IsNaN(s.median) {
		t.Errorf("of nothing: %+v", s)
	}
	x := []float64{3, 1, 2}
	summarize(x)
	if x[0] != 3 {
		t.Error("the figures were sorted in place")
	}
}

// TestRatios: ratios are of the pairs, not of the medians.
func TestRatios(t *testing.T) {
	c := benchCase{model: smolSource, threads: 2, gen: 64}
	w := row{decoding, "tg64", bar{ratio: 1.7, share: 0.88, either: true}}
	m := facts{TokenBytes: 1e8, CacheBytes: 1e4}
	var rounds []record
	for _, v := range [][3]float64{{200, 100, 40}, {100, 80, 20}, {300, 100, 50}} {
		rounds = append(rounds, record{Ledge: figures{"tg64": v[0]}, Rival: figures{"tg64": v[1]}, Read: v[2], Facts: m})
	}
	rounds = append(rounds, record{Ledge: figures{"tg64": 500}, Rival: figures{}, Facts: m}) // the peer said nothing
	r := evaluate(&c, w, rounds)
	bytes := 1e8 + 32*1e4 // half of what is generated is in the cache on average
	if r.ratio.median != 2 || r.ratio.min != 1.25 || r.ratio.max != 3 || r.ratio.n != 3 {
		t.Errorf("ratios %+v", r.ratio)
	}
	if r.share.n != 3 || !near(r.share.median, 200*bytes/40e9) || !near(r.share.max, 300*bytes/50e9) {
		t.Errorf("shares %+v", r.share)
	}
	if r.ledge != 250 || r.peer != 100 {
		t.Errorf("medians %v and %v", r.ledge, r.peer)
	}
	// A prompt is set beside the dot products.
	w = row{reading, "pp512", bar{ratio: 2}}
	rounds = []record{{Ledge: figures{"pp512": 1000}, Rival: figures{"pp512": 400}, Dots: 500, Facts: facts{MatrixElems: 150e6, OutputElems: 50e6}}}
	if r := evaluate(&c, w, rounds); !near(r.share.median, 0.4) || r.ratio.median != 2.5 {
		t.Errorf("prompt: %+v", r)
	}
	// Of a sliding window only its positions are read, in the layers that have it.
	c.depth = 4064 // and half of 64 tokens
	for _, f := range []struct {
		m    facts
		want float64
	}{
		{facts{TokenBytes: 1000, CacheBytes: 18}, 1000 + 18*4096},
		{facts{TokenBytes: 1000, CacheBytes: 18, LocalBytes: 15, Window: 512}, 1000 + 3*4096 + 15*512},
		{facts{TokenBytes: 1000, CacheBytes: 18, LocalBytes: 18, Window: 512}, 1000 + 18*512},
		{facts{TokenBytes: 1000, CacheBytes: 18, LocalBytes: 15, Window: 8192}, 1000 + 18*4096},
	} {
		if b := bytesOf(&c, f.m); b != f.want {
			t.Errorf("%+v: %v bytes are read, want %v", f.m, b, f.want)
		}
	}
}

func TestBars(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		b            bar
		ratio, share float64
		met          bool
		text         string
	}{
		{bar{ratio: 1.7, share: 0.88, either: true}, 1.8, 0.5, true, "≥ 1.7× or ≥ 88 %"},
		{bar{ratio: 1.7, share: 0.88, either: true}, 1.5, 0.9, true, "≥ 1.7× or ≥ 88 %"},
		{bar{ratio: 1.7, share: 0.88, either: true}, 1.5, 0.8, false, "≥ 1.7× or ≥ 88 %"},
		{bar{ratio: 1.7, share: 0.88, either: true}, 1.5, nan, false, "≥ 1.7× or ≥ 88 %"},
		{bar{ratio: 1.4, share: 0.9}, 1.5, 0.8, false, "≥ 1.4×, ≥ 90 %"},
		{bar{ratio: 1.4, share: 0.9}, 1.5, 0.9, true, "≥ 1.4×, ≥ 90 %"},
		{bar{ratio: 1.4, share: 0.9}, 1.5, nan, false, "≥ 1.4×, ≥ 90 %"},
		{bar{ratio: 2}, 2, nan, true, "≥ 2×"},
		{bar{ratio: 2}, nan, nan, false, "≥ 2×"},
		{bar{ratio: 0.7, most: true}, 0.6, nan, true, "≤ 0.7×"},
		{bar{ratio: 0.7, most: true}, 0.8, nan, false, "≤ 0.7×"},
		{bar{ratio: 0.7, most: true}, nan, nan, false, "≤ 0.7×"},
	} {
		if got := c.b.met(c.ratio, c.share); got != c.met {
			t.Errorf("%v with ratio %v and share %v: met is %v", c.b, c.ratio, c.share, got)
		}
		if got := c.b.String(); got != c.text {
			t.Errorf("%+v reads %q, want %q", c.b, got, c.text)
		}
	}
}

// tiny reads one of the tiny models of package model.
func tiny(t *testing.T, name string) *gguf.File {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "runtime", "model", "testdata", name+".gguf.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gguf.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestFacts(t *testing.T) {
	for _, name := range []string{"llama-gqa", "llama-tied", "gemma3"} {
		f := tiny(t, name)
		m, err := factsOf(f)
		if err != nil {
			t.Fatal(err)
		}
		var all int64
		for _, x := range f.Tensors() {
			all += int64(len(x.Data))
		}
		embedding, _ := f.Tensor("token_embd.weight")
		output, untied := f.Tensor("output.weight")
		if !untied {
			output = embedding
			if m.TokenBytes != all {
				t.Errorf("%s: %d bytes a token, all tensors have %d", name, m.TokenBytes, all)
			}
		} else if want := all - int64(len(embedding.Data)) + int64(len(embedding.Data)/embedding.NumRows()); m.TokenBytes != want {
			t.Errorf("%s: %d bytes a token, want %d", name, m.TokenBytes, want)
		}
		if m.OutputElems != int64(output.NumElems()) || m.MatrixElems <= m.OutputElems {
			t.Errorf("%s: %+v", name, m)
		}
		arch, _ := f.String("general.architecture")
		layers, _ := f.Int(arch + ".block_count")
		k, _ := f.Tensor("blk.0.attn_k.weight")
		v, _ := f.Tensor("blk.0.attn_v.weight")
		if want := layers * int64(k.NumRows()+v.NumRows()) * 2; m.CacheBytes != want {
			t.Errorf("%s: %d bytes of cache a position, want %d", name, m.CacheBytes, want)
		}
		local := int64(0) // all layers but every pattern-th
		if window, ok := f.Int(arch + ".attention.sliding_window"); ok {
			pattern, ok := f.Int(arch + ".attention.sliding_window_pattern")
			if !ok {
				pattern = 6
			}
			local = m.CacheBytes / layers * (layers - layers/pattern)
			if m.Window != window {
				t.Errorf("%s: a window of %d, want %d", name, m.Window, window)
			}
		}
		if m.LocalBytes != local {
			t.Errorf("%s: %d bytes of cache in layers with a window, want %d", name, m.LocalBytes, local)
		}
	}
	if m := (facts{TokenBytes: 800, CacheBytes: 3, MatrixElems: 100, OutputElems: 40}); m.bytesRead(1, 10) != 830 || m.bytesRead(8, 10) != 130 ||
		m.operations(false) != 200 || m.operations(true) != 120 {
		t.Errorf("%+v: %v, %v bytes, %v, %v operations", m, m.bytesRead(1, 10), m.bytesRead(8, 10), m.operations(false), m.operations(true))
	}
	if _, err := factsOf(new(gguf.File)); err == nil {
		t.Error("an empty file gave no error")
	}
}

// TestSynth: a synthetic model is a whole file, the same each time, that says
// what it was asked to be.
func TestSynth(t *testing.T) {
	dir := t.TempDir()
	var files [][]byte
	for _, name := range []string{"a.gguf", "b.gguf"} {
		path := filepath.Join(dir, name)
		if err := writeSynth(path, synthmodel.Shape{Layers: 2, Dim: 64, Heads: 4, KVHeads: 2, FFN: 96, Vocab: 300, Context: 128, Tied: true}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, data)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two files differ")
	}
	m, err := readFacts(filepath.Join(dir, "a.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	const matrices = 300*64 + 2*(64*64+2*32*64+64*64+3*64*96)
	want := facts{FileBytes: int64(len(files[0])), TokenBytes: 2*matrices + 4*64*5, MatrixElems: matrices, OutputElems: 300 * 64, CacheBytes: 2 * 2 * 32 * 2, Context: 128}
	if m != want {
		t.Errorf("facts %+v, want %+v", m, want)
	}
	f, err := gguf.Open(filepath.Join(dir, "a.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	up, _ := f.Tensor("blk.1.ffn_up.weight")
	x, err := up.Dequantize()
	if err != nil {
		t.Fatal(err)
	}
	var squares float64
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	if v := squares / float64(len(x)) * 64; v < 0.9 || v > 1.1 { // the variance that keeps the scale
		t.Errorf("the variance times the inputs is %v, want 1", v)
	}
	if err := lengthen(filepath.Join(dir, "a.gguf"), filepath.Join(dir, "long.gguf"), 4096); err != nil {
		t.Fatal(err)
	}
	long, err := gguf.Open(filepath.Join(dir, "long.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	if n, _ := long.Int("llama.context_length"); n != 4096 || len(long.Tensors()) != len(f.Tensors()) {
		t.Errorf("the copy has a context of %d and %d tensors", n, len(long.Tensors()))
	}
}

func TestJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	j, err := openJournal(dir)
	if err != nil || len(j.records) != 0 {
		t.Fatalf("%v, %v", j, err)
	}
	for _, id := range []string{"a", "b", "a"} {
		if err := j.add(record{Case: id, Build: "1", Ledge: figures{"tg64": 2}}); err != nil {
			t.Fatal(err)
		}
	}
	// The machine went down in the middle of a line.
	path := filepath.Join(dir, journalName)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"case":"a","bui`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if j, err = openJournal(dir); err != nil || len(j.records) != 3 || len(j.of("a", "1")) != 2 || len(j.of("a", "2")) != 0 {
		t.Fatalf("%+v, %v", j, err)
	}
	if err := j.add(record{Case: "c", Build: "1"}); err != nil {
		t.Fatal(err)
	}
	if j, err = openJournal(dir); err != nil || len(j.records) != 4 || j.records[3].Case != "c" || j.records[0].Ledge["tg64"] != 2 {
		t.Fatalf("after the interruption: %+v, %v", j, err)
	}
	if err := os.WriteFile(path, []byte("{}\nnonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(dir); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a damaged line gave %v", err)
	}
}

func TestUsable(t *testing.T) {
	quiet, loud := record{Others: 0.01}, record{Others: 0.5}
	for _, c := range []struct {
		all             []record
		use, disturbed  int
		rounds, missing int
	}{
		{nil, 0, 0, 3, 3},
		{[]record{quiet}, 1, 0, 3, 2},
		{[]record{quiet, loud}, 1, 1, 3, 2},
		{[]record{quiet, quiet, quiet, loud}, 3, 1, 3, 0},
		{[]record{loud, loud, quiet}, 3, 2, 3, 2},                  // too few to leave the rest out
		{[]record{loud, loud, loud, loud, loud, loud}, 6, 6, 3, 0}, // not for ever
		{[]record{{Steal: 0.1}}, 1, 1, 1, 1},
	} {
		use, disturbed := usable(c.all)
		if len(use) != c.use || disturbed != c.disturbed {
			t.Errorf("of %d rounds %d count and %d were disturbed, want %d and %d", len(c.all), len(use), disturbed, c.use, c.disturbed)
		}
		if n := (plan{rounds: c.rounds}).wanted(&benchCase{}, c.all); n != c.missing {
			t.Errorf("after %d rounds %d are wanted, want %d", len(c.all), n, c.missing)
		}
	}
	once := benchCase{once: true}
	if n, m := (plan{rounds: 5}).wanted(&once, nil), (plan{rounds: 5, slow: true}).wanted(&once, nil); n != 0 || m != 1 {
		t.Errorf("a slow case is wanted %d times, and %d times when asked for", n, m)
	}
}

func TestStat(t *testing.T) {
	u, ok := parseStat([]byte("cpu  100 10 30 5000 70 4 6 20 50 0\ncpu0 1 2 3\n"))
	if !ok || !near(u.busy, 1.5) || !near(u.steal, 0.2) {
		t.Errorf("%+v, %v", u, ok)
	}
	for _, bad := range []string{"", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8 9\n", "cpu a b c d e f g h i\n"} {
		if u, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q gave %+v", bad, u)
		}
	}
	at := time.Now()
	before, after := usage{1, 0, at}, usage{7, 1, at.Add(4 * time.Second)}
	if o, s := disturbance(before, after, 4*time.Second); !near(o, 0.5) || !near(s, 0.25) {
		t.Errorf("others %v, steal %v", o, s)
	}
	if o, _ := disturbance(before, after, 8*time.Second); o != 0 {
		t.Errorf("others used %v of nothing", o)
	}
}

func TestParse(t *testing.T) {
	f, err := parseBench([]byte(`[{"n_prompt":512,"n_gen":0,"n_depth":0,"avg_ts":900.5},{"n_prompt":0,"n_gen":32,"n_depth":4096,"avg_ts":40},
		{"n_prompt":0,"n_gen":32,"n_depth":4096,"avg_ts":49}]`))
	if err != nil || f["pp512"] != 900.5 || f["tg32"] != 49 {
		t.Errorf("%v, %v", f, err)
	}
	if f, err := parseBench([]byte(`[{"n_gen":64,"n_depth":128,"n_parallel":8,"avg_ts":1200},{"n_gen":64,"n_depth":128,"n_parallel":1,"avg_ts":400}]`)); err != nil || f["tg64 x8"] != 1200 || f["tg64"] != 400 {
		t.Errorf("several sequences: %v, %v", f, err)
	}
	for _, bad := range []string{"", "[]", "llama"} {
		if f, err := parseBench([]byte(bad)); err == nil {
			t.Errorf("%q gave %v", bad, f)
		}
	}
	if v, err := parseBatched([]byte("note\n" + `{"pl": 8, "speed_pp": 1756.5, "speed_tg": 621.05}` + "\n")); err != nil || v != 621.05 {
		t.Errorf("%v, %v", v, err)
	}
	if v, err := parseBatched([]byte(`{"speed_tg": 600}` + "\n" + `{"speed_tg": 500}` + "\n")); err != nil || v != 550 {
		t.Errorf("repeated: %v, %v", v, err)
	}
	if v, err := parseBatched([]byte("note\n")); err == nil {
		t.Errorf("nothing gave %v", v)
	}
}

// TestCases: identifiers are unique, models have names and recipes or are
// fetched, figures exist.
func TestCases(t *testing.T) {
	made := map[string]bool{smolSource: true, "gemma-3-270m-q4_k_m.gguf": true}
	for _, r := range recipes {
		made[r.file] = true
	}
	seen := map[string]bool{}
	tables := map[table]bool{}
	for _, c := range cases() {
		if seen[c.id] {
			t.Errorf("two cases are called %s", c.id)
		}
		seen[c.id] = true
		if modelNames[c.model] == "" || !made[c.model] || c.threads < 1 || c.ledge == nil || c.peer == nil || c.peerName == "" || len(c.rows) == 0 {
			t.Errorf("%s is not whole: %+v", c.id, c)
		}
		for _, w := range c.rows {
			tables[w.table] = true
		}
	}
	if len(tables) != int(numTables) {
		t.Errorf("there are %d tables, cases for %d", numTables, len(tables))
	}
	if got := choose(cases(), regexp.MustCompile("^speed/gemma")); len(got) != 2 {
		t.Errorf("a pattern chose %d cases", len(got))
	}
}

// TestCommands: Ledge and llama-bench get the same arguments, and what is repeated
// has a process of its own.
func TestCommands(t *testing.T) {
	byID := map[string]*benchCase{}
	for _, c := range cases() {
		byID[c.id] = &c
	}
	for _, want := range []struct{ id, ours, theirs string }{
		{"speed/smollm2-q4_0/t1", "ledge bench -q -m M -p 512 -n 0 -d 0 -t T -r 1 -o json; ledge bench -q -m M -p 0 -n 64 -d 0 -t T -r 3 -o json",
			"llama-bench -m M -p 512 -n 0 -d 0 -t T -r 1 -o json; llama-bench -m M -p 0 -n 64 -d 0 -t T -r 3 -o json"},
		{"speed/synth-1b-q6_k/t2", "ledge bench -q -m M -p 512 -n 32 -d 0 -t T -r 1 -o json", "llama-bench -m M -p 512 -n 32 -d 0 -t T -r 1 -o json --no-warmup"},
		{"depth4096/gemma-3-270m-q4_k_m/t1", "ledge bench -q -m M -p 0 -n 32 -d 4096 -t T -r 2 -o json", "llama-bench -m M -p 0 -n 32 -d 4096 -t T -r 2 -o json -fa 0,1"},
		{"together8/smollm2-q4_0/t2", "ledge bench -q -m M -p 0 -n 64 -d 128 -t T -r 3 -o json --parallel 8",
			"llama-batched-bench -m M -c 1536 -b 2048 -ub 512 -npp 128 -ntg 64,64,64 -npl 8 -t T --output-format jsonl"},
		{"avx2/synth-1b-q4_k_m/t1", "LEDGE_CPU=avx2 ledge bench -q -m M -p 512 -n 32 -d 0 -t T -r 1 -o json", "llama-bench -m M -p 512 -n 32 -d 0 -t T -r 1 -o json --no-warmup"},
		{"openvino/smollm2-q8_0/t1", "ledge bench -q -m M -p 512 -n 0 -d 0 -t T -r 3 -o json", "openvino.py M T 512 2"},
		{"start/smollm2-q4_0", `ledge run -q --raw --temp 0 -t T -n 1 -m M "The capital of France is"`,
			`llama-simple -m M -n 1 "The capital of France is"; llama-bench -m M -p 5 -n 0 -r 1 --no-warmup -t T -o json`},
	} {
		c := byID[want.id]
		if c == nil {
			t.Errorf("there is no case %s", want.id)
			continue
		}
		text := func(all [][]string) string {
			var lines []string
			for _, words := range all {
				lines = append(lines, strings.Join(words, " "))
			}
			return strings.Join(lines, "; ")
		}
		ours, theirs := c.commands()
		if text(ours) != want.ours || text(theirs) != want.theirs {
			t.Errorf("%s:\n%s\n%s\nwant\n%s\n%s", want.id, text(ours), text(theirs), want.ours, want.theirs)
		}
	}
}

func TestMemoryBounds(t *testing.T) {
	m := facts{FileBytes: 100e6, CacheBytes: 20000, Context: 2048}
	for _, w := range []struct {
		c             benchCase
		context, used int
		open, inUse   float64
	}{
		{benchCase{prompt: 512, gen: 64}, 512, 512, 150.24e6, 150.24e6},
		{benchCase{gen: 7, open: 1024}, 1024, 7, 160.48e6, 140.14e6},
		{benchCase{gen: 7, open: 4096}, 2048, 7, 180.96e6, 140.14e6}, // no more than the model has
	} {
		if context, used, open, inUse := memoryBounds(&w.c, m); context != w.context || used != w.used || open != w.open || inUse != w.inUse {
			t.Errorf("%+v: %d, %d, %v, %v", w, context, used, open, inUse)
		}
	}
}

// TestPacked: what ledge lists is found, and folders of other builds go.
func TestPacked(t *testing.T) {
	list := []byte(`{"folder": "x", "entries": [{"model": "a.gguf"}, {"model": "b.gguf"}]}`)
	for label, want := range map[string]bool{"a.gguf": true, "b.gguf": true, "c.gguf": false} {
		if ok, err := listed(list, label); ok != want || err != nil {
			t.Errorf("%s: %v, %v", label, ok, err)
		}
	}
	if _, err := listed([]byte("no list"), "a.gguf"); err == nil {
		t.Error("what is no list gave no error")
	}
	dir := filepath.Join(t.TempDir(), "packed")
	var p programs
	if err := p.choosePacked(dir, "1"); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"1", "0"} {
		if err := os.MkdirAll(filepath.Join(dir, d, "best"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.choosePacked(dir, "1"); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 || left[0].Name() != "1" {
		t.Errorf("%v are left", left)
	}
	if env := p.ledgeEnv("avx2"); len(env) != 2 || env[0] != "LEDGE_PACK_CACHE="+filepath.Join(dir, "1", "avx2") || env[1] != "LEDGE_CPU=avx2" {
		t.Errorf("environment %q", env)
	}
}

// TestMeasure: an interrupted measurement goes on, what is missing is left out,
// and what fails ends it.
func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COMPARE_TEST_SELF", "1")
	if err := writeSynth(filepath.Join(dir, "m.gguf"), synthmodel.Shape{Layers: 1, Dim: 32, Heads: 1, KVHeads: 1, FFN: 32, Vocab: 300, Context: 64, Tied: true}); err != nil {
		t.Fatal(err)
	}
	calls := ""
	engine := func(name string, v float64) engine {
		return func(context.Context, *programs, *benchCase) (figures, error) {
			calls += name
			return figures{"tg64": v}, nil
		}
	}
	absent := func(context.Context, *programs, *benchCase) (figures, error) { return nil, missing{"peer", "build it"} }
	c := benchCase{id: "x", model: "m.gguf", threads: 1, gen: 64, ledge: engine("L", 3), peer: engine("p", 2), rows: []row{{decoding, "tg64", bar{ratio: 1}}}}
	gone := c
	gone.id, gone.ledge, gone.peer = "gone", engine("", 1), absent
	p := &programs{self: self, ledge: self, models: dir, readMiB: 8}
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	// Disturbed rounds are repeated, so on a busy machine more than two.
	left, err := measure(context.Background(), plan{rounds: 2}, p, []benchCase{gone, c}, j, "abc", &log)
	if err != nil || left != 0 {
		t.Fatalf("%d left, %v", left, err)
	}
	if !strings.HasPrefix(calls, "LppL") {
		t.Errorf("engines ran in the order %s", calls)
	}
	if !strings.Contains(log.String(), "gone: left out: peer is not there: build it") || !strings.Contains(log.String(), "x round 2: tg64 3/2 = 1.50") {
		t.Errorf("log:\n%s", log.String())
	}
	n := len(j.records)
	r := j.records[0]
	if n < 2 || n > 4 || r.Read <= 0 || r.Facts.MatrixElems == 0 || r.First != "ledge" || j.records[1].First != "peer" || r.Ledge["tg64"] != 3 || r.Rival["tg64"] != 2 || r.Commit != "abc" {
		t.Errorf("%d records, the first %+v", n, r)
	}
	if j, err = openJournal(dir); err != nil {
		t.Fatal(err)
	}
	if left, err = measure(context.Background(), plan{rounds: 1}, p, []benchCase{c}, j, "abc", &log); err != nil || left != 0 || len(j.records) != n {
		t.Errorf("measured again what was there: %d left, %v, %d records", left, err, len(j.records))
	}
	// The budget ends after the first round.
	other := c
	other.id = "y"
	if left, err = measure(context.Background(), plan{rounds: 3, budget: 1}, p, []benchCase{other}, j, "abc", &log); err != nil || left < 2 {
		t.Errorf("with a small budget %d rounds are left, %v", left, err)
	}
	failing := c
	failing.id = "z"
	failing.peer = func(context.Context, *programs, *benchCase) (figures, error) { return nil, io.ErrUnexpectedEOF }
	if _, err = measure(context.Background(), plan{rounds: 1}, p, []benchCase{failing}, j, "abc", &log); err == nil || !strings.HasPrefix(err.Error(), "z: ") {
		t.Errorf("a failing peer gave %v", err)
	}
}

// TestMain lets the test program stand for the command when it runs itself.
func TestMain(m *testing.M) {
	if os.Getenv("COMPARE_TEST_SELF") != "" && len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		os.Exit(command(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestExecute(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"COMPARE_TEST_SELF=1"}
	r, err := execute(context.Background(), env, self, "list")
	if err != nil || !bytes.Contains(r.stdout, []byte("speed/")) || r.wall <= 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if f := r.figures(); f["wall_s"] != r.wall.Seconds() || f["peak_mb"] != float64(r.peak)/1e6 {
		t.Errorf("%v", f)
	}
	if _, err := execute(context.Background(), env, self, "facts", "/nowhere/at/all.gguf"); err == nil || !strings.Contains(err.Error(), "no such file") && !strings.Contains(err.Error(), "cannot find") {
		t.Errorf("a failing command gave %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := execute(ctx, env, self, "list"); err != context.Canceled {
		t.Errorf("a cancelled command gave %v", err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"nothing"}, {"run", "extra"}, {"pack", "extra"}, {"run", "-rounds", "0"}, {"run", "-budget", "-1s"}, {"run", "-only", "("},
		{"run", "-only", "nosuchcase"}, {"run", "-nosuchflag"}, {"ceiling"}, {"ceiling", "1"}, {"ceiling", "0", "8"}, {"ceiling", "1", "x"}, {"facts"}, {"spin", "x"}} {
		var out, complaint bytes.Buffer
		if code := command(context.Background(), args, &out, &complaint); code != exitUsage || complaint.Len() == 0 {
			t.Errorf("%q: code %d, %q", args, code, complaint.String())
		}
	}
	var out bytes.Buffer
	if code := command(context.Background(), []string{"ceiling", "1", "8"}, &out, io.Discard); code != exitOK {
		t.Errorf("ceiling: code %d", code)
	}
	var c ceilings
	if err := json.Unmarshal(out.Bytes(), &c); err != nil || c.ReadGBs <= 0 {
		t.Errorf("ceiling: %s, %v", out.String(), err)
	}
}
