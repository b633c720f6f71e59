package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/train/step"
)

var small = step.State{Step: 7, Settings: step.Settings{Seed: 3, Rate: step.Constant(.1)}, Tensors: []step.Tensor{
	{Name: "a", DType: "f32", Elems: 3}, {Name: "b", DType: "bf16", Elems: 5}, {Name: "c", DType: "q8_0", Elems: 32}, {Name: "d", DType: "f32", Elems: 0},
}}

// fill makes the bytes of a tensor, which differ by step.
func fill(n int) func(x step.Tensor, dst []byte) error {
	return func(x step.Tensor, dst []byte) error {
		for i := range dst {
			dst[i] = byte(i*7 + n + int(x.Name[0]))
		}
		return nil
	}
}

func save(t *testing.T, s Store, n int) {
	t.Helper()
	st := small
	st.Step = n
	if _, err := s.Save(st, fill(n)); err != nil {
		t.Fatal(err)
	}
}

// holds asks that a checkpoint has what save wrote.
func holds(t *testing.T, c *Checkpoint, n int) {
	t.Helper()
	if c == nil || c.State.Step != n || c.State.Settings != small.Settings || !slices.Equal(c.State.Tensors, small.Tensors) {
		t.Fatalf("%+v", c)
	}
	for _, x := range c.State.Tensors {
		size, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		got, want := make([]byte, size), make([]byte, size)
		if err := errors.Join(c.Read(x, got), fill(n)(x, want)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, want %v (%v)", x.Name, got, want, err)
		}
		if err := c.Read(x, make([]byte, size+1)); err == nil {
			t.Error("a tensor is read into something larger")
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func latest(t *testing.T, s Store) (*Checkpoint, []error) {
	t.Helper()
	c, skipped, err := s.Latest()
	if err != nil {
		t.Fatal(err)
	}
	return c, skipped
}

func TestStore(t *testing.T) {
	s := Store{Dir: filepath.Join(t.TempDir(), "new"), Keep: 2}
	if c, skipped := latest(t, s); c != nil || skipped != nil {
		t.Errorf("%v %v", c, skipped)
	}
	for n := 1; n <= 4; n++ {
		save(t, s, n)
	}
	if got, err := s.Steps(); err != nil || !slices.Equal(got, []int{4, 3}) {
		t.Errorf("%v %v", got, err)
	}
	c, skipped := latest(t, s)
	if holds(t, c, 4); len(skipped) > 0 {
		t.Error(skipped)
	}
	// What a killed program leaves is no checkpoint, and goes with the next.
	for _, n := range []string{"step-000000009.ckpt.part", "step-000000009.ckpt.0123456789abcdef.part", "step-x.ckpt", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(s.Dir, n), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, _ = latest(t, s)
	holds(t, c, 4)
	// A run that went back leaves later checkpoints behind.
	save(t, s, 3)
	var names []string
	entries, err := os.ReadDir(s.Dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if err != nil || !slices.Equal(names, []string{"notes.txt", "step-000000003.ckpt", "step-x.ckpt"}) {
		t.Errorf("%v %v", names, err)
	}
	if err := s.Clear(); err != nil {
		t.Error(err)
	}
	if c, _ := latest(t, s); c != nil {
		t.Errorf("%+v", c)
	}
}

// TestGrid: a run that was interrupted ends with the checkpoints of one that was not.
func TestGrid(t *testing.T) {
	s := Store{Dir: t.TempDir(), Keep: 3, Grid: 10}
	for _, c := range []struct{ saved, want []int }{
		{[]int{10, 20}, []int{20, 10}},
		{[]int{10, 13}, []int{13, 10}},
		{[]int{10, 13, 20, 22, 30}, []int{30, 20, 10}},
		{[]int{10, 13, 20, 30, 35, 40}, []int{40, 30, 20}},
		{[]int{10, 20, 30, 40, 43}, []int{43, 40, 30}},
	} {
		if err := s.Clear(); err != nil {
			t.Fatal(err)
		}
		for _, n := range c.saved {
			save(t, s, n)
		}
		if got, err := s.Steps(); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v (%v)", c.saved, got, c.want, err)
		}
	}
}

// TestDamage: a checkpoint that is damaged anywhere is passed over, with its name.
func TestDamage(t *testing.T) {
	s := Store{Dir: t.TempDir(), Keep: 2}
	save(t, s, 1)
	save(t, s, 2)
	path := s.path(2)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		c, skipped := latest(t, s)
		holds(t, c, 1)
		if len(skipped) != 1 || !strings.Contains(skipped[0].Error(), path+": ") || strings.Contains(skipped[0].Error(), "\n") {
			t.Errorf("%s: %v", what, skipped)
		}
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 4
		check(fmt.Sprintf("byte %d", i), b)
	}
	for _, n := range []int{0, 10, 40, len(good) - 1} {
		check(fmt.Sprintf("cut to %d bytes", n), good[:n])
	}
	check("longer", append(bytes.Clone(good), 0))
	other, err := os.ReadFile(s.path(1))
	if err != nil {
		t.Fatal(err)
	}
	check("of another step", other)
	if err := os.WriteFile(s.path(1), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if c, skipped := latest(t, s); c != nil || len(skipped) != 2 {
		t.Errorf("%+v %v", c, skipped)
	}
}

// TestFailing: what was there stays if a tensor cannot be read.
func TestFailing(t *testing.T) {
	s := Store{Dir: t.TempDir(), Keep: 1}
	save(t, s, 1)
	broken := errors.New("broken")
	st := small
	if _, err := s.Save(st, func(x step.Tensor, dst []byte) error {
		if x.Name == "c" {
			return broken
		}
		return nil
	}); !errors.Is(err, broken) {
		t.Error(err)
	}
	c, skipped := latest(t, s)
	if holds(t, c, 1); len(skipped) > 0 {
		t.Error(skipped)
	}
	if left, err := filepath.Glob(filepath.Join(s.Dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("%v %v", left, err)
	}
}

// FuzzRead: no file breaks reading, and what is read can be read whole.
func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := write(&b, small, fill(7)); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:60])
	f.Add(bytes.Replace(b.Bytes(), []byte(`"elems":3`), []byte(`"elems":9`), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		try := func(b []byte) {
			c, err := read(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				return
			}
			for _, x := range c.State.Tensors {
				n, err := x.Bytes()
				if err == nil {
					err = c.Read(x, make([]byte, n))
				}
				if err != nil {
					t.Error(err)
				}
			}
		}
		try(b)
		if len(b) > sha256.Size { // with the sum made right
			sum := sha256.Sum256(b[:len(b)-sha256.Size])
			try(append(bytes.Clone(b[:len(b)-sha256.Size]), sum[:]...))
		}
	})
}

// TestUnreadable: a checkpoint of another version, or one that cannot be read, is not
// passed over: going on before it would remove it.
func TestUnreadable(t *testing.T) {
	s := Store{Dir: t.TempDir(), Keep: 2}
	save(t, s, 1)
	save(t, s, 2)
	b, err := os.ReadFile(s.path(2))
	if err != nil {
		t.Fatal(err)
	}
	b = append([]byte("LGCKPT2\n"), b[len(magic):len(b)-sha256.Size]...)
	sum := sha256.Sum256(b)
	if err := os.WriteFile(s.path(2), append(b, sum[:]...), 0o644); err != nil {
		t.Fatal(err)
	}
	if c, _, err := s.Latest(); c != nil || err == nil || !strings.Contains(err.Error(), `of version "2"; this program reads version "1"`) {
		t.Errorf("%+v %v", c, err)
	}
	if err := errors.Join(os.Remove(s.path(2)), os.Mkdir(s.path(2), 0o755)); err != nil {
		t.Fatal(err)
	}
	if c, _, err := s.Latest(); c != nil || err == nil || !strings.Contains(err.Error(), s.path(2)) {
		t.Errorf("a folder: %+v %v", c, err)
	}
}
