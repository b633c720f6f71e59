package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/weights/lora"
)

func loraFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "lora", Usage: "`FILE[:SCALE]` of a LoRA adapter for the model, in GGUF; may be repeated", Category: catModel}
}

// adapters opens the files of --lora; the model that is opened with them closes them.
func (a *app) adapters(c *cli.Context) (uses []lora.Use, err error) {
	defer func() {
		if err != nil {
			uses, err = nil, errors.Join(err, lora.CloseAll(uses))
		}
	}()
	for _, arg := range c.StringSlice("lora") {
		path, scale := loraScale(arg)
		if path == "" {
			return uses, usagef("--lora %s: name a file, and after a colon a scale if it is not 1", arg)
		}
		if at := strings.LastIndexByte(path, ':'); at > 0 && !exists(path) && exists(path[:at]) {
			return uses, usagef("--lora %s: %q is no scale, such as 0.5", arg, path[at+1:])
		}
		f, err := lora.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = modelError{fmt.Errorf("--lora: no file %s", path)}
		}
		if err != nil {
			return uses, err
		}
		uses = append(uses, lora.Use{File: f, Scale: scale})
	}
	return uses, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// loraScale takes FILE:SCALE apart; a file of the whole name comes first.
func loraScale(arg string) (path string, scale float32) {
	at := strings.LastIndexByte(arg, ':')
	if at < 0 {
		return arg, 1
	}
	s, err := strconv.ParseFloat(arg[at+1:], 32)
	if err != nil || math.IsNaN(s) || math.IsInf(s, 0) {
		return arg, 1
	}
	if exists(arg) {
		return arg, 1
	}
	return arg[:at], float32(s)
}
