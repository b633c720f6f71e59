package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCompletions completes command lines in each shell, from the files that packages
// install.
func TestCompletions(t *testing.T) {
	dir := t.TempDir()
	must(t, "completions", "-bin", builtPrograms(t), dir)
	file := func(name string) string {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shell := func(t *testing.T, name string, args ...string) string {
		t.Helper()
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("no %s (Debian package %s)", name, name)
		}
		cmd := exec.Command(path, args...)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "PATH="+builtPrograms(t)+":"+os.Getenv("PATH"), "HOME="+cmd.Dir, "TERM=dumb")
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "can't open pseudo terminal") {
			t.Skip("the system has no terminals to give (devpts is not mounted)")
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	cases := []struct{ line, want, not string }{
		{"ledge r", "run", "chat"},
		{"ledge run --te", "--temp", "--top-k"},
		{"ledge graph --stage f", "fused", "built"},
		{"ledge completion z", "zsh", "fish"},
	}

	t.Run("bash", func(t *testing.T) {
		script := file("bash-completion/completions/ledge")
		for _, c := range append(cases, struct{ line, want, not string }{"ledge run -m smollm2:1", "135m", "qwen"}) {
			words := strings.Fields(strings.ReplaceAll(c.line, ":", " : ")) // bash divides words at colons
			out := shell(t, "bash", append([]string{"--norc", "-c", `source "$1"; shift; COMP_LINE=$1; COMP_POINT=${#1}; shift
				COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); complete -p ledge >/dev/null && _ledge && printf '%s\n' "${COMPREPLY[@]}"`,
				"-", script, c.line}, words...)...)
			expect(t, c.line, out, c.want, c.not)
		}
	})
	t.Run("fish", func(t *testing.T) {
		script := file("fish/vendor_completions.d/ledge.fish")
		for _, c := range cases {
			expect(t, c.line, shell(t, "fish", "--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, script, c.line), c.want, c.not)
		}
	})
	t.Run("zsh", func(t *testing.T) {
		// Its completion works in an interactive shell only: one in a terminal of its own.
		// The function is loaded as it would be from a package, at the first press of the
		// key, or sourced as users do. What is typed comes back with what was completed.
		folder := filepath.Dir(file("zsh/vendor-completions/_ledge"))
		for _, load := range []string{
			`fpath=($1 \$fpath); autoload -Uz compinit && compinit -u -D`,
			`autoload -Uz compinit && compinit -u -D; source $1/_ledge`,
		} {
			for _, c := range cases {
				typed := c.line[strings.LastIndexAny(c.line, " ")+1:]
				rest, ok := strings.CutPrefix(c.want, typed)
				if !ok {
					t.Fatalf("%s does not begin with %s", c.want, typed)
				}
				out := shell(t, "zsh", "-f", "-c", `
					zmodload zsh/zpty
					zpty shell zsh -f -i || exit 1
					zpty -w shell "PS1= RPS1=; stty -echo; `+load+`; print -r REA''DY"
					zpty -r shell line '*READY*'
					zpty -n -w shell "$2"$'\t'
					repeat 200; do
						if zpty -r -t shell chunk; then all+=$chunk; fi
						if [[ $all == *"$2"*"$3"* ]]; then break; fi
						sleep 0.1
					done
					zpty -d shell
					print -r -- "$all"`, "-", folder, c.line, rest)
				if !strings.Contains(strings.ReplaceAll(out, "\a", ""), c.line+rest) {
					t.Errorf("%s<TAB> gave %q, want %s (%s)", c.line, out, c.line+rest, load)
				}
			}
		}
	})
}

func expect(t *testing.T, line, out, want, not string) {
	t.Helper()
	if !strings.Contains(out, want) || strings.Contains(out, not) {
		t.Errorf("%s<TAB> gave %q; want %s and not %s", line, out, want, not)
	}
}
