package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/home"
)

// checkHome checks one line of the built-in model against the exit code and standard
// error of its command.
func checkHome(t *testing.T, r result, args ...string) home.Command {
	t.Helper()
	line, ended := strings.CutSuffix(r.out, "\n")
	c, err := home.Parse(line)
	switch {
	case !ended || strings.Contains(line, "\n") || !json.Valid([]byte(line)):
		t.Fatalf("ledge %q wrote %q", args, r.out)
	case err != nil:
		t.Errorf("ledge %q wrote %q: %v", args, r.out, err)
	case c.Intent == "none":
		checkRefusal(t, r, exitOutside, "-m smollm2:135m", args)
	case r.code != exitOK || r.err != "":
		t.Errorf("ledge %q: exit code %d, %q", args, r.code, r.err)
	}
	return c
}

// TestBuiltin: whatever is said, a line of the schema comes out, the same every time.
func TestBuiltin(t *testing.T) {
	for _, text := range []string{
		"turn on the heater in the bedroom at 6", "把客厅的灯调暗一点", "Why is the sky blue?", "打开厨房和餐厅的灯，然后呢",
		"x", "🙂", "-5 degrees", `{"intent":"on","device":"light"`, "<|end|>", "turn on  the\ttv ", "[0]",
	} {
		args := []string{"run", "--", text}
		r := ledge(args...)
		checkHome(t, r, args...)
		for _, more := range [][]string{{"-t", "1"}, {"-t", "2"}, {"-m", "builtin"}, {"--seed", "7"}} {
			args := append(append([]string{"run"}, more...), "--", text)
			if again := ledge(args...); again != r {
				t.Errorf("ledge %q: %+v, without flags %+v", args, again, r)
			}
		}
	}
}

// TestBuiltinKnows: what the default model was made for.
func TestBuiltinKnows(t *testing.T) {
	for text, want := range map[string]home.Command{
		"turn on the heater in the bedroom at 6": {Intent: "on", Device: "heater", Room: "bedroom", Value: "@06:00"},
		"把客厅的灯调暗一点":                              {Intent: "down", Device: "light", Room: "living_room"},
		"turn off the kitchen light":             {Intent: "off", Device: "light", Room: "kitchen"},
		"打开空调":                                   {Intent: "on", Device: "ac"},
		"Why is the sky blue?":                   {Intent: "none"},
		"给我讲个笑话":                                 {Intent: "none"},
	} {
		if c := checkHome(t, ledge("run", text), text); !c.Same(want) {
			t.Errorf("%s: %s, want %s", text, c, want)
		}
	}
}

// TestBuiltinDoubts: the model does not do at once what a sentence says of something else, and says why it does not.
func TestBuiltinDoubts(t *testing.T) {
	for text, why := range map[string]string{
		"when I leave turn everything off":      "when something happens",
		"下雨就关窗":                                 "when something happens",
		"run the fan until midnight":            "a time with an end",
		"turn off everything except the fridge": "",
		"timer 7 minutes 30 seconds":            "no such number",
		"under no circumstances unlock it":      "",
	} {
		r := ledge("run", text)
		if c := checkHome(t, r, text); c.Intent != "none" || c.Reply == "" || !strings.Contains(r.err, why) {
			t.Errorf("%s: %+v, want none for %q", text, r, why)
		}
	}
	r := ledgeIn("开灯\n下雨就关窗\n", "run")
	if !strings.Contains(r.err, "note: line 2 is no household command: it is to be done when something happens") || r.code != exitOutside {
		t.Errorf("%+v", r)
	}
	for text, want := range map[string]home.Command{
		"turn of the lights":            {Intent: "off", Device: "light"},
		"have you locked the back door": {Intent: "query", Device: "lock", Room: "garden"},
		"turn on the light 💡":           {Intent: "on", Device: "light"},
		"alarm at 0630":                 {Intent: "set", Device: "alarm", Value: "@06:30"},
		"如果方便请打开窗帘":                     {Intent: "open", Device: "curtain"},
	} {
		if c := checkHome(t, ledge("run", text), text); !c.Same(want) {
			t.Errorf("%s: %s, want %s", text, c, want)
		}
	}
	if r := ledge("run", "🙂"); r.out != home.None+"\n" {
		t.Errorf("a picture: %+v", r)
	}
}

