package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/bench/suite"
)

// definition is what decides on a peer's figures besides its program and its case.
type definition struct {
	Version string                  `json:"version,omitempty"`
	Command []string                `json:"command,omitempty"`
	Args    []string                `json:"args,omitempty"`
	Figures map[string]suite.Source `json:"figures,omitempty"`
	Env     map[string]string       `json:"env,omitempty"`
	Files   map[string]string       `json:"files,omitempty"` // by their place in the command, or by name: a SHA-256
}

// config is a hash of how a peer is asked. Secrets are not in it: from a hash that is
// published short ones could be guessed. Neither are folders, so that a peer may move.
func config(p *suite.Peer, program string, h *hashes) (string, error) {
	d := definition{Version: p.Version, Figures: p.Figures, Files: map[string]string{}, Env: open(p.Env)}
	var err error
	if len(p.Command) > 0 {
		d.Command = short(p.Command)
		err = named(p.Command[1:], d.Files, h)
	}
	if len(p.Args) > 0 {
		d.Args = short(append([]string{""}, p.Args...))[1:]
		err = named(p.Args, d.Files, h)
	}
	if err == nil && p.Kind == suite.LlamaBench {
		err = libraries(program, d.Files, h)
	}
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// output are options whose value a program writes: it tells nothing of the program.
var output = regexp.MustCompile(`^--?(o|out|output|log|save|write|dump)([^\pL]|$)`)

// named hashes the files that words of a command name, such as the script behind an
// interpreter. Programs run in this process's folder, where relative paths start.
func named(words []string, files map[string]string, h *hashes) error {
	var err error
	words = append([]string{""}, words...)
	each(words, func(i int, option, path string) {
		st, serr := os.Stat(path)
		if err != nil || i == 0 || output.MatchString(option) || option == "" && output.MatchString(words[i-1]) || serr != nil || !st.Mode().IsRegular() {
			return
		}
		var sum string
		if sum, err = h.of(path); err == nil {
			files[filepath.Base(path)] += sum // there may be two of one name
		}
	}, func(int, string, string) {})
	return err
}

var library = regexp.MustCompile(`^lib.*\.(so(\..*)?|dylib)$|(?i)\.dll$`)

// libraries hashes the shared libraries beside a program: most of llama.cpp is in them.
func libraries(program string, files map[string]string, h *hashes) error {
	dirs := []string{filepath.Dir(program)}
	if real, err := filepath.EvalSymlinks(program); err == nil && filepath.Dir(real) != dirs[0] {
		dirs = append(dirs, filepath.Dir(real)) // $ORIGIN is where the file lies
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := e.Name()
			if !library.MatchString(name) {
				continue
			}
			path, err := filepath.EvalSymlinks(filepath.Join(dir, name)) // one file has several names
			if err != nil {
				continue
			}
			if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
				continue
			}
			sum, err := h.of(path)
			if err != nil {
				return err
			}
			files[name] = sum
		}
	}
	return nil
}

// inherited are the beginnings of variables that change what engines do, whole names
// without a line at their end.
var inherited = []string{"LEDGE_", "OMP_", "GOMP_", "KMP_", "GGML_", "LLAMA_", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GOMAXPROCS"}

// foreign are those that begin so and change nothing that is measured.
var foreign = []string{"LEDGE_BENCH_", "LEDGE_TEST_"}

// around are the variables of this process that every program finds, as records have
// them; nil if there are none.
func around(environ []string) map[string]string {
	all := map[string]string{}
	for _, pair := range environ {
		k, v, ok := strings.Cut(pair, "=")
		begins := func(s string) bool {
			return strings.HasSuffix(s, "_") && strings.HasPrefix(k, s) || k == s
		}
		if ok && slices.ContainsFunc(inherited, begins) && !slices.ContainsFunc(foreign, begins) {
			all[k] = v
		}
	}
	return open(all)
}

// open are variables without their secrets and folders; nil if there are none.
func open(env map[string]string) map[string]string {
	if len(env) == 0 {
		return nil
	}
	out := maps.Clone(env)
	for k, v := range out {
		switch {
		case secret(k):
			out[k] = hidden
		case filepath.IsAbs(v) && !strings.ContainsAny(v, ",:;"):
			out[k] = lastPart(v)
		default:
			out[k] = pathless(v)
		}
	}
	return out
}
