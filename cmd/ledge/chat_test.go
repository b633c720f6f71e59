package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/chat"
)

func TestChatPipe(t *testing.T) {
	m, dir := golden(t, "llama-gqa"), t.TempDir()
	file := filepath.Join(dir, "talk.json")
	lines := "/system Be brief.\nthe other\n\n/stats\n/save " + file + "\n/help\n"
	r := ledgeIn(lines, "chat", "-m", m, "-n", "4", "--temp", "0")
	if r.code != 0 || strings.Count(r.out, "\n") < 1 {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{"(system message set)", "tok/s", "context   ", "(3 messages saved", "/clear"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %q in\n%s", want, r.err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var saved []chat.Message
	if err := json.Unmarshal(data, &saved); err != nil || len(saved) != 3 || saved[0].Role != "system" || saved[1].Content != "the other" || saved[2].Role != "assistant" {
		t.Errorf("%v %s", err, data)
	}
	again := ledgeIn("/load "+file+"\n/save "+file+".2\n/system\n/clear\n/save "+file+".3\n/exit\nnever read\n", "chat", "-m", m)
	if again.code != 0 || again.out != "" || !strings.Contains(again.err, "Be brief.") {
		t.Errorf("%+v", again)
	}
	second, _ := os.ReadFile(file + ".2")
	if string(second) != string(data) {
		t.Errorf("what was loaded is saved as\n%s\nnot\n%s", second, data)
	}
	if third, _ := os.ReadFile(file + ".3"); strings.Contains(string(third), "other") || !strings.Contains(string(third), "Be brief.") {
		t.Errorf("after /clear: %s", third)
	}
}

// TestChatPrefix checks that the second message finds the first in the cache.
func TestChatPrefix(t *testing.T) {
	r := ledgeIn("t\nu\n", "chat", "-m", golden(t, "llama-gqa"), "-n", "1", "--temp", "0", "--stats")
	var prompts []string
	for _, line := range strings.Split(r.err, "\n") {
		if strings.HasPrefix(line, "prompt ") {
			prompts = append(prompts, line)
		}
	}
	if r.code != 0 || len(prompts) != 2 {
		t.Fatalf("%+v", r)
	}
	var first, second, cached int
	fmt.Sscanf(prompts[0], "prompt %d tokens", &first)
	fmt.Sscanf(prompts[1], "prompt %d tokens (%d cached)", &second, &cached)
	if first == 0 || cached < first || second <= cached {
		t.Errorf("%q", prompts)
	}
}

func TestChatOverflow(t *testing.T) {
	m := golden(t, "llama-gqa")
	r := ledgeIn(strings.Repeat("the other, thin\n", 6), "chat", "-m", m, "-n", "4", "--temp", "0", "--system", "in")
	if r.code != 0 || !strings.Contains(r.err, "the context is full: the oldest") {
		t.Errorf("%+v", r)
	}
	r = ledgeIn(strings.Repeat("much too long ", 40)+"\nthe\n", "chat", "-m", m, "-n", "2", "--temp", "0")
	if r.code != exitFailed || !strings.Contains(r.err, "context of 128") || r.out == "" {
		t.Errorf("one message too long: %+v", r)
	}
	r = ledgeIn("the\n", "chat", "-m", m, "--temp", "0", "-c", "64")
	if r.code != 0 {
		t.Errorf("%+v", r)
	}
}

func TestChatMistakes(t *testing.T) {
	m := golden(t, "llama-gqa")
	for _, c := range []struct{ line, say string }{
		{"/laod x", "did you mean /load?"}, {"/load", "needs the name"}, {"/save", "needs the name"},
		{"/load " + filepath.Join(scratch, "none.json"), "cannot load"}, {"/load " + scratch, "no regular file"},
		{"/save " + filepath.Join(scratch, "no", "such", "x.json"), "cannot write"}, {"a\xff", "not UTF-8"}, {"/system \xff", "not UTF-8"},
	} {
		r := ledgeIn(c.line+"\nthe\n", "chat", "-m", m, "-q", "-n", "2", "--temp", "0")
		if r.code != exitFailed || !strings.Contains(r.err, c.say) || r.out == "" || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%q: %+v", c.line, r)
		}
	}
}

// TestChatSave: a conversation does not take the place of what the chat reads.
func TestChatSave(t *testing.T) {
	data, err := os.ReadFile(golden(t, "llama-gqa"))
	if err != nil {
		t.Fatal(err)
	}
	m := writeFile(t, "m.gguf", string(data))
	lora, schema := adapterOf(t, m), writeFile(t, "s.json", `{"enum": ["in", "rain"]}`)
	for _, c := range []struct{ path, say string }{
		{m, "the model that is read"}, {lora, "read by this chat"}, {schema, "read by this chat"}, {filepath.Join(t.TempDir(), "new.json"), ""},
	} {
		before, _ := os.ReadFile(c.path)
		r := ledgeIn("the\n/save "+c.path+"\n", "chat", "-m", m, "--lora", lora+":0.5", "--json-schema", schema, "-q")
		after, err := os.ReadFile(c.path)
		if c.say == "" {
			if r.code != 0 || err != nil || !strings.Contains(string(after), `"assistant"`) {
				t.Errorf("%s: %+v, %v", c.path, r, err)
			}
			continue
		}
		if r.code != exitFailed || !strings.Contains(r.err, c.say) || string(after) != string(before) {
			t.Errorf("%s: %+v", c.path, r)
		}
	}
}

func TestParseConversation(t *testing.T) {
	for _, c := range []struct {
		text, system string
		messages     int
		bad          string
	}{
		{`[]`, "", 0, ""},
		{`[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"}]`, "s", 2, ""},
		{`{"model":"x","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`, "", 2, ""},
		{`[{"role":"user","content":"a"}]`, "", 0, ""},
		{``, "", 0, "no JSON"}, {`{}`, "", 0, "no JSON"}, {`[1]`, "", 0, "no JSON"}, {`[] x`, "", 0, "no JSON"},
		{`[{"role":"root","content":"a"}]`, "", 0, `role "root"`},
		{`[{"role":"user","content":"a"},{"role":"system","content":"a"}]`, "", 0, `role "system"`},
		{"[" + strings.Repeat(`{"role":"user"},`, maxMessages) + `{"role":"user"}]`, "", 0, "at most"},
		{strings.Repeat(" ", maxConversation+1), "", 0, "larger than"},
		{strings.Repeat("[", 100000), "", 0, "no JSON"},
	} {
		system, messages, err := parseConversation([]byte(c.text))
		if c.bad == "" && (err != nil || system != c.system || len(messages) != c.messages) || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%.80q: %q, %d messages, %v", c.text, system, len(messages), err)
		}
	}
}

