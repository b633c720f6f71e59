package worker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/worker"
)

// TestSpin: it says that it spins, and why it ended.
func TestSpin(t *testing.T) {
	serve := func(ctx context.Context, out io.Writer, job string) error {
		return worker.Serve(ctx, strings.NewReader(job), out, "test", nil)
	}
	var out bytes.Buffer
	err := serve(context.Background(), &out, `{"version": 1, "kind": "spin", "settings": {"busy": 1}, "limit": 1000000}`)
	if first, last, _ := strings.Cut(out.String(), "\n"); err == nil || first != `{"version":1}` || !strings.Contains(last, "did not end within 1ms") {
		t.Errorf("%v, %s", err, out.String())
	}
	// Without a limit that passes it goes on until it is told to end.
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("told to")
	if err := serve(ctx, told(func() { cancel(cause) }), `{"version": 1, "kind": "spin", "settings": {"busy": 9999}, "limit": 3600000000000}`); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}

// told calls itself when something is written.
type told func()

func (f told) Write(p []byte) (int, error) { f(); return len(p), nil }
