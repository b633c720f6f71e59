//go:build unix

package owned

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o644: true, 0o400: true, 0o666: false, 0o646: false, 0o602: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrNotOwned) {
			t.Errorf("mode %o: %v", mode, err)
		}
		if err == nil {
			f.Close()
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(link); err == nil {
		t.Error("a link is followed")
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Open(pipe)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a pipe is opened")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("opening a pipe waits")
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestOther(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrNotOwned) {
		t.Errorf("another user's file: %v", err)
	}
}

func TestDir(t *testing.T) {
	dir := t.TempDir()
	if err := Dir(filepath.Join(dir, "none")); err != nil {
		t.Errorf("no folder: %v", err)
	}
	for mode, ok := range map[os.FileMode]bool{0o700: true, 0o755: true, 0o777: false} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := Dir(dir); (err == nil) != ok {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}
