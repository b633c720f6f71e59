package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/receipt"
	"github.com/ledge-run/ledge/runtime/bench/record"
)

const greedy = tiny + "depth: [0, 16]\ngreedy: {prompt: Hello, tokens: 6}\n"

// home gives the test's user a folder of settings of their own, and says where the key
// is in it.
func home(t *testing.T) (key string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} { // of each system
		t.Setenv(name, dir)
	}
	t.Setenv("LEDGE_BENCH_KEY", "")
	key, err := receipt.KeyPath()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// measured runs a suite of a tiny model and gives its receipt.
func measured(t *testing.T) (suite, path string) {
	t.Helper()
	suite = folder(t, greedy)
	home(t)
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
	text, err := os.ReadFile(suite)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(text); r.Suite != "" || r.Records[0].Suite.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("the receipt gives the suite %q away, or has not its hash: %q", r.Suite, r.Records[0].Suite.SHA256)
	}
	whole := filepath.Join(t.TempDir(), "whole.json")
	bench(t, 0, "receipt", suite, "--with-suite", "-o", whole)
	if r, err := openFile(whole); err != nil || r.Suite != string(text) {
		t.Errorf("with the suite: %v, %q", err, r.Suite)
	}
	if _, e := bench(t, 2, "receipt", strings.TrimSuffix(suite, ".yaml")+".jsonl", "--with-suite"); !strings.Contains(e, "name the suite") {
		t.Errorf("a journal with its suite: %q", e)
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
		if _, e := bench(t, exitForged, command, path); !strings.Contains(e, path) || strings.Count(e, "\n") != 1 {
			t.Errorf("%s of a changed receipt: %q", command, e)
		}
	}
	if _, e := bench(t, exitForged, "verify", suite); !strings.Contains(e, "no JSON") {
		t.Errorf("a suite is verified: %q", e)
	}
	bench(t, 1, "verify", dir)
	if _, e := bench(t, 1, "verify", filepath.Join(dir, "none.json")); !strings.Contains(e, "no such file") {
		t.Errorf("a file that is not there: %q", e)
	}
	bench(t, 2, "verify")
	bench(t, 2, "receipt")
}

// openFile reads a receipt; the one of an error is empty.
func openFile(path string) (*receipt.Receipt, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return &receipt.Receipt{}, err
	}
	r, err := receipt.Verify(data)
	if err != nil {
		return &receipt.Receipt{}, err
	}
	return r, nil
}

// one is a record that can be signed.
func one(change ...func(*record.Record)) record.Record {
	r := record.Record{Version: record.Version, Case: "c", Time: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC), Settings: record.Settings{Prompt: 8, Gen: 4, Repeat: 1}, Model: record.Model{Name: "m", File: "m.gguf"},
		Runs: []record.Run{{Engine: record.Engine{Name: record.Ledge}}}}
	for _, f := range change {
		f(&r)
	}
	return r
}

// forged signs records with a key of the test's user.
func forged(t *testing.T, records ...record.Record) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "forged.json")
	sign(t, path, receipt.Receipt{Records: records})
	return path
}

// sign writes a receipt with the signature of the test's user.
func sign(t *testing.T, path string, r receipt.Receipt) {
	t.Helper()
	file, err := receipt.KeyPath()
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := receipt.OpenKey(file)
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

// TestVerify: what is no intact receipt ends with exit code 6, and one line that says why.
func TestVerify(t *testing.T) {
	home(t)
	path := forged(t, one())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for name, text := range map[string]string{
		"empty": "", "cut": good[:len(good)/2], "without its end": good[:len(good)-1], "twice": good + good, "a byte order mark": "\ufeff" + good,
		"broken": "[" + good[1:], "Key": strings.Replace(good, `"key":`, `"Key":`, 1), "no key": strings.Replace(good, `"key":`, `"what":`, 1),
		"version 2": strings.Replace(good, `"receipt":1`, `"receipt":2`, 1), "no signature": strings.Replace(good, `"signature":`, `"sig":`, 1), "a list": "[]\n", "nothing": "null\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, e := bench(t, exitForged, "verify", path); !strings.HasPrefix(e, "ledge-bench: "+path+": receipt: ") || strings.Count(e, "\n") != 1 {
			t.Errorf("%s: %q", name, e)
		}
	}
	for i := range data {
		data[i] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		bench(t, exitForged, "verify", path)
		data[i] ^= 1
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	bench(t, 1, "verify", path)
}

// TestKeys: which key signs, and who says so.
func TestKeys(t *testing.T) {
	own := home(t)
	none := filepath.Join(t.TempDir(), "key.pem")
	for _, env := range []string{"", none} {
		args := []string{"receipt", "--public", "--key", none}
		if env != "" {
			t.Setenv("LEDGE_BENCH_KEY", env)
			args = args[:2]
		}
		if _, e := bench(t, 1, args...); !strings.Contains(e, none) || !strings.Contains(e, "openssl genpkey") {
			t.Errorf("a key that is not there: %q", e)
		}
		if _, err := os.Stat(none); err == nil {
			t.Fatal("it was made")
		}
	}
	t.Setenv("LEDGE_BENCH_KEY", "")
	public, e := bench(t, 0, "receipt", "--public")
	if !strings.Contains(e, "a new key is in "+own) {
		t.Errorf("a key is made without a word: %q", e)
	}
	if again, e := bench(t, 0, "receipt", "--public"); again != public || e != "" {
		t.Errorf("the second time: %q, %q", again, e)
	}
	if again, e := bench(t, 0, "receipt", "--public", "--key", own); again != public || e != "" {
		t.Errorf("named: %q, %q", again, e)
	}

	path := forged(t, one())
	key, err := receipt.ParsePublic(strings.TrimSpace(public))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	bench(t, 0, "verify", "--by", file, path)
	if _, e := bench(t, 2, "verify", "--by", own, path); !strings.Contains(e, "pubout") {
		t.Errorf("by a private key: %q", e)
	}

	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(own, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, e := bench(t, 0, "receipt", "--public"); !strings.Contains(e, own+" is open to others") || strings.Count(e, "\n") != 1 {
		t.Errorf("everybody's key: %q", e)
	}
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
