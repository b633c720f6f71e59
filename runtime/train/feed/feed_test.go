package feed

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/tokenizer"
	"github.com/ledge-run/ledge/runtime/tokenizer/bpetrain"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// vocabulary is a small one: bytes, a few merges, control tokens <s> and <e>.
func vocabulary(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	texts := func(yield func(string, error) bool) {
		for range 20 {
			if !yield("turn on the light, turn off the light", nil) {
				return
			}
		}
	}
	v, err := bpetrain.Train(t.Context(), texts, bpetrain.Config{Size: 300, Preset: "gpt2", MinFrequency: 2, EOS: "<e>", Special: []string{"<s>"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.Config()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// source reads text with a context of 16.
func source(t testing.TB, tok *tokenizer.Tokenizer, text string) Source {
	t.Helper()
	return Source{
		Files: []string{write(t, "data.jsonl", text)}, Tokenizer: tok, Cache: filepath.Join(t.TempDir(), "c", "x.tokens"), Threads: 2,
		Settings: Settings{Template: "{prompt}{completion}", Context: 16, Long: "cut"},
	}
}

func open(t testing.TB, s Source) *Data {
	t.Helper()
	d, err := Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// all reads every example as text.
func all(t testing.TB, tok *tokenizer.Tokenizer, d *Data) (texts []string) {
	t.Helper()
	for i := range d.Examples() {
		e, err := d.read(i)
		if err != nil {
			t.Fatal(err)
		}
		show := func(tokens []int32) string { return tok.Decode(tokens, true) }
		texts = append(texts, show(e.tokens[:e.prompt])+"|"+show(e.tokens[e.prompt:]))
	}
	return texts
}

func TestExamples(t *testing.T) {
	tok := vocabulary(t)
	const lines = "\ufeff" + `{"prompt":"turn on","completion":"on","lang":"en"}` + "\n\n" + `{"text":"light"}` + "\r\n" + `{"prompt":"<s>","completion":"<e>"}`
	for _, c := range []struct {
		template string
		want     []string
	}{
		{"{prompt}{completion}", []string{"turn on|on<e>", "|light<e>", "<s>|<e><e>"}},
		{"<s>user {prompt}<e><s>{completion}.", []string{"<s>user turn on<e><s>|on.<e>", "|light<e>", "<s>user <s><e><s>|<e>.<e>"}},
	} {
		s := source(t, tok, lines)
		s.Settings.Template, s.Settings.Context = c.template, 64
		d := open(t, s)
		if got := all(t, tok, d); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", c.template, got)
		}
	}
	// What the data calls special is text; what the template does is not.
	s := source(t, tok, `{"prompt":"<s>","completion":"a"}`)
	s.Settings.Template = "<s>{prompt}{completion}"
	d := open(t, s)
	e, err := d.read(0)
	if err != nil || e.tokens[0] != tok.Find("<s>") || slices.Contains(e.tokens[1:], tok.Find("<s>")) || e.tokens[len(e.tokens)-1] != tok.EOS() {
		t.Errorf("%v %v", e, err)
	}
	if n := d.Counts; n.Lines != 1 || n.Examples != 1 || int(n.Tokens) != len(e.tokens)-1 {
		t.Errorf("%+v", n)
	}
}

// TestTrimmed: a prompt is trimmed as templates do it, a completion is not.
func TestTrimmed(t *testing.T) {
	tok := vocabulary(t)
	const lines = `{"prompt":" \n\u00a0turn  on\u001f\n","completion":" on "}` + "\n" + `{"prompt":"  ","completion":"x"}`
	for template, want := range map[string][]string{
		"<s>{prompt}<e>{completion}":      {"<s> \n\u00a0turn  on\u001f\n<e>| on <e>", "<s>  <e>|x<e>"},
		"<s>{prompt|trim}<e>{completion}": {"<s>turn  on<e>| on <e>", "<s><e>|x<e>"},
	} {
		s := source(t, tok, lines)
		s.Settings.Template, s.Settings.Context = template, 64
		if got := all(t, tok, open(t, s)); !slices.Equal(got, want) {
			t.Errorf("%s: %q", template, got)
		}
	}
}

func TestLong(t *testing.T) {
	tok := vocabulary(t)
	long := strings.Repeat("xyzw", 10) // 40 tokens and the end
	text := fmt.Sprintf(`{"text":"%s"}`+"\n"+`{"prompt":"ab","completion":"%s"}`+"\n"+`{"prompt":"%s","completion":"c"}`+"\n"+`{"text":"ok"}`, long, long, long)
	s := source(t, tok, text)
	d := open(t, s)
	got := all(t, tok, d)
	want := []string{"|" + long[:17], "|" + long[16:33], "|" + long[32:] + "<e>", "ab|" + long[:15], "|ok<e>"}
	if !slices.Equal(got, want) || d.Counts.Cut != 2 || d.Counts.Long != 1 {
		t.Errorf("%q %+v", got, d.Counts)
	}
	// Every token but the first is a label once.
	if d.rows(0)+d.rows(1)+d.rows(2) != 40 {
		t.Errorf("%d labels", d.rows(0)+d.rows(1)+d.rows(2))
	}
	s.Settings.Long = "skip"
	if d := open(t, s); d.Examples() != 1 || d.Counts.Long != 3 {
		t.Errorf("%d examples, %+v", d.Examples(), d.Counts)
	}
	s.Settings.Long = "refuse"
	for _, s.Settings.SkipBad = range []bool{false, true} { // it is long, not malformed
		if _, err := Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), "data.jsonl, line 1: it has 40 tokens and the context 16") {
			t.Errorf("refused: %v", err)
		}
	}
}

func TestBadLines(t *testing.T) {
	tok := vocabulary(t)
	for line, want := range map[string]string{
		`{"text":"a"`:                    "no JSON object with",
		`["a"]`:                          "no JSON object",
		`{"text":1}`:                     "no JSON object with",
		`{"text":"a","prompt":"b"}`:      "both",
		`{"completion":"b"}`:             `no "prompt"`,
		`{"prompt":"b","completion":5}`:  `"completion" is a number: it must be a text`,
		`{"prompt":"b"}`:                 `no "completion"`,
		`{"prompt":"b","completion":""}`: `"completion" is empty`,
		`{"text":""}`:                    `"text" is empty`,
		`{"other":"a"}`:                  "neither",
		"{\"text\":\"\xff\"}":            "not UTF-8",
	} {
		s := source(t, tok, `{"text":"good"}`+"\n\n"+line+"\n"+`{"text":"better"}`)
		_, err := Open(t.Context(), s)
		var bad *BadLine
		if !errors.As(err, &bad) || bad.Line != 3 || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "data.jsonl, line 3: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", line, err)
		}
		if left, err := filepath.Glob(s.Cache + "*.part"); err != nil || len(left) > 0 {
			t.Errorf("%s: left are %v (%v)", line, left, err)
		}
		s.Settings.SkipBad = true
		if d := open(t, s); d.Examples() != 2 || d.Counts.Bad != 1 || !strings.Contains(d.Counts.FirstBad, want) {
			t.Errorf("%s: %+v", line, d.Counts)
		}
	}
	s := source(t, tok, "x\ny\n")
	s.Settings.SkipBad = true
	if _, err := Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), "nothing to learn") || !strings.Contains(err.Error(), "2 malformed") {
		t.Errorf("all bad: %v", err)
	}
}

