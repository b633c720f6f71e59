package bpetrain

import (
	"encoding/json"
	"strings"
)

// preset is a pre-tokenizer that vocabularies can be trained with: one that both
// GGUF and tokenizer.json can say.
type preset struct {
	name         string
	pre          string // tokenizer.ggml.pre
	like         string
	ignoreMerges bool // a word that is a token is that token
	json         string
}

// The expressions are those that the models' own tokenizer.json has.
const (
	llama3Words = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Words  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

	byteLevel      = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	byteLevelPlain = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`
	singleDigits   = `{"type":"Digits","individual_digits":true}`
)

var presets = []preset{
	{"gpt2", "gpt-2", "GPT-2: words with the space before them, numbers of any length", false, byteLevel},
	{"llama3", "llama-bpe", "Llama 3: numbers in groups of three, line ends with the punctuation before them", true, split(llama3Words)},
	{"qwen2", "qwen2", "Qwen 2: as Llama 3, each digit by itself", false, split(qwen2Words)},
	{"smollm", "smollm", "SmolLM: as GPT-2, each digit by itself", false, sequence(singleDigits, byteLevel)},
}

func sequence(parts ...string) string {
	return `{"type":"Sequence","pretokenizers":[` + strings.Join(parts, ",") + `]}`
}

func split(expression string) string {
	e, err := json.Marshal(expression)
	if err != nil { // a string always has a JSON form
		e = []byte(`""`)
	}
	return sequence(`{"type":"Split","pattern":{"Regex":`+string(e)+`},"behavior":"Isolated","invert":false}`, byteLevelPlain)
}

// Presets are the names of the pre-tokenizers to train with.
func Presets() []string {
	var names []string
	for _, p := range presets {
		names = append(names, p.name)
	}
	return names
}

// DescribePreset says in a line what a pre-tokenizer is like.
func DescribePreset(name string) string {
	p, err := findPreset(name)
	if err != nil {
		return ""
	}
	return p.like
}

func findPreset(name string) (preset, error) {
	for _, p := range presets {
		if p.name == name {
			return p, nil
		}
	}
	return preset{}, configErrorf("no pre-tokenizer %q; there are: %s", name, strings.Join(Presets(), " "))
}
