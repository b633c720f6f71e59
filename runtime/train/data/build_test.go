package data

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/train/data/mask"
	"github.com/ledge-run/ledge/runtime/train/data/neardup"
	"github.com/ledge-run/ledge/runtime/train/data/source"
)

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// corpus writes documents, some of them copies and near copies of others, in two files.
func corpus(t testing.TB, dir string, n int) []string {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	sentence := func() []string {
		words := make([]string, 30+r.IntN(30))
		for i := range words {
			if words[i] = fmt.Sprint("word", r.IntN(3000)); i%7 == 0 {
				words[i] = string(rune(0x4E00+r.IntN(2000))) + "中"
			}
		}
		return words
	}
	var files [2]strings.Builder
	var earlier [][]string
	for i := range n {
		words := sentence()
		if i > 10 {
			switch r.IntN(5) {
			case 0: // a copy
				words = earlier[r.IntN(len(earlier))]
			case 1: // nearly
				words = slices.Clone(earlier[r.IntN(len(earlier))])
				words[len(words)-1] = fmt.Sprint("end", i)
			}
		}
		earlier = append(earlier, words)
		b, err := json.Marshal(map[string]any{"text": strings.Join(words, " ") + ". mail a@example.com", "topic": i % 9, "nr": i})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&files[i*2/n], "%s\n", b)
	}
	return []string{write(t, dir, "a.jsonl", files[0].String()), write(t, dir, "b.jsonl", files[1].String())}
}

func settings() Settings {
	s := Defaults()
	s.Mask = mask.Kinds
	s.Source.Keep = []string{"nr"}
	s.Splits = []Split{{"train", 0.7}, {"valid", 0.2}, {"test", 0.1}}
	s.ShardBytes = 20_000
	s.TopWords = 5
	return s
}

// folder reads all files of a folder.
func folder(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

func run(t testing.TB, b Build) *Report {
	t.Helper()
	r, err := b.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// records reads the shards of a folder by split, and checks them against the manifest.
func records(t testing.TB, dir string) map[string][]Record {
	t.Helper()
	var m Manifest
	files := folder(t, dir)
	if err := json.Unmarshal([]byte(files[ManifestName]), &m); err != nil {
		t.Fatal(err)
	}
	all := map[string][]Record{}
	for _, s := range m.Shards {
		text := files[s.Name]
		if sum := sha256.Sum256([]byte(text)); hex.EncodeToString(sum[:]) != s.SHA256 || int64(len(text)) != s.Bytes {
			t.Errorf("%s is not what the manifest says", s.Name)
		}
		n := int64(0)
		for doc, err := range source.Read(source.File{Path: filepath.Join(dir, s.Name), Name: s.Name, Format: source.JSONLines, Gzip: strings.HasSuffix(s.Name, ".gz")},
			source.Options{Keep: []string{"file", "line", "group", "fields"}}, nil) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			r := Record{Text: doc.Text}
			for _, f := range doc.Extra {
				if f.Name == "fields" {
					if err := json.Unmarshal(f.Value, &r.Fields); err != nil {
						t.Fatal(err)
					}
				}
			}
			all[s.Split] = append(all[s.Split], r)
		}
		if n != s.Documents {
			t.Errorf("%s has %d documents, the manifest says %d", s.Name, n, s.Documents)
		}
	}
	return all
}

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	paths := corpus(t, dir, 600)
	s := settings()
	r := run(t, Build{Out: filepath.Join(dir, "one"), Paths: paths, Settings: s, Threads: 1})
	if r.Read.Documents != 600 || r.Exact.Documents < 50 || r.Near.Documents < 50 || r.Masked[mask.Email] != 600 {
		t.Errorf("read %d, exact %d, near %d, masked %d", r.Read.Documents, r.Exact.Documents, r.Near.Documents, r.Masked[mask.Email])
	}
	if got := r.Written.Documents + r.Near.Documents + r.Exact.Documents; got != 600 {
		t.Errorf("%d documents accounted for", got)
	}
	if len(r.Near.Examples) != maxExamples || r.Near.Examples[0].Where == "" || r.Near.Examples[0].Score < 0.8 {
		t.Errorf("examples %+v", r.Near.Examples)
	}
	if len(r.Words) != 5 {
		t.Errorf("words %v", r.Words)
	}
	all := records(t, filepath.Join(dir, "one"))
	total := 0
	for _, sp := range s.Splits {
		total += len(all[sp.Name])
		if share := float64(len(all[sp.Name])) / float64(r.Written.Documents); share < sp.Share*0.6 || share > sp.Share*1.5 {
			t.Errorf("%s has a share of %.2f", sp.Name, share)
		}
	}
	if int64(total) != r.Written.Documents {
		t.Errorf("%d documents in the shards, %d written", total, r.Written.Documents)
	}
	// The same with other threads and folders.
	run(t, Build{Out: filepath.Join(dir, "two"), Paths: paths, Settings: s, Threads: 5})
	sameFolders(t, filepath.Join(dir, "one"), filepath.Join(dir, "two"))
	if _, err := os.Stat(filepath.Join(dir, "one.part")); err == nil {
		t.Error("the work folder is left")
	}
	s.Gzip = true
	run(t, Build{Out: filepath.Join(dir, "gz"), Paths: paths, Settings: s})
	if zipped := records(t, filepath.Join(dir, "gz")); len(zipped["train"]) != len(all["train"]) {
		t.Errorf("compressed: %d documents, want %d", len(zipped["train"]), len(all["train"]))
	}
	if table := r.Table(); !strings.Contains(table, "exact duplicates") || !strings.Contains(table, "masked: email") {
		t.Errorf("table:\n%s", table)
	}
}

