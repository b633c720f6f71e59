//go:build unix

package trust

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
)

func shell(t *testing.T) string {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	return sh
}

// TestEndedFromOutside: a trial that somebody ends says nothing about the driver, and is
// not remembered; a crash is.
func TestEndedFromOutside(t *testing.T) {
	sh := shell(t)
	for script, want := range map[string]struct {
		reason string
		kept   bool
	}{
		"kill -INT $$":  {"its trial was ended from outside (interrupt)", false},
		"kill -TERM $$": {"its trial was ended from outside (terminated)", false},
		"kill -HUP $$":  {"its trial was ended from outside (hangup)", false},
		"kill -KILL $$": {"its trial was ended from outside (killed: by the system, if memory ran out)", false},
		"exit 130":      {"its trial was ended from outside (interrupt)", false},
		"exit 143":      {"its trial was ended from outside (terminated)", false},
		"kill -SEGV $$": {"its driver crashed when it was tried: signal: segmentation fault", true},
		"kill -ABRT $$": {"its driver crashed when it was tried: signal: aborted", true},
		"kill -BUS $$":  {"its driver crashed when it was tried: signal: bus error", true},
		"kill -ILL $$":  {"its driver crashed when it was tried: signal: illegal instruction", true},
		"kill -FPE $$":  {"its driver crashed when it was tried: signal: floating point exception", true},
		"exit 3":        {"its driver crashed when it was tried: exit status 3", true},
	} {
		if strings.Contains(script, "HUP") && signal.Ignored(syscall.SIGHUP) {
			continue // as under nohup: children have it from us
		}
		d, c, _ := newDriver(t)
		p := &Prover{Program: []string{sh, "-c", "ulimit -c 0; " + script}, Cache: c}
		v := p.Prove(context.Background(), d.driver(), backend.Trial{})
		kept, _, err := c.List()
		if !strings.HasPrefix(v.Reason, want.reason) || (len(kept) == 1) != want.kept || err != nil {
			t.Errorf("%s: %q, kept %+v, %v", script, v.Reason, kept, err)
		}
	}
}

// TestOwnGroup: what a terminal sends to our group is not for a trial. Who gives up on a
// trial ends what it started, too.
func TestOwnGroup(t *testing.T) {
	d, _, _ := newDriver(t)
	file := filepath.Join(t.TempDir(), "pid")
	p := &Prover{Program: []string{shell(t), "-c", "sleep 60 & echo $! >" + file + "; wait"}, Limit: time.Second}
	over := make(chan backend.Verdict)
	go func() { over <- p.Prove(context.Background(), d.driver(), backend.Trial{}) }()
	if group, err := syscall.Getpgid(pidIn(t, file)); err != nil || group == syscall.Getpgrp() {
		t.Errorf("it is in our group, %d: %v", group, err)
	}
	if v := <-over; !strings.Contains(v.Reason, "did not answer within 1s") {
		t.Errorf("%+v", v)
	}
	ends(t, file)
}

// TestOrphan: a trial ends with the process that waits for it, however that ends.
func TestOrphan(t *testing.T) {
	sh := shell(t)
	if file := os.Getenv("LEDGE_TEST_ORPHAN"); file != "" {
		d, _, _ := newDriver(t)
		p := &Prover{Program: []string{sh, "-c", "echo $$ >" + file + "; exec sleep 60"}}
		p.Prove(context.Background(), d.driver(), backend.Trial{})
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends it")
	}
	file := filepath.Join(t.TempDir(), "pid")
	c := exec.Command(os.Args[0], "-test.run=^TestOrphan$")
	c.Env = append(os.Environ(), "LEDGE_TEST_ORPHAN="+file)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	pidIn(t, file)
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	ends(t, file)
}

// pidIn waits for the number of a process in a file.
func pidIn(t *testing.T, file string) int {
	t.Helper()
	for range 1000 {
		data, _ := os.ReadFile(file)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			return pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no process was started")
	return 0
}

// ends waits for the end of the process whose number a file has.
func ends(t *testing.T, file string) {
	t.Helper()
	pid := pidIn(t, file)
	for range 500 {
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && strings.Contains(string(stat), ") Z ") || syscall.Kill(pid, 0) != nil {
			return // or nobody has asked how it ended
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d goes on", pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}
