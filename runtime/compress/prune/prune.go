// Package prune makes models smaller by leaving parts of them out: whole layers,
// groups of attention heads, channels of the feed-forward. What is left is a model of
// the same architecture that any program loads. Or it sets single weights to zero, by
// their magnitude or in a pattern of two of four, which saves neither memory nor time
// in Ledge; see docs/prune.md.
//
// Sizes stay the same in all layers, since that is what programs load: of every layer
// as many heads and channels go, but not the same ones.
package prune

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/compress/imatrix"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// LayersBy says how the layers to remove are chosen.
type LayersBy string

const (
	// ByAngle removes the run of layers whose input and output point in the most similar
	// directions (Gromov et al. 2024, "The Unreasonable Ineffectiveness of the Deeper
	// Layers").
	ByAngle LayersBy = "angle"
	// ByPerplexity removes one layer after the other, each time the one without which
	// the text stays most probable.
	ByPerplexity LayersBy = "perplexity"
)

// PartsBy says how heads and channels are scored.
type PartsBy string

const (
	// ByActivation scores a part by the mean square of what it adds to the residual
	// stream, cross terms left out: the sum over its columns j of |W_j|² E[x_j²]. That is
	// the score of Sun et al. 2023 ("A Simple and Effective Pruning Approach for Large
	// Language Models"), squared and added up.
	ByActivation PartsBy = "activation"
	// ByGradient scores a part by |Σ w·∂L/∂w| over its columns, the change of the loss
	// to first order when it goes (Michel et al. 2019, "Are Sixteen Heads Really Better
	// than One?"; Molchanov et al. 2019), the mean over chunks of the text.
	ByGradient PartsBy = "gradient"
)

// Options say what is removed.
type Options struct {
	Layers   int      // how many layers
	LayersBy LayersBy // "" is ByAngle

	Groups   int     // of each layer: how many key-value heads, with the query heads that read them
	Channels int     // of each layer: how many channels of the feed-forward; rounded to whole blocks
	PartsBy  PartsBy // "" is ByActivation

	// Target is the size of the file in bytes that is not to be exceeded: as many
	// channels go as that takes. 0 is none.
	Target int64

	// WholeBlocks removes channels in runs of the block size of ffn_down, so that no
	// weight is rounded a second time. What is removed fits less well then.
	WholeBlocks bool

	Text     string          // to measure with
	Matrix   *imatrix.Matrix // of ByActivation, if it has been measured already; or nil
	Threads  int             // 0 for all processors
	Progress func(stage string, done, of int)
}

// Choice is what becomes of the parts of a layer that stays.
type Choice struct {
	Layer    int   `json:"layer"` // in the source
	Groups   []int `json:"groups_removed,omitempty"`
	Channels []int `json:"channels_removed,omitempty"`

	keptGroups, keptChannels []int // nil: all
}

// Plan is a smaller model, not yet written.
type Plan struct {
	Removed []int     // layers, of the source
	Angles  []float64 // ByAngle: of every run of that many layers, in turns of π: 0 is the same direction, 0.5 a right angle
	Losses  []float64 // ByPerplexity: of the text in nats a token, before and after each removal
	Choices []Choice  // one for each layer that stays

	Recoded int // tensors that are rounded a second time, for columns of them went

	file    *gguf.File
	net     *network
	options Options
	squares map[string][]float32 // mean squares of inputs by weight, if they were measured
	tensors []tensor
	values  map[string]any // metadata that changes
}

// New chooses what to remove.
func New(ctx context.Context, f *gguf.File, o Options) (*Plan, error) {
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	net, err := readNetwork(f)
	if err != nil {
		return nil, err
	}
	p := &Plan{file: f, net: net, options: o}
	if err := p.refuse(); err != nil {
		return nil, err
	}
	if o.Target > 0 {
		if err := p.reach(o.Target); err != nil {
			return nil, err // before the long part
		}
	}
	if err := p.chooseLayers(ctx); err != nil {
		return nil, err
	}
	if o.Target > 0 {
		if err := p.reach(o.Target); err != nil { // with the layers that stay
			return nil, err
		}
		if o.Layers+o.Groups+p.options.Channels == 0 {
			now, err := p.size()
			if err != nil {
				return nil, err
			}
			return nil, fmt.Errorf("nothing is to be removed for %.1f MB: the file takes %.1f MB as it is", float64(o.Target)/1e6, float64(now)/1e6)
		}
	}
	if err := p.chooseParts(ctx); err != nil {
		return nil, err
	}
	if err := p.layOut(); err != nil {
		return nil, err
	}
	return p, p.check()
}