func sameFolders(t *testing.T, a, b string) {
	t.Helper()
	x, y := folder(t, a), folder(t, b)
	if len(x) != len(y) {
		t.Errorf("%d and %d files", len(x), len(y))
	}
	for name, text := range x {
		if y[name] != text {
			t.Errorf("%s differs between %s and %s", name, a, b)
		}
	}
}

// TestNoLeak: with near duplicates kept, none has its like in another split, nor has any document of a group.
func TestNoLeak(t *testing.T) {
	dir := t.TempDir()
	s := settings()
	s.Near = false
	s.Source.Group = "topic"
	// Nine groups would make nine documents' worth of splits; without groups first.
	for _, group := range []string{"", "topic"} {
		s.Source.Group = group
		out := filepath.Join(dir, "out"+group)
		run(t, Build{Out: out, Paths: corpus(t, dir, 400), Settings: s})
		all := records(t, out)
		type doc struct {
			split    string
			shingles []uint64
			topic    int
		}
		var docs []doc
		for split, rs := range all {
			for _, r := range rs {
				var nr int
				if err := json.Unmarshal(r.Fields["nr"], &nr); err != nil {
					t.Fatal(err)
				}
				docs = append(docs, doc{split, neardup.Shingles(r.Text, s.Shingle), nr % 9})
			}
		}
		pairs := 0
		for i, a := range docs {
			for _, b := range docs[:i] {
				if neardup.Jaccard(a.shingles, b.shingles) >= s.Threshold {
					if pairs++; a.split != b.split {
						t.Errorf("near duplicates in %s and %s", a.split, b.split)
					}
				}
				if group != "" && a.topic == b.topic && a.split != b.split {
					t.Fatalf("topic %d is in %s and %s", a.topic, a.split, b.split)
				}
			}
		}
		if pairs < 30 {
			t.Errorf("only %d near duplicates", pairs)
		}
	}
}

// TestGroupsOfCopies: a document that is removed as an exact copy joins its group with that of the one that stays, also in a
// build that was interrupted between them.
func TestGroupsOfCopies(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(3, 3))
	text := func() string {
		words := make([]string, 30)
		for i := range words {
			words[i] = fmt.Sprint("word", r.IntN(100_000))
		}
		return strings.Join(words, " ")
	}
	var in, rest strings.Builder
	add := func(b *strings.Builder, group, text string, nr int) {
		fmt.Fprintf(b, `{"text":%q,"topic":%q,"nr":%d}`+"\n", text, group, nr)
	}
	const sets = 100
	for i := range sets {
		a, b, shared := fmt.Sprint("a", i), fmt.Sprint("b", i), text()
		add(&in, a, text(), i)
		add(&in, a, shared, i)
		add(&rest, b, shared, i)
		add(&rest, b, text(), i)
	}
	paths := []string{write(t, dir, "1.jsonl", in.String()), write(t, dir, "2.jsonl", rest.String())}
	s := settings()
	s.Source.Group = "topic"
	out := filepath.Join(dir, "out")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := Build{Out: out, Paths: paths, Settings: s, Threads: 1, Progress: func(p Progress) {
		if p.Docs > 3*sets {
			cancel()
		}
	}}
	if _, err := first.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("not interrupted: %v", err)
	}
	if report := run(t, Build{Out: out, Paths: paths, Settings: s}); report.Exact.Documents != sets || report.Written.Documents != 3*sets {
		t.Fatalf("%d exact copies, %d documents", report.Exact.Documents, report.Written.Documents)
	}
	splits, where := map[string]int{}, map[string]string{}
	for split, rs := range records(t, out) {
		splits[split] += len(rs)
		for _, r := range rs {
			nr := string(r.Fields["nr"])
			if other, known := where[nr]; known && other != split {
				t.Errorf("set %s is in %s and in %s", nr, other, split)
			}
			where[nr] = split
		}
	}
	if len(splits) != len(s.Splits) {
		t.Errorf("splits %v", splits)
	}
}

