package cuda

import (
	"testing"

	"github.com/ledge-run/ledge/kernels/shader"
)

// TestAttention: every layer of attention has its kernels, with shared memory that all
// GPUs since sm_80 have: heads of a width that there is a kernel for get that one.
func TestAttention(t *testing.T) {
	const most = 99 << 10 // bytes of a block's shared memory
	for _, c := range []struct {
		key, value, group int
		cache             shader.CacheType
		few, many         string
	}{
		{64, 64, 3, shader.CacheF16, "attention_tensor_few_64", "attention_tensor_many_64"},
		{80, 80, 71, shader.CacheF16, "attention_tensor_few_80", "attention_tensor_many_80"},
		{96, 96, 1, shader.CacheF16, "attention_tensor_few_96", "attention_tensor_many_96"},
		{128, 128, 16, shader.CacheF16, "attention_tensor_few_128", "attention_tensor_many_128"},
		{256, 256, 4, shader.CacheF16, "attention_tensor_few_256", "attention_tensor_many_256"},
		{128, 64, 4, shader.CacheF16, "attention_tensor_few", "attention_tensor_many"},
		{256, 16, 4, shader.CacheF16, "attention_tensor_few", "attention_tensor_many"},
		{16, 256, 4, shader.CacheF16, "attention_tensor_few", "attention_tensor_many"},
		{72, 64, 4, shader.CacheF16, "attention_plain", "attention_plain"},
		{64, 72, 4, shader.CacheF16, "attention_plain", "attention_plain"},
		{64, 272, 4, shader.CacheF16, "attention_plain", "attention_plain"},
		{512, 512, 4, shader.CacheF16, "attention_plain", "attention_plain"},
		{64, 64, 4, shader.CacheF32, "attention_plain", "attention_plain"},
	} {
		a := shader.Attention{KV: shader.KV{KVHeads: 2, KeyDim: c.key, ValueDim: c.value, Type: c.cache}, Heads: 2 * c.group, Causal: true}
		for many, want := range []string{c.few, c.many} {
			calls, err := a.Calls(shader.Features{Tensor: true}, many == 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(calls) != 2-many {
				t.Errorf("%+v: %d calls", c, len(calls))
			}
			for i, call := range calls {
				b, err := Find(call.Kernel, call.Constants, 87)
				if err != nil {
					t.Errorf("%+v: %v", c, err)
					continue
				}
				if old, err := Find(call.Kernel, call.Constants, 72); err != nil || old.Entry != b.Entry || old.Dynamic != 0 {
					t.Errorf("%+v on Xavier: %+v, %v", c, old, err)
				}
				if i == 1 {
					want = "attention_merge_tensor"
				}
				if b.Entry != want || b.Dynamic > most || len(call.Params) > MaxParams {
					t.Errorf("%+v: %+v with %d parameters, want %s", c, b, len(call.Params), want)
				}
			}
		}
	}
}