// refuse finds what cannot be before anything is measured.
func (p *Plan) refuse() error {
	o, i := &p.options, p.net.info
	if o.Layers < 0 || o.Groups < 0 || o.Channels < 0 || o.Target < 0 {
		return errors.New("prune: nothing can be removed a negative number of times")
	}
	if o.Layers+o.Groups+o.Channels == 0 && o.Target == 0 {
		return errors.New("prune: nothing is to be removed")
	}
	if o.Layers >= i.Layers {
		return fmt.Errorf("%d layers cannot be removed: the model has %d, and at least one must stay", o.Layers, i.Layers)
	}
	if o.Groups >= i.KVHeads {
		return fmt.Errorf("%d groups of heads cannot be removed: each layer has %d key-value heads, with %d query heads each, and at least one group must stay", o.Groups, i.KVHeads, i.Heads/i.KVHeads)
	}
	if o.Target > 0 && o.Channels > 0 {
		return errors.New("prune: with a target, it says how many channels go: leave their number out")
	}
	if o.LayersBy == "" {
		o.LayersBy = ByAngle
	}
	if o.PartsBy == "" {
		o.PartsBy = ByActivation
	}
	if o.LayersBy != ByAngle && o.LayersBy != ByPerplexity {
		return fmt.Errorf("prune: layers are chosen by %s or %s, not by %q", ByAngle, ByPerplexity, o.LayersBy)
	}
	if o.PartsBy != ByActivation && o.PartsBy != ByGradient {
		return fmt.Errorf("prune: heads and channels are chosen by %s or %s, not by %q", ByActivation, ByGradient, o.PartsBy)
	}
	if o.Channels > 0 {
		unit := p.net.unit
		o.Channels -= o.Channels % unit
		if o.Channels == 0 {
			return fmt.Errorf("channels go in multiples of %d, so that what is left of ffn_down's rows are whole blocks of its type: remove at least that many", unit)
		}
		if most := p.net.mostChannels(); o.Channels > most {
			return fmt.Errorf("%d channels cannot be removed: each layer has %d, and at most %d can go", o.Channels, i.FeedForward, most)
		}
	}
	return nil
}

// reach finds how many channels must go for a size, or refuses it with the smallest
// that can be had. Before layers are chosen it takes the largest to go.
func (p *Plan) reach(target int64) error {
	sized := func(channels int) (int64, error) {
		q := *p
		q.options.Channels = channels
		return q.size()
	}
	unit, most := p.net.unit, p.net.mostChannels()
	least, err := sized(most)
	if err != nil {
		return err
	}
	if least > target {
		return fmt.Errorf("%.1f MB cannot be reached: with all but %d channels of each layer removed the file takes %.1f MB; remove layers or heads as well, or quantise it to fewer bits",
			float64(target)/1e6, p.net.info.FeedForward-most, float64(least)/1e6)
	}
	lo, hi := 0, most/unit
	for lo < hi {
		mid := (lo + hi) / 2
		n, err := sized(mid * unit)
		if err != nil {
			return err
		}
		if n <= target {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	p.options.Channels = lo * unit
	return nil
}

// Lines say in words what goes.
func (p *Plan) Lines() (lines []string) {
	i, o := p.net.info, p.options
	if len(p.Removed) > 0 {
		s := fmt.Sprintf("layers removed: %s of %d", numbers(p.Removed), i.Layers)
		switch {
		case len(p.Angles) > 0:
			s += fmt.Sprintf(", at an angle of %.4f (runs of %d: %.4f to %.4f)", slices.Min(p.Angles), o.Layers, slices.Min(p.Angles), slices.Max(p.Angles))
		case len(p.Losses) > 0:
			s += fmt.Sprintf(", the loss going from %.4f to %.4f", p.Losses[0], p.Losses[len(p.Losses)-1])
		}
		lines = append(lines, s)
	}
	if o.Groups > 0 {
		lines = append(lines, fmt.Sprintf("heads removed of each layer: %d of %d key-value heads, with %d of %d query heads", o.Groups, i.KVHeads, o.Groups*p.net.perGroup(), i.Heads))
	}
	if n := i.FeedForward - p.keptChannels(); n > 0 {
		lines = append(lines, fmt.Sprintf("channels removed of each layer: %d of %d", n, i.FeedForward))
	}
	return lines
}

// numbers writes a list with ranges: 3, 5-9.
func numbers(list []int) string {
	var out []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if i == j {
			out = append(out, fmt.Sprint(list[i]))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", list[i], list[j]))
		}
		i = j + 1
	}
	return strings.Join(out, ", ")
}
