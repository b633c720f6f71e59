package engine

import (
	"fmt"
	"strings"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/model"
)

// leastContext is the smallest context that is advised: less holds no question and
// its answer.
const leastContext = 512

// files are the usual kinds of quantised model files, the best first, with the bits
// that a weight takes on average. Mixtures (_M) by llama.cpp's table for Llama 3 8B.
var files = []struct {
	name string
	bits float64
}{{"Q8_0", 8.5}, {"Q6_K", 6.6}, {"Q5_K_M", 5.7}, {"Q4_K_M", 4.9}, {"Q4_0", 4.6}, {"Q3_K_M", 4.0}, {"Q2_K", 3.2}}

// shortage says by how much a model is too large for a device, and with which context
// or quantisation it would fit; empty if it fits or that is not known.
func shortage(net model.Model, o Options, devices []backend.Device) string {
	limit := budget(devices[0])
	size := func(context int) (all, weights uint64, elems int, err error) {
		o := o
		o.Context = context
		parts, err := lower(net, o, devices, last, net.Info().Layers, nil)
		if err != nil {
			return 0, 0, 0, err
		}
		if all, err = need(parts, 0, devices[0], o); err != nil {
			return 0, 0, 0, err
		}
		sizer, _ := devices[0].(backend.Sizer)
		for _, w := range weightsOn(parts, 0) {
			n, err := weightBytes(sizer, w)
			if err != nil {
				return 0, 0, 0, err
			}
			e, _ := dtype.Product(w.Shape)
			weights, elems = weights+n, elems+e
		}
		return all, weights, elems, nil
	}
	all, weights, elems, err := size(o.Context)
	if err != nil || limit == 0 || all <= limit {
		return ""
	}
	text := fmt.Sprintf("it needs %s (weights %s, a cache of %d tokens and the values between %s), %s are free: %s too much",
		gib(all), gib(weights), o.Sequences*o.Context, gib(all-weights), gib(limit), gib(all-limit))
	var ways []string
	for context := o.Context / 2; context >= leastContext; context /= 2 {
		if n, _, _, err := size(context); err == nil && n <= limit {
			ways = append(ways, fmt.Sprintf("with a context of %d tokens", context))
			break
		}
	}
	if rest := all - weights; rest < limit {
		for _, f := range files {
			if n := uint64(float64(elems) * f.bits / 8); n+rest <= limit && n < weights {
				ways = append(ways, fmt.Sprintf("as %s (about %s of weights)", f.name, gib(n)))
				break
			}
		}
	}
	if len(ways) == 0 {
		return text + "; a smaller model is needed"
	}
	return text + "; it would fit " + strings.Join(ways, " or ")
}

func gib(n uint64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
