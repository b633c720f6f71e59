package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// pretok is a pre-tokenizer: how a text is cut into words before BPE, and the
// settings that go with its name.
type pretok struct {
	stages       []stage
	ignoreMerges bool // a word that is a token is that token, whatever the merges say
	addBOS       bool // default of add_bos_token
	addSEP       bool // default of add_sep_token
	noBOS        bool // no default BOS token
	chars        bool // on characters with ▁ for a space, not on bytes
}

// Sets the rules are made of, named by their place in the expressions.
var (
	nothing     = set{any: 0, not: ^class(0)}
	blank       = set{any: clsBlank}
	space       = set{any: clsSpace}
	letters     = set{any: clsLetter}
	numbers     = set{any: clsNumber}
	newlines    = set{any: clsNewline}
	lettersM    = set{any: clsLetter | clsMark}
	others      = set{not: clsSpace | clsLetter | clsNumber}           // [^\s\p{L}\p{N}]
	othersM     = set{not: clsSpace | clsLetter | clsNumber | clsMark} // [^\s\p{L}\p{M}\p{N}]
	marksSigns  = set{any: clsPunct | clsSymbol}                       // [\p{P}\p{S}]
	newlinesSl  = set{any: clsNewline | clsSlash}
	beforeWord  = set{not: clsNewline | clsLetter | clsNumber}            // [^\r\n\p{L}\p{N}]
	beforeWordP = set{not: clsNewline | clsLetter | clsPunct | clsSymbol} // [^\r\n\p{L}\p{P}\p{S}]
)

