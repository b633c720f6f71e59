package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/train/data"
)

// texts writes a folder of texts.
func texts(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.txt":      "Please turn on the light in the kitchen and close the door behind you.\n",
		"copy.txt":   "Please turn on the light in the kitchen and close the door behind you.  \r\n",
		"zh.txt":     "请把客厅的灯关掉，然后给王芳打电话13812345678。\n",
		"more.jsonl": `{"text":"The heater in the bedroom runs until noon.","id":1}` + "\n" + `{"text":"啊"}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDataBuild(t *testing.T) {
	in, out := texts(t), filepath.Join(t.TempDir(), "corpus")
	r := decode[data.Report](t, must(t, "data", "build", "--mask", "phone", "--min-units", "2", in, "-o", out, "--json", "--split", "train=0.5,test=50%", "--words", "3"))
	if r.Read.Documents != 5 || r.Exact.Documents != 1 || r.Written.Documents != 3 || r.Masked["phone"] != 1 || r.Filtered["too short"].Documents != 1 || len(r.Words) != 3 {
		t.Errorf("%+v", r)
	}
	table := must(t, "data", "report", out)
	if !strings.Contains(table, "- too short") || !strings.Contains(table, "exact duplicate: "+filepath.ToSlash(in)+"/copy.txt:1") {
		t.Errorf("report:\n%s", table)
	}
	refused(t, exitFailed, "is there already", "data", "build", "-o", out, in)
	refused(t, exitUsage, "-o FOLDER", "data", "build", in)
	refused(t, exitUsage, "no files", "data", "build", "-o", out)
	refused(t, exitUsage, "must make 1", "data", "build", "-o", out+"2", "--split", "train=0.5", in)
	refused(t, exitUsage, "--mask", "data", "build", "-o", out+"2", "--mask", "names", in)
	refused(t, exitUsage, "--shard-size", "data", "build", "-o", out+"2", "--shard-size", "many", in)
	refused(t, exitUsage, "gopher", "data", "build", "-o", out+"2", "--rules", "mole", in)
	refused(t, exitFailed, "nothing to read", "data", "build", "-o", out+"2", t.TempDir())

	refused(t, exitUsage, "--keep ident: no document has", "data", "build", "-o", out+"2", "--keep", "id,ident", in)
	refused(t, exitUsage, "--group usr: no document has", "data", "build", "-o", out+"2", "--group", "usr", "--field", "review", writeFile(t, "t.csv", "user,review\n1,good day\n2,bad day\n"))
	refused(t, exitUsage, "- is standard input", "data", "build", "-o", out+"2", "-")
	must(t, "data", "build", "-o", out+"4", "--keep", "id", "--group", "id", in)
	refused(t, exitFailed, "has no report.json: name a folder", "data", "report", in)
	refused(t, exitFailed, "has no report.json: name a folder", "data", "report", filepath.Join(in, "a.txt"))
	refused(t, exitUsage, "see ledge data words --help", "data", "words", "--top", "3")
	bad := filepath.Join(t.TempDir(), "bad.jsonl")
	if err := os.WriteFile(bad, []byte("{\"text\":\"a good line\"}\n{\"text\":\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, exitFailed, "bad.jsonl:2: not a JSON object", "data", "build", "-o", out+"3", bad)
	if r := ledge("data", "build", "-o", out+"3", "--skip-bad", bad); r.code != 0 || !strings.Contains(r.err, "goes on") || !strings.Contains(r.out, "bad record: "+filepath.ToSlash(bad)+":2") {
		t.Errorf("%+v", r)
	}
}

func TestDataMaskAndWords(t *testing.T) {
	if got := ledgeIn("call 555-867-5309\n打给13812345678\n", "data", "mask"); got.out != "call [PHONE]\n打给[PHONE]\n" {
		t.Errorf("%+v", got)
	}
	if got := ledgeIn("write to a@example.com, 13812345678", "data", "mask", "--kinds", "email"); got.out != "write to [EMAIL], 13812345678" {
		t.Errorf("%+v", got)
	}
	refused(t, exitUsage, "--kinds", "data", "mask", "--kinds", "x", "f")
	if got := ledgeIn("请打开厨房的灯。\nTurn on the light!\n", "data", "words"); got.out != "请 打开 厨房 的 灯 。\nTurn on the light !\n" {
		t.Errorf("%+v", got)
	}
	if got := ledgeIn("请打开厨房的灯。\n", "data", "words", "--no-stop"); got.out != "打开 厨房 灯\n" {
		t.Errorf("%+v", got)
	}
	if got := ledgeIn("\xff", "data", "words"); got.code != exitFailed || !strings.Contains(got.err, "UTF-8") {
		t.Errorf("%+v", got)
	}
}

func TestTokenizerTrain(t *testing.T) {
	in, out := texts(t), filepath.Join(t.TempDir(), "tokens")
	corpus := filepath.Join("..", "..", "runtime", "tokenizer", "bpetrain", "testdata", "corpus.txt")
	args := []string{"tokenizer", "train", "--size", "400", "--special", "<|im_start|>", "--special", "<|im_end|>", "--bos", "<|im_start|>", "--json", corpus, in, "-o"}
	r := decode[struct{ Tokens, Merges int }](t, must(t, append(args, out)...))
	if r.Tokens != 400 || r.Merges != 400-256-3 {
		t.Errorf("%+v", r)
	}
	gguf := filepath.Join(out, "tokenizer.gguf")
	got := must(t, "tokenize", "-m", gguf, "--special", "<|im_start|>the 灯<|im_end|>")
	if !strings.HasPrefix(got, "      0  \"<|im_start|>\"") || !strings.HasSuffix(got, "      1  \"<|im_end|>\"\n") {
		t.Errorf("tokens:\n%s", got)
	}
	entries, err := os.ReadDir(out)
	if err != nil || len(entries) != 3 {
		t.Errorf("%v, %v", entries, err)
	}
	must(t, append(args, out+"2", "-t", "1")...)
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		a, err1 := os.ReadFile(filepath.Join(out, name))
		b, err2 := os.ReadFile(filepath.Join(out+"2", name))
		if err1 != nil || err2 != nil || string(a) != string(b) {
			t.Errorf("%s differs with one thread (%v, %v)", name, err1, err2)
		}
	}
	refused(t, exitFailed, "is there already", append(args, out)...)
	refused(t, exitUsage, "at least two characters", "tokenizer", "train", "-o", out+"3", "--special", "x", corpus)
	refused(t, exitUsage, "too small", "tokenizer", "train", "-o", out+"3", "--size", "100", corpus)
	refused(t, exitUsage, "gpt2 llama3 qwen2 smollm", "tokenizer", "train", "-o", out+"3", "--pre", "none", corpus)
	refused(t, exitFailed, "no pair of bytes", "tokenizer", "train", "-o", out+"3", "--min-frequency", "99999", corpus)
	if r := ledge("tokenizer", "train", "-o", out+"4", "--size", "60000", corpus); r.code != 0 || !strings.Contains(r.err, "no other pair occurs 2 times") {
		t.Errorf("%+v", r)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "64MB": 64e6, "500k": 500e3, "1.5G": 15e8, "2GiB": 2 << 30, "1mib": 1 << 20, "3Ki": 3 << 10, "7b": 7, "5i": 0, "5ib": 0, "MB": 0, "0": 0, "": 0, "x": 0, "5X": 0, "-1M": 0, "1e99": 0} {
		if got, err := parseSize(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestTimeLeft(t *testing.T) {
	now := time.Unix(0, 0)
	l := &timeLeft{now: func() time.Time { return now }}
	step := func(seconds int, stage string, fraction float64, want string) {
		t.Helper()
		now = now.Add(time.Duration(seconds) * time.Second)
		if got := l.text(stage, fraction); got != want {
			t.Errorf("%s %v: %q, want %q", stage, fraction, got, want)
		}
	}
	step(0, "reading", 0.5, "")
	step(1, "reading", 0.6, "")
	step(9, "reading", 0.75, ", 10s left") // 25 % took 10 s, 25 % are left
	step(5, "writing", 0.1, "")
	step(60, "writing", 0.4, ", 2m0s left")

	l = &timeLeft{now: l.now} // of one stage, without a name
	step(0, "", 0.25, "")
	step(10, "", 0.5, ", 20s left")
}
