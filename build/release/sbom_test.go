package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBill compares a bill with what the toolchain says of the program, and has the
// official schema check it.
func TestBill(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	program, file := filepath.Join(builtPrograms(t), "ledge"), filepath.Join(t.TempDir(), "sbom.json")
	must(t, "sbom", "-release", "1.2.3+4", file, program)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BomFormat, SpecVersion, SerialNumber string
		Metadata                             struct {
			Timestamp string
			Component struct {
				Version, Purl string
				Components    []struct {
					Name   string
					Hashes []struct{ Alg, Content string }
				}
			}
		}
		Components []struct {
			Name, Version, Purl string
			Licenses            []struct{ License struct{ ID string } }
			Hashes              []any
			Properties          []struct{ Name, Value string }
			Pedigree            struct{ Ancestors []struct{ Purl string } }
		}
	}
	if err := json.Unmarshal(data, &bom); err != nil {
		t.Fatal(err)
	}
	m := bom.Metadata
	if bom.BomFormat != "CycloneDX" || bom.SpecVersion != "1.6" || m.Timestamp != "2023-11-14T22:13:20Z" || m.Component.Version != "1.2.3+4" ||
		m.Component.Purl != "pkg:golang/github.com/ledge-run/ledge@1.2.3%2B4" ||
		!regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(bom.SerialNumber) {
		t.Errorf("%.400s", data)
	}
	sum, err := fileSHA256(program)
	if err != nil {
		t.Fatal(err)
	}
	if c := m.Component.Components; len(c) != 1 || c[0].Name != "ledge" || len(c[0].Hashes) != 1 || c[0].Hashes[0].Content != sum {
		t.Errorf("the program is not in it as it is: %+v", c)
	}

	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, d := range info.Deps {
		want = append(want, d.Path+" "+d.Version+" "+d.Sum)
	}
	for _, c := range bom.Components {
		if len(c.Licenses) != 1 || c.Licenses[0].License.ID == "" {
			t.Errorf("%s has the licences %+v", c.Name, c.Licenses)
		}
		if len(c.Hashes) > 0 {
			t.Errorf("%s has a hash, and there is no file that it would be of", c.Name)
		}
		if c.Purl != "pkg:golang/"+c.Name+"@"+c.Version {
			t.Errorf("%s %s is called %s", c.Name, c.Version, c.Purl)
		}
		if c.Name == standard {
			if "go"+c.Version != info.GoVersion {
				t.Errorf("Go is %s in it, and %s in the program", c.Version, info.GoVersion)
			}
			continue
		}
		if c.Name == leanModule {
			if len(c.Properties) > 0 || len(c.Pedigree.Ancestors) != 1 || c.Pedigree.Ancestors[0].Purl != c.Purl {
				t.Errorf("%s is not said to be changed: %+v", c.Name, c)
			}
			got = append(got, c.Name+" "+c.Version+" ")
			continue
		}
		if len(c.Properties) != 1 || len(c.Pedigree.Ancestors) > 0 || c.Properties[0].Name != "ledge:go:sum" {
			t.Fatalf("%s has the properties %+v", c.Name, c.Properties)
		}
		got = append(got, c.Name+" "+c.Version+" "+c.Properties[0].Value)
	}
	slices.Sort(want)
	if len(got) != len(bom.Components)-1 || !slices.Equal(got, want) {
		t.Errorf("modules\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	t.Run("schema", func(t *testing.T) { validate(t, data) })
}

// validate has the schema of CycloneDX check a bill, and checks that it can say no.
func validate(t *testing.T, data []byte) {
	python := os.Getenv("LEDGE_TEST_PYTHON")
	if python == "" {
		t.Skip("LEDGE_TEST_PYTHON is not set: a Python with the packages of build/requirements.txt")
	}
	// The schemas name each other by the files that the package has them in.
	const script = `
import json, sys
from importlib.resources import files
from jsonschema import Draft7Validator
from referencing import Registry, Resource

def load(name): return json.loads((files("cyclonedx.schema") / "_res" / name).read_text())

others = ["spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json"]
registry = Registry().with_resources(
    [("http://cyclonedx.org/schema/" + n, Resource.from_contents(load(n))) for n in others])
validator = Draft7Validator(load("bom-1.6.SNAPSHOT.schema.json"), registry=registry)
for e in validator.iter_errors(json.load(sys.stdin)):
    print("invalid:", e.json_path, e.message[:300])
`
	check := func(data []byte) (string, error) {
		cmd := exec.Command(python, "-c", script)
		cmd.Stdin = bytes.NewReader(data)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check(data); err != nil || out != "" {
		t.Errorf("%v: %s", err, out)
	}
	for _, spoil := range [][2]string{{`"scope": "required"`, `"scope": "perhaps"`}, {`"id": "MIT"`, `"id": "MIT-ish"`}, {"urn:uuid:", "uuid:"}} {
		bad := strings.Replace(string(data), spoil[0], spoil[1], 1)
		if bad == string(data) {
			t.Errorf("%s is not in it", spoil[0])
		}
		if out, err := check([]byte(bad)); err != nil || !strings.Contains(out, "invalid: ") {
			t.Errorf("with %s it is valid: %v %s", spoil[1], err, out)
		}
	}
}

// TestBillsThatCannotBe: programs that are not what they should be.
func TestBillsThatCannotBe(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	self, err := os.Executable() // a program of Go: a test, whose module is Ledge's
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/nonexistent/ledge": "no such file", "sbom_test.go": "is not a program of Go"} {
		if err := run([]string{"sbom", filepath.Join(t.TempDir(), "x"), path}, os.Stdout); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	// It links what no program does: the licences do not have it.
	if err := run([]string{"sbom", filepath.Join(t.TempDir(), "x"), self}, os.Stdout); err == nil || !strings.Contains(err.Error(), "is not in third_party/licences") {
		t.Errorf("modules without a licence: %v", err)
	}

	info := &debug.BuildInfo{GoVersion: "go1.26"}
	entries := []entry{{"std", "", "BSD-3-Clause"}, {"a.example/x", "v1.0.0", "MIT"}, {"a.example/y", "v2.0.0", "MIT AND Apache-2.0"}}
	x, y := module{path: "a.example/x", version: "v1.0.0", sum: "h1:a"}, module{path: "a.example/y", version: "v2.0.0"}
	date := time.Unix(1700000000, 0).UTC()
	of := func(name string, modules ...module) binary {
		return binary{name: name, sha256: strings.Repeat("0", 64), info: info, modules: modules}
	}
	if out, err := bill([]binary{of("p", x), of("q", x, y)}, entries, []string{x.path}, "1", date); err != nil {
		t.Error(err)
	} else if !strings.Contains(string(out), `"expression": "MIT AND Apache-2.0"`) || strings.Count(string(out), `"name": "a.example/x"`) != 1 {
		t.Errorf("%s", out)
	}
	older := x
	older.version = "v0.9.0"
	if _, err := bill([]binary{of("p", x), of("q", older)}, entries, nil, "1", date); err == nil || !strings.Contains(err.Error(), "different builds") {
		t.Errorf("two versions of one module: %v", err)
	}
	a, _ := bill([]binary{of("p", x)}, entries, nil, "1", date)
	b, _ := bill([]binary{of("p", y)}, entries, nil, "1", date)
	serial := regexp.MustCompile(`urn:uuid:[^"]*`)
	if s := serial.Find(a); len(s) == 0 || bytes.Equal(s, serial.Find(b)) {
		t.Errorf("bills that differ have the serial number %s", s)
	}
}
