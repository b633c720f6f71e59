//go:build !amd64 && !arm64

package cpu

func levelCeilings(Level) *ceilings { return nil }
