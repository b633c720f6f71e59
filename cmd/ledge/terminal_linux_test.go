package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// session is a program on a terminal of its own.
type session struct {
	t    *testing.T
	keys *os.File
	cmd  *exec.Cmd

	mu     sync.Mutex
	screen bytes.Buffer
	seen   int // bytes of the screen that were waited for
}

// onTerminal starts the program on a pseudo-terminal.
func onTerminal(t *testing.T, args ...string) *session {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminal to be had: ", err)
	}
	t.Cleanup(func() { keys.Close() })
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Skip("no pseudo-terminal to be had: ", err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminal to be had: ", err)
	}
	defer tty.Close()
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, keys: keys, cmd: program(t, args...)}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.Env = append(s.cmd.Env, "TERM=xterm", "XDG_STATE_HOME="+t.TempDir())
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			s.mu.Lock()
			s.screen.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

// expect waits until the text comes on the screen after what was expected
// before, then types.
func (s *session) expect(text, keys string) {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		i := strings.Index(s.screen.String()[s.seen:], text)
		if i >= 0 {
			s.seen += i + len(text)
		}
		s.mu.Unlock()
		if i >= 0 {
			if _, err := s.keys.WriteString(keys); err != nil {
				s.t.Fatal(err)
			}
			return
		}
	}
	s.t.Fatalf("%q did not come:\n%q", text, s.screen.String())
}

func (s *session) exit(code int) {
	s.t.Helper()
	if got := exitOf(s.cmd.Wait()); got != code {
		s.t.Errorf("exit code %d, want %d:\n%q", got, code, s.screen.String())
	}
}

// TestChatTerminal talks as a person does: editing, history, Ctrl-C, commands.
func TestChatTerminal(t *testing.T) {
	m := golden(t, "llama-gqa")
	s := onTerminal(t, "chat", "-m", m, "-n", "3", "--temp", "0")
	s.expect("Ctrl-D leaves", "")
	s.expect("> ", "thx\x7fe\r")      // the, with a mistake put right
	s.expect("\n", "")                // the answer
	s.expect("> ", "\x1b[A other\r")  // the line before, and more
	s.expect("the other", "")         // shown as edited
	s.expect("> ", "thrown away\x03") // Ctrl-C drops the line
	s.expect("> ", "one \\\rmore\r")  // two lines, one message
	s.expect("more", "")
	s.expect("> ", "\x03")    // Ctrl-C on an empty line
	s.expect("once more", "") // says how to leave
	s.expect("> ", "/stats\r")
	s.expect("2 messages", "") // the others left: the context of the tiny model is small
	s.expect("> ", "/system Be nice.\r")
	s.expect("message set", "")
	s.expect("> ", "\x04")
	s.exit(0)
}

func TestTerminalLeave(t *testing.T) {
	m := golden(t, "llama-gqa")
	s := onTerminal(t, "chat", "-m", m)
	s.expect("> ", "\x03")
	s.expect("once more", "")
	s.expect("> ", "\x03")
	s.expect("ledge: interrupted", "")
	s.exit(exitInterrupted)
}

// TestStopAnswer stops an answer of a real model.
func TestStopAnswer(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS does not name a folder with the real models")
	}
	m := filepath.Join(dir, "smollm2-135m-instruct-q4_1.gguf")
	s := onTerminal(t, "chat", "-m", m, "--seed", "1")
	s.expect("> ", "Write a very long story about a cat.\r")
	s.expect("cat.\r\n", "")
	s.expect(" ", "\x03")
	s.expect("(stopped)", "")
	s.expect("> ", "/exit\r")
	s.exit(0)
	s = onTerminal(t, "run", "-m", m, "--seed", "1", "Write a very long story about a cat.")
	s.expect(" ", "\x03")
	s.expect("ledge: interrupted", "")
	s.exit(exitInterrupted)
}
