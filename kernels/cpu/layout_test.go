package cpu

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// packedSums are the beginnings of the SHA-256 of each type's packed bytes: what
// layout rows16-2 is. Packed weights are kept in files under the layout's name and
// version, so bytes that change need a new version.
var packedSums = map[dtype.DType]string{
	dtype.F32:    "9919c5eb6b2a95d8",
	dtype.F16:    "d701eee64b7759d9",
	dtype.BF16:   "e8ce800e108e95a2",
	dtype.Q4_0:   "56892a81574c2dfd",
	dtype.Q4_1:   "ee60d9998a58e10f",
	dtype.Q5_0:   "2ac3ce1aba1a96a4",
	dtype.Q5_1:   "0d5ff898814a1c64",
	dtype.Q8_0:   "6f1ee4c7c36b1838",
	dtype.Q2_K:   "43c69b5f18bb989c",
	dtype.Q3_K:   "990086d17fab9746",
	dtype.Q4_K:   "3c65341bd60ce0ad",
	dtype.Q5_K:   "8e236ae8d7f09e03",
	dtype.Q6_K:   "54d73171ada370fc",
	dtype.IQ4_NL: "5b574d1337ee5366",
	dtype.IQ4_XS: "3d7fce22eb920a10",
	dtype.MXFP4:  "ec3a3d86055d5712",
}

func TestPackedBytes(t *testing.T) {
	if rows16.String() != "rows16-2" {
		t.Fatalf("layout %v has no sums here: make new ones", rows16)
	}
	for _, dt := range packedTypes {
		const rows, cols = 21, 512
		n, err := dt.RowBytes(cols)
		if err != nil {
			t.Fatal(err)
		}
		src, state := make([]byte, rows*n), uint32(dt)
		for i := range src {
			state = state*1664525 + 1013904223
			src[i] = byte(state >> 24)
		}
		sum := sha256.Sum256(packWeights(t, dt, src, rows, cols).Data)
		if got := hex.EncodeToString(sum[:8]); got != packedSums[dt] {
			t.Errorf("%v packs to %s, in rows16-2 to %q: if that is meant, give the layout a new version", dt, got, packedSums[dt])
		}
	}
}