// TestBuiltinDeeds: of testdata/deeds.jsonl, written as people speak by somebody who knew schema.md and no rule of what is
// doubted, 150 sentences ask for nothing that can be done now, and 250 for a deed. docs/default-model.md has the figures;
// processors of other kernels may differ by a few.
func TestBuiltinDeeds(t *testing.T) {
	data, err := os.ReadFile("testdata/deeds.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	type item struct {
		Text    string
		Command home.Command
	}
	var items []item
	var said strings.Builder
	for line := range strings.Lines(string(data)) {
		it := decode[item](t, line)
		items = append(items, it)
		said.WriteString(it.Text + "\n")
	}
	lines := strings.Split(strings.TrimSuffix(ledgeIn(said.String(), "run").out, "\n"), "\n")
	if len(lines) != len(items) {
		t.Fatalf("%d lines of %d sentences", len(lines), len(items))
	}
	asked, done, acted := 0, 0, 0
	for i, it := range items {
		c, err := home.Parse(lines[i])
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case it.Command.Intent != "none":
			asked++
			if c.Same(it.Command) {
				done++
				continue
			}
		case c.Intent != "none" && c.Intent != "query":
			acted++
		default:
			continue
		}
		t.Logf("%s: %s, not %s", it.Text, c, it.Command)
	}
	t.Logf("of %d deeds %d are done, of %d sentences that ask for none %d do something", asked, done, len(items)-asked, acted)
	if done < 233 || acted > 31 {
		t.Error("fewer or more than there were")
	}
}

// TestBuiltinHours: every hour before and after noon, with the part of the day near it, far from it and without.
func TestBuiltinHours(t *testing.T) {
	type when struct {
		words, prefix string
		from, to      int // hours that are said so
	}
	var said, want []string
	for _, w := range []when{
		{"", "", 0, 23}, {" tomorrow", "tomorrow", 0, 23}, {" on weekdays", "weekdays", 0, 23}, {" tomorrow morning", "tomorrow", 4, 11},
		{" this afternoon", "", 12, 17}, {" tonight", "", 19, 23}, {" in the evening", "", 17, 23}, {" tomorrow night", "tomorrow", 19, 23},
	} {
		for h := w.from; h <= w.to; h++ {
			half := "am"
			if h >= 12 {
				half = "pm"
			}
			for _, minutes := range []string{"", ":30"} {
				clock := fmt.Sprintf("%d%s %s", (h+11)%12+1, minutes, half)
				value := fmt.Sprintf("%s@%02d%s", w.prefix, h, cmp.Or(minutes, ":00"))
				for _, sentence := range []string{
					"turn off the lights at " + clock + w.words, "set an alarm for " + clock + w.words, w.words + " turn off all of the living room lights at " + clock,
				} {
					said, want = append(said, sentence), append(want, value)
				}
			}
		}
	}
	for sentence, value := range map[string]string{
		"今晚9pm关灯": "@21:00", "明晚11:30 pm关空调": "tomorrow@23:30", "9pm关灯": "@21:00",
		"wake me up around six fifteen pm": "@18:15", "turn off the lights tomorrow seven twenty pm": "tomorrow@19:20",
	} {
		said, want = append(said, sentence), append(want, value)
	}
	r := ledgeIn(strings.Join(said, "\n"), "run")
	lines := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
	if len(lines) != len(said) {
		t.Fatalf("%d lines of %d sentences: %s", len(lines), len(said), r.err)
	}
	for i, line := range lines {
		if c, err := home.Parse(line); err != nil || c.Value != want[i] {
			t.Errorf("%s: %s (%v), not %s", said[i], line, err, want[i])
		}
	}
}

func TestBuiltinLines(t *testing.T) {
	one := ledge("run", "打开空调").out
	r := ledgeIn("打开空调\r\n\n  \nWhy is the sky blue?\n打开空调", "run")
	lines := strings.SplitAfter(r.out, "\n")
	if len(lines) != 4 || lines[0] != one || lines[2] != one || r.code != exitOutside || strings.Count(r.err, "\n") != 1 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(r.err, "1 of 3 lines") && !strings.Contains(r.err, "3 of 3 lines") {
		t.Errorf("%q", r.err)
	}
	if both := ledge("run", "打开空调\n打开空调"); both.out != one+one {
		t.Errorf("two lines as an argument: %+v", both)
	}
	if dash := ledgeIn("打开空调", "run", "-"); dash.out != one {
		t.Errorf("from standard input: %+v", dash)
	}
	if ignored := ledgeIn("what else", "run", "打开空调"); ignored.out != one {
		t.Errorf("with a pipe beside it: %+v", ignored)
	}
	bad := []string{"run", "-"}
	checkRefusal(t, ledgeIn("打开空调\nab\xff", bad...), exitFailed, "line 2: the sentence is not UTF-8: byte 3", bad)
	for _, in := range []string{"\n", " \n\r\n"} {
		checkRefusal(t, ledgeIn(in, "run"), exitUsage, "prompt is empty", []string{"run"})
	}
	refused(t, exitUsage, "prompt is empty", "run")
	refused(t, exitUsage, "prompt is empty", "run", " ")
}

