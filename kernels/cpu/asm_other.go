//go:build !amd64 && !arm64

package cpu

import "runtime"

const architecture = runtime.GOARCH

func levelTable(Level) *table { return nil }

func missingFeatures(l Level) string {
	if l == Generic {
		return ""
	}
	return "another architecture"
}
