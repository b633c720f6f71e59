//go:build !amd64

package cpu

func levelFits(Level) *fits { return nil }
