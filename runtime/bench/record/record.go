// Package record holds what a benchmark measured, as it is kept in journals,
// receipts and reports: plain data with a fixed JSON form. It measures nothing
// and imports nothing of Ledge but medians, so that whoever reads a record needs
// little else.
//
// A suite has cases; a case is measured in rounds; in a round every engine runs
// once, one after the other, on the same model with the same settings. Ratios are
// taken within a round, so that a machine which slows down slows both.
package record

import (
	"fmt"
	"strings"
	"time"
)

// Version is of the JSON form. A reader refuses records of a later one.
const Version = 1

// Record is one round of a case.
type Record struct {
	Version int       `json:"version"`
	Suite   Suite     `json:"suite"`
	Group   string    `json:"group,omitempty"` // of the suite, to which the case belongs
	Case    string    `json:"case"`            // unique within the suite, the same in every round
	Round   int       `json:"round"`           // from 1
	Time    time.Time `json:"time"`            // of its beginning, UTC, to the second
	Seconds float64   `json:"seconds"`

	Settings Settings `json:"settings"`
	Model    Model    `json:"model"`
	Machine  Machine  `json:"machine"`

	// Env are the variables that all processes found and that change what engines do,
	// LEDGE_CPU or OMP_NUM_THREADS; paths shortened, secrets hidden.
	Env map[string]string `json:"env,omitempty"`

	Before   Condition `json:"before"` // the machine's, at the round's beginning
	After    Condition `json:"after"`  // and end
	Ceilings *Ceilings `json:"ceilings,omitempty"`

	Runs []Run `json:"runs"` // in the order in which they ran

	// Disturbed says, in words, what makes the round's figures doubtful: "throttled:
	// cpu0 at 1.2 of 3.0 GHz", "other processes used 0.4 processors". Empty: nothing.
	Disturbed []string `json:"disturbed,omitempty"`
}

// Lacks is what every record has and this one has not; "" if it has all.
func (r *Record) Lacks() string {
	switch {
	case r.Case == "":
		return "a case"
	case r.Time.IsZero():
		return "a time"
	case len(r.Runs) == 0:
		return "runs"
	}
	for i := range r.Runs {
		if r.Runs[i].Engine.Name == "" {
			return fmt.Sprintf("the engine's name in run %d", i+1)
		}
	}
	return ""
}

// Suite names the file that asked for the record.
type Suite struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // of the file's bytes
}

// Settings are what a case fixes. Zero values are left to the engine.
type Settings struct {
	Device   string            `json:"device,omitempty"`
	Threads  int               `json:"threads,omitempty"`
	Prompt   int               `json:"prompt,omitempty"`   // tokens read in one go
	Gen      int               `json:"gen,omitempty"`      // tokens generated
	Depth    int               `json:"depth,omitempty"`    // tokens in the cache beforehand
	Parallel int               `json:"parallel,omitempty"` // sequences at once
	Context  int               `json:"context,omitempty"`  // tokens that the model is open for
	Repeat   int               `json:"repeat,omitempty"`   // samples of a figure in a round
	Batch    int               `json:"batch,omitempty"`    // tokens of a prompt that are read at once
	Cache    string            `json:"cache,omitempty"`    // type of keys and values
	Busy     int               `json:"busy,omitempty"`     // processors that something else keeps busy
	Start    string            `json:"start,omitempty"`    // whole processes are measured, which answer this with one token
	Quality  *Quality          `json:"quality,omitempty"`
	Greedy   *Greedy           `json:"greedy,omitempty"`
	Env      map[string]string `json:"env,omitempty"` // variables that the suite sets for Ledge
}

// Test says what is measured as llama-bench does: "pp512", "tg64 @ d4096"; followed by
// the number of sequences, " x8", if there are several.
func (s Settings) Test() string {
	var parts []string
	if s.Prompt > 0 {
		parts = append(parts, fmt.Sprintf("pp%d", s.Prompt))
	}
	if s.Gen > 0 {
		parts = append(parts, fmt.Sprintf("tg%d", s.Gen))
	}
	name := strings.Join(parts, "+")
	if s.Depth > 0 {
		name += fmt.Sprintf(" @ d%d", s.Depth)
	}
	if s.Parallel > 1 {
		name += fmt.Sprintf(" x%d", s.Parallel)
	}
	return name
}

// Greedy is what Output is made of: the most likely tokens after a prompt.
type Greedy struct {
	Prompt string `json:"prompt"` // the text
	Tokens int    `json:"tokens"`
}

