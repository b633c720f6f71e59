package main

import "github.com/ledge-run/ledge/cmd/internal/console"

// The words of package console, as the commands here use them.
type usageError = console.UsageError

var (
	usagef   = console.Usagef
	oneLine  = console.OneLine
	suggest  = console.Suggest
	describe = console.Describe
	only     = console.Only
	find     = console.Find
	names    = console.Names
	dashed   = console.Dashed

	flagNames = console.FlagNames
	errSilent = console.ErrSilent
)

func (a *app) newProgress() *console.Progress {
	return console.NewProgress(a.stderr, a.getenv, a.quiet)
}
