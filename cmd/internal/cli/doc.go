// Package cli reads command lines by tables of commands and flags. It has what Ledge's
// programs need of github.com/urfave/cli, under the same names, over the standard
// library's package flag.
//
// That library formats help with text/template, which calls methods by their names: a
// program that can do so keeps each exported method of every type, for the linker cannot
// know which are meant. They were 1.9 MB of ledge. Nothing here finds a method by its
// name; how help looks is up to the program (App.Help).
package cli
