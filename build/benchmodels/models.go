package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ledge-run/ledge/build/internal/synthmodel"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// A recipe says how a model file is made: llama-quantize makes the type from
// source, which is another file of the folder, or the synthetic model if empty.
type recipe struct {
	file, source, quant string
}

var recipes = []recipe{
	{"synth-1b-q4_0.gguf", "", "Q4_0"},
	{"synth-1b-q4_k_m.gguf", "", "Q4_K_M"},
	{"synth-1b-q6_k.gguf", "", "Q6_K"},
	{"synth-1b-iq4_xs.gguf", "", "IQ4_XS"},
	{"smollm2-q4_0.gguf", smolSource, "Q4_0"},
	{"smollm2-q8_0.gguf", smolSource, "Q8_0"},
	{"smollm2-q4_k_m.gguf", smolSource, "Q4_K_M"},
	{"smollm2-q4_0-32k.gguf", "smollm2-q4_0.gguf", longContext},
}

// longContext stands for a copy that says it was trained for 32,768 positions:
// speed does not mind that it was not.
const longContext = "32k"

// smolSource is what build/models.sh fetches; speed does not mind that the types
// made of it were rounded twice.
const smolSource = "smollm2-135m-instruct-q4_1.gguf"

// makeModels makes the files that dir lacks. Each appears under its name when it
// is whole.
func makeModels(ctx context.Context, dir, llama string, log io.Writer) error {
	quantize := filepath.Join(llama, "bin", "llama-quantize")
	if _, err := os.Stat(quantize); err != nil {
		return fmt.Errorf("llama-quantize: %w: build/llama.sh builds it", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	synth := filepath.Join(dir, "synth-1b-f16.part")
	defer os.Remove(synth)
	for _, r := range recipes {
		path := filepath.Join(dir, r.file)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		fmt.Fprintln(log, "making", r.file)
		source := filepath.Join(dir, r.source)
		if r.source == "" {
			source = synth
			if _, err := os.Stat(synth); errors.Is(err, os.ErrNotExist) {
				if err := writeSynth(synth, synthmodel.Shapes["1b"]); err != nil {
					return fmt.Errorf("synthetic model: %w", err)
				}
			}
		} else if _, err := os.Stat(source); err != nil {
			return fmt.Errorf("%s is made of %w: build/models.sh fetches it", r.file, err)
		}
		make := func() error { return quantizeFile(ctx, quantize, source, path, r.quant) }
		if r.quant == longContext {
			make = func() error { return lengthen(source, path, 32768) }
		}
		if err := make(); err != nil {
			return err
		}
	}
	return nil
}

// lengthen copies a model of the llama architecture with another context.
func lengthen(source, path string, context int) error {
	f, err := gguf.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	var w gguf.Writer
	for key, value := range f.Metadata() {
		if key == "llama.context_length" {
			value = uint32(context)
		}
		if err := w.Set(key, value); err != nil {
			return err
		}
	}
	for _, t := range f.Tensors() {
		if err := w.Add(t.Name, t.DType, t.Shape, t.Data); err != nil {
			return err
		}
	}
	part := path + ".part"
	defer os.Remove(part)
	if err := writeFile(part, &w); err != nil {
		return err
	}
	return os.Rename(part, path)
}

func writeFile(path string, w *gguf.Writer) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = w.WriteTo(f)
	return errors.Join(err, f.Close())
}

func quantizeFile(ctx context.Context, quantize, source, path, quant string) error {
	part := path + ".part"
	defer os.Remove(part)
	out, err := exec.CommandContext(ctx, quantize, "--allow-requantize", source, part, quant).CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("llama-quantize %s %s: %w: %s", filepath.Base(source), quant, err, lines[len(lines)-1])
	}
	return os.Rename(part, path)
}