// pretokTable lists the pre-tokenizers. To add one, add a line: its names and
// its stages.
var pretokTable = sync.OnceValue(func() map[string]*pretok {
	spaces := run(space, 0)
	digit, digits3 := stage{run(numbers, 1)}, stage{run(numbers, 3)}

	// gpt2 is 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
	gpt2 := stage{contraction(false), word(blank, letters, nothing), word(blank, numbers, nothing),
		word(blank, others, nothing), trailing, spaces}
	// llama3 is (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max}|
	// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
	llama3 := func(max int) stage {
		return stage{contraction(true), word(beforeWord, letters, nothing), run(numbers, max),
			word(blank, others, newlines), lineEnds, trailing, spaces}
	}
	qwen2 := llama3(1)
	// deepseek3 is punctuation and the word after it, words with their marks,
	// punctuation with line ends, space.
	deepseek3 := stage{punctWord, word(beforeWordP, lettersM, nothing),
		word(blank, marksSigns, newlines), lineEnds, trailing, spaces}
	gpt4o := func(max int, suffix bool) stage {
		return stage{cased(beforeWord, suffix, 0), run(numbers, max),
			word(blank, others, newlinesSl), lineEnds, trailing, spaces}
	}
	poro := stage{word(blank, set{any: clsPoro}, nothing)}
	lines := stage{run(set{not: clsLF}, 0), run(set{any: clsLF}, 0)}
	cjk := stage{run(set{any: clsCJK}, 0)}

	m := map[string]*pretok{}
	add := func(names string, p pretok) {
		for _, n := range strings.Fields(names) {
			m[n] = &p
		}
	}
	add("default", pretok{stages: []stage{{run(set{any: clsDefault}, 0)}, gpt2, {run(numbers, 0)},
		{threeDigits}}})
	add("gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert mpt olmo "+
		"jais trillion granite-docling exaone4", pretok{stages: []stage{gpt2}})
	add("jina-v1-en jina-v2-code roberta-bpe", pretok{stages: []stage{gpt2}, addSEP: true})
	add("smollm starcoder refact command-r codeshell exaone minerva-7b mellum2",
		pretok{stages: []stage{digit, gpt2}})
	add("llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
		pretok{stages: []stage{llama3(3)}, ignoreMerges: true, addBOS: true})
	add("dbrx smaug-bpe", pretok{stages: []stage{llama3(3)}})
	add("chatglm-bpe", pretok{stages: []stage{llama3(3)}, noBOS: true})
	add("glm4 glm5", pretok{stages: []stage{llama3(3)}, noBOS: true, ignoreMerges: true})
	add("qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 hunyuan solar-open megrez grok-2",
		pretok{stages: []stage{qwen2}})
	add("qwen35", pretok{stages: []stage{{contraction(true), word(beforeWord, lettersM, nothing),
		run(numbers, 1), word(blank, othersM, newlines), lineEnds, trailing, spaces}}})
	add("ufakzeka", pretok{stages: []stage{qwen2[1:]}})
	add("laguna", pretok{stages: []stage{lines, qwen2}})
	add("minicpm5", pretok{stages: []stage{digits3, llama3(0)}, ignoreMerges: true})
	add("bailingmoe bailingmoe2 llada-moe", pretok{stages: []stage{{contraction(true),
		word(beforeWord, letters, nothing), run(numbers, 1), word(blank, others, newlines), lineEnds, trailing, spaces}}})
	add("seed-coder", pretok{stages: []stage{{contraction(true), word(beforeWord, letters, nothing),
		run(numbers, 1), word(blank, others, nothing), lineEnds, trailing, spaces}}})
	add("exaone-moe", pretok{stages: []stage{{contraction(true), phrase(beforeWord), run(numbers, 1),
		wordMax(blank, others, newlinesSl, 1), lineEnds, trailing, spaces}}})
	add("jais-2", pretok{stages: []stage{{contraction(true), word(beforeWord, letters, nothing), run(numbers, 3),
		word(blank, others, newlines), lineEnds, trailingSteps(512, 256, 128, 64, 32, 16, 8, 4, 2, 1), run(space, 1)}}})
	add("falcon", pretok{stages: []stage{{run(set{any: clsFalcon}, 0)}, gpt2, {threeDigits}}})
	add("deepseek-llm", pretok{stages: []stage{{run(newlines, 1)},
		{word(space, set{any: clsDeepLetter}, nothing)}, {word(space, set{any: clsDeepPunct}, nothing)},
		{toEnd}, cjk, {run(numbers, 0)}}})
	add("deepseek-coder", pretok{stages: []stage{{run(newlines, 1)}, {word(space, letters, nothing)},
		{word(space, set{any: clsPunct}, nothing)}, cjk, digit}})
	add("deepseek-v3 hunyuan-dense joyai-llm hy_v4",
		pretok{stages: []stage{digits3, {run(set{any: clsHanKana}, 0)}, deepseek3}})
	add("spark2_5", pretok{stages: []stage{digits3, {run(set{any: clsHanKana}, 0)}, {punctWord,
		word(beforeWordP, lettersM, nothing), word(blank, marksSigns, nothing), run(newlines, 1), trailing, spaces}, digit}})
	add("afmoe", pretok{stages: []stage{{fromRight(numbers)}, {run(set{any: clsAsian}, 0)}, deepseek3}})
	add("poro-chat bloom gpt3-finnish", pretok{stages: []stage{poro}})
	add("viking", pretok{stages: []stage{poro, digit}})
	add("gpt-4o llama4 kanana2 talkie minimax-m2", pretok{stages: []stage{gpt4o(3, true)}})
	add("granite-embed-multi-97m", pretok{stages: []stage{gpt4o(3, true)}, ignoreMerges: true})
	add("tekken", pretok{stages: []stage{gpt4o(1, false)}, ignoreMerges: true, addBOS: true})
	add("tiny_aya cohere2moe", pretok{stages: []stage{{fromRight(numbers)}, gpt4o(3, true)}})
	add("kimi-k2", pretok{stages: []stage{{run(set{any: clsHan}, 0), cased(beforeWord, true, clsHan),
		run(numbers, 3), word(blank, others, newlines), lineEnds, trailing, spaces}}})
	add("superbpe", pretok{stages: []stage{{run(numbers, 0)}, {fromRight(set{any: clsASCIIDigit})}}})
	add("gemma4 granite-embed-multi-311m sarvam-moe", pretok{stages: []stage{lines}, chars: true})
	return m
})

// threeDigits matches [0-9][0-9][0-9].
func threeDigits(t *[bmp]class, s string, i int) int {
	if end := skip(t, s, i, set{any: clsASCIIDigit}, 3); end == i+3 {
		return end
	}
	return i
}

// toEnd matches \s+$. It looks only from the start of a run of space: where that
// fails, so would every later place in the run.
func toEnd(t *[bmp]class, s string, i int) int {
	if r, _ := utf8.DecodeLastRuneInString(s[:i]); i > 0 && space.has(classOf(t, r)) {
		return i
	}
	if end := skip(t, s, i, space, 0); end == len(s) {
		return end
	}
	return i
}

// findPretok returns the pre-tokenizer called name ("" is the default one).
func findPretok(name string) (*pretok, error) {
	if name == "" {
		name = "default"
	}
	table := pretokTable()
	if p, ok := table[name]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("tokenizer: pre-tokenizer %q (tokenizer.ggml.pre) is not known; known: %s",
		name, strings.Join(PreTokenizers(), " "))
}

// PreTokenizers returns the names of tokenizer.ggml.pre that this package
// knows, in alphabetical order.
func PreTokenizers() []string {
	table := pretokTable()
	names := make([]string, 0, len(table))
	for n := range table {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
