package distill

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/train/step"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// golden writes a golden model to a file.
func golden(t *testing.T, name string) (path string, f *gguf.File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name+".gguf")
	g := goldentest.Named("../../model/testdata", name)
	if err := os.WriteFile(path, g.File(t), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return path, f
}

// parts are documents of random tokens, of which some have labels.
func parts(vocab int) []step.Part {
	rng := rand.New(rand.NewPCG(4, 2))
	var all []step.Part
	for _, lengths := range [][]int{{5, 1, 17}, nil, {30}} {
		p := step.Part{Lengths: lengths}
		n := 12
		if lengths != nil {
			n = 0
			for _, l := range lengths {
				n += l
			}
		}
		for i := range n {
			p.Tokens, p.Labels = append(p.Tokens, int32(rng.IntN(vocab))), append(p.Labels, int32(rng.IntN(vocab)))
			if i%5 < 2 {
				p.Labels[i] = -1
			}
		}
		all = append(all, p)
	}
	return all
}

const teacherK, temperature = 6, 1.7

// check compares targets with what the model's logits say, computed plainly.
func check(t *testing.T, m *engine.Model, p step.Part) {
	t.Helper()
	lengths, at, row := p.Lengths, 0, 0
	if lengths == nil {
		lengths = []int{len(p.Tokens)}
	}
	if p.Targets == nil || p.Targets.K != teacherK {
		t.Fatalf("targets %+v", p.Targets)
	}
	for _, n := range lengths {
		err := m.Logits(t.Context(), p.Tokens[at:at+n], func(first int, logits []float32) error {
			v := m.Vocab()
			for i := range len(logits) / v {
				if p.Labels[at+first+i] < 0 {
					continue
				}
				z := logits[i*v : (i+1)*v]
				order, sum := make([]int32, v), 0.0
				for j := range order {
					order[j] = int32(j)
					sum += math.Exp(float64(z[j]) / float64(temperature))
				}
				sort.SliceStable(order, func(a, b int) bool { return z[order[a]] > z[order[b]] })
				ids, probs := p.Targets.IDs[row*teacherK:(row+1)*teacherK], p.Targets.Probs[row*teacherK:(row+1)*teacherK]
				if !slices.Equal(ids, order[:teacherK]) {
					t.Errorf("row %d: ids %v, want %v", row, ids, order[:teacherK])
				}
				for j, id := range ids {
					if want := math.Exp(float64(z[id])/float64(temperature)) / sum; math.Abs(float64(probs[j])-want) > 1e-6*want {
						t.Errorf("row %d: the probability of id %d is %g, want %g", row, id, probs[j], want)
					}
				}
				row++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		at += n
	}
	if row*teacherK != len(p.Targets.IDs) || len(p.Targets.IDs) != len(p.Targets.Probs) {
		t.Errorf("%d targets for %d labels", len(p.Targets.IDs), row)
	}
}

// TestTeacher: the targets are those of the model's logits, and the same bits when they
// come from the store, when another run asks, and without a store.
func TestTeacher(t *testing.T) {
	path, f := golden(t, "llama-gqa")
	m, err := engine.Open(t.Context(), path, engine.Options{Device: "cpu", Context: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	o := Options{K: teacherK, Temperature: temperature, Longest: 40, Engine: engine.Options{Device: "cpu"}, Store: filepath.Join(t.TempDir(), "words")}
	fill := func(o Options, wantAsked, wantKept bool) []step.Part {
		t.Helper()
		teacher, err := Open(t.Context(), path, f, m.Vocab(), o)
		if err != nil {
			t.Fatal(err)
		}
		p := parts(m.Vocab())
		if err := teacher.Fill(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if (teacher.Asked > 0) != wantAsked || (teacher.Kept > 0) != wantKept {
			t.Errorf("asked for %d tokens, %d were kept", teacher.Asked, teacher.Kept)
		}
		if err := teacher.Close(); err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := fill(o, true, false)
	for _, p := range first {
		check(t, m, p)
	}
	none := o
	none.Store = ""
	for _, again := range [][]step.Part{fill(o, false, true), fill(none, true, false)} {
		for i := range again {
			if !slices.Equal(again[i].Targets.IDs, first[i].Targets.IDs) || !slices.Equal(again[i].Targets.Probs, first[i].Targets.Probs) {
				t.Errorf("part %d: other targets", i)
			}
		}
	}
	told := ""
	o.Temperature, o.Note = 1, func(s string) { told += s }
	fill(o, true, false)
	if !strings.Contains(told, "is made anew") {
		t.Errorf("of a store of another temperature it is said: %q", told)
	}
}

// TestFewerIDs: ids that the student does not know are no targets, and their
// probability is left.
func TestFewerIDs(t *testing.T) {
	logits := []float32{1, 5, 2, 9, 5, 0}
	ids, probs := make([]int32, 3), make([]float32, 3)
	if err := top(logits, 3, 1, ids, probs); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ids, []int32{1, 2, 0}) || probs[0] > 0.05 || probs[0] <= probs[1] {
		t.Errorf("%v %v", ids, probs)
	}
	if err := top(logits, 2, 1, ids, probs); err != nil || !slices.Equal(ids, []int32{1, 0, -1}) || probs[2] != 0 {
		t.Errorf("%v %v (%v)", ids, probs, err)
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		if err := top([]float32{1, bad, 2}, 3, 1, ids, probs); err == nil {
			t.Errorf("targets of a logit of %g: %v", bad, probs)
		}
	}
}

// TestRefusals: what cannot be taught is refused in one line.
func TestRefusals(t *testing.T) {
	path, f := golden(t, "llama-gqa")
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"no ids", Options{K: 0, Temperature: 1}, "want 1 or more"},
		{"too many ids", Options{K: 100000, Temperature: 1}, "no more than there are"},
		{"no temperature", Options{K: 1}, "must be positive"},
		{"a temperature of NaN", Options{K: 1, Temperature: float32(math.NaN())}, "must be positive"},
		{"an infinite temperature", Options{K: 1, Temperature: float32(math.Inf(1))}, "must be positive"},
		{"long documents", Options{K: 1, Temperature: 1, Longest: 1 << 24}, "was trained for"},
	} {
		_, err := Open(t.Context(), path, f, 100, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q in one line", c.name, err, c.want)
		}
	}
	if _, err := Open(t.Context(), path+"-not", f, 100, Options{K: 1, Temperature: 1}); err == nil || !strings.Contains(err.Error(), "the teacher") {
		t.Errorf("a teacher that is not there: %v", err)
	}
}

// edited is a file without tensors whose metadata is another's but for some keys.
func edited(t *testing.T, f *gguf.File, changed map[string]any) *gguf.File {
	t.Helper()
	var w gguf.Writer
	for key, value := range f.Metadata() {
		if v, ok := changed[key]; ok {
			if value = v; v == nil {
				continue
			}
		}
		if err := w.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "edited.gguf")
	if err := w.Save(t.Context(), path, false); err != nil {
		t.Fatal(err)
	}
	g, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// TestSameTokenizer: teachers with another tokenizer are refused, and the line says
// where they differ.
func TestSameTokenizer(t *testing.T) {
	path, f := golden(t, "llama-gqa")
	tokens, ok := f.Strings(keyTokens)
	if !ok {
		t.Fatal("the golden model has no vocabulary")
	}
	merges, _ := f.Strings(keyMerges)
	swapped := slices.Clone(tokens)
	swapped[3], swapped[4] = swapped[4], swapped[3]
	for _, c := range []struct {
		name    string
		changed map[string]any
		want    string
	}{
		{"none", map[string]any{keyTokens: nil}, "the student has no vocabulary"},
		{"kind", map[string]any{keyModel: "llama"}, `is of kind "gpt2", the student's "llama"`},
		{"shorter", map[string]any{keyTokens: tokens[1:]}, "tokens, the student's"},
		{"swapped", map[string]any{keyTokens: swapped}, "token 3 is"},
		{"words", map[string]any{keyPre: "llama-bpe"}, "cuts words as"},
		{"merges", map[string]any{keyMerges: append(slices.Clone(merges[1:]), merges[0])}, "merge in other orders"},
	} {
		g := edited(t, f, c.changed)
		if _, err := Open(t.Context(), path, g, 100, Options{K: 1, Temperature: 1}); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q in one line", c.name, err, c.want)
		}
		if VocabularyKey(g) == VocabularyKey(f) {
			t.Errorf("%s: the vocabularies have one key", c.name)
		}
	}
	if err := SameTokenizer(f, edited(t, f, map[string]any{"general.name": "another"})); err != nil {
		t.Errorf("one tokenizer in files of two names: %v", err)
	}
}

// TestVocabularyKey: lists that read alike, one after the other, are told apart.
func TestVocabularyKey(t *testing.T) {
	_, f := golden(t, "llama-gqa")
	a := edited(t, f, map[string]any{keyTokens: []string{"a", "b c"}})
	b := edited(t, f, map[string]any{keyTokens: []string{"a b", "c"}})
	if VocabularyKey(a) == VocabularyKey(b) {
		t.Error("other tokens, and the same key")
	}
}
