package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// TestBest: where the loss on other data rises again, the model is of the step where it
// was lowest, though its checkpoint is not one of the last, and so it is if the run is
// interrupted, in a validation, too.
func TestBest(t *testing.T) {
	r := numbers(t)
	var valid strings.Builder
	w := strings.Fields(words)
	for i := range w { // the form is that of the training data, what follows is not
		fmt.Fprintf(&valid, `{"prompt":"%s\n","completion":"%s"}`+"\n", w[i], w[(i+4)%len(w)])
	}
	if err := os.WriteFile(r.Data.Valid[0], []byte(valid.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	r.Export.Best, r.Validate.Every, r.Train.Steps = true, 4, 90
	r.Checkpoint.Steps = 15
	want, res := whole(t, r)
	if res.Best == nil || res.Best.Step >= 60 || res.Best.Step%4 != 0 || res.Best.Valid > *res.Valid-.1 {
		t.Fatalf("%+v, best %+v", res, res.Best)
	}
	best := *res.Best

	last := elsewhere(t, r)
	last.Export.Best = false
	if res := train(t, last, Options{}); hashOf(t, res.Model) == want || res.Best != nil {
		t.Error("the best step's model is the last one's")
	}

	// In pieces, each of which ends with a model of what is best until then.
	var said notes
	for _, n := range []int{best.Step - 1, 3, 40, 0} {
		res = train(t, r, Options{Steps: n, Note: said.add})
	}
	if hashOf(t, res.Model) != want || *res.Best != best {
		t.Errorf("in pieces: step %+v, not %+v", *res.Best, best)
	}
	if s := fmt.Sprintf("the model is that of step %d, after which the validation loss was lowest", best.Step); strings.Count(said.String(), s) < 2 {
		t.Error(said.String())
	}
	steps, err := storeOf(r).Steps()
	if err != nil || !slices.Equal(steps, []int{90, 75, best.Step}) {
		t.Errorf("checkpoints of %v, %v", steps, err)
	}
	f, err := gguf.Open(res.Model)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	k, err := storeOf(r).Open(best.Step)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for _, x := range f.Tensors() {
		got, err := x.Dequantize()
		v := make([]float32, len(got))
		if err = errors.Join(err, readParameter(k, x.Name, v)); err != nil || !slices.Equal(got, v) {
			t.Errorf("%s is not that of the checkpoint: %v", x.Name, err)
		}
	}

	// Its checkpoint is damaged: the best of the others, which is said.
	at := filepath.Join(r.Out, checkpointsName, fmt.Sprintf("step-%09d.ckpt", best.Step))
	if err := os.Truncate(at, 1000); err != nil {
		t.Fatal(err)
	}
	if res = train(t, r, Options{Note: said.add}); res.Best.Step != 90 || !strings.Contains(said.String(), fmt.Sprintf("of step %d, which was better, there is no whole checkpoint", best.Step)) {
		t.Errorf("%+v: %s", res.Best, said.String())
	}

	// Losses on other data do not count.
	other := elsewhere(t, r)
	train(t, other, Options{Steps: best.Step + 4})
	other.Validate.Tokens = 20
	if res = train(t, other, Options{Steps: 4}); res.Best == nil || res.Best.Step == best.Step {
		t.Errorf("a loss on other data counts: %+v", res.Best)
	}

	// Interrupted where the best step is validated.
	c := elsewhere(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Run(ctx, c, Options{Device: device(t, 1), Progress: func(p Progress) {
		if p.Stage == "validating" && p.Text == fmt.Sprintf("after step %d", best.Step) {
			cancel()
		}
	}})
	if !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	for range 2 { // the second finds what the first one has found
		if res = train(t, c, Options{Steps: 1}); *res.Best != best || res.Steps > best.Step+2 {
			t.Errorf("after step %d the best is %+v", res.Steps, *res.Best)
		}
	}
	if res = train(t, c, Options{}); hashOf(t, res.Model) != want {
		t.Error("interrupted in the validation of the best step, the model is another one")
	}
	log, err := openLog(filepath.Join(c.Out, LogName), math.MaxInt, false)
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()
	if len(log.all) != 90 || log.all[best.Step-1].Valid == nil || *log.all[best.Step-1].Valid != best.Valid {
		t.Errorf("%d records, %+v", len(log.all), log.all[best.Step-1])
	}
}
