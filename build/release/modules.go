package main

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// module is a Go module that is linked into a program.
type module struct {
	path, version string
	sum           string // of go.sum: h1:...
	dir           string // in the module cache
	packages      []string
	changed       bool // build/lean.sh took its templates out
}

// What build/lean.sh puts in place of a module. No other is replaced in a release.
const leanModule, leanFolder = "github.com/urfave/cli/v2", "./out/lean/cli"

// mainModule is Ledge's own.
const mainModule = "github.com/ledge-run/ledge"

// standard names the Go distribution among modules: its runtime and library are linked
// into every program.
const standard = "std"

// linked lists the modules whose packages are linked into any of Ledge's programs on
// any system and with any tags that are built for users, by path; the Go distribution
// comes first.
func (t *task) linked() ([]module, error) {
	mains, err := filepath.Glob(filepath.Join(t.root, "cmd", "*", "main.go"))
	if err != nil || len(mains) == 0 {
		return nil, fmt.Errorf("no programs under %s", filepath.Join(t.root, "cmd"))
	}
	var args []string
	for _, m := range mains {
		args = append(args, "./cmd/"+filepath.Base(filepath.Dir(m)))
	}
	found := map[string]*module{}
	for _, b := range []struct{ system, tags string }{
		{"linux", "cuda,gles"}, {"android", "gles"}, {"darwin", ""}, {"windows", ""},
	} {
		cmd := exec.Command("go", append([]string{"list", "-deps", "-tags", b.tags, "-json=ImportPath,Standard,Module"}, args...)...)
		cmd.Dir = t.root
		// Nothing is compiled: cgo needs no compiler here.
		cmd.Env = append(os.Environ(), "GOOS="+b.system, "GOARCH=arm64", "CGO_ENABLED=1")
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go list -deps for %s: %w", b.system, withStderr(err))
		}
		if err := addModules(found, out); err != nil {
			return nil, err
		}
	}
	std, err := goDistribution()
	if err != nil {
		return nil, err
	}
	all := []module{std}
	for _, path := range sortedKeys(found) {
		all = append(all, *found[path])
	}
	return all, nil
}

// addModules reads what go list wrote.
func addModules(found map[string]*module, list []byte) error {
	for dec := json.NewDecoder(bytes.NewReader(list)); ; {
		var p struct {
			ImportPath string
			Standard   bool
			Module     *struct {
				Path, Version, Sum, Dir string
				Main                    bool
				Replace                 *struct{ Path string }
			}
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("go list: %w", err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		if p.Module.Replace != nil {
			return fmt.Errorf("%s is replaced by %s: a release has no replaced modules", p.Module.Path, p.Module.Replace.Path)
		}
		m := found[p.Module.Path]
		if m == nil {
			m = &module{path: p.Module.Path, version: p.Module.Version, sum: p.Module.Sum, dir: p.Module.Dir}
			found[m.path] = m
		}
		if !slices.Contains(m.packages, p.ImportPath) {
			m.packages = append(m.packages, p.ImportPath)
		}
	}
}

// goDistribution is the Go distribution that builds.
func goDistribution() (module, error) {
	out, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return module{}, fmt.Errorf("go env GOROOT: %w", withStderr(err))
	}
	words := strings.Fields(string(out))
	if len(words) != 2 {
		return module{}, fmt.Errorf("go env GOROOT GOVERSION wrote %q", out)
	}
	return module{path: standard, version: strings.TrimPrefix(words[1], "go"), dir: words[0]}, nil
}

// binary is a built program and what the Go toolchain wrote into it.
type binary struct {
	name    string // of the file
	sha256  string
	info    *buildinfo.BuildInfo
	modules []module // by path, the Go distribution first
}

// readBinary reads what a program is made of.
func readBinary(path string) (binary, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return binary{}, fmt.Errorf("%s is not a program of Go: %w", path, err)
	}
	sum, err := fileSHA256(path)
	if err != nil {
		return binary{}, err
	}
	if info.Main.Path != mainModule {
		return binary{}, fmt.Errorf("%s is a program of %s, not of Ledge", path, cmp.Or(info.Main.Path, "another module"))
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	b := binary{name: filepath.Base(path), sha256: sum, info: info, modules: []module{{path: standard, version: version}}}
	for _, d := range info.Deps {
		m := module{path: d.Path, version: d.Version, sum: d.Sum}
		if d.Replace != nil {
			if d.Path != leanModule || d.Replace.Path != leanFolder {
				return binary{}, fmt.Errorf("%s: %s is replaced by %s: a release has no replaced modules but that of build/lean.sh", path, d.Path, d.Replace.Path)
			}
			m.changed = true
		}
		b.modules = append(b.modules, m)
	}
	slices.SortFunc(b.modules[1:], func(x, y module) int { return strings.Compare(x.path, y.path) })
	return b, nil
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
