package cpu

import (
	"unsafe"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// PageLen is the number of positions in a page of the cache.
const PageLen = 64

// KV describes what a page of the cache holds for one layer, PageLen positions of
// Heads key-value heads, in elements of Type: dtype.F16, dtype.F32 or dtype.Q8_0.
//
// Keys lie as [head][position/16][KDim][16] and values as
// [head][position][VStride]. In Q8_0, where a key or value is blocks of 32
// elements, the last possibly shorter, these are int8, and the blocks' scales in
// f16 follow: after 16 positions' keys [block][16], after a head's values
// [position][block].
type KV struct {
	Heads, KDim, VDim int
	Type              dtype.DType
}

// q8Block is the number of elements that share a scale in Q8_0.
const q8Block = 32

func q8Blocks(n int) int { return (n + q8Block - 1) / q8Block }

// VStride is VDim rounded up to a multiple of 16; what lies between is zero.
func (kv *KV) VStride() int { return roundUp(kv.VDim, 16) }

// kPanelBytes is the size of one head's keys of 16 positions.
func (kv *KV) kPanelBytes() int {
	if kv.Type == dtype.Q8_0 {
		return 16 * (kv.KDim + 2*q8Blocks(kv.KDim))
	}
	return 16 * kv.KDim * kv.Type.BlockBytes()
}

func (kv *KV) kHeadBytes() int { return PageLen / 16 * kv.kPanelBytes() }

// vRowBytes is the size of the elements of one value.
func (kv *KV) vRowBytes() int {
	if kv.Type == dtype.Q8_0 {
		return kv.VStride()
	}
	return kv.VStride() * kv.Type.BlockBytes()
}

func (kv *KV) vHeadBytes() int {
	n := PageLen * kv.vRowBytes()
	if kv.Type == dtype.Q8_0 {
		n += PageLen * 2 * q8Blocks(kv.VDim)
	}
	return n
}

// KPageBytes is the size of a page's keys.
func (kv *KV) KPageBytes() int { return kv.Heads * kv.kHeadBytes() }

// VPageBytes is the size of a page's values.
func (kv *KV) VPageBytes() int { return kv.Heads * kv.vHeadBytes() }

// Pages says where the pages of a sequence lie: the keys and values of positions
// [i*PageLen, (i+1)*PageLen) are at Data[Index[i]*Stride+K] and Data[Index[i]*Stride+V].
// A page that no row of a call may see is not looked at.
type Pages struct {
	Data   []byte
	Index  []int32
	Stride int
	K, V   int
}

func (p *Pages) keys(i int) []byte   { return p.Data[int(p.Index[i])*p.Stride+p.K:] }
func (p *Pages) values(i int) []byte { return p.Data[int(p.Index[i])*p.Stride+p.V:] }

// check panics if a page's slices are too short for what is written to them.
func (kv *KV) check(keys, values []byte) {
	_ = keys[kv.KPageBytes()-1]
	_ = values[kv.VPageBytes()-1]
}

// StoreScratch is the number of bytes that StoreKV needs.
func (kv *KV) StoreScratch() int {
	if kv.Type != dtype.Q8_0 {
		return 0
	}
	return Q8RowBytes(max(kv.KDim, kv.VDim))
}

// StoreKV writes key and value, the rows [Heads][KDim] and [Heads][VDim] of one
// position, to place slot (0 to PageLen-1) of the page with those keys and values.
// scratch has StoreScratch bytes.
func (k *Kernels) StoreKV(kv *KV, keys, values []byte, slot int, key, value []float32, scratch []byte) {
	if kv.Heads == 0 {
		return
	}
	for h := range kv.Heads {
		k.StoreHead(kv, keys, values, slot, h, key[h*kv.KDim:(h+1)*kv.KDim], value[h*kv.VDim:(h+1)*kv.VDim], scratch)
	}
}

// StoreHead is StoreKV for one head's key and value.
func (k *Kernels) StoreHead(kv *KV, keys, values []byte, slot, head int, key, value []float32, scratch []byte) {
	kv.check(keys, values)
	k.storeKey(kv, keys[head*kv.kHeadBytes()+slot/16*kv.kPanelBytes():][:kv.kPanelBytes()], slot%16, key[:kv.KDim], scratch)
	k.storeValue(kv, values[head*kv.vHeadBytes():][:kv.vHeadBytes()], slot, value[:kv.VDim], scratch)
}

// storeKey writes a key to place i of a panel of 16 positions.
func (k *Kernels) storeKey(kv *KV, panel []byte, i int, src []float32, scratch []byte) {
	if kv.Type != dtype.Q8_0 {
		size := kv.Type.BlockBytes()
		k.scatter(panel[i*size:], src, size)
		return
	}
	k.QuantizeRows(scratch, src, len(src), len(src), 0, 1)
	scales := panel[16*kv.KDim:]
	for b := range q8Blocks(kv.KDim) {
		q, d := q8Of(scratch, b)
		putHalf(scales[2*(16*b+i):], d)
		out := panel[16*q8Block*b+i : 16*kv.KDim]
		for j, v := range q[:min(q8Block, kv.KDim-q8Block*b)] {
			out[16*j] = v
		}
	}
}

// storeValue writes a value to place slot of a head's values.
func (k *Kernels) storeValue(kv *KV, head []byte, slot int, src []float32, scratch []byte) {
	row := head[slot*kv.vRowBytes():][:kv.vRowBytes()]
	switch kv.Type {
	case dtype.F16:
		k.F32ToF16(row, src)
		clear(row[2*kv.VDim:])
	case dtype.Q8_0:
		k.QuantizeRows(scratch, src, len(src), len(src), 0, 1)
		blocks := q8Blocks(kv.VDim)
		scales := head[PageLen*kv.vRowBytes()+slot*2*blocks:]
		for b := range blocks {
			q, d := q8Of(scratch, b)
			putHalf(scales[2*b:], d)
			copy(row[q8Block*b:], q) // beyond VDim it is zero
		}
	default:
		for i, v := range src {
			putF32(row[4*i:], v)
		}
		clear(row[4*kv.VDim:])
	}
}

// q8Of is block b of a quantised row: its integers and its scale as float16.
func q8Of(row []byte, b int) (q []byte, scale uint16) {
	r := row[b/2*actBytes:][:actBytes]
	return r[b%2*q8Block:][:q8Block], halfOf(loadF32(r[packed.ActScale+4*(b%2):]))
}

// scatter stores src in elements of size bytes, 16 elements apart.
func (k *Kernels) scatter(dst []byte, src []float32, size int) {
	if len(src) == 0 {
		return
	}
	_ = dst[(len(src)-1)*16*size+size-1]
	if size == 4 {
		for i, v := range src {
			putF32(dst[64*i:], v)
		}
		return
	}
	i := 0
	if k.asm != nil && len(src) >= 8 {
		i = len(src) &^ 7
		k.asm.scatterF16(&dst[0], &src[0], i/8)
	}
	for ; i < len(src); i++ {
		putHalf(dst[32*i:], halfOf(src[i]))
	}
}

// widenKeys writes the keys of panels, each of 16 positions in Q8_0, as float32,
// [panel][KDim][16].
func (k *Kernels) widenKeys(dst []float32, kv *KV, panels []byte, n int) {
	size := kv.kPanelBytes()
	if n == 0 || kv.KDim == 0 {
		return
	}
	_, _ = dst[16*kv.KDim*n-1], panels[n*size-1]
	if k.asm != nil && k.asm.widenKeys != nil {
		k.asm.widenKeys(&dst[0], &panels[0], kv.KDim, n)
		return
	}
	for ; n > 0; n-- {
		for d := range kv.KDim {
			scales := panels[16*kv.KDim+32*(d/q8Block):]
			for i := range 16 {
				dst[16*d+i] = dtype.F16ToF32(loadHalf(scales[2*i:])) * float32(int8(panels[16*d+i]))
			}
		}
		dst, panels = dst[16*kv.KDim:], panels[size:]
	}
}

// widenValues writes n values of a head in Q8_0 from position slot on as float32,
// [position][VStride].
func (k *Kernels) widenValues(dst []float32, kv *KV, head []byte, slot, n int) {
	vs, blocks := kv.VStride(), q8Blocks(kv.VDim)
	rows, scales := head[slot*vs:(slot+n)*vs], head[PageLen*vs+slot*2*blocks:][:n*2*blocks]
	if n == 0 || vs == 0 {
		return
	}
	_ = dst[n*vs-1]
	if k.asm != nil && k.asm.widenValues != nil {
		k.asm.widenValues(&dst[0], &rows[0], &scales[0], vs/16, n)
		return
	}
	for i := range n {
		for j := range vs {
			d := dtype.F16ToF32(loadHalf(scales[2*(i*blocks+j/q8Block):]))
			dst[i*vs+j] = d * float32(int8(rows[i*vs+j]))
		}
	}
}

// q8Keys is the product of rows of x with n panels of keys in Q8_0 where the level
// has kernels that read them; else it reports false. ahead is what is read next.
func (k *Kernels) q8Keys(dst []float32, ldd int, x []float32, m int, kv *KV, panels []byte, n int, ahead []byte) bool {
	if k.asm == nil || m > len(k.asm.q8Keys) || n%k.asm.q8Groups != 0 {
		return false
	}
	size, groups := kv.kPanelBytes(), k.asm.q8Groups
	_, _, _ = panels[n*size-1], dst[(m-1)*ldd+16*n-1], x[m*kv.KDim-1]
	for g := 0; g < n; g += groups {
		p := panels[g*size:]
		k.asm.q8Keys[m-1](&dst[16*g], ldd*4, &x[0], kv.KDim*4, &p[0], 16, size, kv.KDim, &p[16*kv.KDim], 0, 0, aheadOf(ahead, g*size))
	}
	return true
}

// q8Values adds the product of rows of x with n of a head's values in Q8_0, from
// position slot on, to dst.
func (k *Kernels) q8Values(dst []float32, ldd int, x []float32, ldx, m int, kv *KV, head []byte, slot, n int, ahead []byte) bool {
	vs, blocks := kv.VStride(), q8Blocks(kv.VDim)
	if k.asm == nil || m > len(k.asm.q8Values) || vs%(16*k.asm.q8Groups) != 0 {
		return false
	}
	rows, scales := head[slot*vs:(slot+n)*vs], head[PageLen*vs+slot*2*blocks:][:n*2*blocks]
	_, _ = dst[(m-1)*ldd+vs-1], x[(m-1)*ldx+n-1]
	for c := 0; c < vs; c += 16 * k.asm.q8Groups {
		k.asm.q8Values[m-1](&dst[c], ldd*4, &x[0], ldx*4, &rows[c], vs, 16, n, &scales[c/q8Block*2], 2*blocks, 1, aheadOf(ahead, c*n))
	}
	return true
}

// aheadOf is a place to prefetch from: of next, or, there being nothing, one that
// does no harm.
func aheadOf(next []byte, at int) *byte {
	if at < len(next) {
		return &next[at]
	}
	return &nothing[0]
}

var nothing [64]byte

// bytesOf gives the memory of float32 values: panels are bytes, as weights are.
func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}
