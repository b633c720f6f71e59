package main

import (
	"slices"

	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/home"
)

// asSentences has the built-in model asked as ledge run asks it: each text is a sentence
// in its one way of writing, and no chat template, which it has not learnt, is around it.
func (a *app) asSentences(p eval.Plan, d *eval.Data) (eval.Plan, *eval.Data) {
	if p.System != "" {
		a.note("note: the built-in model reads sentences and nothing else: it gets no system message")
	}
	p.Raw, p.System = true, ""
	if p.Template != "" {
		return p, d // says itself how a text is written
	}
	own := *d
	own.Items, p.Examples = sentencesOf(d.Items), sentencesOf(p.Examples)
	return p, &own
}

func sentencesOf(items []eval.Item) []eval.Item {
	items = slices.Clone(items)
	for i := range items {
		items[i].Text = home.Prompt(items[i].Text)
	}
	return items
}
