package suite

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/nearest"
	"github.com/ledge-run/ledge/runtime/strictyaml"
)

// A Bar is what a figure must reach. Of figures of which less is better, numbers
// are the most that is allowed, of others the least. What is 0 is not asked.
type Bar struct {
	Ratio  float64 // of Ledge to the peer
	Share  float64 // of the machine's ceiling
	Value  float64 // of Ledge's figure, in its unit
	Beyond float64 // MB of memory besides the model's file and the cache of the tokens in use
	Open   float64 // the same with the cache of all tokens that the model is open for
	Either bool    // one of those asked is enough
}

// Judged are the figures that a bar is held against; NaN was not measured, and
// reaches nothing.
type Judged struct {
	Ratio, Share, Value, Beyond, Open float64
	Lower                             bool // less is better
}

// Met says whether figures reach the bar.
func (b Bar) Met(j Judged) bool {
	met, asked := 0, 0
	hold := func(bar, v float64, most bool) {
		if bar == 0 {
			return
		}
		asked++
		if !most && v >= bar || most && v <= bar {
			met++
		}
	}
	hold(b.Ratio, j.Ratio, j.Lower)
	hold(b.Share, j.Share, false)
	hold(b.Value, j.Value, j.Lower)
	hold(b.Beyond, j.Beyond, true)
	hold(b.Open, j.Open, true)
	return met == asked || b.Either && met > 0
}

// Text is the bar as tables write it.
func (b Bar) Text(figure string) string {
	sign := "≥"
	if record.NewFigure(figure).Lower {
		sign = "≤"
	}
	var parts []string
	add := func(v float64, format string, args ...any) {
		if v != 0 {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(b.Ratio, "%s %.3g×", sign, b.Ratio)
	add(b.Share, "≥ %.3g %%", 100*b.Share)
	add(b.Value, "%s %.4g", sign, b.Value)
	add(b.Beyond, "≤ file + cache + %.4g", b.Beyond)
	add(b.Open, "≤ file + open cache + %.4g", b.Open)
	if b.Either {
		return strings.Join(parts, " or ")
	}
	return strings.Join(parts, ", ")
}

// readBars reads figures with their bars.
func (r *reader) readBars(n *yaml.Node) (map[string]Bar, error) {
	bars := map[string]Bar{}
	if n.Kind != yaml.MappingNode {
		return nil, r.Errorf(n, "bars are written as FIGURE: {ratio: 1.5}, not as %s", r.What(n))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], strictyaml.Value(n.Content[i+1])
		figure := key.Value
		if !slices.Contains(record.Names(), figure) {
			return nil, r.Errorf(key, "no figure is called %q%s; figures: %s", r.Clip(figure), nearest.Hint(r.Clip(figure), record.Names()), strings.Join(record.Names(), ", "))
		}
		if _, twice := bars[figure]; twice {
			return nil, r.Errorf(key, "%s has two bars", figure)
		}
		var b Bar
		num := func(to *float64, only ...string) func(*yaml.Node) error {
			return func(n *yaml.Node) (err error) {
				if len(only) > 0 && !slices.Contains(only, figure) {
					return r.Errorf(n, "this is a bar for %s alone, not for %s", strings.Join(only, " and "), figure)
				}
				*to, err = r.positive(n)
				return err
			}
		}
		err := r.Fields(v, "a bar", strictyaml.Handlers{
			"ratio": num(&b.Ratio), "value": num(&b.Value), "either": r.BoolTo(&b.Either),
			"share":  num(&b.Share, record.Prefill, record.Decode),
			"beyond": num(&b.Beyond, record.PeakMemory), "beyond_open": num(&b.Open, record.PeakMemory),
		})
		if err != nil {
			return nil, err
		}
		if (b == Bar{Either: b.Either}) {
			return nil, r.Errorf(v, "the bar asks for nothing")
		}
		if b.Share > 1 || math.IsNaN(b.Share) {
			return nil, r.Errorf(v, "a share is a part of 1: 0.88 are 88 %%")
		}
		bars[figure] = b
	}
	return bars, nil
}
