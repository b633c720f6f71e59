package importrules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/ledge-run/ledge"

// rule says what packages may import, besides the standard library and packages
// below themselves. Patterns are paths within the module ("." is the root), an
// ending "/..." stands for the package and all below it, and * for one element;
// paths with a dot in their first element are other modules. $1 is what * stood
// for.
type rule struct {
	pkg   string
	may   []string
	tests []string // what their tests may import besides
}

// rules: the first whose pattern fits a package is its own.
var rules = []rule{
	{"graph/dtype", nil, nil},
	{"graph", []string{"graph/dtype"}, []string{"graph/..."}},
	{"graph/grad", []string{"graph/..."}, []string{"backend", "backend/selftest", "graph/graphtest"}},
	{"graph/...", []string{"graph/..."}, nil},

	{"kernels/shader", []string{"graph/dtype"}, []string{"kernels/ref"}},
	{"kernels/vulkan/...", []string{"kernels/shader"}, nil},
	{"kernels/cuda/...", []string{"kernels/shader", "github.com/ulikunitz/xz/..."}, nil},
	{"kernels/*/...", []string{"graph/dtype", "kernels/$1/internal/...", "golang.org/x/sys/..."}, []string{"kernels/ref"}},

	{"backend", []string{"graph/...", "backend/packcache", "runtime/nearest"}, []string{"backend/null"}},
	{"backend/packcache", []string{"backend/internal/owned", "golang.org/x/sys/..."}, nil},
	{"backend/trust", []string{"backend", "backend/selftest", "backend/internal/owned", "graph/dtype", "golang.org/x/sys/..."}, []string{"backend/null"}},
	{"backend/quirks", nil, nil},
	{"backend/internal/owned", nil, nil},
	{"backend/internal/installed", nil, nil},
	{"backend/internal/cgroup", nil, nil},
	{"backend/internal/host", []string{"backend/internal/cgroup"}, nil},
	{"backend/cpu/pool", []string{"backend/internal/cgroup", "golang.org/x/sys/..."}, nil},
	{"backend/internal/dl", []string{"github.com/ebitengine/purego/...", "golang.org/x/sys/..."}, nil},
	{"backend/internal/bind", []string{"backend", "graph/..."}, nil},
	{"backend/internal/accel", []string{"backend", "backend/internal/bind", "backend/internal/host", "backend/packcache", "backend/quirks", "backend/internal/owned", "graph/...", "kernels/shader"}, []string{"backend/backendtest", "backend/selftest"}},
	{"backend/internal/accel/kerneltest", []string{"backend/internal/accel", "graph/dtype", "kernels/ref", "kernels/shader"}, nil},
	{"backend/internal/fakedriver", []string{"kernels/cuda", "backend/internal/dl", "golang.org/x/sys/..."}, nil},
	{"backend/internal/faulttest", nil, []string{"backend/...", "graph/dtype", "runtime/engine", "runtime/sampler"}},
	{"backend/selftest", []string{"backend", "graph/...", "kernels/ref"}, []string{"backend/null"}},
	{"backend/backendtest", []string{"backend", "backend/selftest", "graph/...", "kernels/ref"}, []string{"backend/null"}},
	{"backend/all", []string{"backend/..."}, []string{"graph/...", "runtime/engine/...", "runtime/model", "runtime/weights/gguf"}},
	{"backend/null", []string{"backend", "graph/..."}, []string{"backend/selftest"}},
	{"backend/nvml", []string{"backend/internal/dl", "backend/internal/owned"}, []string{"backend/nvml/nvmltest"}},
	{"backend/nvml/nvmltest", []string{"backend/internal/dl"}, nil},
	{"backend/cuda/...", []string{"backend", "graph/...", "kernels/cuda/...", "kernels/shader", "backend/quirks", "backend/packcache", "backend/internal/installed", "backend/internal/host", "backend/internal/owned", "backend/internal/accel", "golang.org/x/sys/...", "gorgonia.org/cu/..."}, []string{"backend/backendtest", "backend/selftest", "backend/internal/accel/kerneltest", "backend/internal/fakedriver"}},
	{"backend/gles/...", []string{"backend", "graph/...", "kernels/gles/...", "kernels/shader", "backend/quirks", "backend/internal/dl", "backend/internal/installed", "backend/internal/host", "backend/internal/owned", "backend/internal/accel", "golang.org/x/sys/...", "github.com/go-gl/..."}, []string{"backend/backendtest", "backend/selftest", "backend/internal/accel/kerneltest"}},
	{"backend/*/...", []string{"backend", "backend/packcache", "graph/...", "kernels/$1/...", "kernels/shader", "backend/quirks", "backend/internal/dl", "backend/internal/installed", "backend/internal/host", "backend/internal/owned", "backend/internal/bind", "backend/internal/accel", "golang.org/x/sys/..."}, []string{"backend/backendtest", "backend/selftest", "backend/internal/accel/kerneltest"}},

	{"runtime/files", []string{"golang.org/x/sys/..."}, nil},
	{"runtime/jsonfault", nil, nil},
	{"runtime/nearest", nil, nil},
	{"runtime/strictyaml", []string{"runtime/nearest", "go.yaml.in/yaml/v4"}, nil},
	{"runtime/tokenizer/...", []string{"golang.org/x/text/..."}, []string{"runtime/weights/..."}},
	{"runtime/chat/...", nil, []string{"runtime/weights/...", "github.com/ardanlabs/jinja/..."}},
	{"runtime/hub/...", []string{"runtime/files", "golang.org/x/sys/..."}, nil},
	{"runtime/power/nvidia", []string{"runtime/power", "backend/nvml"}, []string{"backend/nvml/nvmltest"}},
	{"runtime/power/...", []string{"golang.org/x/sys/..."}, nil},
	{"runtime/sampler/...", []string{"kernels/cpu"}, nil},
	{"runtime/grammar/...", []string{"runtime/sampler"}, []string{"runtime/tokenizer", "runtime/weights/...", "github.com/santhosh-tekuri/jsonschema/v6/..."}},
	{"runtime/weights/...", []string{"runtime/files", "graph/dtype", "golang.org/x/sys/..."}, nil},
	{"runtime/model/...", []string{"graph/...", "runtime/weights/..."}, []string{"backend/...", "runtime/engine"}},
	{"runtime/kvcache/...", []string{"graph/...", "backend"}, []string{"backend/null", "backend/cpu"}},
	{"runtime/sched/...", []string{"graph/...", "backend", "runtime/kvcache"}, []string{"backend/null", "backend/cpu"}},
	{"runtime/engine/...", append([]string{"graph/...", "backend", "backend/selftest", "backend/trust", "backend/packcache"}, belowEngine...), []string{"backend/..."}},
	{"runtime/bench/record", []string{"runtime/bench/stats"}, nil},
	{"runtime/bench/stats", nil, nil},
	{"runtime/bench/summary", []string{"runtime/bench/record", "runtime/bench/stats"}, nil},
	{"runtime/bench/receipt", []string{"runtime/bench/record", "runtime/bench/stats", "runtime/nearest", "github.com/gowebpki/jcs"}, nil},
	{"runtime/bench/suite", []string{"runtime/nearest", "runtime/strictyaml", "runtime/bench/record", "go.yaml.in/yaml/v4"}, nil},
	{"runtime/bench/table", []string{"runtime/bench/record", "runtime/bench/stats", "runtime/bench/suite", "runtime/bench/summary"}, nil},
	{"runtime/bench/internal/sample", []string{"runtime/bench/record"}, nil},
	{"runtime/bench/internal/browser", nil, nil},
	{"runtime/bench/chart", []string{"runtime/bench/record", "runtime/bench/stats", "runtime/bench/summary", "gonum.org/v1/plot/..."}, []string{"runtime/bench/internal/sample"}},
	{"runtime/bench/report", []string{"runtime/bench/record", "runtime/bench/stats", "runtime/bench/summary", "runtime/bench/chart"}, []string{"runtime/bench/internal/..."}},
	{"runtime/bench/...", append([]string{"runtime/files", "kernels/cpu", "backend/packcache", "runtime/eval", "golang.org/x/sys/..."}, upToEngine...), []string{"backend/..."}},
	{"runtime/eval/...", append([]string{"runtime/jsonfault"}, upToEngine...), []string{"backend/..."}},
	{"runtime/train/data/...", []string{"runtime/files", "golang.org/x/text/...", "golang.org/x/net/html/..."}, nil},
	{"runtime/train/template", nil, nil},
	{"runtime/train/recipe", []string{"graph/dtype", "runtime/train/template", "runtime/nearest", "runtime/strictyaml", "go.yaml.in/yaml/v4"}, []string{"runtime/model/..."}},
	{"runtime/train/run", append([]string{"runtime/train/...", "runtime/files", "golang.org/x/image/font/...", "golang.org/x/image/math/fixed"}, upToEngine...), []string{"backend/..."}},
	{"runtime/train/...", append([]string{"runtime/train/...", "runtime/files", "runtime/jsonfault"}, upToEngine...), []string{"backend/..."}},
	// What a quantisation loses is measured as ledge eval measures it: one divergence under one name.
	// The table before and after has what ledge bench measures, too.
	{"runtime/compress/delta", append([]string{"runtime/bench", "runtime/bench/stats", "runtime/eval"}, upToEngine...), []string{"backend/...", "runtime/compress/quantize"}},
	{"runtime/compress/...", append([]string{"kernels/cpu", "runtime/eval", "runtime/compress/..."}, upToEngine...), []string{"backend/..."}},
	{"runtime/home/model", []string{"runtime/weights/gguf"}, nil},
	{"runtime/home/...", nil, []string{"github.com/santhosh-tekuri/jsonschema/v6/..."}},
	{"runtime/serve/...", []string{"."}, []string{"backend/..."}},
	{"runtime/flow/...", []string{"."}, []string{"backend/..."}},
	{"runtime/fleet/...", []string{"."}, []string{"backend/..."}},

	{".", append([]string{"runtime/engine", "backend", "backend/cpu", "backend/packcache", "graph/dtype"}, belowEngine...), []string{"backend/...", "runtime/engine/goldentest"}},
	{"cmd/...", []string{".", "backend/...", "graph/...", "runtime/...", "github.com/urfave/cli/v2", "golang.org/x/term", "golang.org/x/sys/..."}, nil},
	{"build/radv", []string{"backend/vulkan", "kernels/shader"}, nil},
	{"build/ptxas", []string{"kernels/cuda", "kernels/shader"}, nil},
	{"build/internal/report", nil, nil},
	{"build/release", []string{"github.com/CycloneDX/cyclonedx-go", "github.com/google/licensecheck", "github.com/google/uuid"}, nil},
	{"build/trainspeed", []string{"backend", "backend/cpu", "build/internal/report", "graph/...", "runtime/..."}, nil},
	{"build/prunereport", []string{"backend/cpu", "build/internal/report", "runtime/..."}, nil},
	{"build/quantreport", []string{"backend/cpu", "build/internal/report", "graph/...", "runtime/..."}, nil},
	{"build/...", []string{"graph/...", "runtime/...", "golang.org/x/sys/..."}, []string{"backend/cpu"}},
}

