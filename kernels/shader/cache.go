package shader

import "fmt"

// CacheType is how keys and values are stored.
type CacheType uint8

const (
	CacheF16 CacheType = iota
	CacheF32
)

// KV describes the cache of a layer: two buffers, Keys and Values, of pages of
// PageTokens tokens.
//
//	keys:   [page][kv head][word][token]   a word is two dims (f16) or one (f32)
//	values: [page][kv head][token][word]
//
// The second half of the last word of an odd head in f16 is zero.
type KV struct {
	KVHeads, KeyDim, ValueDim int
	Type                      CacheType
	Layer                     int // Call.Layer
}

// words is the uints of n dims.
func (k KV) words(n int) int {
	if k.Type == CacheF16 {
		return (n + 1) / 2
	}
	return n
}

// PageKeys is the uints of a page of the buffer Keys.
func (k KV) PageKeys() int { return k.KVHeads * PageTokens * k.words(k.KeyDim) }

// PageValues is the uints of a page of the buffer Values.
func (k KV) PageValues() int { return k.KVHeads * PageTokens * k.words(k.ValueDim) }

// maxHeadDim is the largest head that attention takes: its queries stand in shared
// memory, its sums in registers.
const maxHeadDim = 512

// Check says why attention cannot use the cache, or nil.
func (k KV) Check() error {
	switch {
	case k.Type != CacheF16 && k.Type != CacheF32:
		return fmt.Errorf("shader: cache type %d: only f16 and f32 are stored", k.Type)
	case k.KVHeads < 1 || k.KeyDim < 1 || k.ValueDim < 1:
		return fmt.Errorf("shader: a cache of %d heads of %d and %d floats", k.KVHeads, k.KeyDim, k.ValueDim)
	case k.KeyDim > maxHeadDim || k.ValueDim > maxHeadDim:
		return fmt.Errorf("shader: heads of %d and %d floats: at most %d fit a workgroup's shared memory", k.KeyDim, k.ValueDim, maxHeadDim)
	}
	return nil
}
