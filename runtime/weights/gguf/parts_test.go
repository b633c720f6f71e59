package gguf_test

import (
	"slices"
	"testing"

	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func TestPartNames(t *testing.T) {
	for path, want := range map[string][]string{
		"d/m.gguf":                {"d/m.gguf"},
		"d/m-00002-of-00002.gguf": {"d/m-00001-of-00002.gguf", "d/m-00002-of-00002.gguf"},
		"m-00003-of-00002.gguf":   {"m-00003-of-00002.gguf"}, // the name of no part
	} {
		if got := gguf.PartNames(path); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
