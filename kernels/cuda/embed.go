package cuda

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
)

//go:generate go run ./gen -dir .

//go:embed ptx/*.ptx.gz
var files embed.FS

// Target is what PTX is written for: a driver compiles it for that GPU and all newer.
type Target struct {
	Arch string // as PTX names it: sm_80
	From int    // the least compute capability
	PTX  int    // the language's version: 74 is 7.4; an older driver refuses it
}

// Targets are those that there is PTX for, the newest first.
var Targets = []Target{
	{"sm_80", 80, 74}, // Orin and newer: tensor cores' m16n8k16, cp.async; JetPack 5's driver
	{"sm_72", 72, 61}, // Xavier, Turing
}

// targetFor is the newest target that a GPU can run.
func targetFor(capability int) (Target, error) {
	for _, t := range Targets {
		if capability >= t.From {
			return t, nil
		}
	}
	oldest := Targets[len(Targets)-1].From
	return Target{}, fmt.Errorf("cuda: a GPU of compute capability %d.%d is too old: kernels need %d.%d or newer",
		capability/10, capability%10, oldest/10, oldest%10)
}

// packed reads a file of the build.
func packed(name string) ([]byte, error) {
	data, err := files.ReadFile("ptx/" + name + ".ptx.gz")
	if err != nil {
		return nil, fmt.Errorf("cuda: no PTX of %s in this build (go generate ./kernels/cuda)", name)
	}
	return data, nil
}

// ptx unpacks a file of the build.
func ptx(name string) ([]byte, error) {
	data, err := packed(name)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("cuda: PTX of %s: %w", name, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("cuda: PTX of %s: %w", name, err)
	}
	return text, nil
}

// Version names the kernels: it differs where any of their code does. Every start asks
// for it, so it is of the files as they are: to unpack them takes half a second.
var Version = sync.OnceValue(func() string {
	h := sha256.New()
	all, _ := files.ReadDir("ptx") // Find's PTX reports what is not there
	for _, f := range all {
		data, _ := files.ReadFile("ptx/" + f.Name())
		fmt.Fprintf(h, "%s %d\n", f.Name(), len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
})