// TestStable: adding data moves no document from one split to another.
func TestStable(t *testing.T) {
	dir := t.TempDir()
	paths := corpus(t, dir, 400)
	s := settings()
	run(t, Build{Out: filepath.Join(dir, "less"), Paths: paths[:1], Settings: s})
	run(t, Build{Out: filepath.Join(dir, "more"), Paths: paths, Settings: s})
	where := map[string]string{}
	for split, rs := range records(t, filepath.Join(dir, "more")) {
		for _, r := range rs {
			where[r.Text] = split
		}
	}
	n := 0
	for split, rs := range records(t, filepath.Join(dir, "less")) {
		for _, r := range rs {
			if n++; where[r.Text] != split {
				t.Errorf("%.40q was in %s and is in %q", r.Text, split, where[r.Text])
			}
		}
	}
	if n < 100 {
		t.Errorf("%d documents", n)
	}
	s.Seed++
	run(t, Build{Out: filepath.Join(dir, "seed"), Paths: paths, Settings: s})
	moved := 0
	for split, rs := range records(t, filepath.Join(dir, "seed")) {
		for _, r := range rs {
			if where[r.Text] != split {
				moved++
			}
		}
	}
	if moved < 30 {
		t.Errorf("another seed moved %d documents", moved)
	}
}

// TestResume interrupts a build again and again, sometimes leaving behind what a kill in the middle of writing would, and
// gets the same in the end.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	paths := corpus(t, dir, 260)
	s := settings()
	s.Source.Group = "topic"
	run(t, Build{Out: filepath.Join(dir, "whole"), Paths: paths, Settings: s})
	out := filepath.Join(dir, "parts")
	stop := errors.New("stop")
	resumed := 0
	for round := 1; ; round++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		steps := 0
		_, err := Build{Out: out, Paths: paths, Settings: s, Threads: 2, Interval: time.Nanosecond,
			Note: func(string) { resumed++ },
			Progress: func(p Progress) {
				if steps++; steps > round%4+round/3 {
					cancel(stop)
				}
			}}.Run(ctx)
		cancel(nil)
		if err == nil {
			break
		}
		if !errors.Is(err, stop) {
			t.Fatalf("round %d: %v", round, err)
		}
		if _, err := os.Stat(out); err == nil {
			t.Fatal("the output is there before it is complete")
		}
		for _, name := range []string{docsName, indexName, groupName, bandName(3)} {
			f, err := os.OpenFile(filepath.Join(out+".part", name), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString("half a reco"); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(out+".part", stateName+".0123456789abcdef.part"), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
		if round > 1000 {
			t.Fatal("it never ends")
		}
	}
	if _, err := os.Stat(out + ".part"); err == nil {
		t.Error("the folder for what was interrupted is left")
	}
	if resumed < 3 {
		t.Errorf("it went on %d times only", resumed)
	}
	sameFolders(t, filepath.Join(dir, "whole"), out)
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir, "good.jsonl", `{"text":"a good line of text"}`+"\n")
	full := write(t, dir, "full/x.txt", "x")
	refused := func(want error, parts []string, b Build) {
		t.Helper()
		_, err := b.Run(t.Context())
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%q does not say %q", err, p)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %q", err)
		}
	}
	refused(ErrExists, []string{filepath.Dir(full)}, Build{Out: filepath.Dir(full), Paths: []string{good}, Settings: Defaults()})
	refused(source.ErrNothing, nil, Build{Out: filepath.Join(dir, "o1"), Paths: []string{t.TempDir()}, Settings: Defaults()})
	refused(os.ErrNotExist, []string{"none.txt"}, Build{Out: filepath.Join(dir, "o1"), Paths: []string{filepath.Join(dir, "none.txt")}, Settings: Defaults()})
	for name, change := range map[string]func(*Settings){
		"make":       func(s *Settings) { s.Splits[0].Share = 0.5 },
		"similarity": func(s *Settings) { s.Threshold = 0 },
		"twice":      func(s *Settings) { s.Splits[1].Name = "train" },
		"unit":       func(s *Settings) { s.Source.Unit = "page" },
		"language":   func(s *Settings) { s.Rules.Languages = []string{"xx"} },
		"encoding":   func(s *Settings) { s.Source.Encoding = "ebcdic" },
		"width":      func(s *Settings) { s.Normalize.Width = "double" },
	} {
		s := Defaults()
		s.Splits = slices.Clone(s.Splits)
		change(&s)
		refused(nil, []string{name}, Build{Out: filepath.Join(dir, "o1"), Paths: []string{good}, Settings: s})
	}

	// A malformed line is named; the rest is kept if asked, and going on is possible then.
	bad := write(t, dir, "bad.jsonl", `{"text":"the first good one"}`+"\n"+`{"text": oops}`+"\n"+`{"txet":"a"}`+"\n"+`{"text":3}`+"\n"+`{"text":"the second good one"}`+"\n")
	out := filepath.Join(dir, "o2")
	refused(nil, []string{"bad.jsonl:2:", "byte 10"}, Build{Out: out, Paths: []string{bad}, Settings: Defaults()})
	s := Defaults()
	s.SkipBad = true
	r := run(t, Build{Out: out, Paths: []string{bad}, Settings: s})
	if r.Written.Documents != 2 || r.BadCount != 3 || !strings.Contains(r.Bad[1], `bad.jsonl:3: there is no field "text" (there are: "txet")`) || !strings.Contains(r.Bad[2], "not a string") {
		t.Errorf("%d written, bad %q", r.Written.Documents, r.Bad)
	}

	// Other settings than those of an interrupted build.
	out = filepath.Join(dir, "o3")
	refused(nil, []string{"bad.jsonl:2"}, Build{Out: out, Paths: []string{bad}, Settings: Defaults()})
	s.Seed = 5
	refused(ErrOtherBuild, []string{"o3.part"}, Build{Out: out, Paths: []string{bad}, Settings: s})
	if r := run(t, Build{Out: out, Paths: []string{bad}, Settings: s, Restart: true}); r.Written.Documents != 2 {
		t.Errorf("%d written", r.Written.Documents)
	}
}

