// Package feed makes the parts of every training step from JSONL files: their examples
// are read and tokenized once into a compact file, drawn in an order that depends on
// the seed and the epoch alone, and packed one after another without padding. Step n is
// the same whoever asks for it and whatever was asked for before, so that a run goes on
// from its number.
package feed
