package shader_test

import (
	"testing"

	"github.com/ledge-run/ledge/kernels/shader"
)

// TestVariants: every kernel has some, with a value for each constant, none twice.
func TestVariants(t *testing.T) {
	for _, kernel := range shader.Kernels() {
		names, err := shader.Constants(kernel)
		if err != nil {
			t.Fatal(err)
		}
		all, err := shader.Variants(kernel)
		if err != nil || len(all) == 0 {
			t.Errorf("%s: %d variants, %v", kernel, len(all), err)
		}
		seen := map[string]bool{}
		for _, v := range all {
			if len(v) != len(names) || v[0] != 128 {
				t.Errorf("%s: %v for %v", kernel, v, names)
			}
			var key string
			for _, x := range v {
				key += string(rune(x)) + ","
			}
			if seen[key] {
				t.Errorf("%s: %v comes twice", kernel, v)
			}
			seen[key] = true
		}
	}
	if _, err := shader.Variants("no_such"); err == nil {
		t.Error("variants of a kernel that is not there")
	}
}
