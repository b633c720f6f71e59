package engine

import (
	"errors"
	"slices"
	"sync"

	"github.com/ledge-run/ledge/runtime/grammar"
)

// keptGrammars is how many grammars a model keeps what it has found out about.
const keptGrammars = 8

// grammars are what binds grammars to a model's vocabulary.
type grammars struct {
	mu    sync.Mutex
	vocab *grammar.Vocabulary
	used  []boundGrammar // the latest last
}

type boundGrammar struct {
	g *grammar.Grammar
	e *grammar.Engine
}

// constrain turns a grammar in the settings into a constraint.
func (m *Model) constrain(set *Settings) error {
	if set.Grammar == nil {
		return nil
	}
	switch {
	case set.Constraint != nil:
		return errors.New("a grammar (JSON schema) and another constraint exclude each other")
	case set.IgnoreEOG:
		return errors.New("a grammar (JSON schema) ends its text; it cannot be asked to go on after that")
	}
	set.Constraint = m.Matcher(set.Grammar)
	return nil
}

// Matcher binds a grammar to the model's vocabulary, for one text. What is found
// out about a grammar is kept for its next uses.
func (m *Model) Matcher(g *grammar.Grammar) *grammar.Matcher {
	k := &m.grammars
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.vocab == nil {
		t := m.Tokenizer
		k.vocab = grammar.NewVocabulary(t.Size(), func(id int32) string { return t.PieceString(id, false) }, t.EOG())
	}
	i := slices.IndexFunc(k.used, func(b boundGrammar) bool { return b.g == g })
	if i < 0 {
		if len(k.used) == keptGrammars {
			k.used = slices.Delete(k.used, 0, 1)
		}
		k.used = append(k.used, boundGrammar{g, grammar.NewEngine(g, k.vocab)})
	} else {
		b := k.used[i]
		k.used = append(slices.Delete(k.used, i, i+1), b)
	}
	return k.used[len(k.used)-1].e.Matcher()
}
