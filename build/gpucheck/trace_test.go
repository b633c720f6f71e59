package main

import (
	"strings"
	"testing"
)

// TestTrace reads times as backend/cuda writes them, of the largest recording.
func TestTrace(t *testing.T) {
	const small = "call 0 argmax.sm_90 output \"logits\"\n0 1 2 3 5\n"
	all, err := launchesOf(strings.NewReader(small +
		"call 0 embed_tensor_q4_0.sm_90 %2 embed \"token_embd\"\n0 1000 1100 2000 1\n1 1000 1050 2500 2\n" +
		"call 2 product_tensor_q4_0_1.sm_90 %7 fused_linear \"blk.0.attn_q\"\n0 1500 3500 9000 1\n1 1600 3600 12500 1\n" +
		"call 3 product_tensor_q6_k_1.sm_90 %7 fused_linear \"blk.0.attn_q\"\n0 1500 12500 12500 1\n" +
		"call 4 rope_cache.sm_90 %9 rope_cache\n0 11000 13500 14500 1\n" +
		"call 5 product_tensor_q4_0_1.sm_90 %24 fused_linear \"blk.1.attn_q\"\n0 1500 16500 26500 1\n" +
		"call 6 rope_cache.sm_90 %25 rope_cache\n0 11000 27500 29500 1\n" + small))
	if err != nil || len(all) != 6 || all[1].blocks != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	want := "| attn_q | 2 | 11.0 | 1.5 |\n| attn_q, another type | 1 | 0.0 | 0.0 |\n| rope_cache | 2 | 2.5 | 1.0 |\n"
	if have := kernelRows(all); have != want {
		t.Errorf("%s\nwant\n%s", have, want)
	}
	for _, bad := range []string{"0 1 2 3 5\n", "call x\n", "call 0 a b\n1 2\n"} {
		if _, err := launchesOf(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is taken for times", bad)
		}
	}
}
