package record

import "github.com/ledge-run/ledge/runtime/bench/stats"

// Ledge is the name of Ledge's own engine; every other is a peer.
const Ledge = "ledge"

// Run is what one engine did in a round.
type Run struct {
	Engine  Engine            `json:"engine"`
	Figures map[string]Figure `json:"figures,omitempty"` // by the names below
	Energy  []Energy          `json:"energy,omitempty"`
	Output  *Output           `json:"output,omitempty"`
	Seconds float64           `json:"seconds"`           // all of it took, with loading and warming up
	Devices []Device          `json:"devices,omitempty"` // that it computed on, where it says so
	Notes   []string          `json:"notes,omitempty"`   // what it has to say of how it ran

	// Failure is why there are no figures: the engine crashed, printed nonsense, ran
	// out of time. The other engines' figures stand.
	Failure string `json:"failure,omitempty"`
}

// Engine is a program that runs models.
type Engine struct {
	Name    string   `json:"name"`              // Ledge, or the peer's name in the suite
	Version string   `json:"version,omitempty"` // as it says itself
	SHA256  string   `json:"sha256,omitempty"`  // of the program
	Args    []string `json:"args,omitempty"`    // the command, paths shortened to their last part
}

// Names of figures. Throughputs count the tokens of all sequences.
const (
	Load       = "load"        // s, from the process's start until the model could run
	Prefill    = "prefill"     // tokens/s of reading a prompt
	Decode     = "decode"      // tokens/s of generation
	FirstToken = "first_token" // s from the process's start to the first token: a user's wait
	TokenP50   = "token_p50"   // ms between two tokens: the median,
	TokenP95   = "token_p95"   // the 95th
	TokenP99   = "token_p99"   // and the 99th percentile
	PeakMemory = "peak_memory" // MB (1e6 bytes) resident at most
	Wall       = "wall"        // s of the whole process
	CPUTime    = "cpu_time"    // s of all processors
	Perplexity = "perplexity"
	KL         = "kl"               // nats a token, from the reference to the model
	TopOne     = "top_one"          // share of tokens whose most likely successor is the reference's
	Joules     = "joules_per_token" // J of the source that is charged with the work
	Watts      = "watts"            // of the same source, on average
	TokensPerJ = "tokens_per_joule"
	Kept       = "kept" // share of its speed that generation has beside something that keeps processors busy
)

// kinds are the figures in the order in which reports have them.
var kinds = []struct {
	name, unit string
	lower      bool
}{
	{Decode, "tokens/s", false}, {Prefill, "tokens/s", false}, {Kept, "share", false},
	{FirstToken, "s", true}, {Load, "s", true}, {TokenP50, "ms", true}, {TokenP95, "ms", true}, {TokenP99, "ms", true},
	{Wall, "s", true}, {CPUTime, "s", true}, {PeakMemory, "MB", true},
	{Joules, "J", true}, {TokensPerJ, "tokens/J", false}, {Watts, "W", true},
	{Perplexity, "", true}, {KL, "nats", true}, {TopOne, "share", false},
}

// Names lists the figures in the order in which reports have them.
func Names() []string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return all
}

// NewFigure is a figure of a known name with its unit and direction.
func NewFigure(name string, samples ...float64) Figure {
	for _, k := range kinds {
		if k.name == name {
			return Figure{Unit: k.unit, Samples: samples, Lower: k.lower}
		}
	}
	return Figure{Samples: samples}
}

// Figure is what was measured of one quantity, every sample of it.
type Figure struct {
	Unit    string    `json:"unit"`
	Samples []float64 `json:"samples"`
	Lower   bool      `json:"lower,omitempty"` // less is better
}

// Energy is what a source measured during the repetitions.
type Energy struct {
	Source string  `json:"source"` // VDD_IN, RAPL package-0
	Covers string  `json:"covers"` // module, package, machine, card, part
	Method string  `json:"method"` // "counter", "sampled every 50 ms"
	Joules float64 `json:"joules"`
	Watts  float64 `json:"watts"`
	Tokens int     `json:"tokens"` // that were made meanwhile
}

// Output is what a fixed prompt gives: two runs that are to compare must have the
// same.
type Output struct {
	Prompt string `json:"prompt"` // base name of the text, or the text in the suite
	Tokens int    `json:"tokens"` // generated, greedily
	SHA256 string `json:"sha256"` // of the token ids in decimal, a line each
	Text   string `json:"text,omitempty"`
}

// Of gives the run of an engine.
func (r *Record) Of(engine string) (*Run, bool) {
	for i := range r.Runs {
		if r.Runs[i].Engine.Name == engine {
			return &r.Runs[i], true
		}
	}
	return nil, false
}

// Value is the median of a figure's samples; false where there are none.
func (r *Run) Value(figure string) (float64, bool) {
	f, ok := r.Figures[figure]
	if !ok || len(f.Samples) == 0 {
		return 0, false
	}
	return stats.Median(f.Samples), true
}
