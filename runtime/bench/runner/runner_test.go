package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/runtime/bench/journal"
	"github.com/ledge-run/ledge/runtime/bench/machine"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/runner"
	"github.com/ledge-run/ledge/runtime/bench/suite"
	"github.com/ledge-run/ledge/runtime/bench/worker"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/eval"
)

// TestMain plays the programs that are measured: a worker, llama-bench, and peers that
// do what peers should not.
func TestMain(m *testing.M) {
	switch play := os.Getenv("PLAY"); {
	case len(os.Args) > 1 && os.Args[1] == worker.Name:
		job, err := odd(os.Getenv("PLAY_WORKER"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		if err := worker.Serve(context.Background(), job, os.Stdout, "test", nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case play != "":
		os.Exit(peer(play, os.Args[1:]))
	default:
		os.Exit(m.Run())
	}
}

// odd plays a worker that is none of Ledge's, and gives the job to one that is.
func odd(play string) (io.Reader, error) {
	data, err := io.ReadAll(os.Stdin)
	if err != nil || play == "" {
		return bytes.NewReader(data), err
	}
	var j worker.Job
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, err
	}
	spins := j.Kind == worker.Spin
	switch {
	case spins && play == "dies":
		return nil, errors.New("no processor to spare")
	case spins && play == "ends":
		fmt.Println(`{"version": 1}`)
		os.Exit(0)
	case spins && play == "late":
		time.Sleep(500 * time.Millisecond)
		if err := os.WriteFile(os.Getenv("MARKER"), nil, 0o600); err != nil {
			return nil, err
		}
		fmt.Println(`{"version": 1}`)
		time.Sleep(time.Hour)
	case play == "gpu" && j.Kind == worker.Speed:
		fmt.Println(`{"version": 1, "figures": {"decode": {"unit": "tokens/s", "samples": [5]}}, "devices": [{"name": "vulkan0"}, {"name": "cpu"}]}`)
		os.Exit(0)
	case play == "gpu":
		fmt.Println(`{"version": 1}`)
		os.Exit(0)
	}
	return bytes.NewReader(data), nil
}

// peer plays one, and returns its exit code.
func peer(play string, args []string) int {
	switch play {
	case "llama":
		if strings.HasSuffix(os.Args[0], "llama-batched-bench") {
			fmt.Println("some words\n{\"speed_pp\": 50.5, \"speed_tg\": 20.5}\n{\"speed_pp\": 51, \"speed_tg\": 21}")
			return 0
		}
		if slices.Contains(args, "--no-warmup") {
			return 0
		}
		fmt.Println(`[{"build_commit":"abc","build_number":7,"n_prompt":8,"n_gen":0,"n_depth":0,"avg_ts":10,"samples_ts":[9,11]},
			{"build_commit":"abc","build_number":7,"n_prompt":8,"n_gen":0,"n_depth":0,"avg_ts":12,"samples_ts":[12,12]}, {"n_prompt":0,"n_gen":4,"n_depth":0,"avg_ts":5}]`)
	case "good":
		fmt.Println("loading ...\n{\"runs\": [{\"read\": 100, \"ms\": 20}, {\"read\": 110, \"ms\": 25}], \"peak\": 7}")
	case "crash":
		fmt.Fprintln(os.Stderr, "out of luck")
		return 3
	case "panic":
		panic("index out of range")
	case "hang":
		time.Sleep(time.Hour)
	case "nonsense":
		fmt.Println("tokens: many\n\x1b[31m*\x00")
	case "absurd":
		fmt.Println(`{"runs": [{"read": -3, "ms": 20}]}`)
	case "lacking":
		fmt.Println(`{"runs": [{"read": 3}]}`)
	case "half": // half as fast the second time, for which somebody must spin
		marker := os.Getenv("MARKER")
		speed := 5
		if _, err := os.Stat(marker + ".second"); err != nil {
			speed = 10
			if err := errors.Join(os.WriteFile(marker+".second", nil, 0o600), os.Remove(marker)); err != nil { // Ledge's spinner left it
				return 2
			}
		} else if _, err := os.Stat(marker); err != nil {
			return 4
		}
		fmt.Printf(`{"tps": %d}`, speed)
	case "slow":
		time.Sleep(time.Second)
		fmt.Println(`{"tps": 10}`)
	case "leaky":
		fmt.Fprintln(os.Stderr, "cannot read "+args[1]+" with "+args[3])
		return 3
	case "once": // crashes the second time
		marker := os.Getenv("MARKER")
		if _, err := os.Stat(marker); err == nil {
			return 1
		}
		if err := os.WriteFile(marker, nil, 0o600); err != nil {
			return 2
		}
		fmt.Println(`{"runs": [{"read": 3, "ms": 4}]}`)
	}
	return 0
}

// bench is a folder with a tiny model, and what a suite needs.
type bench struct {
	t    *testing.T
	dir  string
	self string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t, t.TempDir(), self}
	t.Setenv("LEDGE_PACK_CACHE", filepath.Join(b.dir, "packed"))
	b.model("m.gguf", "llama-gqa")
	for _, name := range []string{"llama-bench", "llama-batched-bench"} {
		if err := os.Symlink(self, filepath.Join(b.dir, name)); err != nil {
			t.Skipf("a link cannot be made: %v", err)
		}
	}
	return b
}

func (b *bench) model(file, golden string) {
	b.t.Helper()
	data := goldentest.Bytes(b.t, "../../model/testdata", golden+".gguf.gz")
	if err := os.WriteFile(filepath.Join(b.dir, file), data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// reference writes what the model itself predicts of a text.
func (b *bench) reference(file, text string) {
	b.t.Helper()
	m, err := engine.Open(context.Background(), filepath.Join(b.dir, "m.gguf"), engine.Options{Context: 32, Threads: 1})
	if err != nil {
		b.t.Fatal(err)
	}
	defer m.Close()
	data, err := os.ReadFile(filepath.Join(b.dir, text))
	if err != nil {
		b.t.Fatal(err)
	}
	t, err := eval.NewText(m, string(data), 32, 3)
	if err != nil {
		b.t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(b.dir, file))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := errors.Join(eval.SaveLogits(context.Background(), m, t, f, nil), f.Close()); err != nil {
		b.t.Fatal(err)
	}
}

// measure runs a suite on a machine that nobody disturbs.
func (b *bench) measure(text string, change func(*runner.Options)) (runner.Outcome, []record.Record, error) {
	b.t.Helper()
	s, err := suite.Parse([]byte(strings.ReplaceAll(text, "SELF", b.self)), filepath.Join(b.dir, "s.yaml"), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	j, err := journal.Open(s.Journal)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			b.t.Error(err)
		}
	}()
	o := runner.Options{Suite: s, Journal: j, Self: b.self, MiB: 2, Passes: 1, Machine: machine.At(fstest.MapFS{})}
	if change != nil {
		change(&o)
	}
	out, err := runner.Run(context.Background(), o)
	return out, j.Records, err
}

const peers = `
models: m.gguf
threads: 1
prompt: 8
gen: 4
repeat: 2
rounds: 3
timeout: 60s
greedy: {prompt: the other, tokens: 5}
peers:
  llama: {llama-bench: ./llama-bench, env: {PLAY: llama}}
  good: {command: [SELF, "{model}"], env: {PLAY: good}, figures: {prefill: runs.*.read, decode: {path: runs.-1.ms, scale: 2}, peak_memory: peak}}
  crash: {command: [SELF], env: {PLAY: crash}, figures: {prefill: runs.*.read, decode: runs.*.ms}}
  panic: {command: [SELF], env: {PLAY: panic}, figures: {prefill: runs.*.read, decode: runs.*.ms}}
  hang: {command: [SELF], env: {PLAY: hang}, timeout: 1s, figures: {prefill: runs.*.read, decode: runs.*.ms}}
  nonsense: {command: [SELF], env: {PLAY: nonsense}, figures: {prefill: runs.*.read, decode: runs.*.ms}}
  absurd: {command: [SELF], env: {PLAY: absurd}, figures: {prefill: runs.*.read, decode: runs.*.ms}}
  lacking: {command: [SELF], env: {PLAY: lacking}, figures: {prefill: runs.*.read, decode: runs.*.ms}}
  absent: {command: [./none], figures: {prefill: a}}
`

// TestPeers: every engine's figures, or how it failed; the others' stand.
func TestPeers(t *testing.T) {
	b := newBench(t)
	var said []string
	out, records, err := b.measure(peers, func(o *runner.Options) { o.Say = func(s string) { said = append(said, s) } })
	if err != nil || out.Measured != 3 || len(records) != 3 {
		t.Fatalf("%+v, %d records, %v", out, len(records), err)
	}
	failures := map[string]string{
		"crash": "exit status 3: out of luck", "panic": "exit status 2", "hang": "did not end within 1s", "nonsense": "it printed no JSON",
		"absurd": "prefill of -3 tokens/s is absurd", "lacking": "no figure for decode at runs.*.ms",
	}
	for i := range records {
		r := &records[i]
		if len(r.Runs) != 9 || r.Round != i+1 || r.Model.Name != "m" || r.Model.Bytes == 0 || r.Ceilings == nil || !(r.Ceilings.ReadGBs > 0) || len(r.Disturbed) != 0 || r.Machine.Level == "" {
			t.Errorf("round %d: %+v", i+1, r)
		}
		if _, there := r.Of("absent"); there {
			t.Error("a peer that is not there ran")
		}
		if first := r.Runs[0].Engine.Name; first != []string{record.Ledge, "llama", "good"}[i] {
			t.Errorf("round %d begins with %s", i+1, first)
		}
		for name, say := range failures {
			if run, _ := r.Of(name); !strings.Contains(run.Failure, say) || run.Figures != nil || strings.Contains(run.Failure, "\n") {
				t.Errorf("round %d: %s: %q, %v", i+1, name, run.Failure, run.Figures)
			}
		}
		ours, _ := r.Of(record.Ledge)
		for _, f := range []string{record.Load, record.Prefill, record.Decode, record.TokenP50, record.TokenP95, record.TokenP99, record.Wall, record.CPUTime} {
			if v, ok := ours.Value(f); !ok || !(v > 0) {
				t.Errorf("round %d: ledge has no %s: %+v", i+1, f, ours)
			}
		}
		if n := len(ours.Figures[record.Decode].Samples); n != 2 || ours.Output == nil || ours.Output.Tokens != 5 || len(ours.Output.SHA256) != 64 || ours.Engine.Version != "test" {
			t.Errorf("round %d: %d samples, %+v", i+1, n, ours)
		}
		llama, _ := r.Of("llama")
		if f := llama.Figures; !slices.Equal(f[record.Prefill].Samples, []float64{12, 12}) || !slices.Equal(f[record.Decode].Samples, []float64{5}) || llama.Engine.Version != "b7 (abc)" {
			t.Errorf("round %d: %+v", i+1, llama)
		}
		if want := "llama-bench -m MODEL -t 1 -p 8 -n 4 -r 2 -o json"; strings.Join(llama.Engine.Args, " ") != want {
			t.Errorf("%q", llama.Engine.Args)
		}
		good, _ := r.Of("good")
		if f := good.Figures; !slices.Equal(f[record.Prefill].Samples, []float64{100, 110}) || !slices.Equal(f[record.Decode].Samples, []float64{50}) || !slices.Equal(f[record.PeakMemory].Samples, []float64{7}) {
			t.Errorf("round %d: %+v", i+1, good)
		}
	}
	if a, b := records[0].Runs[0].Output, records[2]; a == nil {
		t.Error("no output")
	} else if o, _ := b.Of(record.Ledge); o.Output.SHA256 != a.SHA256 {
		t.Errorf("the output differs: %+v, %+v", o.Output, a)
	}
	// What fails twice is not asked a third time: the slow one took no second then.
	if hang, _ := records[2].Of("hang"); hang.Seconds > 0.5 {
		t.Errorf("a peer that hung twice was asked again, for %v s", hang.Seconds)
	}
	if len(out.Failed) != len(failures)+1 || !strings.Contains(strings.Join(out.Failed, "\n"), "absent is left out") {
		t.Errorf("failed: %q", out.Failed)
	}
	if !strings.Contains(strings.Join(said, "\n"), "m/t1/pp8+tg4 round 1:") {
		t.Errorf("said: %q", said)
	}
}

// TestResume: what the journal has is not measured again, unless something changed.
func TestResume(t *testing.T) {
	b := newBench(t)
	const one = "models: m.gguf\nthreads: 1\ngen: 2\nrounds: 2\npeers:\n  llama: {llama-bench: ./llama-bench, env: {PLAY: llama}}\n"
	step := func(what, text string, measured, all int, change func(*runner.Options)) {
		t.Helper()
		out, records, err := b.measure(text, change)
		if err != nil || out.Measured != measured || len(records) != all {
			t.Errorf("%s: %+v, %d records, %v; want %d measured, %d in all", what, out, len(records), err, measured, all)
		}
	}
	step("first", one, 2, 2, nil)
	step("again", one, 0, 2, nil)
	step("more rounds", one, 1, 3, func(o *runner.Options) { o.Rounds = 3 })
	step("a comment and another case", "# new\n"+one+"cases: [{gen: 2}, {name: x, prompt: 4}]", 2, 5, nil)
	step("only", one+"cases: [{gen: 2}, {name: x, prompt: 4}, {name: y, gen: 3}]", 2, 7, func(o *runner.Options) { o.Only = regexp.MustCompile("^y/") })
	step("other settings", strings.Replace(one, "gen: 2", "gen: 2\nrepeat: 2", 1), 2, 9, nil)
	step("without the peer", one, 2, 11, func(o *runner.Options) { o.Without = []string{"llama"} })
	step("slow ones", one+"cases: [{name: z, gen: 2, slow: true}]", 0, 11, nil)
	b.model("m.gguf", "qwen3")
	step("another model", one, 2, 13, nil)
	step("another machine", one, 2, 15, func(o *runner.Options) {
		o.Machine = machine.At(fstest.MapFS{"proc/cpuinfo": {Data: []byte("model name : Other\n")}, "proc/meminfo": {Data: []byte("MemTotal: 1000 kB\n")}})
	})
	step("the first machine again", one, 0, 15, nil)
	library := filepath.Join(b.dir, "libggml.so.1")
	if err := os.WriteFile(library, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	step("another library beside llama.cpp", one, 2, 17, nil)
	t.Setenv("OMP_NUM_THREADS", "1")
	step("another variable around", one, 2, 19, nil)
	out, _, err := b.measure(one+"cases: [{name: w, gen: 5}]", func(o *runner.Options) { o.Budget = time.Nanosecond })
	if err != nil || out.Left != 2 || out.Measured != 0 {
		t.Errorf("without time: %+v, %v", out, err)
	}
	if _, _, err := b.measure(one, func(o *runner.Options) { o.Without = []string{"x"} }); err == nil {
		t.Error("an unknown peer was left out")
	}
}

// TestRetry: rounds in which an engine failed stay, and are measured again if asked.
func TestRetry(t *testing.T) {
	b := newBench(t)
	marker := filepath.Join(b.dir, "marker")
	text := "models: m.gguf\nthreads: 1\nprompt: 4\nrounds: 2\npeers:\n  once: {command: [SELF], env: {PLAY: once, MARKER: '" + marker + "'}, figures: {prefill: runs.*.read}}\n"
	for i, c := range []struct {
		retry                  bool
		measured, all, failing int
	}{{false, 2, 2, 1}, {false, 0, 2, 1}, {true, 1, 3, 0}} {
		out, records, err := b.measure(text, func(o *runner.Options) { o.Retry = c.retry })
		if err != nil || out.Measured != c.measured || len(records) != c.all || len(out.Failed) != c.failing {
			t.Errorf("%d: %+v, %d records, %v", i, out, len(records), err)
		}
		if i == 1 {
			if err := os.Remove(marker); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestKinds: several sequences, whole processes, quality, another build of Ledge, and
// processors that are kept busy.
func TestKinds(t *testing.T) {
	b := newBench(t)
	if err := os.WriteFile(filepath.Join(b.dir, "t.txt"), []byte(strings.Repeat("the other, thin inner ", 60)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.reference("t.kld", "t.txt")
	out, records, err := b.measure(`
models: m.gguf
threads: 1
rounds: 1
peers:
  llama: {llama-bench: ., env: {PLAY: llama}}
  other: {ledge: SELF}
cases:
  - {name: together, prompt: 8, gen: 4, parallel: 2}
  - {name: start, start: the other, repeat: 2}
  - {name: quality, quality: {text: t.txt, context: 32, chunks: 2}}
  - {name: apart, quality: {text: t.txt, reference: t.kld, context: 32}}
  - {name: busy, gen: 4, busy: 1, peers: [other, llama]}
  - {name: level, gen: 4, env: {LEDGE_CPU: generic}, peers: none}
  - {name: gone, models: none.gguf, gen: 4}
  - {name: broken, models: t.txt, gen: 4}
`, nil)
	if err != nil || len(records) != 6 {
		t.Fatalf("%+v, %d records, %v", out, len(records), err)
	}
	if len(out.Failed) != 2 || !strings.Contains(out.Failed[0], "none is left out") || !strings.Contains(out.Failed[1], "t.txt is left out") {
		t.Errorf("failed: %q", out.Failed)
	}
	has := func(i int, engine string, figures ...string) {
		t.Helper()
		run, ok := records[i].Of(engine)
		if !ok || run.Failure != "" {
			t.Errorf("%s: %s: %+v", records[i].Case, engine, run)
			return
		}
		for _, f := range figures {
			if v, ok := run.Value(f); !ok || !(v > 0) {
				t.Errorf("%s: %s has no %s: %+v", records[i].Case, engine, f, run.Figures)
			}
		}
	}
	has(0, record.Ledge, record.Prefill, record.Decode)
	has(0, "other", record.Prefill, record.Decode)
	has(0, "llama", record.Prefill, record.Decode)
	has(1, record.Ledge, record.FirstToken, record.Wall, record.CPUTime)
	has(1, "llama", record.Wall, record.CPUTime)
	has(2, record.Ledge, record.Perplexity)
	has(3, record.Ledge, record.Perplexity, record.TopOne)
	has(4, record.Ledge, record.Decode, record.Kept)
	has(4, "llama", record.Decode)
	has(5, record.Ledge, record.Decode)
	// Against itself a model is nearly no distance away: the file has 16 bits of each figure.
	if run := records[3].Runs[0]; run.Figures[record.KL].Samples[0] > 1e-4 || run.Figures[record.TopOne].Samples[0] < 0.99 {
		t.Errorf("against itself: %+v", run.Figures)
	}
	if n := len(records[1].Runs[0].Figures[record.Wall].Samples); n != 2 {
		t.Errorf("%d starts", n)
	}
	if l := records[5].Machine.Devices; len(l) == 0 || !strings.Contains(l[0].Numerics, ":generic:") {
		t.Errorf("forced to the generic level: %+v", l)
	}
	if q := records[2].Settings.Quality; q == nil || len(q.SHA256) != 64 || q.Text != "t.txt" {
		t.Errorf("%+v", q)
	}
}

func TestCancelled(t *testing.T) {
	b := newBench(t)
	s, err := suite.Parse([]byte(strings.ReplaceAll(peers, "SELF", b.self)), filepath.Join(b.dir, "s.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(s.Journal)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("told to")
	_, err = runner.Run(ctx, runner.Options{Suite: s, Journal: j, Self: b.self, MiB: 2, Passes: 1, Machine: machine.At(fstest.MapFS{}), Progress: func(p runner.Progress) {
		if p.Engine == "hang" {
			time.AfterFunc(100*time.Millisecond, func() { cancel(cause) })
		}
	}})
	if !errors.Is(err, cause) || len(j.Records) != 0 {
		t.Errorf("%v, %d records", err, len(j.Records))
	}
}
