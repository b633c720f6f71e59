package main

import (
	"maps"
	"slices"
	"testing"
)

// TestFigures reads what go test prints of BenchmarkProducts.
func TestFigures(t *testing.T) {
	shapes, all := figuresOf("goos: linux\n" +
		"BenchmarkProducts/8b.qkv.Q4_0/chained-16         \t       1\t  94000000 ns/op\t      3012 GB/s\t         5.250 us/product\n" +
		"BenchmarkProducts/8b.qkv.Q4_0/apart-16         \t       1\t  94000000 ns/op\t      3112.5 GB/s\t         5.000 us/product\n" +
		"BenchmarkProducts/wide.down.Q4_K/chained         \t       1\t  94000000 ns/op\t      4012 GB/s\t         33.00 us/product\n" +
		"PASS\n")
	if !slices.Equal(shapes, []string{"8b.qkv.Q4_0", "wide.down.Q4_K"}) {
		t.Errorf("shapes %q", shapes)
	}
	want := map[string]figures{"chained": {5.25, 3012}, "apart": {5, 3112.5}}
	if !maps.Equal(all[shapes[0]], want) || all["wide.down.Q4_K"]["chained"] != (figures{33, 4012}) {
		t.Errorf("%v", all)
	}
}
