package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// header is what our declarations say.
type header struct {
	functions []function
	constants []constant
	results   []constant // those of the constants that are of CUresult
	structs   []structure
}

// function is a declaration of the API.
type function struct {
	name   string // as C code calls it
	symbol string // as the driver has it
	params string // "int *n, CUdevice d", or "void"
	args   string // "n, d"
}

// old: it is a former function, which NVIDIA's header declares for itself only.
func (f function) old() bool {
	return strings.HasSuffix(f.name, "_v1") || f.name == "cuGraphInstantiate_v2"
}

// constant is an enumerator or a macro with its value.
type constant struct{ name, value string }

// structure is a structure or union; its text is what stands between the braces.
type structure struct {
	kind, name, text string
	fields           []string
}

var (
	comments  = regexp.MustCompile(`(?s)/\*.*?\*/`)
	functions = regexp.MustCompile(`(?m)^CUresult (cu\w+)\(([^;]*)\);`)
	renames   = regexp.MustCompile(`(?m)^#define (cu[A-Z]\w+)\s+(cu\w+)$`)
	enums     = regexp.MustCompile(`(?s)typedef enum \w* ?\{(.*?)\} (\w+);`)
	values    = regexp.MustCompile(`(\w+) = (\w+),`)
	macros    = regexp.MustCompile(`(?m)^#define (CU[A-Z0-9]*_\w+) (.+)$`)
	structs   = regexp.MustCompile(`(?s)typedef (struct|union) \w+ \{(.*?)\} (\w+);`)
	lastWord  = regexp.MustCompile(`(\w+)(?:\[\d+\])?$`)
	spaces    = regexp.MustCompile(`\s+`)
)

// read parses the two files of a folder. Their form is ours, so simple patterns do;
// what a pattern would miss is caught by counting.
func read(dir string) (*header, error) {
	var text string
	for _, name := range []string{"cuda_enums.h", "cuda.h"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		text += comments.ReplaceAllString(string(b), "")
	}
	h := &header{}
	symbols := map[string]string{}
	for _, m := range renames.FindAllStringSubmatch(text, -1) {
		symbols[m[1]] = m[2]
	}
	for _, m := range functions.FindAllStringSubmatch(text, -1) {
		f := function{name: m[1], symbol: strings.TrimSuffix(m[1], "_v1"), params: spaces.ReplaceAllString(m[2], " ")}
		if s, ok := symbols[f.name]; ok {
			f.symbol = s
			delete(symbols, f.name)
		}
		if f.params != "void" {
			f.args = names(f.params)
		}
		h.functions = append(h.functions, f)
	}
	if n := strings.Count(text, "\nCUresult "); n != len(h.functions) {
		return nil, fmt.Errorf("%s: %d declarations begin with CUresult, %d are understood", dir, n, len(h.functions))
	}
	for name := range symbols {
		return nil, fmt.Errorf("%s: #define %s, but no such function is declared", dir, name)
	}
	for _, m := range enums.FindAllStringSubmatch(text, -1) {
		for _, v := range values.FindAllStringSubmatch(m[1], -1) {
			h.constants = append(h.constants, constant{v[1], v[2]})
			if m[2] == "CUresult" {
				h.results = append(h.results, constant{v[1], v[2]})
			}
		}
	}
	for _, m := range macros.FindAllStringSubmatch(text, -1) {
		if m[1] != "CUDA_VERSION" {
			h.constants = append(h.constants, constant{m[1], m[2]})
		}
	}
	for _, m := range structs.FindAllStringSubmatch(text, -1) {
		s := structure{kind: m[1], name: m[3], text: m[2]}
		for _, line := range strings.Split(m[2], ";") {
			if line = strings.TrimSpace(line); line != "" {
				s.fields = append(s.fields, strings.Split(names(line), ", ")...)
			}
		}
		h.structs = append(h.structs, s)
	}
	return h, nil
}

// names are the last words of what commas separate: "int *n, CUdevice d" has "n, d".
func names(list string) string {
	var out []string
	for _, p := range strings.Split(list, ",") {
		out = append(out, lastWord.FindStringSubmatch(strings.TrimSpace(p))[1])
	}
	return strings.Join(out, ", ")
}