var belowEngine = []string{"runtime/tokenizer/...", "runtime/chat/...", "runtime/hub/...", "runtime/power/...", "runtime/sampler/...", "runtime/grammar/...",
	"runtime/weights/...", "runtime/model/...", "runtime/kvcache/...", "runtime/sched/..."}

var upToEngine = append([]string{"graph/...", "backend", "runtime/engine/..."}, belowEngine...)

// never is what no package may import, whatever else is said, but those named.
var never = []struct {
	what string
	but  []string
	why  string
}{
	{"cmd/internal/...", []string{"cmd/..."}, "what commands share is theirs"},
	{"cmd/*", nil, "nothing imports a command"},
	{"github.com/ebitengine/purego/...", []string{"backend/internal/dl"}, "backend/internal/dl is the only importer of purego"},
	{"gorgonia.org/cu/...", []string{"backend/cuda/..."}, "backend/cuda is the only importer of cu"},
	{"kernels/*/...", []string{"backend/...", "kernels/...", "runtime/sampler", "runtime/bench", "runtime/compress/...", "build/radv", "build/ptxas"}, "kernels belong to their backend"},
	{"backend/nvml/...", []string{"backend/nvml/...", "runtime/power/nvidia"}, "runtime/power/nvidia is the only user of the binding"},
	{"runtime/power/nvidia", []string{"cmd/..."}, "programs, not libraries, decide to link what loads a driver"},
	{"backend/nvml/nvmltest", []string{}, "the library that stands in for NVIDIA's is for tests"},
	{"runtime/power/powertest", []string{}, "recorded machines are for tests"},
	{"backend/null", []string{}, "the null device is for tests"},
	{"backend/backendtest", []string{}, "the suite is for tests"},
	{"backend/internal/accel/kerneltest", []string{}, "the suite is for tests"},
	{"backend/internal/fakedriver", []string{}, "the fake driver is for tests"},
	{"runtime/home/evalset", []string{"cmd/...", "build/...", "runtime/home/devset"}, "its sentences are for evaluation, never for training"},
	{"runtime/home/devset", []string{"build/..."}, "its sentences show what the grammar lacks, and are never for training"},
	{"runtime/home/model", []string{"cmd/ledge"}, "two megabytes that no library should bring along"},
	{"graph/graphtest", []string{"backend/backendtest"}, "graphtest is for tests"},
	{"runtime/engine/goldentest", []string{}, "goldentest is for tests"},
}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath, Name                   string
	Imports, TestImports, XTestImports []string
	Standard                           bool
}

