//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The examples are built as their own comments say, and show what the Go API gives.

const prompt = "The capital of France is"

func TestExampleC(t *testing.T) {
	program := compile(t, "examples/c/generate.c")
	for name, model := range models(t) {
		t.Run(name, func(t *testing.T) {
			out, stats := run(t, program, model, prompt)
			same(t, out, answer(t, model, prompt, false))
			if !strings.Contains(stats, " a second") {
				t.Errorf("it wrote %q", stats)
			}
		})
	}
	fails(t, "no such file", program, "/none.gguf", prompt)
}

func TestExampleCpp(t *testing.T) {
	lib, dir := library(t), t.TempDir()
	need(t, "cmake", "g++", "make")
	run(t, "cmake", "-S", "examples/cpp", "-B", dir, "-G", "Unix Makefiles", "-DCMAKE_PREFIX_PATH="+lib, "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
	run(t, "cmake", "--build", dir)
	const question = `Say "hello" in French.`
	for name, model := range models(t) {
		t.Run(name, func(t *testing.T) {
			out, _ := run(t, dir+"/chat", model, question)
			same(t, out, answer(t, model, question, true))
		})
	}
	model := tiny(t)
	fails(t, "no such file", dir+"/chat", "/none.gguf", question)
	fails(t, "the call was cancelled", dir+"/chat", model, question, "0") // no time at all
	for _, limit := range []string{"soon", "", "2 s", "inf", "1e999"} {
		fails(t, `chat: SECONDS is "`+limit+`", and must be a number`, dir+"/chat", model, question, limit)
	}
}

// TestPackageVersion: what builds programs with the library knows it by the version of
// ledge.h, and takes it for every older one.
func TestPackageVersion(t *testing.T) {
	lib := library(t)
	header, err := os.ReadFile("ledge.h")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^#define LEDGE_ABI_VERSION (\d+)$`).FindSubmatch(header)
	if found == nil {
		t.Fatal("ledge.h has no LEDGE_ABI_VERSION")
	}
	abi, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("cmake", func(t *testing.T) {
		need(t, "cmake")
		for asked, want := range map[string]bool{
			fmt.Sprint("1...<", abi): false, fmt.Sprint("1...", abi): true, fmt.Sprint("1...<", abi+1): true, fmt.Sprint("0...", abi-1): false,
			"": true, "1": true, fmt.Sprint(abi): true, fmt.Sprint(abi, " EXACT"): true, fmt.Sprint(abi + 1): false, fmt.Sprint(abi-1, " EXACT"): false,
		} {
			dir := t.TempDir()
			text := fmt.Sprintf("cmake_minimum_required(VERSION 3.16)\nproject(x NONE)\nfind_package(ledge %s REQUIRED)\nmessage(\"it is ${ledge_VERSION}.\")\n", asked)
			if err := os.WriteFile(filepath.Join(dir, "CMakeLists.txt"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, complaints, err := try("cmake", "-S", dir, "-B", dir+"/out", "-DCMAKE_PREFIX_PATH="+lib)
			if (err == nil) != want || want && !strings.Contains(complaints, fmt.Sprintf("it is %d.\n", abi)) {
				t.Errorf("find_package(ledge %s): %v\n%s%s", asked, err, out, complaints)
			}
		}
	})
	t.Run("pkg-config", func(t *testing.T) {
		need(t, "pkg-config")
		out, _ := run(t, "PKG_CONFIG_PATH="+lib+"/lib/pkgconfig", "pkg-config", "--modversion", "ledge")
		equal(t, "pkg-config", out, fmt.Sprintln(abi))
	})
}

// TestPage: the commands of docs/libledge.md, in their order, build the examples and run
// them, in a shell that knows of no library.
func TestPage(t *testing.T) {
	lib, model := library(t), tiny(t)
	for _, c := range []struct {
		section, folder string
		tools           []string
		runs            int // that show the answer
	}{
		{"In C", "c", []string{"cc", "pkg-config"}, 1},
		{"In C++", "cpp", []string{"cmake", "c++", "make"}, 1},
		{"In Python", "python", []string{"python3"}, 2},
		{"In Java", "java", []string{"javac", "java", "cc", "pkg-config"}, 1},
	} {
		t.Run(c.folder, func(t *testing.T) {
			need(t, append(c.tools, "bash")...)
			script := strings.NewReplacer("FOLDER", lib, "MODEL", model).Replace(commands(t, c.section))
			if c.folder == "java" {
				script = "export JAVA_HOME=" + javaHome(t) + "\n" + script
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("examples/"+c.folder)); err != nil {
				t.Fatal(err)
			}
			out, _ := run(t, "-u", "LD_LIBRARY_PATH", "-u", "PKG_CONFIG_PATH", "bash", "-ec", "cd "+dir+"\n"+script)
			asked := regexp.MustCompile(model + ` "(.*?)"`).FindStringSubmatch(script)
			if asked == nil {
				t.Fatalf("the page runs nothing: %s", script)
			}
			want := answer(t, model, asked[1], c.folder == "cpp")
			if strings.Count(out, want) != c.runs {
				t.Errorf("%s\nwrote %q, the Go API %q", script, out, want)
			}
		})
	}
}

// commands are those of a section of docs/libledge.md.
func commands(t *testing.T, section string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/libledge.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "\n## "+section+"\n")
	if !found {
		t.Fatalf("docs/libledge.md has no section %q", section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var script strings.Builder
	for i, part := range strings.Split(text, "```") {
		for line := range strings.Lines(part) {
			if command, ok := strings.CutPrefix(line, "    "); ok && i%2 == 0 { // no code of an example
				script.WriteString(command)
			}
		}
	}
	return script.String()
}

func TestExamplePython(t *testing.T) {
	lib := library(t) + "/lib/libledge.so"
	need(t, "python3")
	program := []string{"PYTHONDONTWRITEBYTECODE=1", "python3", "examples/python/generate.py"}
	for name, model := range models(t) {
		t.Run(name, func(t *testing.T) {
			out, similar := run(t, append(program, model, prompt, lib)...)
			same(t, out, answer(t, model, prompt, false))
			if strings.Count(similar, "similarity to") != 2 {
				t.Errorf("it wrote %q", similar)
			}
		})
	}
	fails(t, "no such file", append(program, "/none.gguf", prompt, lib)...)
	mistyped := "import sys, ledge\nwith ledge.Library(sys.argv[1]).open(sys.argv[2]) as m, m.session() as s:\n" +
		"    try: s.generate('a', print, max_token=1)\n    except TypeError as e: print(e)\n"
	out, _ := run(t, "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=examples/python", "python3", "-c", mistyped, lib, tiny(t))
	equal(t, "a mistyped option", out, "generate() has no option 'max_token'\n")
	fails(t, "cannot open shared object", append(program, "/none.gguf", prompt, "/none.so")...)
}

func TestExampleJava(t *testing.T) {
	lib, dir := library(t), t.TempDir()
	need(t, "javac", "java", "gcc")
	home := javaHome(t)
	run(t, "javac", "-Xlint:all", "-Werror", "-d", dir, "examples/java/Ledge.java", "examples/java/Generate.java", "testdata/java/Nulls.java")
	run(t, "gcc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I"+home+"/include", "-I"+home+"/include/linux", "-I"+lib+"/include",
		"examples/java/ledge_jni.c", "-L"+lib+"/lib", "-lledge", "-Wl,-rpath,"+lib+"/lib", "-o", dir+"/libledge_jni.so")
	java := []string{"java", "-cp", dir, "-Djava.library.path=" + dir}
	for name, model := range models(t) {
		t.Run(name, func(t *testing.T) {
			out, _ := run(t, append(java, "Generate", model, prompt)...)
			same(t, out, answer(t, model, prompt, false))
		})
	}
	fails(t, "no such file", append(java, "Generate", "/none.gguf", prompt)...)
	model := tiny(t)
	for _, chained := range []bool{false, true} { // with Java's own way of sharing signals, and without
		args := append(java, "Nulls", model)
		if chained {
			args = append([]string{"LD_PRELOAD=" + home + "/lib/libjsig.so", "java", "-Xcheck:jni"}, args[1:]...)
		}
		out, complaints := run(t, args...)
		if want := "enough\nthe model is closed\nledge: gguf: stat /none.gguf: no such file or directory\n300\n"; out != want {
			t.Errorf("it wrote %q, not %q", out, want)
		}
		if chained && complaints != "" {
			t.Errorf("-Xcheck:jni: %s", complaints)
		}
	}
}

// javaHome is the JDK's folder.
func javaHome(t *testing.T) string {
	t.Helper()
	props, settings := run(t, "java", "-XshowSettings:properties", "-version")
	home := ""
	for line := range strings.Lines(props + settings) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "java.home = "); ok {
			home = v
		}
	}
	if _, err := os.Stat(home + "/include/jni.h"); err != nil {
		t.Skip("no jni.h: a JDK is needed, not only a runtime")
	}
	return home
}

// fails wants a program to end with an error that says something.
func fails(t *testing.T, say string, args ...string) {
	t.Helper()
	out, complaints, err := try(args...)
	if err == nil || !strings.Contains(complaints, say) || strings.Contains(complaints, "Traceback") {
		t.Errorf("%s: %v\n%s%s", strings.Join(args, " "), err, out, complaints)
	}
}