// TestBuiltinLong: what is longer than the model reads is no command, and what is cut
// is whole without its reply.
func TestBuiltinLong(t *testing.T) {
	r := ledge("run", strings.Repeat("turn on the light and ", 2000))
	if r.out != home.None+"\n" || r.code != exitOutside || !strings.Contains(r.err, "no household command") {
		t.Errorf("%+v", r)
	}
	// Within the context there is always room for a command.
	for n := answerRoom + 1; n < answerRoom+30; n += 7 {
		checkHome(t, ledge("run", "-q", "-c", fmt.Sprint(n), "打开空调"))
	}
	const line = `{"intent":"on","device":"ac","room":"","value":"","reply":"空调`
	bare, err := whole(line, engine.ReasonContext, 41)
	if c, perr := home.Parse(bare); err != nil || perr != nil || c.Device != "ac" || c.Reply != "" {
		t.Errorf("%q (%v) is cut to %q (%v)", line, err, bare, perr)
	}
	if _, err := whole(line[:20], engine.ReasonContext, 41); err == nil || !strings.Contains(err.Error(), "context of 41 tokens") {
		t.Errorf("%q: %v", line[:20], err)
	}
	if all, err := whole(bare, engine.ReasonStop, 41); err != nil || all != bare {
		t.Errorf("%q becomes %q (%v)", bare, all, err)
	}
}