// TestTwoBuilds: two builds do not write to one folder, and neither reads what it keeps.
func TestTwoBuilds(t *testing.T) {
	dir := t.TempDir()
	in := write(t, dir, "in/a.jsonl", `{"text":"a good line of text"}`+"\n"+`{"text":"another one of them here"}`+"\n")
	other := write(t, dir, "in/b.jsonl", `{"text":"one more text that is good"}`+"\n")
	for _, c := range []struct {
		name  string
		paths []string
		set   func(*Build)
	}{
		{"the same command", []string{in}, func(*Build) {}},
		{"--restart", []string{in}, func(b *Build) { b.Restart = true }},
		{"other inputs", []string{other}, func(*Build) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			tried := false
			first := Build{Out: out, Paths: []string{in}, Settings: settings()}
			first.Progress = func(Progress) {
				if tried {
					return
				}
				tried = true
				second := Build{Out: out, Paths: c.paths, Settings: settings()}
				c.set(&second)
				if _, err := second.Run(t.Context()); !errors.Is(err, errLocked) || !strings.Contains(err.Error(), "another build writes to it") || !strings.Contains(err.Error(), out) {
					t.Errorf("the second build: %v", err)
				}
			}
			if r := run(t, first); !tried || r.Written.Documents != 2 {
				t.Errorf("tried %v, %d documents", tried, r.Written.Documents)
			}
			if left, _ := filepath.Glob(out + ".*"); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}

	// The work folder lies in the folder that is read: the same command goes on.
	out := filepath.Join(dir, "in", "out")
	b := Build{Out: out, Paths: []string{filepath.Join(dir, "in")}, Settings: settings()}
	ctx, cancel := context.WithCancel(t.Context())
	b.Progress = func(Progress) { cancel() }
	if _, err := b.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	kept := filepath.Join(out+".part", docsName)
	before, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	named := Build{Out: out, Paths: []string{kept}, Settings: settings(), Restart: true}
	if _, err := named.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "choose another folder") {
		t.Errorf("it reads what it writes: %v", err)
	}
	if after, err := os.ReadFile(kept); err != nil || string(after) != string(before) {
		t.Errorf("%s has changed: %v", kept, err)
	}
	b.Progress = nil
	if r := run(t, b); r.Written.Documents != 3 {
		t.Errorf("%d documents", r.Written.Documents)
	}
}

func TestParseSplits(t *testing.T) {
	got, err := ParseSplits("train=98%, valid=0.01,test=0.01")
	if want := []Split{{"train", 0.98}, {"valid", 0.01}, {"test", 0.01}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"", "train", "train=x", "train=0.5,"} {
		if _, err := ParseSplits(s); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
}

// TestLines: what a shard's lines are can be read by a plain reader of lines.
func TestLines(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "t.txt", "one\u2028two\n\nthree <b> & \"four\"\n")
	run(t, Build{Out: filepath.Join(dir, "out"), Paths: []string{path}, Settings: Defaults()})
	for name, text := range folder(t, filepath.Join(dir, "out")) {
		if !strings.HasSuffix(name, ".jsonl") {
			continue
		}
		r := bufio.NewReader(bytes.NewReader([]byte(text)))
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"text":"one\ntwo\n\nthree <b> & \"four\"","file":` + fmt.Sprintf("%q", filepath.ToSlash(path)) + `,"line":1}` + "\n"; line != want {
			t.Errorf("got  %swant %s", line, want)
		}
		if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Error("more than one line")
		}
	}
}
