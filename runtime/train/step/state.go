package step

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/grad"
)

// State is all that a run goes on from. The tensors' values are on the device; see
// [Trainer.ReadTensor].
type State struct {
	Step     int      `json:"step"` // steps taken
	Settings Settings `json:"settings"`
	Tensors  []Tensor `json:"tensors"` // parameters and their moments
}

// Settings are what the bits of every further step depend on besides tensors and
// data. Two are the same if Same says so.
type Settings struct {
	Seed     int32            `json:"seed"`
	Rate     Schedule         `json:"rate"`
	AdamW    string           `json:"adamw"`
	Groups   string           `json:"groups"`             // of parameters, with their rates
	Rounding string           `json:"rounding,omitempty"` // of operands of products: see Options.Precision
	Graph    string           `json:"graph"`              // SHA-256 of the model in training, without its limits
	Layout   string           `json:"layout"`             // the caller's, see Options.Layout
	Numerics backend.Numerics `json:"numerics"`

	Shape string `json:"shape,omitempty"` // the caller's, see Options.Shape: names what makes another Graph
}

// Same reports whether settings are the same. Shape says nothing that Graph does not, and
// checkpoints from before it was there have none.
func (s Settings) Same(now Settings) bool {
	s.Shape, now.Shape = "", ""
	return s == now
}

// Tensor is a tensor that lives from step to step.
type Tensor struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Elems int    `json:"elems"`
}

// Bytes is its size.
func (t Tensor) Bytes() (int, error) {
	d, err := dtype.Parse(t.DType)
	if err != nil {
		return 0, err
	}
	return d.RowBytes(t.Elems)
}

// ErrOtherSettings reports a state of a run with other settings: going on from it
// gives neither that run nor one of these settings.
type ErrOtherSettings struct{ Differences []string }

func (e *ErrOtherSettings) Error() string {
	return "it is of a run with other settings: " + strings.Join(e.Differences, "; ")
}