func FuzzParseConversation(f *testing.F) {
	for _, s := range []string{`[]`, `[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"}]}]`, `{"messages":[]}`, `[{"role":"tool","content":null}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		system, messages, err := parseConversation(data)
		if err != nil {
			return
		}
		v := &conversation{system: system}
		again, err := json.Marshal(append([]chat.Message{}, v.withSystem(messages)...))
		if err != nil {
			t.Fatal(err)
		}
		if s, m, err := parseConversation(again); err != nil || s != system || len(m) != len(messages) {
			t.Errorf("%s reads back as %q, %d messages, %v", again, s, len(m), err)
		}
	})
}

func FuzzParseIDs(f *testing.F) {
	for _, s := range []string{"1 2 3", "[1,2]", "1,2\n3", "-1", "[", "99999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := parseIDs(text)
		if err == nil && checkIDs(ids, 10) == nil {
			for _, id := range ids {
				if id < 0 || id >= 10 {
					t.Errorf("%q gives %d", text, id)
				}
			}
		}
	})
}

func TestDropTurn(t *testing.T) {
	of := func(roles string) (out []chat.Message) {
		for _, r := range roles {
			out = append(out, chat.Message{Role: map[rune]string{'u': "user", 'a': "assistant", 't': "tool"}[r]})
		}
		return out
	}
	for in, want := range map[string]int{"u": 0, "uau": 1, "uatau": 1, "uauau": 3, "au": 1, "": 0} {
		if got := len(dropTurn(of(in))); got != want {
			t.Errorf("%s leaves %d messages, want %d", in, got, want)
		}
	}
}

func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "chat_history")
	h := openHistory(path)
	for _, line := range []string{"one", "two", "two", "  ", "th\x1b[31mree"} {
		h.Add(line)
	}
	if h.Len() != 3 || h.At(0) != "th[31mree" || h.At(2) != "one" {
		t.Errorf("%q", h.lines)
	}
	if again := openHistory(path); again.Len() != 3 || again.At(1) != "two" {
		t.Errorf("read back: %q", again.lines)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("%v %v", st.Mode(), err)
	}
	long := strings.Repeat("x\ny\n", historyLines+10)
	if err := os.WriteFile(path, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	if h := openHistory(path); h.Len() != historyLines {
		t.Errorf("%d lines", h.Len())
	}
	if data, _ := os.ReadFile(path); strings.Count(string(data), "\n") != historyLines {
		t.Errorf("the file keeps %d lines", strings.Count(string(data), "\n"))
	}
	none := openHistory("")
	none.Add("x")
	if none.Len() != 1 {
		t.Error("no history without a file")
	}
}

func TestKeyFilter(t *testing.T) {
	k := &keyFilter{r: strings.NewReader("ab\x03c\r\x03")}
	var got []byte
	buf := make([]byte, 3)
	for {
		n, err := k.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil || n == 0 {
			break
		}
	}
	if string(got) != "ab\x05\x15\rc\r\x05\x15\r" || !k.interrupted || !k.empty {
		t.Errorf("%q %+v", got, k)
	}
}
