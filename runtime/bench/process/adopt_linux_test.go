package process_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/process"
)

func init() {
	playMore = func(what string) {
		switch what {
		case "session": // ends, and leaves a child in a session of its own
			detach("hang", false)
		case "session-holds":
			detach("hang", true)
		case "session-hangs": // does not end, either
			detach("hang", true)
			time.Sleep(time.Hour)
		case "session-ends": // leaves a child that has ended, or does at once
			detach("nothing", false)
		case "daemon": // what it leaves is not its child any more
			detach("session", false)
		case "bare": // what it leaves has a child without variables
			detach("parent", false)
			for range 200 { // of which there is word
				if data, _ := os.ReadFile(os.Args[1]); strings.Count(string(data), "\n") == 2 {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			os.Exit(2)
		case "parent":
			sleep, err := exec.LookPath("sleep")
			if err != nil {
				os.Exit(2)
			}
			start(&exec.Cmd{Path: sleep, Args: []string{sleep, "300"}, Env: []string{"X=1"}, SysProcAttr: &syscall.SysProcAttr{Setsid: true}})
			time.Sleep(time.Hour)
		}
	}
}

// detach starts this program in a session of its own.
func detach(what string, hold bool) {
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), "PLAY="+what)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if hold {
		cmd.Stdout = os.Stdout
	}
	start(cmd)
}

// start starts a program and writes its number down.
func start(cmd *exec.Cmd) {
	if err := cmd.Start(); err != nil {
		os.Exit(2)
	}
	f, err := os.OpenFile(os.Args[1], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		os.Exit(2)
	}
	if _, err := fmt.Fprintln(f, cmd.Process.Pid); err != nil {
		os.Exit(2)
	}
}

// numbers waits for those in a file.
func numbers(t *testing.T, path string, want int) []string {
	t.Helper()
	for range 1000 {
		if data, _ := os.ReadFile(path); strings.Count(string(data), "\n") >= want {
			return strings.Fields(string(data))
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d processes were not started", want)
	return nil
}

// runs reports whether a process has not ended.
func runs(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// TestOrphans: of what a program has started, and what ended by itself, nothing is left for
// this process to take note of; what is this process's own is left to it.
func TestOrphans(t *testing.T) {
	var own []*exec.Cmd
	start := func(attr *syscall.SysProcAttr) {
		cmd := exec.Command("true")
		cmd.SysProcAttr = attr
		if err := cmd.Start(); err != nil {
			t.Skip(err)
		}
		own = append(own, cmd)
	}
	start(&syscall.SysProcAttr{Setsid: true}) // as an orphan would be, but before
	path := filepath.Join(t.TempDir(), "pids")
	beside, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = play(beside, t, "hang", 0)
	}()
	for range 3 {
		start(nil)
		if _, err := play(context.Background(), t, "session-ends", time.Minute, path); err != nil {
			t.Fatal(err)
		}
	}
	end()
	<-ended
	if _, err := play(context.Background(), t, "echo", time.Minute, "x"); err != nil { // what ended too late for its own run
		t.Fatal(err)
	}
	for _, pid := range numbers(t, path, 3) {
		if stat, err := os.ReadFile("/proc/" + pid + "/stat"); err == nil {
			t.Errorf("left: %s", stat)
		}
	}
	for _, cmd := range own {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a child of this process's own: %v", err)
		}
	}
}

// TestSessions: what a program leaves ends, also in a session of its own; what others
// started stays.
func TestSessions(t *testing.T) {
	other := exec.Command("sleep", "300")
	other.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := other.Start(); err != nil {
		t.Skip(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	beside, end := context.WithCancel(context.Background())
	theirs := filepath.Join(t.TempDir(), "pids")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = play(beside, t, "session-hangs", 0, theirs) // cancelled
	}()
	stays := append(numbers(t, theirs, 1), fmt.Sprint(other.Process.Pid))

	for _, c := range []struct {
		what, say string
		timeout   time.Duration
		count     int
	}{
		{"session", "", time.Minute, 1},
		{"session-holds", "holds its output", time.Minute, 1},
		{"session-hangs", "did not end within", 5 * time.Second, 1},
		{"daemon", "", time.Minute, 1},
		{"bare", "", time.Minute, 2},
		{"leave", "", time.Minute, 0}, // in the group: nothing is left of it
	} {
		path := filepath.Join(t.TempDir(), "pids")
		r, err := play(context.Background(), t, c.what, c.timeout, path)
		if c.say == "" && err != nil || c.say != "" && (err == nil || !strings.Contains(err.Error(), c.say)) {
			t.Errorf("%s: %v", c.what, err)
		}
		if r.Wall > 20*time.Second {
			t.Errorf("%s took %v", c.what, r.Wall)
		}
		data, err := os.ReadFile(path)
		if err != nil || strings.Count(string(data), "\n") < c.count {
			t.Fatalf("%s: %q, %v", c.what, data, err)
		}
		for _, pid := range strings.Fields(string(data)) {
			if runs(pid) {
				t.Errorf("%s: process %s is still there", c.what, pid)
			}
		}
	}
	for _, pid := range stays {
		if !runs(pid) {
			t.Errorf("process %s, which is another's, is gone", pid)
		}
	}
	end()
	<-ended
	for _, pid := range stays[:1] {
		if runs(pid) {
			t.Errorf("process %s is still there after its own run", pid)
		}
	}
	var r process.Result
	if r, _ = play(context.Background(), t, "echo", 0, "x"); string(r.Stdout) != "x in" {
		t.Errorf("%q", r.Stdout)
	}
}
