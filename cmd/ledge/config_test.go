package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestOffline: LEDGE_OFFLINE says yes or no in words, too, and nothing else: a slip of the
// finger must not download.
func TestOffline(t *testing.T) {
	for value, want := range map[string]bool{"": false, "0": false, "no": false, "off": false, "1": true, "yes": true, "On": true, "true": true} {
		a := &app{getenv: func(name string) string { return map[string]string{"LEDGE_OFFLINE": value}[name] }}
		if c, err := a.readConfig(); err != nil || c.Offline != want {
			t.Errorf("%q: %v, %v", value, c.Offline, err)
		}
	}
	t.Setenv("LEDGE_OFFLINE", "yse")
	refused(t, exitUsage, "LEDGE_OFFLINE=yse: it must be 1 to download nothing, or 0", "run", "-m", "qwen3:0.6b", "hi")
}

// TestConfigFaults: one line names the file, the key and what it takes.
func TestConfigFaults(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	file := filepath.Join(dir, "ledge", "config.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	m := golden(t, "llama-gqa")
	none := filepath.Join(dir, "none.gguf")
	args := func(s string) []string { return strings.Fields(s) }
	for _, c := range []struct {
		text, want string
		code       int
		args       []string
	}{
		{`{"model":5}`, `"model" is a number: it must be a text, such as "qwen3:0.6b": mend or remove the file`, exitFailed, args("run hi")},
		{`{"device":["cpu"]}`, `"device" is a list: it must be a text, such as "cpu"`, exitFailed, args("run hi")},
		{`{"threads":"two"}`, `"threads" is a text: it must be a whole number`, exitFailed, args("run hi")},
		{`{"threads":1.5}`, `"threads" is 1.5: it must be a whole number`, exitFailed, args("run hi")},
		{`{"threads":-1}`, `"threads" is -1: it must be 0 (automatic) to 1024: mend or remove the file`, exitFailed, args("run hi")},
		{`{"threads":5000}`, `"threads" is 5000: it must be 0 (automatic) to 1024`, exitFailed, args("run hi")},
		{`{"offline":"yes"}`, `"offline" is a text: it must be true or false`, exitFailed, args("run hi")},
		{`[]`, `it is a list: it must be an object, such as {"model": "qwen3:0.6b"}`, exitFailed, args("run hi")},
		{`{"modle":"x"}`, `unknown key "modle", did you mean model?; there are device, model, offline, threads`, exitFailed, args("run hi")},
		{`{"model":`, "it is no JSON: it ends too early", exitFailed, args("run hi")},
		{``, "it is no JSON: it ends too early", exitFailed, args("run hi")},
		{`{"model" "x"}`, "it is no JSON: byte 10: ", exitFailed, args("run hi")},
		{fmt.Sprintf(`{"model":%q}`, none), `"model": no file ` + none, exitModel, args("run hi")},
		{fmt.Sprintf(`{"model":%q}`, none), `"model": no file ` + none, exitModel, args("chat")},
		{fmt.Sprintf(`{"model":%q}`, none), `"model": no file ` + none, exitModel, args("finetune -f x -o y")},
		{fmt.Sprintf(`{"model":%q}`, none), `"model": no file ` + none, exitModel, args("info")},
		{fmt.Sprintf(`{"model":%q}`, none), `"model": no file ` + none, exitModel, args("tokenize hi")},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, c.code, "configuration "+file+": "+c.want, c.args...)
	}
	// A model of the command line is not the configuration's fault.
	other := filepath.Join(dir, "other.gguf")
	if r := ledge("run", "-m", other, "hi"); r.code != exitModel || strings.Contains(r.err, "configuration") {
		t.Errorf("%+v", r)
	}
	t.Setenv("LEDGE_MODEL", other)
	if r := ledge("run", "hi"); r.code != exitModel || strings.Contains(r.err, "configuration") {
		t.Errorf("%+v", r)
	}
	must(t, "run", "-m", m, "--raw", "-n", "1", "--temp", "0", "the")
}

// TestConfigOutOfReach: a home that may not be entered stops no command; a configuration
// that somebody names, or that is there and cannot be read, does.
func TestConfigOutOfReach(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", writeFile(t, "home", "a file"))
	t.Setenv("USERPROFILE", os.Getenv("HOME"))
	must(t, "tokenize", "-m", golden(t, "llama-gqa"), "hi")
	if os.Geteuid() <= 0 {
		t.Skip("root may enter all folders, and Windows knows no such permissions")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	dir := filepath.Join(home, ".config")
	if runtime.GOOS == "darwin" {
		dir = filepath.Join(home, "Library", "Application Support")
	}
	file := filepath.Join(dir, "ledge", "config.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(`{"threads": 1}`), 0o000); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "-m", golden(t, "llama-gqa"), "--raw", "-n", "1", "the"}
	refused(t, exitFailed, "make it readable", args...)
	if err := os.Chmod(home, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(home, 0o700) }) // or it stays
	if r := ledge(args...); r.code != 0 || strings.Count(r.err, "no configuration is read") != 1 {
		t.Errorf("%+v", r)
	}
	t.Setenv("XDG_CONFIG_HOME", dir)
	refused(t, exitFailed, "make it readable", args...)
}