// list runs go list in the module's root.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is not at hand")
	}
	cmd := exec.Command("go", append([]string{"list", "-e"}, args...)...)
	cmd.Dir = "../.."
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("go list: %v\n%s", err, complaints.String())
	}
	var all []pkg
	for dec := json.NewDecoder(&out); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// local is the path within the module; other paths stay as they are.
func local(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// standard reports whether the path is the standard library's.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && !strings.HasPrefix(path, module)
}

// match reports whether a path fits a pattern, and what * stood for.
func match(pattern, path string) (star string, ok bool) {
	below := strings.HasSuffix(pattern, "/...")
	want := strings.Split(strings.TrimSuffix(pattern, "/..."), "/")
	have := strings.Split(path, "/")
	if len(have) < len(want) || len(have) > len(want) && !below {
		return "", false
	}
	for i, w := range want {
		if w == "*" {
			star = have[i]
		} else if w != have[i] {
			return "", false
		}
	}
	return star, true
}

func matchAny(patterns []string, path string) bool {
	for _, p := range patterns {
		if _, ok := match(p, path); ok {
			return true
		}
	}
	return false
}

// ruleOf is a package's rule with $1 filled in, and the top of the subtree that
// it belongs to, whose packages may import each other.
func ruleOf(path string) (r rule, own string, ok bool) {
	for _, r := range rules {
		star, ok := match(r.pkg, path)
		if !ok {
			continue
		}
		may := make([]string, len(r.may))
		for i, m := range r.may {
			may[i] = strings.ReplaceAll(m, "$1", star)
		}
		own := ""                             // a pattern without /... allows nothing below
		if strings.HasSuffix(r.pkg, "/...") { // kernels/*/... of kernels/cpu/gen: kernels/cpu
			n := strings.Count(strings.TrimSuffix(r.pkg, "/..."), "/") + 1
			own = strings.Join(strings.Split(path, "/")[:n], "/")
		}
		return rule{r.pkg, may, r.tests}, own, true
	}
	return rule{}, "", false
}

