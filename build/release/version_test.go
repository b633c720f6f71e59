package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// shell runs a command in a folder, with settings besides those of the tests, and gives
// what it writes.
func shell(t *testing.T, dir string, settings []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), settings...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, complaints.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// need skips a test by the name of the tool that it lacks.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
}

// copied is a folder with some scripts of this repository.
func copied(t *testing.T, scripts ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, s := range scripts {
		data, err := os.ReadFile("../../" + s)
		if err != nil {
			t.Fatal(err)
		}
		place(t, filepath.Join(dir, s), string(data))
	}
	return dir
}

func place(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestVersion: a version of Ledge is greater than those before it, and so is a package's
// for Debian: what comes before a release is less than the release.
func TestVersion(t *testing.T) {
	need(t, "git", "bash")
	dir := copied(t, "build/version.sh")
	var settings []string
	at := 0
	git := func(args ...string) {
		t.Helper()
		at++
		date := fmt.Sprintf("2026-01-02T03:%02d:00Z", at)
		settings = []string{"GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date, "GIT_CONFIG_GLOBAL=/dev/null", "LEDGE_VERSION="}
		shell(t, dir, settings, append([]string{"git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "tag.gpgSign=false"}, args...)...)
	}
	var order []string // Debian's versions, as time goes
	version := func(want, debian string) {
		t.Helper()
		revision := ""
		if strings.Contains(want, "+git") {
			revision = shell(t, dir, settings, "git", "rev-parse", "HEAD")[:8]
		}
		for _, c := range []struct{ form, want string }{{"", want}, {"debian", debian}} {
			w := strings.ReplaceAll(c.want, "REVISION", revision)
			if got := shell(t, dir, settings, "bash", "build/version.sh", c.form); got != w {
				t.Errorf("build/version.sh %s: %s, not %s", c.form, got, w)
			} else if c.form != "" {
				order = append(order, got)
			}
		}
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "1")
	version("0.0.0+git20260102030300.REVISION", "0.0.0+git20260102030300.REVISION")
	git("tag", "v1.2.3-rc1")
	version("1.2.3-rc1", "1.2.3~rc1")
	git("commit", "-q", "--allow-empty", "-m", "2")
	version("1.2.3-rc1+git20260102030500.REVISION", "1.2.3~rc1+git20260102030500.REVISION")
	git("tag", "v1.2.3-rc.2-a") // dpkg would take what follows a hyphen for another revision
	version("1.2.3-rc.2-a", "1.2.3~rc.2.a")
	git("commit", "-q", "--allow-empty", "-m", "3")
	git("tag", "v1.2.3-rc9")
	git("tag", "v1.2.3-rc10")
	version("1.2.3-rc10", "1.2.3~rc10")
	git("tag", "-a", "-m", "it", "v1.2.3") // what was tried is released
	version("1.2.3", "1.2.3")
	git("commit", "-q", "--allow-empty", "-m", "4")
	version("1.2.3+git20260102031100.REVISION", "1.2.3+git20260102031100.REVISION")
	git("tag", "v1.10.0")
	version("1.10.0", "1.10.0")
	place(t, filepath.Join(dir, "new"), "")
	version("1.10.0.dirty", "1.10.0.dirty")
	if got := shell(t, dir, []string{"LEDGE_VERSION=2.0-beta"}, "bash", "build/version.sh", "debian"); got != "2.0~beta" {
		t.Error(got)
	}
	need(t, "dpkg")
	order = slices.DeleteFunc(order, func(v string) bool { return v == "1.2.3~rc.2.a" }) // other rules than rc1's
	for i := 1; i < len(order); i++ {
		shell(t, dir, nil, "dpkg", "--compare-versions", order[i-1], "lt", order[i])
	}
}

// TestPack: Debian's packages have Debian's form of the version wherever they name it, the
// archive has Ledge's.
func TestPack(t *testing.T) {
	need(t, "bash", "dpkg-deb", "gzip", "xz", "go", "true")
	arch := map[string]string{"amd64": "amd64", "arm64": "arm64"}[runtime.GOARCH]
	if arch == "" || runtime.GOOS != "linux" {
		t.Skip("no packages for this machine")
	}
	program, err := exec.LookPath("true") // any that the system's linker starts
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	tree, to := t.TempDir(), t.TempDir()
	for _, name := range []string{"bin/ledge", "bin/ledge-bench", "lib/libledge.so.1"} {
		place(t, filepath.Join(tree, name), string(binary))
	}
	for _, name := range []string{"include/ledge.h", "lib/cmake/ledge/ledge-config.cmake", "lib/pkgconfig/ledge.pc", "share/man/man1/ledge.1", "share/man/man1/ledge-bench.1",
		"share/man/man3/libledge.3", "share/doc/ledge/THIRD_PARTY_NOTICES", "share/doc/ledge/ledge.cdx.json", "share/doc/ledge/examples/c/x.c"} {
		place(t, filepath.Join(tree, name), "x\n")
	}
	shell(t, "../..", []string{"LEDGE_VERSION=1.2.3-rc1", "SOURCE_DATE_EPOCH=1000000000"}, "bash", "build/pack.sh", tree, arch, to)
	var names []string
	for _, name := range []string{"ledge", "ledge-bench", "libledge1", "libledge-dev"} {
		deb := name + "_1.2.3~rc1_" + arch + ".deb"
		names = append(names, deb)
		if got := shell(t, to, nil, "dpkg-deb", "-f", deb, "Version"); got != "1.2.3~rc1" {
			t.Errorf("%s is of version %s", deb, got)
		}
	}
	if got := shell(t, to, nil, "dpkg-deb", "-f", names[3], "Depends"); got != "libledge1 (= 1.2.3~rc1)" {
		t.Errorf("%s depends on %s", names[3], got)
	}
	if got := shell(t, to, nil, "bash", "-c", "dpkg-deb --ctrl-tarfile "+names[2]+" | tar -xO ./shlibs"); got != "libledge 1 libledge1 (>= 1.2.3~rc1)" {
		t.Errorf("%s has programs depend on %s", names[2], got)
	}
	same(t, to, append(names, "ledge-1.2.3-rc1-linux-"+arch+".tar.gz"))
}

// same compares the files of a folder with those that should be in it.
func same(t *testing.T, dir string, want []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s has %q, not %q", dir, got, want)
	}
}

// TestPackage: the sums are those of what was just made, whatever else lies there or was
// left by a build that was broken off.
func TestPackage(t *testing.T) {
	need(t, "bash", "sha256sum")
	dir := copied(t, "build/package.sh")
	place(t, filepath.Join(dir, "tools/cmake"), "#!/bin/bash\nif [ \"$1\" = -B ]; then mkdir -p \"$2\"; fi\n")
	place(t, filepath.Join(dir, "tools/cpack"), `#!/bin/bash
arch=$(basename "$PWD")
mkdir -p "$2"
for name in ledge_2_$arch.deb libledge1_2_$arch.deb ledge-2-linux-$arch.tar.gz; do echo "$name" >"$2/$name"; done
`)
	made := []string{"ledge_2_amd64.deb", "libledge1_2_amd64.deb", "ledge-2-linux-amd64.tar.gz", "ledge_2_arm64.deb", "libledge1_2_arm64.deb", "ledge-2-linux-arm64.tar.gz"}
	others := []string{"other_1_amd64.deb", "other.tar.gz"}
	to := filepath.Join(dir, "to")
	for _, name := range append([]string{"ledge_1_amd64.deb"}, others...) {
		place(t, filepath.Join(to, name), "of before")
	}
	place(t, filepath.Join(dir, "out/package/amd64/packages/ledge_1_amd64.deb"), "broken off")
	shell(t, dir, []string{"LEDGE_ZIG=/none", "PATH=" + filepath.Join(dir, "tools") + ":" + os.Getenv("PATH")}, "bash", "build/package.sh", to)
	sums, err := os.ReadFile(filepath.Join(to, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for line := range strings.Lines(string(sums)) {
		named[strings.Fields(line)[1]] = true
	}
	if got := slices.Sorted(maps.Keys(named)); !slices.Equal(got, slices.Sorted(slices.Values(made))) {
		t.Errorf("SHA256SUMS has %q", got)
	}
	shell(t, to, nil, "sha256sum", "-c", "--quiet", "SHA256SUMS")
	same(t, to, slices.Concat(made, others, []string{"SHA256SUMS"}))
}
