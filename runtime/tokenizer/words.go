package tokenizer

// Splitter cuts texts into words as a pre-tokenizer does. It is immutable.
type Splitter struct{ pre *pretok }

// NewSplitter returns the pre-tokenizer of that name; see PreTokenizers.
func NewSplitter(pre string) (*Splitter, error) {
	p, err := findPretok(pre)
	if err != nil {
		return nil, err
	}
	return &Splitter{p}, nil
}

// Words calls emit for every word of text in order: parts of text that join to it.
// Vocabularies are trained on them.
func (s *Splitter) Words(text string, emit func(word string)) {
	split(classTable(), s.pre.stages, text, emit)
}
