// Package console is what Ledge's programs have in common on the command line: how
// flags and arguments are told apart, help, exit codes, interrupts, standard output
// and progress. Results go to standard output, everything else to standard error.
package console