// Quality is what a measurement of quality reads.
type Quality struct {
	Text      string `json:"text"`                // the file's base name
	SHA256    string `json:"sha256"`              // of its bytes
	Context   int    `json:"context"`             // tokens of a chunk
	Chunks    int    `json:"chunks"`              // 0: all
	Reference string `json:"reference,omitempty"` // base name of a file of reference logits, for KL and top-1,

	ReferenceSHA256 string `json:"reference_sha256,omitempty"` // and of its bytes
}

// Model is the file that was measured.
type Model struct {
	Name   string `json:"name"` // as reports call it
	File   string `json:"file"` // base name: where a file lies is nobody's business
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Type   string `json:"type,omitempty"` // "llama 135M Q4_0"
	Params int64  `json:"params,omitempty"`

	// What a token must at least read and compute, for rooflines; 0 where unknown.
	TokenBytes    int64 `json:"token_bytes,omitempty"`    // of weights, for every token generated
	CacheBytes    int64 `json:"cache_bytes,omitempty"`    // of keys and values, for every position
	Window        int64 `json:"window,omitempty"`         // of sliding attention, 0 for none
	LocalBytes    int64 `json:"local_bytes,omitempty"`    // of CacheBytes, those of layers that see the window only
	TokenOps      int64 `json:"token_ops,omitempty"`      // multiplications and additions of a token generated
	PromptOps     int64 `json:"prompt_ops,omitempty"`     // the same of a prompt's token, which needs no output
	TrainedLength int64 `json:"trained_length,omitempty"` // positions that the model was trained for
}

// Machine is what does not change while a suite runs, and the devices that a round
// ran on.
type Machine struct {
	OS      string   `json:"os"`   // "linux"
	Arch    string   `json:"arch"` // "amd64"
	Kernel  string   `json:"kernel,omitempty"`
	CPU     string   `json:"cpu"`
	Cores   int      `json:"cores"`
	Level   string   `json:"level,omitempty"` // of Ledge's processor kernels
	Memory  int64    `json:"memory,omitempty"`
	Board   string   `json:"board,omitempty"`   // "NVIDIA Jetson Orin Nano ..."
	Release string   `json:"release,omitempty"` // of the board's Linux
	Mode    string   `json:"mode,omitempty"`    // power mode: "15W", "powersave"
	Devices []Device `json:"devices,omitempty"` // that Ledge computed on in this round, the first most
	Sensors []string `json:"sensors,omitempty"` // of energy: "VDD_IN (module)"
	Absent  []string `json:"absent,omitempty"`  // those that are not there, with the reason
	Virtual string   `json:"virtual,omitempty"` // "kvm": figures of virtual machines are weaker
}

// Device is one that a program computed on.
type Device struct {
	Name        string `json:"name"` // "cpu", "vulkan0"
	Description string `json:"description,omitempty"`
	Driver      string `json:"driver,omitempty"` // and its version
	Memory      int64  `json:"memory,omitempty"`
	Numerics    string `json:"numerics,omitempty"` // results are bit-identical within this class
}

// Condition is a machine's at one moment.
type Condition struct {
	Clocks       map[string]float64 `json:"clocks,omitempty"`       // MHz: "cpu0", "gpu"
	Limits       map[string]float64 `json:"limits,omitempty"`       // the most that each may have, MHz
	Temperatures map[string]float64 `json:"temperatures,omitempty"` // °C
	Held         []string           `json:"held,omitempty"`         // what is held back, and by what
	Throttles    uint64             `json:"throttles,omitempty"`    // counted since the machine's start
	Mode         string             `json:"mode,omitempty"`
	Load         float64            `json:"load,omitempty"`      // average of the last minute
	Free         int64              `json:"free,omitempty"`      // bytes of memory to be had
	Swapped      int64              `json:"swapped,omitempty"`   // pages swapped in and out since the start
	BusyCPU      float64            `json:"busy_cpu,omitempty"`  // processor seconds used by all since the start
	StealCPU     float64            `json:"steal_cpu,omitempty"` // taken away by the hypervisor since the start
	Charge       float64            `json:"charge,omitempty"`    // of the battery, percent; 0 without one
	Plugged      bool               `json:"plugged,omitempty"`   // runs from the mains, where there is a battery
}

// Ceilings are what the machine can do at most, measured beside the case.
type Ceilings struct {
	ReadGBs float64 `json:"read_gbs,omitempty"` // 1e9 bytes of memory a second, read by the case's threads
	DotGOPS float64 `json:"dot_gops,omitempty"` // 1e9 operations a second of the int8 dot product
}
