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

// ptx reads a file of the build.
func ptx(name string) ([]byte, error) {
	packed, err := files.ReadFile("ptx/" + name + ".ptx.gz")
	if err != nil {
		return nil, fmt.Errorf("cuda: no PTX of %s in this build (go generate ./kernels/cuda)", name)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("cuda: PTX of %s: %w", name, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("cuda: PTX of %s: %w", name, err)
	}
	return text, nil
}

// Version names the kernels: it differs where any of their code does.
var Version = sync.OnceValue(func() string {
	h := sha256.New()
	for _, u := range Units() {
		for _, t := range Targets {
			text, _ := u.PTX(t) // Find's PTX reports what is not there
			fmt.Fprintf(h, "%s.%s %d\n", u.Entry, t.Arch, len(text))
			h.Write(text)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
})
