package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/journal"
	"github.com/ledge-run/ledge/runtime/bench/receipt"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
)

// TestReplay: the same model says the same; another text in the receipt is found out,
// and so is a figure that cannot be.
func TestReplay(t *testing.T) {
	suite, path := measured(t)
	dir := filepath.Dir(suite)
	// A tiny model's speed on a busy machine says nothing: only the output counts.
	args := []string{"replay", "--in", dir, "-r", "1", "-q", "--json", "--tolerance", "0.999", path}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := receipt.Verify(data)
	if err != nil {
		t.Fatal(err)
	}
	name := r.Records[0].Case
	// Of times less is better, and ten times as long is beyond every tolerance below 1: they are left out here.
	again := *r
	again.Records = nil
	for _, rec := range r.Records {
		for i := range rec.Runs {
			for f, v := range rec.Runs[i].Figures {
				if v.Lower {
					delete(rec.Runs[i].Figures, f)
				}
			}
		}
		again.Records = append(again.Records, rec)
	}
	sign(t, path, again)
	if f, code := replayed(t, args); code != 0 || f[name+" output"].Verdict != receipt.Same || f[name+" decode"].Now <= 0 {
		t.Errorf("the same model: %+v", f)
	}
	again.Records[0].Runs[0].Output.SHA256 = strings.Repeat("0", 64)
	sign(t, path, again)
	if f, code := replayed(t, args); code != exitDiffer || f[name+" output"].Verdict != receipt.Differs {
		t.Errorf("another text: %+v", f)
	}
	again.Records[0].Runs[0].Output = nil
	for _, rec := range again.Records { // in every round: a disturbed one is left out where there are others
		if d, ok := rec.Runs[0].Figures[record.Decode]; ok && rec.Case == name {
			d.Samples = []float64{1e12}
			rec.Runs[0].Figures[record.Decode] = d
		}
	}
	sign(t, path, again)
	// On a busy machine a disturbed round contradicts nothing.
	if f, _ := replayed(t, args); f[name+" decode"].Verdict != receipt.Worse && f[name+" decode"].Verdict != receipt.Incomparable {
		t.Errorf("a figure that cannot be: %+v", f)
	}

	if err := os.WriteFile(filepath.Join(dir, "m.gguf"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, e := bench(t, 1, args...); !strings.Contains(e, "no file in "+dir+" has the SHA-256 of m.gguf") {
		t.Errorf("without the model: %q", e)
	}
	if _, e := bench(t, 2, "replay", path, "--only", "none of them"); !strings.Contains(e, "no such case") {
		t.Errorf("no case: %q", e)
	}
	bench(t, 2, "replay", path, "--tolerance", "2")
	bench(t, 2, "replay", path, "--rounds", "0")
	bench(t, 1, "replay", path, "--in", filepath.Join(dir, "none"))
}

// replayed is what a replay finds, by case and figure, and its exit code.
func replayed(t *testing.T, args []string) (map[string]receipt.Finding, int) {
	t.Helper()
	var out, e bytes.Buffer
	code := run(args, strings.NewReader(""), &out, &e)
	var all []receipt.Finding
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		t.Fatalf("exit code %d, %v: %q %s", code, err, &out, &e)
	}
	found := map[string]receipt.Finding{}
	for _, f := range all {
		found[f.Case+" "+f.What] = f
	}
	return found, code
}

// TestReplayStranger: a receipt cannot have anything loaded or run, nor ask for more
// than a suite could.
func TestReplayStranger(t *testing.T) {
	home(t)
	dir := t.TempDir()
	env := func(pairs ...string) func(*record.Record) {
		return func(r *record.Record) {
			r.Settings.Env = map[string]string{}
			for _, p := range pairs {
				name, value, _ := strings.Cut(p, "=")
				r.Settings.Env[name] = value
			}
		}
	}
	settings := func(f func(*record.Settings)) func(*record.Record) { return func(r *record.Record) { f(&r.Settings) } }
	for _, c := range []struct {
		change func(*record.Record)
		want   string
	}{
		{env("LD_PRELOAD=/tmp/x.so", "LEDGE_CPU=avx2"), `sets "LD_PRELOAD", which`},
		{env("LEDGE_LIBNVML=x", "LEDGE_LIBCUDA=x", "LEDGE_PROBE=x"), `sets "LEDGE_LIBCUDA", "LEDGE_LIBNVML", "LEDGE_PROBE", which`},
		{env("LEDGE_VULKAN_LIBRARY=x"), `"LEDGE_VULKAN_LIBRARY"`},
		{env("LEDGE_OPENCL_LIBRARY=x"), `"LEDGE_OPENCL_LIBRARY"`},
		{env("LEDGE_EGL_LIBRARY=x"), `"LEDGE_EGL_LIBRARY"`},
		{env("LEDGE_VULKAN_VALIDATE=1"), `"LEDGE_VULKAN_VALIDATE"`},
		{env("LEDGE_MODELS=/"), `"LEDGE_MODELS"`},
		{env("LEDGE_GPU_TIMEOUT=1000h"), `"LEDGE_GPU_TIMEOUT"`},
		{env("LEDGE_PACK_CACHE=/tmp/theirs"), `LEDGE_PACK_CACHE="/tmp/theirs"`},
		{env("LEDGE_GPU_CACHE=theirs"), `LEDGE_GPU_CACHE="theirs"`},
		{env("LEDGE_CPU=avx2\x1b[2J"), `LEDGE_CPU="avx2\x1b[2J"`},
		{env("ledge_probe=x"), `"ledge_probe"`}, // Windows would take it
		{env("PATH=/tmp"), `"PATH"`},
		{env("GODEBUG=x"), `"GODEBUG"`},
		{env("VK_ICD_FILENAMES=x"), `"VK_ICD_FILENAMES"`},
		{env("A=1", "B=1", "C=1", "D=1", "E=1", "F=1", "G=1", "H=1", "I=1", "J=1", "K=1", "L=1"), `and 2 more`},
		{settings(func(s *record.Settings) { s.Threads = -3 }), "threads is -3: it must be 0 to 1024"},
		{settings(func(s *record.Settings) { s.Depth = 1e9 }), "depth is 1000000000"},
		{settings(func(s *record.Settings) { s.Gen, s.Prompt = 0, 0 }), "nothing is measured: prompt and gen"},
		// What is harmless goes on to the model, which is not there.
		{env("LEDGE_CPU=generic", "LEDGE_FUSE=0", "LEDGE_GPU=-subgroup,+half", "LEDGE_CUDA_OVERLAP=0", "LEDGE_PACK_CACHE=off", "LEDGE_GPU_CACHE=0", "CUDA_VISIBLE_DEVICES=1,0"),
			"has the SHA-256 of m.gguf"},
	} {
		_, e := bench(t, 1, "replay", "-q", "--in", dir, forged(t, one(c.change)))
		if !strings.Contains(e, c.want) || strings.Count(e, "\n") != 1 || len(e) > 900 {
			t.Errorf("%q, want %q", e, c.want)
		}
	}
	// Any of the cases that are chosen, and no other.
	bad := forged(t, one(), one(env("LD_PRELOAD=x"), func(r *record.Record) { r.Case = "d" }))
	if _, e := bench(t, 1, "replay", "-q", "--in", dir, bad); !strings.Contains(e, "LD_PRELOAD") {
		t.Errorf("the second case: %q", e)
	}
	if _, e := bench(t, 1, "replay", "-q", "--in", dir, "--only", "c", bad); !strings.Contains(e, "SHA-256 of m.gguf") {
		t.Errorf("the first case alone: %q", e)
	}
	if _, e := bench(t, 1, "replay", forged(t, one(func(r *record.Record) { r.Runs[0].Engine.Name = "peer" }))); !strings.Contains(e, "no case that Ledge ran") {
		t.Errorf("a peer's: %q", e)
	}
}

// TestReplayReference: a file of the right name is not the one that was measured beside.
func TestReplayReference(t *testing.T) {
	home(t)
	dir := t.TempDir()
	sums := map[string]string{}
	for _, name := range []string{"m.gguf", "t.txt", "r.kld"} {
		sum := sha256.Sum256([]byte(name))
		sums[name] = hex.EncodeToString(sum[:])
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := forged(t, one(func(r *record.Record) {
		r.Model = record.Model{File: "m.gguf", SHA256: sums["m.gguf"], Bytes: 6}
		r.Settings = record.Settings{Repeat: 1, Quality: &record.Quality{Text: "t.txt", SHA256: sums["t.txt"], Context: 512, Reference: "r.kld", ReferenceSHA256: sums["r.kld"]}}
	}))
	if err := os.WriteFile(filepath.Join(dir, "r.kld"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, e := bench(t, 1, "replay", "-q", "--in", dir, path); !strings.Contains(e, "reference of c: no file in "+dir+" has the SHA-256 of r.kld") {
		t.Errorf("another reference: %q", e)
	}
}

// TestPresent: of a journal the present program's rounds of these cases count.
func TestPresent(t *testing.T) {
	by := func(sum string) func(*record.Record) { return func(r *record.Record) { r.Runs[0].Engine.SHA256 = sum } }
	all := []record.Record{one(by("new")), one(by("old")), one(by("new"), func(r *record.Record) { r.Settings.Threads = 2 }),
		one(by("new"), func(r *record.Record) { r.Case = "d" }), one(func(r *record.Record) { r.Runs[0].Engine.Name = "peer" })}
	s := &suite.Suite{Cases: []suite.Case{{ID: "c", Settings: one().Settings}}}
	if some := present(all, s, "new"); len(some) != 1 || some[0].Runs[0].Engine.SHA256 != "new" || some[0].Settings.Threads != 0 {
		t.Errorf("%+v", some)
	}
}

// TestReplayJournal: rounds in the named journal that another program measured are no
// part of the comparison.
func TestReplayJournal(t *testing.T) {
	suite, path := measured(t)
	r, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "old.jsonl")
	j, err := journal.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range r.Records {
		run := &rec.Runs[0]
		figures := map[string]record.Figure{}
		for name := range run.Figures {
			figures[name] = record.NewFigure(name, 1e15)
		}
		run.Figures, run.Engine.SHA256, run.Output, rec.Disturbed = figures, "another", nil, nil
		if err := j.Add(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	torn, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := torn.WriteString(`{"version":1,"suite":{"name":"t`); err != nil {
		t.Fatal(err)
	}
	if err := torn.Close(); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	run([]string{"replay", "--in", filepath.Dir(suite), "-r", "1", "--journal", file, "--only", "@d16$", path}, strings.NewReader(""), &out, &said)
	if !strings.Contains(said.String(), file+": 31 bytes of a round that was interrupted") {
		t.Errorf("a round is cut off without a word: %q", said.String())
	}
	found, _ := replayed(t, []string{"replay", "--in", filepath.Dir(suite), "-r", "1", "-q", "--json", "--journal", file, "--only", "@d16$", path})
	for name, f := range found {
		if f.Now > 1e14 {
			t.Errorf("%s: of the other program: %+v", name, f)
		}
		if strings.HasSuffix(name, " output") && f.Verdict != receipt.Same {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if len(found) < 6 {
		t.Errorf("%d findings", len(found))
	}
}

// TestFinder: files are found in a folder and two levels below, also where a link leads,
// and in circles no file is met twice.
func TestFinder(t *testing.T) {
	dir, disk := t.TempDir(), t.TempDir()
	for _, name := range []string{"a.gguf", "one/b.gguf", "one/two/c.gguf", "one/two/three/d.gguf", ".hidden/e.gguf"} {
		path := filepath.Join(disk, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	links := filepath.Join(dir, "links")
	if err := os.Mkdir(links, 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		"root": disk, "links/below": disk, "links/one": filepath.Join(disk, "one"), "links/up": "..", "links/file.gguf": filepath.Join(disk, "a.gguf"), "links/gone": "/none",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	for _, c := range []struct {
		in, want string
	}{
		{disk, "a.gguf b.gguf c.gguf"},
		{filepath.Join(dir, "root"), "a.gguf b.gguf c.gguf"},
		{filepath.Join(disk, "one"), "b.gguf c.gguf d.gguf"},
		{links, "a.gguf b.gguf c.gguf file.gguf gone"},
	} {
		f, err := newFinder([]string{c.in})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, path := range f.paths {
			names = append(names, filepath.Base(path))
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("--in %s finds %s, want %s", c.in, got, c.want)
		}
	}
}
