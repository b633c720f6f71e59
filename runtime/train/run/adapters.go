package run

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// AdapterName is the file that a run of adapters ends with, in its folder.
const AdapterName = "adapter.gguf"

// matrix is what a recipe calls a weight, as attn_q, and whether it is a layer's.
func matrix(weight string) (name string, layer, ok bool) {
	name, ok = strings.CutSuffix(weight, ".weight")
	rest, layer := strings.CutPrefix(name, "blk.")
	if layer {
		_, name, _ = strings.Cut(rest, ".")
	}
	return name, layer, ok
}

// adapter says which weights get one: the recipe's targets, or all matrices of the layers.
func (p *plan) adapter(weight string) (model.Adapter, bool) {
	a := p.r.Adapters
	name, layer, ok := matrix(weight)
	if !ok || len(a.Targets) == 0 && !layer || len(a.Targets) > 0 && !slices.Contains(a.Targets, name) {
		return model.Adapter{}, false
	}
	return model.Adapter{Rank: a.Rank, Scale: float32(a.Alpha / float64(a.Rank))}, true
}

// TargetError is a target that the model has no matrix for.
type TargetError struct {
	Target string
	Have   []string // what its layers have
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("adapters: targets: the model has no matrix %q; its layers have %s", e.Target, strings.Join(e.Have, ", "))
}

// WrongUsage marks it as a fault of who asked: programs end with another code.
func (e *TargetError) WrongUsage() {}

// checkTargets refuses targets that the model has no matrix for.
func (x *running) checkTargets() error {
	a := x.plan.r.Adapters
	if a == nil {
		return nil
	}
	found := map[string]bool{}
	for _, w := range x.built.Weights() {
		weight, adapted := strings.CutSuffix(w.Name, lora.SuffixA)
		if name, _, ok := matrix(weight); ok && adapted {
			found[name] = true
		}
	}
	for _, t := range a.Targets {
		if found[t] {
			continue
		}
		var have []string
		for _, w := range x.built.Weights() {
			if name, _, ok := matrix(w.Name); ok && strings.HasPrefix(w.Name, "blk.0.") && len(w.Type.Shape) == 2 {
				have = append(have, name)
			}
		}
		return &TargetError{t, have}
	}
	return nil
}

// exportAdapter writes what was trained as an adapter.
func (x *running) exportAdapter(ctx context.Context, values func(name string) ([]float32, error)) (string, error) {
	a := x.plan.r.Adapters
	base := x.net.base
	arch, _ := base.String("general.architecture")
	name, _ := base.String("general.name")
	var all []lora.Matrices
	for _, p := range x.trainer.Params() {
		weight, ok := strings.CutSuffix(p.Name, lora.SuffixA)
		if !ok {
			continue
		}
		m := lora.Matrices{Weight: weight, Rank: a.Rank}
		var err error
		if m.A, err = values(p.Name); err != nil {
			return "", err
		}
		if m.B, err = values(weight + lora.SuffixB); err != nil {
			return "", err
		}
		all = append(all, m)
	}
	w, err := lora.NewWriter(lora.Header{Architecture: arch, Alpha: float32(a.Alpha), Base: name}, x.plan.r.Export.Type, all)
	if err != nil {
		return "", err
	}
	path := filepath.Join(x.plan.r.Out, AdapterName)
	return path, w.Save(ctx, path, true)
}