// offence says why a package must not import another, or is "".
func offence(from, path string, test bool) string {
	if standard(path) {
		return ""
	}
	from, path = local(from), local(path)
	r, own, ok := ruleOf(from)
	if !ok {
		return fmt.Sprintf("%s: no rule says what it may import; add one", from)
	}
	if !test {
		for _, n := range never {
			if _, hit := match(n.what, path); hit && !matchAny(n.but, from) && path != from {
				if own != "" && matchAny([]string{own + "/..."}, path) {
					continue // a part of itself
				}
				return fmt.Sprintf("%s imports %s: %s", from, path, n.why)
			}
		}
	}
	if path == from || own != "" && matchAny([]string{own + "/..."}, path) || matchAny(r.may, path) || test && matchAny(r.tests, path) {
		return ""
	}
	// Tests may use what is made for them.
	if test && matchAny([]string{"graph/graphtest", "backend/backendtest"}, path) && !strings.HasPrefix(from, "kernels/") && from != "graph/dtype" {
		return ""
	}
	return fmt.Sprintf("%s imports %s; it may import: %s", from, path, strings.Join(append([]string{"std"}, r.may...), ", "))
}

func TestImports(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testImports(t) })
	t.Run("tags", func(t *testing.T) { testImports(t, "-tags", "cuda,gles") })
}

