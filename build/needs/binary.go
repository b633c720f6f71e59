package main

import (
	"cmp"
	"debug/elf"
	"fmt"
	"strconv"
	"strings"
)

// libc is what a binary may need, by the beginning of the name: glibc's and musl's
// parts, Android's.
var libc = []string{"libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libresolv.so", "ld-linux", "libc.musl", "liblog.so"}

// version of glibc, such as 2.31; zero: none.
type version struct{ major, minor int }

func parseVersion(s string) (version, error) {
	major, minor, ok := strings.Cut(s, ".")
	minor, _, _ = strings.Cut(minor, ".") // 2.2.5 is 2.2
	a, err := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if !ok || cmp.Or(err, err2) != nil || a < 0 || b < 0 {
		return version{}, fmt.Errorf("%q is no version such as 2.31", s)
	}
	return version{a, b}, nil
}

func (v version) less(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// binary is what the system must have for a program or library to start.
type binary struct {
	libraries []string
	glibc     version // the highest of its symbols' versions
	symbol    string  // that asks for it
}

func (b binary) String() string {
	what := "no glibc"
	if b.symbol != "" {
		what = fmt.Sprintf("glibc %s (%s)", b.glibc, b.symbol)
	}
	return fmt.Sprintf("needs %s: %s", what, strings.Join(b.libraries, " "))
}

// inspect reads what a binary asks for.
func inspect(path string) (binary, error) {
	f, err := elf.Open(path)
	if err != nil {
		return binary{}, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	var b binary
	if b.libraries, err = f.ImportedLibraries(); err != nil {
		return binary{}, fmt.Errorf("%s: %w", path, err)
	}
	// What the loader checks; symbols only say why.
	needs, err := f.DynamicVersionNeeds()
	if err != nil {
		return binary{}, fmt.Errorf("%s: %w", path, err)
	}
	symbols, err := f.ImportedSymbols()
	if err != nil {
		return binary{}, fmt.Errorf("%s: %w", path, err)
	}
	for _, n := range needs {
		for _, d := range n.Needs {
			text, ok := strings.CutPrefix(d.Dep, "GLIBC_")
			if !ok {
				continue
			}
			v, err := parseVersion(text)
			if err != nil { // GLIBC_PRIVATE, GLIBC_ABI_DT_RELR
				return binary{}, fmt.Errorf("%s needs %s of %s, which no version promises", path, d.Dep, n.Name)
			}
			if b.glibc.less(v) {
				b.glibc, b.symbol = v, user(symbols, d.Dep)
			}
		}
	}
	return b, nil
}

// user is the first symbol of a version.
func user(symbols []elf.ImportedSymbol, version string) string {
	for _, s := range symbols {
		if s.Version == version {
			return s.Name
		}
	}
	return version
}

// check says what is needed beyond the C library, or beyond its version may (zero: any).
func (b binary) check(may version) error {
	var more []string
	for _, n := range b.libraries {
		if !allowed(n) {
			more = append(more, n)
		}
	}
	if len(more) > 0 {
		return fmt.Errorf("does not start without %s: something links a driver's library", strings.Join(more, ", "))
	}
	if may != (version{}) && may.less(b.glibc) {
		return fmt.Errorf("needs glibc %s, for %s, later than %s: build it with another compiler (docs/packages.md)", b.glibc, b.symbol, may)
	}
	return nil
}

func allowed(name string) bool {
	for _, l := range libc {
		if strings.HasPrefix(name, l) {
			return true
		}
	}
	return false
}
