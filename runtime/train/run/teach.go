package run

import (
	"context"
	"path/filepath"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/train/distill"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// wordsName is the file that keeps what a teacher says, and mostWords how large it may
// become: 16 million tokens of 32 ids.
const (
	wordsName = "teacher.words"
	mostWords = 4 << 30
)

// teach opens the teacher that the recipe has.
func (x *running) teach(ctx context.Context) (err error) {
	d := x.plan.r.Distill
	if d == nil {
		return nil
	}
	ids := x.net.Model.Info().Vocab
	t := &model.Teacher{K: min(d.TopK, ids), Temperature: float32(d.Temperature), Mix: float32(d.Mix)}
	x.teacher, err = distill.Open(ctx, d.Teacher, x.net.vocab, ids, distill.Options{
		K: t.K, Temperature: t.Temperature, Longest: x.plan.context,
		Engine: engine.Options{Device: string(backend.CPU), Threads: x.o.Threads},
		Store:  filepath.Join(x.plan.r.Out, cacheName, wordsName), Most: mostWords, Note: x.o.Note,
	})
	if err != nil {
		return err
	}
	x.plan.teacher, x.plan.teacherKey = t, x.teacher.Key()
	return nil
}

// ask gives parts what the teacher says of them.
func (x *running) ask(ctx context.Context, parts []step.Part) error {
	if x.teacher == nil {
		return nil
	}
	return x.teacher.Fill(ctx, parts)
}
