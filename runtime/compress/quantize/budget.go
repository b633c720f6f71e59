package quantize

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Budget is what a file may take: bytes of the file, or bits per weight.
type Budget struct {
	Bytes         int64
	BitsPerWeight float64
}

// String is the budget as a user would give it.
func (b Budget) String() string {
	if b.Bytes > 0 {
		return fmt.Sprintf("%.1f MB", float64(b.Bytes)/1e6)
	}
	return fmt.Sprintf("%g bits per weight", b.BitsPerWeight)
}

// option is one type that a tensor could have.
type option struct {
	dtype dtype.DType
	bytes int64
	cost  float64 // what it adds to the divergence
}

// hull keeps the options that are the best for some price of a byte, the smallest
// first: the lower convex hull of cost over bytes.
func hull(options []option) []option {
	slices.SortFunc(options, func(a, b option) int {
		return cmp.Or(cmp.Compare(a.bytes, b.bytes), cmp.Compare(a.cost, b.cost))
	})
	var h []option
	for _, o := range options {
		if n := len(h); n > 0 && (o.bytes == h[n-1].bytes || o.cost >= h[n-1].cost) {
			continue
		}
		for len(h) >= 2 && slope(h[len(h)-2], o) >= slope(h[len(h)-2], h[len(h)-1]) {
			h = h[:len(h)-1]
		}
		h = append(h, o)
	}
	return h
}

// slope is how much cost a byte more takes away.
func slope(a, b option) float64 { return (a.cost - b.cost) / float64(b.bytes-a.bytes) }

// allot picks an option for each tensor so that the sum of costs is small and that
// of bytes at most room. It begins with the smallest and takes the steps up that are
// worth most a byte, which is the best there is for the size it comes to; what room is
// left at the end goes to the steps that still fit. The picks index hulls.
func allot(hulls [][]option, room int64) (picks []int, err error) {
	picks = make([]int, len(hulls))
	least := int64(0)
	for _, h := range hulls {
		least += h[0].bytes
	}
	if room < least {
		return nil, &tooSmall{least}
	}
	room -= least
	for {
		best, worth := -1, 0.0
		for i, h := range hulls {
			if p := picks[i]; p+1 < len(h) && h[p+1].bytes-h[p].bytes <= room {
				if s := slope(h[p], h[p+1]); best < 0 || s > worth {
					best, worth = i, s
				}
			}
		}
		if best < 0 {
			return picks, nil
		}
		h := hulls[best]
		room -= h[picks[best]+1].bytes - h[picks[best]].bytes
		picks[best]++
	}
}

// tooSmall is a budget that the smallest types do not fit.
type tooSmall struct{ least int64 }

func (e *tooSmall) Error() string { return fmt.Sprintf("at least %d bytes are needed", e.least) }

// Sizes are the bytes of a file's tensors by type.
type Sizes [dtype.NumDTypes]int64

// most is the recipe of the type that most bytes have.
func (s *Sizes) most() Recipe {
	most := Recipe{FileType: math.MaxUint32}
	bytes := int64(-1)
	for _, r := range Recipes {
		if s[r.Type] > bytes {
			bytes, most = s[r.Type], r
		}
	}
	return most
}

// TypeMetadata is what the metadata of a file has to say, made from another, if its tensors have other types. What that one says
// stays where it is of the type that most bytes have: it may tell more (Q4_K_S, not Q4_K_M).
func TypeMetadata(from *gguf.File, sizes *Sizes) map[string]any {
	var before Sizes
	for i := range from.Tensors() {
		t := &from.Tensors()[i]
		before[t.DType] += int64(len(t.Data))
	}
	if before == *sizes {
		return nil
	}
	values, r := map[string]any{keyVersion: quantVersion}, sizes.most()
	said, ok := from.Uint(keyFileType)
	if !ok || !slices.ContainsFunc(Recipes, func(o Recipe) bool { return uint64(o.FileType) == said && o.Type == r.Type }) {
		values[keyFileType] = r.FileType
	}
	return values
}

// fileType names a mixture by the type that most of its bytes have.
func fileType(choices []Choice) uint32 {
	var s Sizes
	for _, c := range choices {
		s[c.To] += c.After
	}
	return s.most().FileType
}