// Differences says what differs, in words; nothing if the settings are the same.
func (s Settings) Differences(now Settings) []string {
	var all []string
	note := func(what string, was, is any) {
		if was != is {
			all = append(all, fmt.Sprintf("%s was %v, now %v", what, was, is))
		}
	}
	note("seed", s.Seed, now.Seed)
	note("learning rate", s.Rate, now.Rate)
	note("optimizer", s.AdamW, now.AdamW)
	note("groups", orNone(s.Groups), orNone(now.Groups))
	note("rounding of products", orNone(s.Rounding), orNone(now.Rounding))
	lines := func(what, a, b string) {
		was, is := strings.Split(a, "\n"), strings.Split(b, "\n")
		for i := range max(len(was), len(is)) {
			a, b := lineAt(was, i), lineAt(is, i)
			if name, v, ok := strings.Cut(a, ": "); ok && strings.HasPrefix(b, name+": ") {
				note(name, v, strings.TrimPrefix(b, name+": "))
			} else {
				note(what, orNone(a), orNone(b))
			}
		}
	}
	lines("layout", s.Layout, now.Layout)
	if s.Shape != "" && s.Graph != now.Graph {
		lines("shape", s.Shape, now.Shape)
	}
	note("numerics", s.Numerics, now.Numerics)
	if len(all) == 0 && s.Graph != now.Graph {
		all = append(all, "the model is another one") // what shapes it is in the graph alone
	}
	return all
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// settings describes a trainer.
func settings(dev backend.Device, built *graph.Graph, params []grad.Param, o Options) Settings {
	a := o.AdamW
	text := fmt.Sprintf("beta1 %g, beta2 %g, eps %g, decay %g, clip %g", a.Beta1, a.Beta2, a.Eps, a.Decay, a.Clip)
	if a.Decays != nil {
		h := sha256.New()
		for _, p := range params {
			if a.Decays(p) {
				fmt.Fprintln(h, p.Name)
			}
		}
		text += fmt.Sprintf(" of %.8x", h.Sum(nil))
	}
	var groups []string
	for _, g := range o.Groups {
		groups = append(groups, fmt.Sprintf("%s %g", g.Weights, g.Rate))
	}
	// Limits say how much fits into a part, not what comes of it.
	h := sha256.New()
	for _, n := range built.Nodes {
		fmt.Fprintln(h, n.Text())
	}
	for _, p := range params {
		fmt.Fprintln(h, p.Name)
	}
	rounding, _ := o.round() // New has checked it
	return Settings{
		Seed: o.Seed, Rounding: rounding, Rate: o.Rate, AdamW: text, Groups: strings.Join(groups, ", "),
		Graph: hex.EncodeToString(h.Sum(nil)), Layout: o.Layout, Shape: o.Shape, Numerics: dev.Info().Numerics,
	}
}

// State is what a run goes on from after the steps taken.
func (t *Trainer) State() State {
	s := State{Step: t.step, Settings: t.settings}
	for _, d := range t.Tensors() {
		s.Tensors = append(s.Tensors, Tensor{d.Name, d.DType.String(), d.Elems})
	}
	return s
}

// SetState goes on from a state; read gives the bytes of its tensors. The tensors must
// be the trainer's. If the settings are others it returns an [ErrOtherSettings],
// having set nothing, unless changed is set: then the run goes on with the
// trainer's. What read fails at leaves the tensors undefined.
func (t *Trainer) SetState(s State, changed bool, read func(x Tensor, dst []byte) error) error {
	if err := s.fits(t.State()); err != nil {
		return err
	}
	if !s.Settings.Same(t.settings) && !changed {
		return &ErrOtherSettings{s.Settings.Differences(t.settings)}
	}
	for _, x := range s.Tensors {
		n, err := x.Bytes()
		if err != nil {
			return fmt.Errorf("tensor %q: %w", x.Name, err)
		}
		data := make([]byte, n)
		if err := read(x, data); err != nil {
			return fmt.Errorf("tensor %q: %w", x.Name, err)
		}
		if err := t.WriteTensor(x.Name, data); err != nil {
			return fmt.Errorf("tensor %q: %w", x.Name, err)
		}
	}
	t.step = s.Step
	return nil
}

// fits refuses tensors that are not those of a trainer.
func (s State) fits(now State) error {
	if s.Step < 0 {
		return fmt.Errorf("it is of step %d", s.Step)
	}
	have := map[string]Tensor{}
	for _, x := range s.Tensors {
		have[x.Name] = x
	}
	for _, x := range now.Tensors {
		switch was, ok := have[x.Name]; {
		case !ok:
			return fmt.Errorf("it is of another model: it has no tensor %q", x.Name)
		case was != x:
			return fmt.Errorf("it is of another model: tensor %q has %d values of %s there, %d of %s here", x.Name, was.Elems, was.DType, x.Elems, x.DType)
		}
	}
	if len(s.Tensors) != len(now.Tensors) {
		return fmt.Errorf("it is of another model: it has %d tensors, not %d", len(s.Tensors), len(now.Tensors))
	}
	return nil
}

// ReadTensor reads the bytes of a tensor of State, little-endian in its type, and
// WriteTensor sets it.
func (t *Trainer) ReadTensor(name string, dst []byte) error {
	if len(dst)%4 != 0 {
		return fmt.Errorf("tensor %q: %d bytes are no float32 values", name, len(dst))
	}
	x := make([]float32, len(dst)/4)
	if err := t.Get(name, x); err != nil {
		return err
	}
	for i, v := range x {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
	return nil
}

func (t *Trainer) WriteTensor(name string, src []byte) error {
	if len(src)%4 != 0 {
		return fmt.Errorf("tensor %q: %d bytes are no float32 values", name, len(src))
	}
	x := make([]float32, len(src)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
	return t.Set(name, x)
}