// TestCache: what was tokenized is used again if it is of the same bytes and settings
// and whole, and made anew if not.
func TestCache(t *testing.T) {
	tok := vocabulary(t)
	s := source(t, tok, `{"text":"light"}`)
	built := 0
	s.Progress = func(int64, int64) { built++ }
	same := func(what string, want int) {
		t.Helper()
		before := built
		if d := open(t, s); d.Counts.Examples < 1 || d.Counts.Examples != int64(d.Examples()) || (built > before) != (want > 0) {
			t.Errorf("%s: built %d times, %+v", what, built-before, d.Counts)
		}
	}
	same("at first", 1)
	same("again", 0)
	moved := write(t, "other.jsonl", `{"text":"light"}`)
	s.Files[0] = moved
	same("the same bytes under another name", 0)
	if err := os.WriteFile(moved, []byte(`{"text":"lamp"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	same("other bytes", 1)
	s.Settings.Context = 17
	same("another context", 1)
	s.Vocab = sha256.Sum256([]byte("other"))
	same("another vocabulary", 1)
	data, err := os.ReadFile(s.Cache)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if err := os.WriteFile(s.Cache, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if i%40 == 0 {
			same("damaged", 1)
		}
	}
	if err := os.WriteFile(s.Cache, data[:len(data)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	same("cut off", 1)
}

// TestLeftParts: what a run that was killed has left of the cache goes, also when the cache
// is whole.
func TestLeftParts(t *testing.T) {
	s := source(t, vocabulary(t), `{"text":"light"}`)
	open(t, s)
	left, old := s.Cache+".0123456789abcdef.part", time.Now().Add(-2*time.Hour)
	if err := errors.Join(os.WriteFile(left, nil, 0o644), os.Chtimes(left, old, old)); err != nil {
		t.Fatal(err)
	}
	s.Progress = func(int64, int64) { t.Error("built again") }
	open(t, s)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is there: %v", left, err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"b.jsonl", "a.jsonl", "x[1].jsonl"} {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	in := func(n string) string { return filepath.Join(dir, n) }
	got, err := Find([]string{in("b.jsonl"), in("?.jsonl"), in("x[1].jsonl")})
	if err != nil || !slices.Equal(got, []string{in("b.jsonl"), in("a.jsonl"), in("x[1].jsonl")}) {
		t.Errorf("%v %v", got, err)
	}
	for p, want := range map[string]string{in("none.jsonl"): "no such file", in("*.txt"): "no file fits", in("[*"): "malformed", dir: "is a folder"} {
		if _, err := Find([]string{p}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", p, err)
		}
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(`{"text":"light"}`)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	tok := vocabulary(t)
	s := source(t, tok, "")
	s.Files = []string{write(t, "x.jsonl.gz", b.String())}
	if got := all(t, tok, open(t, s)); !slices.Equal(got, []string{"|light<e>"}) {
		t.Errorf("%q", got)
	}
	s.Files = []string{write(t, "x.jsonl.gz", b.String()[:b.Len()-6])}
	if _, err := Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), "x.jsonl.gz is cut off in line 1: copy") {
		t.Errorf("cut: %v", err)
	}
	s.Files = []string{write(t, "x.jsonl.gz", "no archive")}
	if _, err := Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), "x.jsonl.gz") {
		t.Errorf("no archive: %v", err)
	}
}

// TestOrder: it is a permutation, another for another seed or epoch, and mixes.
func TestOrder(t *testing.T) {
	for n := 1; n < 300; n = n*3/2 + 1 {
		var first []int
		for seed := range uint64(3) {
			for epoch := range 2 {
				o := newOrder(n, seed, epoch)
				var got []int
				for i := range n {
					got = append(got, o.at(i))
				}
				if n > 20 && slices.Equal(got, first) {
					t.Errorf("%d: seed %d, epoch %d: the order was there before", n, seed, epoch)
				}
				first = slices.Clone(got)
				slices.Sort(got)
				for i, v := range got {
					if v != i {
						t.Fatalf("%d: %d is missing", n, i)
					}
				}
			}
		}
	}
	// Places before and after are independent: their correlation is that of chance.
	const n = 20000
	o := newOrder(n, 1, 0)
	sum := 0.0
	for i := range n {
		sum += (float64(i) - n/2) * (float64(o.at(i)) - n/2)
	}
	if r := sum / (float64(n) * n * n / 12); r > .03 || r < -.03 {
		t.Errorf("correlation %g", r)
	}
}

// TestSteps: a step is the same however one came to it; every example comes once an
// epoch; parts keep to their limits.
func TestSteps(t *testing.T) {
	tok := vocabulary(t)
	var b strings.Builder
	for i := range 57 {
		fmt.Fprintf(&b, `{"prompt":"%s","completion":"%d"}`+"\n", strings.Repeat("q", i%7), i)
	}
	d := open(t, source(t, tok, b.String()))
	p := Packing{Seed: 3, TokensPerStep: 40, TokensAtOnce: 16, PromptLoss: 0}
	f := New(d, p)
	var steps [][]step.Part
	tokens, documents := 0, 0
	for f.Epoch() < 3 {
		parts, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, part := range parts {
			if len(part.Tokens) > 16 || len(part.Tokens) != len(part.Labels) || len(part.Tokens) != len(part.Weights) {
				t.Fatalf("%+v", part)
			}
			n += len(part.Tokens)
			documents += len(part.Lengths)
			at := 0
			for _, l := range part.Lengths { // the last token is followed by the end
				if part.Labels[at+l-1] != tok.EOS() {
					t.Errorf("%v", part)
				}
				for k := at; k < at+l-1; k++ {
					if part.Labels[k] >= 0 && part.Labels[k] != part.Tokens[k+1] {
						t.Errorf("%v", part)
					}
					if q := tok.Find("q"); part.Tokens[k+1] == q != (part.Labels[k] < 0) && part.Tokens[k+1] < 256+2 {
						t.Errorf("a prompt's token is a label, or a completion's is none: %v", part)
					}
				}
				at += l
			}
		}
		if n > 40 {
			t.Errorf("a step of %d tokens", n)
		}
		tokens += n
		steps = append(steps, parts)
	}
	if documents < 3*57 || documents > 3*57+20 || tokens < 3*int(d.Counts.Tokens) {
		t.Errorf("%d documents, %d tokens of %d", documents, tokens, d.Counts.Tokens)
	}
	ended, end := context.WithCancelCause(t.Context())
	end(io.ErrClosedPipe)
	if _, err := Steps(ended, d, p, 1e300); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("interrupted: %v", err)
	}
	if n, err := Steps(t.Context(), d, p, 3); err != nil || n != len(steps) {
		t.Errorf("%d steps, want %d", n, len(steps))
	}
	for _, at := range []int{0, 5, len(steps) - 1, 2} {
		f.Seek(at)
		if got, err := f.Next(); err != nil || !reflect.DeepEqual(got, steps[at]) {
			t.Errorf("step %d is another after seeking (%v)", at+1, err)
		}
	}
	p.PromptLoss = .5
	parts, err := New(d, p).Next()
	if err != nil {
		t.Fatal(err)
	}
	for k, w := range parts[0].Weights {
		if (w == .5) != (steps[0][0].Labels[k] < 0) || w != .5 && w != 1 {
			t.Errorf("weight %g", w)
		}
	}
	valid, err := d.Parts(p, 50)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, part := range valid {
		n += len(part.Tokens)
	}
	if n < 40 || n > 50 {
		t.Errorf("%d tokens for validation", n)
	}
}

// FuzzLine: no line breaks reading.
func FuzzLine(f *testing.F) {
	for _, s := range []string{`{"text":"a"}`, `{"prompt":"a","completion":"b"}`, `{"prompt":null}`, "{", `{"text":"\ud800"}`} {
		f.Add([]byte(s))
	}
	tok := vocabulary(f)
	enc, err := newEncoder(tok, Settings{Template: "<s>{prompt}<e>{completion}", Context: 8, Long: "cut"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = each("x", bytes.NewReader(b), func(line []byte, number int) error {
			r, err := parse(line)
			if err != nil {
				return nil
			}
			var n Counts
			all, err := enc.encode(r, &n)
			for _, e := range all {
				if len(e.tokens) < 2 || len(e.tokens) > 9 || e.prompt >= len(e.tokens) {
					t.Errorf("%q: %+v", line, e)
				}
			}
			if err == nil && len(all) == 0 && n.Long == 0 {
				t.Errorf("%q: nothing", line)
			}
			return nil
		})
	})
}

// FuzzCache: no file breaks opening, and what opens can be read.
func FuzzCache(f *testing.F) {
	key := sha256.Sum256([]byte("x"))
	var b bytes.Buffer
	w, err := newCacheWriter(&b, key, 2)
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(w.add(example{[]int32{1, 2, 3}, 1}), w.add(example{[]int32{4, 5}, 0}), w.finish(Counts{Examples: 2})); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		try := func(b []byte) {
			d, err := readCache(bytes.NewReader(b), int64(len(b)), key, 8)
			if err != nil {
				return
			}
			for i := range d.Examples() {
				if _, err := d.read(i); err != nil {
					t.Error(err)
				}
			}
		}
		try(b)
		if len(b) > headBytes+footBytes { // with the sum made right
			sum := sha256.Sum256(b[:len(b)-sha256.Size])
			try(append(bytes.Clone(b[:len(b)-sha256.Size]), sum[:]...))
		}
	})
}
