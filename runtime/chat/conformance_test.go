package chat

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/chat/jinja"
)

// goldenNow is the time make_goldens.py gives to strftime_now.
func goldenNow() time.Time { return time.Date(2026, 3, 5, 14, 7, 9, 0, time.UTC) }

// golden is a case of make_goldens.py.
type golden struct {
	Name   string          `json:"name"`
	Source string          `json:"source"`
	Vars   json.RawMessage `json:"vars"`
	Output string          `json:"output,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// python returns an interpreter that has jinja2, or skips the test.
func python(t *testing.T) string {
	t.Helper()
	py := os.Getenv("LEDGE_TEST_PYTHON")
	if py == "" {
		py = "python3"
	}
	if err := exec.Command(py, "-c", "import jinja2").Run(); err != nil {
		t.Skipf("no Python with jinja2 at hand (%s: %v): set LEDGE_TEST_PYTHON", py, err)
	}
	return py
}

func runPython(t *testing.T, py string, cases []golden) []golden {
	t.Helper()
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(py, filepath.Join("testdata", "make_goldens.py"))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var done []golden
	if err := json.Unmarshal(out, &done); err != nil {
		t.Fatal(err)
	}
	return done
}

// llamaTemplates returns the templates of a llama.cpp checkout, or skips.
func llamaTemplates(t *testing.T) map[string]string {
	t.Helper()
	root := os.Getenv("LEDGE_TEST_LLAMA")
	if root == "" {
		t.Skip("no llama.cpp at hand: set LEDGE_TEST_LLAMA to a folder with src/models/templates")
	}
	files, err := filepath.Glob(filepath.Join(root, "src", "models", "templates", "*.jinja"))
	if err != nil || len(files) == 0 {
		t.Skipf("no templates under %s/src/models/templates", root)
	}
	out := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".jinja")] = string(data)
	}
	return out
}

func rawTools(s ...string) (out []json.RawMessage) {
	for _, x := range s {
		out = append(out, json.RawMessage(x))
	}
	return out
}

var modeTools = rawTools(
	`{"type":"function","function":{"name":"get_weather","description":"Current weather, \"now\" & here.","parameters":{"type":"object","properties":{"location":{"type":"string","description":"City, e.g. Zürich"},"unit":{"type":"string","description":"Unit","enum":["celsius","fahrenheit"]},"days":{"type":"integer","description":"How many","minimum":1,"default":3}},"required":["location"]}}}`,
	`{"type":"function","function":{"name":"add","description":"Adds numbers.","parameters":{"type":"object","properties":{"numbers":{"type":"array","items":{"type":"number"},"description":"What to add."},"options":{"type":"object","additionalProperties":false,"description":"How.","properties":{"round":{"type":"boolean"},"scale":{"type":"number"}}}},"required":["numbers"]},"return":{"type":"number"}}}`,
)

var modeMulti = []Message{
	{Role: "system", Content: "You are terse.\nAnswer in one line."},
	{Role: "user", Content: "What's the capital of France?"},
	{Role: "assistant", Content: "Paris.", Reasoning: "They ask for a capital."},
	{Role: "user", Content: "  And of <Japan> & \"Korea\"? 日本 \n"},
	{Role: "assistant", Content: "Tokyo, Seoul."},
	{Role: "user", Content: "Thanks!"},
}

var modeCalls = []Message{
	{Role: "system", Content: "Use the tools."},
	{Role: "user", Content: "Weather in Zürich and 1+2.5?"},
	{Role: "assistant", Content: "", ToolCalls: []ToolCall{
		{ID: "call12345", Type: "function", Function: FunctionCall{"get_weather", json.RawMessage(`{"location":"Zürich","days":2,"deep":{"a":[1,true,null]}}`)}},
	}},
	{Role: "tool", Name: "get_weather", ToolCallID: "call12345", Content: `{"temp": 21.5, "sky": "clear"}`},
	{Role: "assistant", Content: "Now the sum.", ToolCalls: []ToolCall{
		{ID: "call67890", Type: "function", Function: FunctionCall{"add", json.RawMessage(`"{\"numbers\":[1,2.5]}"`)}},
	}},
	{Role: "tool", Name: "add", ToolCallID: "call67890", Content: "3.5"},
	{Role: "assistant", Content: "Clear, 21.5 degrees; 3.5."},
	{Role: "user", Content: "Thanks."},
}

// modes are the conversations every template is rendered with.
var modes = []struct {
	name     string
	messages []Message
	tools    []json.RawMessage
	extra    map[string]any
}{
	{name: "plain", messages: []Message{{Role: "user", Content: "Hello, who are you?"}}},
	{name: "multi", messages: modeMulti},
	{name: "thinking", messages: modeMulti, extra: map[string]any{"enable_thinking": true, "thinking": true}},
	{name: "nothinking", messages: modeMulti, extra: map[string]any{"enable_thinking": false, "thinking": false}},
	{name: "tools", messages: modeMulti[:2], tools: modeTools},
	{name: "calls", messages: modeCalls, tools: modeTools},
	{name: "results", messages: modeCalls[1:6], tools: modeTools},
	{name: "parallel", messages: []Message{modeCalls[1], {Role: "assistant", ToolCalls: []ToolCall{modeCalls[2].ToolCalls[0], modeCalls[4].ToolCalls[0]}}, modeCalls[3], modeCalls[5]}, tools: modeTools},
}

// TestConformance compares our renderings of llama.cpp's collection of chat
// templates with those of Python's jinja2.
func TestConformance(t *testing.T) {
	py, sources := python(t), llamaTemplates(t)
	var cases []golden
	var got []golden
	var most jinja.Usage
	for name, source := range sources {
		tmpl, err := New(source, Options{BOS: "<s>", EOS: "</s>", Now: goldenNow})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, mode := range modes {
			for _, prompt := range []string{"", "+prompt"} {
				if prompt == "" && mode.extra != nil {
					continue // as multi
				}
				messages := mode.messages
				if !tmpl.SupportsSystem() {
					messages = MergeSystem(messages)
				}
				o := RenderOptions{Tools: mode.tools, AddGenerationPrompt: prompt != "", Extra: mode.extra}
				vars, err := tmpl.variables(messages, o, tmpl.style)
				if err != nil {
					t.Fatal(err)
				}
				vars.Set("functions", "[]").Set("datetime", "now") // which one template needs
				pyVars := jinja.NewDict()                          // without our function
				for _, key := range []string{"messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token", "enable_thinking", "thinking", "functions", "datetime"} {
					if v, ok := vars.Get(key); ok {
						pyVars.Set(key, v)
					}
				}
				text, err := jinja.ToJSON(pyVars)
				if err != nil {
					t.Fatal(err)
				}
				g := golden{Name: mode.name + prompt + " " + name, Source: source, Vars: json.RawMessage(text)}
				cases = append(cases, g)
				out, used, err := tmpl.tmpl.RenderUsage(vars)
				if g.Output = out; err != nil {
					g.Error = err.Error()
				}
				most.Steps, most.Memory, most.Depth = max(most.Steps, used.Steps), max(most.Memory, used.Memory), max(most.Depth, used.Depth)
				got = append(got, g)
			}
		}
	}
	type count struct{ same, refused, all int }
	counts := map[string]count{}
	for i, want := range runPython(t, py, cases) {
		mode, _, _ := strings.Cut(want.Name, " ")
		c := counts[mode]
		c.all++
		switch g := got[i]; {
		case want.Error != "" && g.Error != "":
			c.refused++
			t.Logf("both refuse %s: %s | %s", want.Name, want.Error, g.Error)
		case want.Error != "" || g.Error != "":
			t.Errorf("%s: jinja2's error %q, ours %q", want.Name, want.Error, g.Error)
		case want.Output != g.Output:
			t.Errorf("%s: %s", want.Name, diff(want.Output, g.Output))
		default:
			c.same++
		}
		counts[mode] = c
	}
	for mode, c := range counts {
		t.Logf("%-18s equal %d, refused by both %d, of %d", mode, c.same, c.refused, c.all)
	}
	t.Logf("most used by one rendering: %+v", most)
}

// diff shows where two texts part.
func diff(want, got string) string {
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	show := func(s string) string {
		s = s[max(0, i-60):]
		return s[:min(len(s), 160)]
	}
	w, _ := json.Marshal(show(want))
	g, _ := json.Marshal(show(got))
	return "differs:\n want ..." + string(w) + "\n got  ..." + string(g)
}
