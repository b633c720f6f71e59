//go:build !amd64

package cpu

import "runtime"

const architecture = runtime.GOARCH

func levelTable(Level) *table { return nil }

func missingFeatures(l Level) string {
	if l == Generic {
		return ""
	}
	return "amd64"
}
