package cuda

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
)

//go:generate go run ./gen -dir .

//go:embed ptx/index.txt ptx/*.tar.xz
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

// index lists the code of this build.
var index = sync.OnceValues(func() (map[string]listed, error) {
	text, err := files.ReadFile("ptx/" + IndexName)
	if err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	return parseIndex(string(text))
})

// find looks code up without unpacking it.
func find(name string) (listed, error) {
	all, err := index()
	if err != nil {
		return listed{}, err
	}
	l, ok := all[name]
	if !ok {
		return listed{}, fmt.Errorf("cuda: no PTX of %s in this build (go generate ./kernels/cuda)", name)
	}
	return l, nil
}

// ptx gives code of the build, which nobody else holds.
func ptx(name string) ([]byte, error) {
	if _, err := find(name); err != nil {
		return nil, err
	}
	all, err := unpacked(archiveOf(name))
	if err != nil {
		return nil, fmt.Errorf("cuda: PTX of %s: %w", name, err)
	}
	text, ok := all[name]
	if !ok {
		return nil, fmt.Errorf("cuda: PTX of %s is not in %s (go generate ./kernels/cuda)", name, archiveOf(name))
	}
	return slices.Clone(text), nil
}

// Version names the kernels: it differs where any of their code does. Every start asks
// for it, so it is of the index: to unpack the code takes half a second.
var Version = sync.OnceValue(func() string {
	text, _ := files.ReadFile("ptx/" + IndexName) // Find reports what is not there
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
})
