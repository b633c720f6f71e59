package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLean: ledge has no text/template, whose search for methods by their names would keep every
// exported method. (ledge-bench makes pages, by html/template.)
func TestLean(t *testing.T) {
	out, err := exec.Command("go", "tool", "nm", filepath.Join(builtPrograms(t), "ledge")).Output()
	if err != nil {
		t.Fatal(withStderr(err))
	}
	for _, want := range []string{"github.com/urfave/cli/v2.(*App).RunContext", "github.com/ledge-run/ledge/cmd/internal/console.printHelp"} {
		if !strings.Contains(string(out), " "+want+"\n") {
			t.Errorf("ledge has no symbol %s", want)
		}
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "text/template.(*state)") || strings.Contains(line, " reflect.Value.MethodByName") {
			t.Errorf("ledge has %s", line)
		}
	}
}

// TestLeanRefuses: a library that is not the one that was looked at is left alone.
func TestLeanRefuses(t *testing.T) {
	script, err := filepath.Abs("../lean.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ version, help string }{
		{"v2.27.7", "package cli\n\nfunc printHelpCustom() {\n}\n"},
		{"v2.27.8", "package cli\n"},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"help.go": c.help, "bin/go": "#!/bin/sh\nif [ \"$1\" = list ]; then echo " + c.version + " " + dir + "; fi\n",
		} {
			if err := write(filepath.Join(dir, name), []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Join(dir, "bin/go"), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "-ec", `source "$0"`, script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.version+" is not the v2.27.7") {
			t.Errorf("%s: %v: %s", c.version, err, out)
		}
		if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
			t.Errorf("%s: there is a copy", c.version)
		}
	}
}
