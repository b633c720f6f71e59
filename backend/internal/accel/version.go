package accel

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/ledge-run/ledge/kernels/shader"
)

// Version is to change whenever this package, or the calls that kernels/shader
// makes, compute something in another order or place: then results may differ in
// their bits with the same kernels, and a device has to be proven again.
const Version = "1"

// KernelVersion names what decides results, for Numerics and verdicts, where
// kernels are compiled from their text after a prelude: it differs where any of
// their text does.
func KernelVersion(prelude string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%s", len(prelude), prelude)
	for _, k := range shader.Kernels() {
		text, _ := shader.Source(k) // Program reports what is not there
		fmt.Fprintf(h, "%s %d\n", k, len(text))
		_, _ = io.WriteString(h, text) // a hash takes everything
	}
	return VersionWith(hex.EncodeToString(h.Sum(nil)[:6]))
}

// VersionWith adds the version of what calls the kernels to theirs.
func VersionWith(kernels string) string { return Version + "-" + kernels }
