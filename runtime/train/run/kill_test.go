package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/runtime/train/checkpoint"
	"github.com/ledge-run/ledge/runtime/train/recipe"
)

var background = context.Background()

// TestMain plays a program that trains, and says after which step it is.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LEDGE_TEST_TRAIN"); dir != "" {
		if err := child(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(dir string) error {
	r, err := makeRecipe(dir)
	if err != nil {
		return err
	}
	d, err := cpu.Open(backend.Options{Threads: 1})
	if err != nil {
		return err
	}
	_, err = Run(background, r, Options{Device: d, after: func(n int) { fmt.Println("step", n) }})
	return err
}

func storeOf(r *recipe.Recipe) checkpoint.Store {
	return checkpoint.Store{Dir: filepath.Join(r.Out, checkpointsName)}
}

// TestKilled: a process that is killed at any moment, several times, ends with the
// model of one that was not, and loses no more than the steps since its last checkpoint.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	r, err := makeRecipe(dir)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := whole(t, r)
	if err := os.Remove(r.Tokenizer); err != nil { // children write their own
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	done := 0 // the last step that was told of
	for killed := 0; ; killed++ {
		if err := os.Remove(r.Tokenizer); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "LEDGE_TEST_TRAIN="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		from, last := -1, 0
		after := 1 + rng.IntN(40) // steps, and then a moment
		if killed == 5 {
			after = 1 << 30
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "step "))
			if err != nil {
				t.Error(lines.Text())
			}
			if from < 0 {
				// Checkpoints are after every fifth step: so many at most are lost.
				if from = n; n > done+1 || n <= done-5 {
					t.Errorf("killed after step %d, it goes on with step %d", done, n)
				}
			}
			if last = n; n-from == after {
				time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
				_ = cmd.Process.Kill() // it may have come to its end
			}
		}
		done = max(done, last)
		if err := cmd.Wait(); err == nil {
			if killed == 0 {
				t.Error("it was never killed")
			}
			break
		} else if killed >= 5 {
			t.Fatalf("it ends with %v", err)
		}
	}
	if got := hashOf(t, filepath.Join(r.Out, ModelName)); got != want {
		t.Error("the model of a killed run is another")
	}
}

// TestInterrupted: a run whose context ends makes a checkpoint and goes on from it.
func TestInterrupted(t *testing.T) {
	r := numbers(t)
	r.Train.Steps = 30
	want, _ := whole(t, r)
	cause := errors.New("Ctrl-C")
	for _, at := range []int{3, 17} {
		ctx, cancel := context.WithCancelCause(t.Context())
		var said notes
		_, err := Run(ctx, r, Options{Device: device(t, 2), Note: said.add, after: func(n int) {
			if n == at {
				cancel(cause)
			}
		}})
		if !errors.Is(err, ErrStopped) || !errors.Is(err, cause) || !strings.Contains(said.String(), fmt.Sprintf("stopped after step %d of 30", at)) {
			t.Errorf("%v; %s", err, &said)
		}
	}
	if got := hashOf(t, train(t, r, Options{}).Model); got != want {
		t.Error("the model of an interrupted run is another")
	}
}
