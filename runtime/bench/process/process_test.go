package process_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/process"
)

// playMore plays what one system alone can.
var playMore func(what string)

// TestMain plays the programs that are run.
func TestMain(m *testing.M) {
	switch os.Getenv("PLAY") {
	case "":
		os.Exit(m.Run())
	case "echo":
		data := make([]byte, 100)
		n, _ := os.Stdin.Read(data)
		fmt.Printf("%s %s", os.Args[1], data[:n])
	case "fail":
		fmt.Fprintln(os.Stderr, "first\nlast words")
		os.Exit(3)
	case "flood":
		block := make([]byte, 1<<20)
		for {
			if _, err := os.Stdout.Write(block); err != nil {
				os.Exit(1)
			}
		}
	case "hang":
		time.Sleep(time.Hour)
	case "leave", "hold": // ends, and leaves a child, which may hold the output
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PLAY=hang")
		if os.Getenv("PLAY") == "hold" {
			cmd.Stdout = os.Stdout
		}
		if err := cmd.Start(); err != nil {
			os.Exit(2)
		}
		if err := os.WriteFile(os.Args[1], []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
			os.Exit(2)
		}
	case "child": // hangs, and so does its child, which holds the output
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PLAY=hang")
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err != nil {
			os.Exit(2)
		}
		if err := os.WriteFile(os.Args[1], []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
			os.Exit(2)
		}
		time.Sleep(time.Hour)
	default:
		if playMore != nil {
			playMore(os.Getenv("PLAY"))
		}
	}
}

func play(ctx context.Context, t *testing.T, what string, timeout time.Duration, args ...string) (process.Result, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return process.Run(ctx, process.Command{Path: self, Args: args, Env: []string{"PLAY=" + what}, Stdin: []byte("in"), Timeout: timeout})
}

func TestRun(t *testing.T) {
	heard := ""
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := process.Run(context.Background(), process.Command{Path: self, Args: []string{"out"}, Env: []string{"PLAY=echo"}, Stdin: []byte("in"), Heard: func(all []byte) { heard = string(all) }})
	if err != nil || string(r.Stdout) != "out in" || heard != "out in" || r.Wall <= 0 {
		t.Errorf("%q, %v", r.Stdout, err)
	}
	for _, c := range []struct {
		what, say string
		timeout   time.Duration
	}{
		{"fail", "exit status 3: last words", 0},
		{"flood", "wrote more than", 0},
		{"hang", "did not end within 300ms", 300 * time.Millisecond},
	} {
		if _, err := play(context.Background(), t, c.what, c.timeout); err == nil || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if _, err := process.Run(context.Background(), process.Command{Path: "/no/such/program"}); err == nil || !strings.Contains(err.Error(), "program: no such file") {
		t.Errorf("no program: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("told to")
	time.AfterFunc(100*time.Millisecond, func() { cancel(cause) })
	if _, err := play(ctx, t, "hang", 0); !errors.Is(err, cause) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestChildren: what a program started ends with it.
func TestChildren(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	start := time.Now()
	if _, err := play(context.Background(), t, "child", time.Second, path); err == nil || !strings.Contains(err.Error(), "did not end") {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	gone(t, path)
}

// TestLeft: what a program leaves behind when it ends by itself ends, too.
func TestLeft(t *testing.T) {
	for what, say := range map[string]string{"leave": "", "hold": "holds its output"} {
		path := filepath.Join(t.TempDir(), "pid")
		if _, err := play(context.Background(), t, what, time.Minute, path); say == "" && err != nil || say != "" && (err == nil || !strings.Contains(err.Error(), say)) {
			t.Fatalf("%s: %v", what, err)
		}
		gone(t, path)
	}
}

// gone waits until the process whose number a file has is no more.
func gone(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("the child was not started in time: %v", err)
	}
	for range 100 {
		stat, err := os.ReadFile("/proc/" + string(data) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("process %s is still there", data)
}
