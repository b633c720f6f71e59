package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench/journal"
	"github.com/ledge-run/ledge/runtime/bench/worker"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
)

// TestMain makes the test's program what ledge-bench is: a worker, and itself where a
// test runs it in a shell.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == worker.Name || os.Getenv("LEDGE_BENCH") != "") {
		ignoreFileLimit()
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// bench runs a command line and checks its exit code.
func bench(t *testing.T, code int, args ...string) (out, complaints string) {
	t.Helper()
	var o, e bytes.Buffer
	if got := run(args, strings.NewReader(""), &o, &e); got != code {
		t.Errorf("ledge-bench %q: exit code %d, want %d: %s%s", args, got, code, &o, &e)
	}
	return o.String(), e.String()
}

// folder has a tiny model and a suite that measures it quickly.
func folder(t *testing.T, text string) (suite string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("LEDGE_PACK_CACHE", filepath.Join(dir, "packed"))
	data := goldentest.Bytes(t, "../../runtime/model/testdata", "llama-gqa.gguf.gz")
	suite = filepath.Join(dir, "tiny.yaml")
	for path, data := range map[string][]byte{filepath.Join(dir, "m.gguf"): data, suite: []byte(text)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return suite
}

const tiny = "models: m.gguf\nthreads: 1\nprompt: 8\ngen: 4\nrounds: 1\n"

// TestRun: from a suite to tables, and what the exit codes say.
func TestRun(t *testing.T) {
	suite := folder(t, tiny+"cases: [{name: a, bars: {decode: {value: 1}}}, {name: b, bars: {decode: {value: 100000000000}}}]\n")
	if out, _ := bench(t, 0, "list", suite); out != "a/m/t1/pp8+tg4  ledge  1 rounds\nb/m/t1/pp8+tg4  ledge  1 rounds\n" {
		t.Errorf("list: %q", out)
	}
	if _, e := bench(t, console.ExitFailed, "table", suite); !strings.Contains(e, "there is no journal ") || !strings.Contains(e, "tiny.jsonl: ledge-bench run writes it") {
		t.Errorf("table before run: %q", e)
	}
	_, e := bench(t, exitLeft, "run", suite, "--read", "2", "--passes", "1", "--budget", "1ns")
	if !strings.Contains(e, "2 rounds are left") {
		t.Errorf("run without time: %q", e)
	}
	// Somebody may disturb the rounds, which are then measured again.
	_, e = bench(t, 0, "run", "--read", "2", "--passes", "1", suite, "--only", "^a/")
	if !strings.Contains(e, "a/m/t1/pp8+tg4 round 1: decode") {
		t.Errorf("run: %q", e)
	}
	bench(t, 0, "table", suite, "--check", "--only", "^a/")
	bench(t, 0, "run", suite, "-q", "--read", "2", "--passes", "1")
	out, e := bench(t, exitBar, "table", suite, "--check")
	if !strings.Contains(e, "1 of 2 figures miss their bar") || !strings.Contains(out, "≥ 1e+11") {
		t.Errorf("check: %s%s", out, e)
	}
	path := strings.TrimSuffix(suite, ".yaml") + ".jsonl"
	if out, _ := bench(t, 0, "table", path, "--figures", "load,wall"); !strings.Contains(out, "The whole process, s") {
		t.Errorf("of the journal alone: %s", out)
	}
	if out, _ := bench(t, 0, "compare", path, path); !strings.Contains(out, "same") || strings.Contains(out, "worse") {
		t.Errorf("compare: %s", out)
	}
	document := filepath.Join(filepath.Dir(suite), "d.md")
	if err := os.WriteFile(document, []byte("above\n<!-- ledge-bench table writes what follows -->\n<!-- ledge-bench table wrote what is above -->\nbelow\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bench(t, 0, "table", suite, "--into", document, "--picture", document+".svg")
	if data, err := os.ReadFile(document); err != nil || !strings.Contains(string(data), "### Generation") || !strings.HasSuffix(string(data), "below\n") {
		t.Errorf("%s, %v", data, err)
	}
	if data, err := os.ReadFile(document + ".svg"); err != nil || !bytes.Contains(data, []byte("<svg")) {
		t.Errorf("%v", err)
	}
}

// TestMistakes: what is wrong, in one line, and the exit code.
func TestMistakes(t *testing.T) {
	suite := folder(t, tiny)
	broken := folder(t, "models: m.gguf\nthread: 1\n")
	peer := folder(t, tiny+"peers: {x: {llama-bench: ./none}}\n")
	noise := filepath.Join(t.TempDir(), "x.jsonl")
	slow, passwd, precious := folder(t, tiny+"slow: true\n"), filepath.Join(t.TempDir(), "passwd"), filepath.Join(t.TempDir(), "precious.txt")
	const notes = "the notes of many years, no line end" // what is no journal stays as it is
	for path, text := range map[string]string{noise: "noise\n", passwd: strings.Repeat("root:x:0:0:root:/root:/bin/bash\n", 40), precious: notes} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		code int
		say  string
		args []string
	}{
		{2, `no command "rnu", did you mean run?`, []string{"rnu"}},
		{2, "name one suite file", []string{"run"}},
		{2, "did you mean --rounds?", []string{"run", suite, "--round", "2"}},
		{2, "broken", nil},
		{2, "--rounds 0: it must be 1 to 1048576", []string{"run", suite, "--rounds", "0"}},
		{2, "--read 99999999999: it must be 1 to 1048576", []string{"run", suite, "--read", "99999999999"}},
		{2, "--only nosuch: the suite has no such case; ledge-bench list " + suite, []string{"run", suite, "--only", "nosuch"}},
		{2, "all 1 cases are slow; give --slow", []string{"run", slow}},
		{2, "all 1 cases are slow; give --slow", []string{"run", slow, "--only", "tg4"}},
		{2, `"root:x:0:0:root`, []string{"run", passwd}},
		{2, "--budget", []string{"run", suite, "--budget", "-1s"}},
		{2, "--only", []string{"list", suite, "--only", "("}},
		{2, "--set x: it is written NAME=VALUE", []string{"list", suite, "--set", "x"}},
		{2, "x is set, but vars has no x", []string{"list", suite, "--set", "x=y"}},
		{2, `no figure is called "decod", did you mean decode?`, []string{"table", noise, "--figures", "decod"}},
		{2, "name two journals", []string{"compare", noise}},
		{2, "--tolerance", []string{"compare", noise, noise, "--tolerance", "-1"}},
		{1, "there is no suite " + suite + "x: ledge-bench init", []string{"list", suite + "x"}},
		{1, "there is no journal " + suite + ".jsonl", []string{"compare", suite + ".jsonl", noise}},
		{1, "there is no journal ", []string{"table", suite}},
		{1, "there is no journal ", []string{"report", suite}},
		{1, "there is no journal ", []string{"receipt", suite}},
		{1, "there is no journal none.jsonl", []string{"table", "none.jsonl"}},
		{1, "cannot write " + filepath.Join(suite+".d", "x.yaml") + ": there is no folder " + suite + ".d", []string{"init", filepath.Join(suite+".d", "x.yaml")}},
		{1, "precious.txt, line 1: no record", []string{"run", suite, "--journal", precious}},
		{1, "precious.txt, line 1: no record", []string{"table", suite, "--journal", precious}},
		{1, `no peer "ledge" to leave out`, []string{"run", suite, "--without", "ledge"}},
		{1, "x.jsonl, line 1: no record", []string{"table", noise}},
		{1, "x.jsonl, line 1: no record", []string{"run", suite, "--journal", noise}},
		{1, "is there already", []string{"init", suite}},
		{1, `no peer "y" to leave out`, []string{"run", suite, "--without", "y"}},
		{1, "the program to measure: none", []string{"run", suite, "--ledge", "none"}},
		{4, "x is left out", []string{"run", peer, "--read", "2", "--passes", "1"}},
		{1, "is a command for ledge-bench", []string{worker.Name}},
	} {
		if c.args == nil {
			c.args, c.say = []string{"run", broken}, `line 2, column 1: unknown key "thread" in a suite, did you mean threads?`
		}
		_, e := bench(t, c.code, c.args...)
		if len(e) > 1000 {
			t.Errorf("ledge-bench %q says %d bytes", c.args, len(e))
		}
		last := e[strings.LastIndex(strings.TrimSpace(e), "\n")+1:]
		if c.code != 4 && !strings.Contains(last, c.say) || !strings.Contains(e, c.say) || !strings.HasPrefix(last, "ledge-bench: ") {
			t.Errorf("ledge-bench %q says %q, want %q", c.args, e, c.say)
		}
	}
	if data, err := os.ReadFile(precious); err != nil || string(data) != notes {
		t.Errorf("a file that is no journal is now %q, %v", data, err)
	}
	// A program that cannot measure is recorded as failed.
	text, err := exec.LookPath("true")
	if err != nil {
		t.Skip("there is no program true")
	}
	if _, e := bench(t, exitEngine, "run", suite, "--read", "2", "--passes", "1", "--ledge", text); !strings.Contains(e, "is no program of Ledge that can measure") {
		t.Errorf("true measured: %s", e)
	}
}

func TestHelp(t *testing.T) {
	out, _ := bench(t, 0, "help")
	for _, name := range []string{"init", "list", "run", "table", "compare", "EXIT CODES"} {
		if !strings.Contains(out, name) {
			t.Errorf("help lacks %s", name)
		}
	}
	for _, name := range []string{"init", "list", "run", "table", "compare", "version"} {
		one, _ := bench(t, 0, name, "--help")
		if two, _ := bench(t, 0, "help", name); one != two || !strings.Contains(one, "EXAMPLES:\n   ledge-bench "+name) {
			t.Errorf("%s: %s", name, one)
		}
	}
	if out, _ := bench(t, 0, "--version"); !strings.HasPrefix(out, "ledge-bench ") {
		t.Errorf("%q", out)
	}
	if out, _ := bench(t, 0, "init", "--full"); !strings.Contains(out, "quality:") {
		t.Errorf("%q", out)
	}
	path := filepath.Join(t.TempDir(), "new.yaml")
	bench(t, 0, "init", path)
	if out, _ := bench(t, 0, "list", path); !strings.Contains(out, "model/t2/pp512+tg64@d2048  ledge, llama.cpp  5 rounds") {
		t.Errorf("%q", out)
	}
}

// TestFullDisk: a journal that cannot grow ends the suite with what was measured, and
// the same command goes on later.
func TestFullDisk(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	suite := folder(t, strings.Replace(tiny, "rounds: 1", "rounds: 2", 1)+"batch: 64\n")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimSuffix(suite, ".yaml") + ".jsonl"
	// Kept weights are files, too: they must be there before.
	bench(t, exitLeft, "run", suite, "--read", "2", "--passes", "1", "--budget", "1ns", "-q")
	cmd := exec.Command(shell, "-c", `ulimit -f 256 && exec "$0" "$@"`, self, "run", suite, "--read", "2", "--passes", "1") // 256 KiB: less than is reserved for a second round
	cmd.Env = append(os.Environ(), "LEDGE_BENCH=1", "LEDGE_PACK_CACHE=off")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "its 1 rounds are kept: free space and run the same command again") {
		t.Fatalf("%v: %s", err, out)
	}
	if all, err := journal.Read(path); err != nil || len(all) != 1 {
		t.Fatalf("%d records, %v", len(all), err)
	}
	bench(t, 0, "run", suite, "--read", "2", "--passes", "1")
	if all, err := journal.Read(path); err != nil || len(all) < 2 {
		t.Errorf("%d records, %v", len(all), err)
	}
}

// TestLocked: two at once on one journal.
func TestLocked(t *testing.T) {
	suite := folder(t, tiny)
	j, err := journal.Open(strings.TrimSuffix(suite, ".yaml") + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if _, e := bench(t, 1, "run", suite); !strings.Contains(e, "another ledge-bench writes to it") {
		t.Errorf("%q", e)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	bench(t, exitLeft, "run", suite, "--budget", "1ns")
}
