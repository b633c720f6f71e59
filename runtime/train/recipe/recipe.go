// Package recipe reads the YAML files that say how a model is trained: on what data,
// with which tokenizer, of what shape, for how long. Unknown keys are errors that
// name the line, the column and what may have been meant. See docs/training.md for
// every key.
package recipe

import (
	"path/filepath"
	"time"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/strictyaml"
)

// Recipe is what a file asks for. Paths are as Path gives them.
type Recipe struct {
	File string // for messages

	Seed      int64
	Data      Data
	Tokenizer string // a GGUF file with a vocabulary; "" takes that of From
	From      string // a GGUF file to begin with; "" trains Model from nothing
	Model     Model
	Train     Train

	Adapters *Adapters // low-rank adapters are trained in place of the weights; nil for none
	Round    *Round    // the weights are trained rounded as they will be stored; nil for not
	Distill  *Distill  // the labels are a teacher's, too; nil for not

	Checkpoint Checkpoint
	Validate   Validate
	Export     Export
	Out        string // folder of all that comes of it
}

// Data is what is trained on.
type Data struct {
	Train, Valid []string // paths or patterns of JSONL files
	Template     string   // of lines with a prompt and a completion
	PromptLoss   float64  // what a prompt's tokens count, beside the 1 of a completion's
	Long         string   // what becomes of what is longer than the context: LongCut, LongSkip, LongRefuse
	Bad          string   // what becomes of malformed lines: BadRefuse, BadSkip
	Context      int      // tokens of an example at most; 0: what the model can take, of a file's no more than a step has
}

// What becomes of an example that is longer than the context, and of a malformed line.
const (
	LongCut    = "cut"
	LongSkip   = "skip"
	LongRefuse = "refuse"
	BadSkip    = "skip"
	BadRefuse  = "refuse"
)

// Model is the shape of a model that begins with random weights.
type Model struct {
	Architecture string
	Name         string
	Layers       int
	Embedding    int
	Heads        int
	KVHeads      int
	KeyLength    int // of a head; 0: Embedding/Heads
	FeedForward  int
	Context      int
	Tied         bool    // the output matrix is the embedding
	RopeBase     float64 // of the rotary embedding's angles
	NormEps      float64
	Deviation    float64 // of the random matrices
}

// Train is how it is trained.
type Train struct {
	TokensPerStep int // whole examples until there are so many
	TokensAtOnce  int // run together; what takes memory
	Steps         int // 0: by Epochs
	Epochs        float64

	Schedule string // cosine, linear, constant
	Rate     float64
	Floor    float64 // where the rate ends, as a part of Rate
	Warmup   int     // steps

	Beta1, Beta2, Decay, Clip float64
	Dropout                   float64
	Precision                 string // f32, bf16
	Recompute                 bool   // less memory, a third more time
	Groups                    []Group
}

// Group is a set of weights with a learning rate of their own.
type Group struct {
	Weights string // a pattern for their names
	Rate    float64
}

// Adapters are low-rank additions to matrices.
type Adapters struct {
	Rank    int
	Alpha   float64
	Targets []string // the names of the matrices, as attn_q; empty: all of the layers
}

// Round is training for a quantised file.
type Round struct {
	Type     dtype.DType
	FromStep int
}

// Distill is training on what another model says, too.
type Distill struct {
	Teacher     string
	Temperature float64
	Mix         float64 // part of the labels in the loss
	TopK        int     // of the teacher's tokens
}

// Checkpoint says when the run is kept; whichever comes first, if both are said.
type Checkpoint struct {
	Steps int
	Every time.Duration
	Keep  int
}

// Validate says when the loss on Data.Valid is measured.
type Validate struct {
	Every   int // steps; at the end in any case
	Percent int // of all steps, in place of Every; 0 for not
	Tokens  int // at most so many
}

// Export is the model's file.
type Export struct {
	Type    dtype.DType // of the matrices that were trained
	Average int         // of the parameters of the last checkpoints; 1 for the last one alone
	Best    bool        // the parameters of the step after which the validation loss was lowest
}

// Default is a recipe with all that a file need not say.
func Default() *Recipe {
	return &Recipe{
		Seed:       1,
		Data:       Data{Template: "{prompt}{completion}", Long: LongCut, Bad: BadRefuse},
		Model:      Model{Architecture: "llama", Tied: true, RopeBase: 10000, NormEps: 1e-5, Deviation: 0.02},
		Train:      Train{TokensPerStep: 2048, TokensAtOnce: 2048, Schedule: "cosine", Rate: 1e-3, Floor: 0.1, Warmup: -1, Beta1: 0.9, Beta2: 0.95, Decay: 0.1, Clip: 1, Precision: "f32"},
		Checkpoint: Checkpoint{Every: 5 * time.Minute, Keep: 2},
		Validate:   Validate{Tokens: 100_000},
		Export:     Export{Type: dtype.F32, Average: 1},
	}
}

// Error is what is wrong with a recipe, and where.
type Error = strictyaml.Error

// Load reads a file. Each of set is KEY=VALUE and replaces what the file says of the
// key: train.rate=3e-3.
func Load(path string, set []string) (*Recipe, error) {
	data, err := strictyaml.Load(path)
	if err != nil {
		return nil, err
	}
	return Parse(data, path, set)
}

// Path is a path of a file, which starts in the file's folder.
func (r *reader) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(r.File), p)
}