func TestBuiltinJSON(t *testing.T) {
	r := ledge("run", "--json", "--stats", "打开空调")
	got := decode[runResult](t, r.out)
	if got.Text+"\n" != ledge("run", "打开空调").out || got.Model != "builtin" || got.Device != "cpu" || got.Reason != "stop" || got.Usage.Generated != len(got.Tokens) {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(r.err, "tok/s") {
		t.Errorf("--stats: %q", r.err)
	}
	two := json.NewDecoder(strings.NewReader(ledgeIn("打开空调\n关灯\n", "run", "--json").out))
	for range 2 {
		var got runResult
		if err := two.Decode(&got); err != nil || got.Text == "" {
			t.Error(err, got)
		}
	}
}

// TestBuiltinRefuses: flags that say nothing to it, and commands that need a file.
func TestBuiltinRefuses(t *testing.T) {
	for _, f := range [][]string{
		{"--system", "x"}, {"--raw"}, {"--special"}, {"--json-schema", "x.json"}, {"--json-spaces"}, {"--stop", "x"}, {"-n", "3"}, {"--ignore-eos"},
	} {
		refused(t, exitUsage, f[0]+": not with the built-in model", append([]string{"run", "hi"}, f...)...)
		refused(t, exitUsage, "-m smollm2:135m", append([]string{"run", "-m", "builtin", "hi"}, f...)...)
	}
	for _, args := range [][]string{
		{"pull", "builtin"}, {"quantize", "builtin", filepath.Join(t.TempDir(), "x.gguf"), "Q4_0"},
	} {
		refused(t, exitUsage, "part of this program", args...)
	}
	text := writeFile(t, "text", strings.Repeat("turn on the light. ", 100))
	refused(t, exitUsage, "no file", "imatrix", "-m", "builtin", "-f", text, "-o", filepath.Join(t.TempDir(), "x.gguf"))
	refused(t, exitUsage, "ledge run asks it", "chat", "-m", "builtin")
	t.Setenv("LEDGE_MODEL", "builtin")
	refused(t, exitUsage, "-m smollm2:135m", "chat")
	t.Setenv("LEDGE_MODEL", "")
	refused(t, exitDevice, "vulkan7", "run", "--device", "vulkan7", "hi")
}

// TestBuiltinWhen: only ledge run means it without a name, and only without another.
func TestBuiltinWhen(t *testing.T) {
	refused(t, exitModel, "smollm2:135m", "chat")
	refused(t, exitModel, "smollm2:135m", "tokenize", "hi")
	// What was set for large models does not hold for it.
	t.Setenv("LEDGE_DEVICE", "vulkan7")
	t.Setenv("LEDGE_GPU_LAYERS", "9")
	checkHome(t, ledge("run", "打开空调"))
	t.Setenv("LEDGE_DEVICE", "")
	t.Setenv("LEDGE_GPU_LAYERS", "")
	m := golden(t, "llama-gqa")
	t.Setenv("LEDGE_MODEL", m)
	if r := decode[runResult](t, must(t, "run", "--json", "-n", "2", "hi")); r.Model != m {
		t.Errorf("LEDGE_MODEL is %s, and %s answers", m, r.Model)
	}
	checkHome(t, ledge("run", "-m", "builtin", "打开空调"))
	t.Setenv("LEDGE_MODEL", "")
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	if err := os.MkdirAll(filepath.Join(dir, "ledge"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ledge", "config.json"), fmt.Appendf(nil, `{"model": %q, "device": "cpu"}`, m), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := decode[runResult](t, must(t, "run", "--json", "-n", "2", "hi")); r.Model != m {
		t.Errorf("%s is configured, and %s answers", m, r.Model)
	}
}

// TestBuiltinElsewhere: by its name it is a model like others.
func TestBuiltinElsewhere(t *testing.T) {
	info := decode[struct {
		Supported bool
		Files     []string
		Context   int
	}](t, must(t, "info", "builtin", "--json"))
	if !info.Supported || len(info.Files) > 0 || info.Context == 0 {
		t.Errorf("%+v", info)
	}
	data := writeFile(t, "data.jsonl", `{"text":"打开空调","command":{"intent":"on","device":"ac","room":"","value":""}}`)
	schema := writeFile(t, "schema.json", string(home.Schema))
	text := writeFile(t, "text", strings.Repeat("turn on the light. ", 100))
	for _, args := range [][]string{
		{"info", "builtin"}, {"tokenize", "-m", "builtin", "打开空调"}, {"graph", "builtin"}, {"bench", "-m", "builtin", "-p", "8", "-n", "2", "-r", "1"},
		{"perplexity", "-m", "builtin", "-f", text, "-c", "32"}, {"eval", "-m", "builtin", "-f", data, "--json-schema", schema},
		{"logits", "-m", "builtin", "-o", filepath.Join(t.TempDir(), "x.npy"), "打开空调"}, {"models", "list", "--all"},
	} {
		if r := ledge(args...); r.code != 0 || len(r.out) == 0 && args[0] != "logits" {
			t.Errorf("ledge %q: %+v", args, r)
		}
	}
	if out := must(t, "__complete", "--", "run", "-m", "bu"); out != "builtin\n" {
		t.Errorf("completion: %q", out)
	}
}

// TestBuiltinEval: eval asks the built-in model as ledge run does, whatever is said of a
// chat; another model with it is asked as the flags say.
func TestBuiltinEval(t *testing.T) {
	var lines strings.Builder
	e := json.NewEncoder(&lines)
	for text, c := range map[string]home.Command{
		"Turn on the heater in the bedroom at six!": {Intent: "on", Device: "heater", Room: "bedroom", Value: "@06:00"},
		"TURN OFF the kitchen light.":               {Intent: "off", Device: "light", Room: "kitchen"},
		"把客厅的灯调暗一点。":                                {Intent: "down", Device: "light", Room: "living_room"},
		"打开空调":                                      {Intent: "on", Device: "ac"},
	} {
		if err := e.Encode(map[string]any{"text": text, "command": c}); err != nil {
			t.Fatal(err)
		}
	}
	data, m := writeFile(t, "data.jsonl", lines.String()), golden(t, "llama-gqa")
	for _, c := range []struct {
		flags []string
		say   string
	}{
		{nil, ""},
		{[]string{"--raw"}, ""},
		{[]string{"--system", "Answer in JSON."}, "it gets no system message"},
	} {
		r := ledge(append([]string{"eval", "-m", "builtin", "-f", data, "--json"}, c.flags...)...)
		if got := decode[evalReport](t, r.out); r.code != 0 || got.Models[0].Task.Score != 1 || strings.Contains(r.err, "message") != (c.say != "") || !strings.Contains(r.err, c.say) {
			t.Errorf("%q: %+v", c.flags, r)
		}
	}
	tokens := func(models ...string) []int {
		var out []int
		for _, r := range decode[evalReport](t, must(t, append([]string{"eval", "-f", data, "--json", "-n", "2"}, models...)...)).Models {
			out = append(out, r.Task.PromptTokens)
		}
		return out
	}
	if alone, both := tokens("-m", m), tokens("-m", "builtin", "-m", m); both[1] != alone[0] {
		t.Errorf("beside the built-in model %s reads %d tokens, alone %d", m, both[1], alone[0])
	}
}
