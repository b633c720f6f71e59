// Package generate makes sentences of household commands with their lines, in
// Chinese and English, by seed: what the default model is trained on and, from
// other templates and other numbers, tested on.
//
// The grammar is in the files of grammar/, whose form grammar.go describes. Go
// knows what a grammar would say badly: numbers, times, rooms beside devices,
// corrections and slips. It has seen schema.md, never the sentences of evalset.
package generate
