package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/receipt"
	"github.com/ledge-run/ledge/runtime/bench/record"
)

const greedy = tiny + "depth: [0, 16]\ngreedy: {prompt: Hello, tokens: 6}\n"

// measured runs a suite of a tiny model and gives its receipt.
func measured(t *testing.T) (suite, path string) {
	t.Helper()
	suite = folder(t, greedy)
	t.Setenv("LEDGE_BENCH_KEY", filepath.Join(t.TempDir(), "key.pem"))
	bench(t, 0, "run", suite, "--read", "2", "-q")
	path = filepath.Join(t.TempDir(), "r.json")
	_, e := bench(t, 0, "receipt", suite, "-o", path)
	if !strings.Contains(e, "a new key is in ") || !strings.Contains(e, "rounds, signed by ") {
		t.Errorf("receipt says %q", e)
	}
	return suite, path
}

func TestReceipt(t *testing.T) {
	suite, path := measured(t)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := receipt.Verify(data)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(suite); r.Suite != string(text) {
		t.Errorf("the suite in the receipt is %q", r.Suite)
	}
	dir := filepath.Dir(suite)
	if bytes.Contains(data, []byte(dir)) {
		t.Error("the receipt says where the files lie")
	}
	for _, rec := range r.Records {
		run, ok := rec.Of(record.Ledge)
		if !ok || run.Output == nil || run.Output.Tokens == 0 || len(run.Figures) < 5 || rec.Machine.CPU == "" || len(rec.Model.SHA256) != 64 {
			t.Errorf("the receipt lacks what it must have: %+v", rec)
		}
	}

	out, _ := bench(t, 0, "verify", path)
	if !strings.Contains(out, "as it was signed by "+receipt.Fingerprint(r.Key)) || !strings.Contains(out, "of 2 cases") {
		t.Errorf("verify says %q", out)
	}
	public, _ := bench(t, 0, "receipt", "--public")
	if strings.TrimSpace(public) != r.Key {
		t.Errorf("the public key is %q, the receipt's %q", public, r.Key)
	}
	file := filepath.Join(t.TempDir(), "their.pub")
	if err := os.WriteFile(file, []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	bench(t, 0, "verify", "--by", file, path)
	bench(t, 0, "verify", path, "--by", r.Key)
	if _, e := bench(t, exitForged, "verify", path, "--by", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="); !strings.Contains(e, "signed by "+receipt.Fingerprint(r.Key)+", not by ") {
		t.Errorf("another key: %q", e)
	}
	if _, e := bench(t, 2, "verify", path, "--by", "nonsense"); !strings.Contains(e, "neither a public key nor a file") {
		t.Errorf("no key: %q", e)
	}

	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"verify", "replay", "report"} {
		code := exitForged
		if _, err := receipt.Verify(data); err != nil && !strings.Contains(err.Error(), "was changed") {
			code = 1 // no JSON any more
		}
		if _, e := bench(t, code, command, path); !strings.Contains(e, path) || strings.Count(e, "\n") != 1 {
			t.Errorf("%s of a changed receipt: %q", command, e)
		}
	}
	if _, e := bench(t, 1, "verify", suite); !strings.Contains(e, "no JSON") {
		t.Errorf("a suite is verified: %q", e)
	}
	if _, e := bench(t, 1, "verify", filepath.Join(dir, "none.json")); !strings.Contains(e, "no such file") {
		t.Errorf("a file that is not there: %q", e)
	}
	bench(t, 2, "verify")
	bench(t, 2, "receipt")
}

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
	sign := func(r receipt.Receipt) {
		t.Helper()
		key, _, err := receipt.OpenKey(os.Getenv("LEDGE_BENCH_KEY"))
		if err != nil {
			t.Fatal(err)
		}
		data, err := r.Sign(key)
		if err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	sign(again)
	if f, code := replayed(t, args); code != 0 || f[name+" output"].Verdict != receipt.Same || f[name+" decode"].Now <= 0 {
		t.Errorf("the same model: %+v", f)
	}
	again.Records[0].Runs[0].Output.SHA256 = strings.Repeat("0", 64)
	sign(again)
	if f, code := replayed(t, args); code != exitDiffer || f[name+" output"].Verdict != receipt.Differs {
		t.Errorf("another text: %+v", f)
	}
	again.Records[0].Runs[0].Output = nil
	d := again.Records[0].Runs[0].Figures[record.Decode]
	d.Samples = []float64{1e12}
	again.Records[0].Runs[0].Figures[record.Decode] = d
	sign(again)
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

func TestReport(t *testing.T) {
	suite, path := measured(t)
	journal := strings.TrimSuffix(suite, ".yaml") + ".jsonl"
	for _, from := range []string{suite, journal, path} {
		page := filepath.Join(t.TempDir(), "page.html")
		bench(t, 0, "report", from, "-o", page, "--title", "A <board>")
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"<title>A &lt;board&gt;</title>", "m tg4, 1 thread", "data:image/svg", `id="records"`} {
			if !strings.Contains(string(data), want) {
				t.Errorf("the page of %s has no %q", from, want)
			}
		}
		if signed := strings.Contains(string(data), "Signed by the key"); signed != (from == path) {
			t.Errorf("the page of %s: signed is %v", from, signed)
		}
	}
	dir := filepath.Join(t.TempDir(), "plots")
	_, e := bench(t, 0, "report", journal, "--pictures", dir)
	for _, name := range []string{"context.svg", "context.png", "roofline.svg", "roofline.png"} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Size() < 1000 {
			t.Errorf("%s: %v, %v: %s", name, st, err, e)
		}
	}
	bench(t, 2, "report", journal, "--by", "x")
	bench(t, 1, "report", journal, "-o", filepath.Join(dir, "none", "page.html"))
}
