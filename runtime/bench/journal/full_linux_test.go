package journal_test

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/journal"
)

// TestMain plays a program whose files may not grow beyond 300 kB.
func TestMain(m *testing.M) {
	if path := os.Getenv("FULL"); path != "" {
		os.Exit(untilFull(path))
	}
	os.Exit(m.Run())
}

func untilFull(path string) int {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 300e3, Max: 300e3}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		println(err.Error())
		return 3
	}
	j, err := journal.Open(path)
	if err != nil {
		println(err.Error())
		return 3
	}
	r := rec("a", 1)
	r.Disturbed = []string{strings.Repeat("x", 10e3)}
	for range 100 {
		if err := j.Reserve(); err != nil {
			println(err.Error())
			first, second := j.Add(r), j.Add(r)
			if first == nil && second == nil && j.Close() == nil { // there is less room than wanted, but some
				return 1
			}
			return 2
		}
		if err := j.Add(r); err != nil {
			return 2
		}
	}
	return 0
}

// TestFull: a disk that gets full is known before a round is measured for nothing, and
// what is there stays.
func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.jsonl")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "FULL="+path)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "cannot make room for another round in the journal "+path+": file too large; its 4 rounds are kept") {
		t.Fatalf("%v: %s", err, out)
	}
	all, err := journal.Read(path)
	if err != nil || len(all) != 6 {
		t.Errorf("%d records, %v", len(all), err)
	}
	// Later there is room.
	j := open(t, path)
	if len(j.Records) != 6 || j.Cut != 0 || j.Reserve() != nil || j.Add(rec("b", 1)) != nil {
		t.Errorf("%d records, %d cut", len(j.Records), j.Cut)
	}
}

// TestNoSpace: a write that fails leaves the file as it was.
func TestNoSpace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	path := filepath.Join(dir, "j.jsonl")
	j := open(t, path)
	r := rec("a", 1)
	r.Disturbed = []string{strings.Repeat("x", 10e3)}
	n := 0
	for ; n < 100 && j.Reserve() == nil; n++ {
		if err := j.Add(r); err != nil {
			t.Fatalf("room was promised: %v", err)
		}
	}
	for ; n < 100; n++ {
		if err := j.Add(r); err != nil {
			if !strings.Contains(err.Error(), "no space left on device") || !strings.Contains(err.Error(), "rounds are kept") {
				t.Error(err)
			}
			break
		}
	}
	if all, err := journal.Read(path); err != nil || len(all) != n || n < 20 || n == 100 {
		t.Errorf("%d of %d records, %v", len(all), n, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
