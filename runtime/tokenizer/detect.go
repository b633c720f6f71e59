package tokenizer

import "slices"

// Files often leave out which tokens end a turn, so they are recognised by
// their text, as llama.cpp does.

// namedTokens lists the special ids that may be recognised, with their texts;
// the first text found counts.
func (c *Config) namedTokens() []struct {
	id    *int32
	texts []string
} {
	type entry = struct {
		id    *int32
		texts []string
	}
	return []entry{
		{&c.EOT, []string{"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>",
			"<EOT>", "_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>"}},
		{&c.EOM, []string{"<|eom_id|>"}},
		{&c.FIMPrefix, []string{"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
			"<|code_prefix|>", "<|prefix|>"}},
		{&c.FIMSuffix, []string{"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
			"<|code_suffix|>", "<|suffix|>"}},
		{&c.FIMMiddle, []string{"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>",
			"<|code_middle|>", "<|middle|>"}},
		{&c.FIMPad, []string{"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
		{&c.FIMRepo, []string{"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
		{&c.FIMFileSep, []string{"<|file_sep|>"}},
	}
}

// eogTexts are the texts of tokens that end a generation in every vocabulary.
var eogTexts = []string{
	"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
	"<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
	"<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
}

// shownTexts are markers of GPT-OSS that a reader of its output needs to see.
var shownTexts = []string{"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}

// detect fills in the special ids that t.cfg leaves open and the list of
// tokens that end a generation, and corrects the types of these tokens.
func (t *Tokenizer) detect() {
	c := &t.cfg
	// One pass over the vocabulary finds all the texts of interest.
	want := map[string]int32{"<|plamo:eos|>": -1}
	named := c.namedTokens()
	for _, e := range named {
		for _, s := range e.texts {
			want[s] = -1
		}
	}
	for _, s := range slices.Concat(eogTexts, shownTexts) {
		want[s] = -1
	}
	for id, s := range c.Tokens {
		if len(s) > 32 || s[0] != '<' && s[0] != '[' && s[0] != '_' && s[0] != spaceMark[0] {
			continue
		}
		if _, ok := want[s]; ok {
			want[s] = int32(id)
		}
	}
	find := func(s string) (int32, bool) {
		id := want[s]
		return id, id >= 0
	}
	for _, e := range named {
		for _, s := range e.texts {
			if id, ok := find(s); ok && *e.id < 0 {
				*e.id = id
				t.types[id] = TypeControl
			}
		}
	}

	eog := map[int32]bool{}
	for _, id := range []int32{c.FIMPad, c.FIMRepo, c.FIMFileSep, c.EOS, c.EOT, c.EOM} {
		if id >= 0 {
			eog[id] = true
		}
	}
	for _, s := range eogTexts {
		if id, ok := find(s); ok {
			eog[id] = true
			t.types[id] = TypeControl
		}
	}
	for _, s := range shownTexts {
		if id, ok := find(s); ok {
			t.types[id] = TypeUserDefined
		}
	}
	ends := func(s string) bool { id, ok := find(s); return ok && eog[id] }
	// In GPT-OSS and Solar <|end|> ends a message, not the generation.
	call := ends("<|call|>") || ends("<|calls|>")
	if ends("<|end|>") && call && (ends("<|return|>") || ends("<|flush|>")) {
		id, _ := find("<|end|>")
		delete(eog, id)
		t.types[id] = TypeUserDefined
	}
	// Gemma 4 and PLaMo have </s> as a piece of HTML.
	if ends("</s>") && (ends("<|tool_response>") || ends("<|plamo:eos|>")) {
		id, _ := find("</s>")
		delete(eog, id)
		t.types[id] = TypeNormal
	}
	for id := range eog {
		t.eog = append(t.eog, id)
	}
	slices.Sort(t.eog)
}