func testImports(t *testing.T, args ...string) {
	packages := list(t, append(args, "-json=ImportPath,Name,Imports,TestImports,XTestImports", "./...")...)
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages", len(packages))
	}
	for _, p := range packages {
		for _, i := range p.Imports {
			if o := offence(p.ImportPath, i, false); o != "" {
				t.Error(o)
			}
		}
		for _, i := range append(p.TestImports, p.XTestImports...) {
			if o := offence(p.ImportPath, i, true); o != "" {
				t.Errorf("in tests: %s", o)
			}
		}
	}
}

// TestStaticHasNoDynamicLoader: -tags static links nothing that loads libraries, nor
// does the root package.
func TestStaticHasNoDynamicLoader(t *testing.T) {
	for _, of := range [][]string{{"-tags", "static", "./backend/all"}, {"-tags", "static", "./cmd/ledge"}, {"."}} {
		for _, p := range list(t, append([]string{"-deps", "-json=ImportPath"}, of...)...) {
			if strings.HasPrefix(p.ImportPath, "github.com/ebitengine/purego") {
				t.Errorf("%v links %s", of, p.ImportPath)
			}
		}
	}
}

// TestRules: the table says what it means to.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test, ok bool
	}{
		{"graph", "graph/dtype", false, true},
		{"graph", "graph/pass", false, false},
		{"graph", "graph/pass", true, true},
		{"graph/pass", "graph", false, true},
		{"graph/pass", "backend", false, false},
		{"graph/dtype", "graph", false, false},
		{"graph/dtype", "golang.org/x/sys/cpu", false, false},
		{"kernels/cpu", "graph/dtype", false, true},
		{"kernels/cpu", "graph", false, false},
		{"kernels/cpu", "kernels/ref", false, false},
		{"kernels/cpu/gen", "kernels/cpu", false, true},
		{"backend", "graph/plan", false, true},
		{"backend", "kernels/ref", false, false},
		{"backend/cpu", "kernels/cpu", false, true},
		{"backend/cpu", "backend/cpu/pool", false, true},
		{"backend/cpu/pool", "golang.org/x/sys/unix", false, true},
		{"backend/cpu", "kernels/vulkan", false, false},
		{"backend/cpu", "backend/vulkan", false, false},
		{"backend/cpu", "runtime/engine", false, false},
		{"backend/cpu", "backend/backendtest", true, true},
		{"backend/cpu", "backend/backendtest", false, false},
		{"backend/vulkan", "backend/internal/dl", false, true},
		{"backend/vulkan", "github.com/ebitengine/purego", false, false},
		{"backend/internal/dl", "github.com/ebitengine/purego", false, true},
		{"backend/gles", "github.com/go-gl/gl/v3.1/gles2", false, true},
		{"backend/vulkan", "github.com/go-gl/gl/v3.1/gles2", false, false},
		{"runtime/sampler", "kernels/cpu", false, true},
		{"runtime/tokenizer", "kernels/cpu", false, false},
		{"runtime/tokenizer", "graph/dtype", false, false},
		{"runtime/sched", "backend", false, true},
		{"runtime/sched", "backend/null", false, false},
		{"runtime/sched", "backend/null", true, true},
		{"runtime/model/llama", "runtime/model/block", false, true},
		{"runtime/model/llama", "backend", false, false},
		{"runtime/engine", "runtime/sched", false, true},
		{"runtime/engine", "backend/cpu", false, false},
		{"runtime/eval", "runtime/engine", false, true},
		{"runtime/eval", ".", false, false},
		{"runtime/eval", "kernels/cpu", false, false},
		{"runtime/bench", "kernels/cpu", false, true},
		{"runtime/train/run", "runtime/train/step", false, true},
		{"runtime/train/run", "backend/cpu", false, false},
		{"runtime/train/recipe", "runtime/train/step", false, false},
		{"runtime/train/data", "runtime/train/step", false, false},
		{"build/benchmodels", "runtime/weights/gguf", false, true},
		{"build/benchmodels", "backend/cpu", false, false},
		{"build/radv", "backend/vulkan", false, true},
		{"build/ptxas", "kernels/cuda", false, true},
		{"build/ptxas", "backend/cuda", false, false},
		{"build/release", "github.com/google/licensecheck", false, true},
		{"build/release", "cmd/internal/clidoc", false, false},
		{"cmd/ledge", "cmd/internal/clidoc", false, true},
		{"kernels/cuda", "kernels/shader", false, true},
		{"kernels/cuda/gen", "graph/dtype", false, false},
		{".", "runtime/engine", false, true},
		{".", "runtime/bench", false, false},
		{"runtime/serve", ".", false, true},
		{"runtime/serve", "runtime/engine", false, false},
		{"cmd/ledge", "backend/all", false, true},
		{"runtime/engine", "cmd/ledge", false, false},
		{"runtime/power/nvidia", "backend/nvml", false, true},
		{"runtime/power", "backend/nvml", false, false},
		{"runtime/engine", "runtime/power", false, true},
		{"runtime/engine", "runtime/power/nvidia", false, false},
		{".", "runtime/power/nvidia", false, false},
		{"cmd/ledge", "runtime/power/nvidia", false, true},
		{"backend/nvml", "backend/internal/dl", false, true},
		{"backend/cuda", "backend/nvml", false, false},
		{"cmd/ledge", "cmd/internal/console", false, true},
		{"runtime/bench", "cmd/internal/console", false, false},
		{"runtime/bench", "runtime/eval", false, true},
		{"runtime/bench/suite", "runtime/engine", false, false},
		{"runtime/bench/record", "runtime/engine", false, false},
		{"somewhere", "graph", false, false},
	} {
		full := func(p string) string {
			if p == "." {
				return module
			}
			if strings.Contains(strings.SplitN(p, "/", 2)[0], ".") {
				return p
			}
			return module + "/" + p
		}
		if o := offence(full(c.from), full(c.to), c.test); (o == "") != c.ok {
			t.Errorf("%s -> %s (test %v): %q, want allowed %v", c.from, c.to, c.test, o, c.ok)
		}
	}
}
