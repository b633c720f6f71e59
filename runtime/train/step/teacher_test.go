package step_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// taught is a model that learns from a teacher.
func taught(t testing.TB, threads int, teacher model.Teacher, dropout float32, o step.Options) *step.Trainer {
	t.Helper()
	m, err := model.New(small)
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.Decoder(model.Options{Max: limits, Context: 512, Train: &model.Train{Dropout: dropout, Teacher: &teacher}})
	if err != nil {
		t.Fatal(err)
	}
	return trainer(t, threads, g, step.Random(1, 0.05, small.layers), o)
}

// teach gives a part the words of a teacher that is sure of the label to 0.7, and of
// the two that follow it to 0.15 and 0.1.
func teach(p step.Part) step.Part {
	p.Targets = &step.Soft{K: 3}
	for _, l := range p.Labels {
		if l < 0 {
			continue
		}
		for i, q := range []float32{0.7, 0.15, 0.1} {
			p.Targets.IDs = append(p.Targets.IDs, (l+int32(i))%int32(small.vocab))
			p.Targets.Probs = append(p.Targets.Probs, q)
		}
	}
	return p
}

// TestTeacher: a student learns the teacher's probabilities, not the labels, and the
// loss at the end is nearly none; evaluation is by labels and needs no teacher.
func TestTeacher(t *testing.T) {
	tr := taught(t, 0, model.Teacher{K: 3, Temperature: 1}, 0, step.Options{Rate: step.Cosine(1e-2, 1e-3, 20, 600)})
	var last step.Result
	for i := range 600 {
		rng := rand.New(rand.NewPCG(9, uint64(i)))
		var err error
		if last, err = tr.Step(t.Context(), teach(part(rng, small.vocab, 13, 30, 9)), teach(part(rng, small.vocab, 20))); err != nil {
			t.Fatal(err)
		}
	}
	if last.Loss > 0.15 || last.Loss < 0 {
		t.Errorf("after 600 steps the divergence from the teacher is %g", last.Loss)
	}
	loss, err := tr.Loss(t.Context(), part(rand.New(rand.NewPCG(77, 7)), small.vocab, 25, 25))
	if err != nil {
		t.Fatal(err)
	}
	if want := -math.Log(0.7); math.Abs(loss-want) > 0.2 {
		t.Errorf("the labels' loss is %g, of the teacher itself it is %g", loss, want)
	}
}

// TestTeacherSameBits: of soft targets, too, threads and recomputing change no bit.
func TestTeacherSameBits(t *testing.T) {
	var want map[string][]float32
	for _, c := range []struct {
		threads   int
		recompute bool
	}{{1, false}, {2, false}, {3, true}} {
		tr := taught(t, c.threads, model.Teacher{K: 3, Temperature: 2, Mix: 0.3}, 0.1, step.Options{Seed: 5, Recompute: c.recompute})
		for i := range 3 {
			rng := rand.New(rand.NewPCG(9, uint64(i)))
			if _, err := tr.Step(t.Context(), teach(part(rng, small.vocab, 13, 30))); err != nil {
				t.Fatal(err)
			}
		}
		if got := tensors(t, tr); want == nil {
			want = got
		} else {
			same(t, "taught", want, got)
		}
	}
}

// TestTeacherMisuse: targets that make no distribution are refused in one line.
func TestTeacherMisuse(t *testing.T) {
	tr := taught(t, 1, model.Teacher{K: 3, Temperature: 2, Mix: 0.5}, 0, step.Options{})
	for _, c := range []struct {
		name  string
		spoil func(p *step.Part)
		want  string
	}{
		{"no targets", func(p *step.Part) { p.Targets = nil }, "the part must have targets, 3 for each label"},
		{"too few", func(p *step.Part) { p.Targets.IDs = p.Targets.IDs[1:] }, "want 3 for each of 7 labels"},
		{"other k", func(p *step.Part) { p.Targets.K = 1 }, "want 3 for each of 7 labels"},
		{"twice", func(p *step.Part) { p.Targets.IDs[4] = p.Targets.IDs[3] }, "target 1 of label 1"},
		{"negative", func(p *step.Part) { p.Targets.Probs[2] = -0.1 }, "target 2 of label 0"},
		{"no number", func(p *step.Part) { p.Targets.Probs[2] = float32(math.NaN()) }, "target 2 of label 0"},
		{"none with a probability", func(p *step.Part) { p.Targets.IDs[2] = -1 }, "id -1 with probability 0.1"},
		{"more than 1", func(p *step.Part) { p.Targets.Probs[0] = 0.9 }, "more than 1"},
		{"outside", func(p *step.Part) { p.Targets.IDs[0] = 61 }, "target 0 is 61, outside -1 to 60"},
	} {
		p := teach(part(rand.New(rand.NewPCG(1, 1)), small.vocab, 8))
		c.spoil(&p)
		_, err := tr.Step(t.Context(), p)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q in one line", c.name, err, c.want)
		}
	}
	p := teach(part(rand.New(rand.NewPCG(1, 1)), small.vocab, 8))
	p.Targets.IDs[5], p.Targets.Probs[5] = -1, 0 // none
	if _, err := tr.Step(t.Context(), p); err != nil {
		t.Errorf("after mistakes: %v", err)
	}
	m, err := model.New(small)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []model.Teacher{{K: 0, Temperature: 1}, {K: 62, Temperature: 1}, {K: 3}, {K: 3, Temperature: 1, Mix: 2}} {
		if _, err := m.Decoder(model.Options{Max: limits, Context: 512, Train: &model.Train{Teacher: &bad}}); err == nil {
			t.Errorf("a graph for the teacher %+v", bad)
		}
	}
}
