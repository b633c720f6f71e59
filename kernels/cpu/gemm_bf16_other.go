//go:build !amd64

package cpu

func levelPairs(Level) *pairs { return nil }
