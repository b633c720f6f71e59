//go:build amd64 || arm64

package pool

// pause tells the processor n (at least 1) times that it is in a spin loop,
// 10 to 150 cycles each.
//
//go:noescape
func pause(n uint32)

// ticks reads the cycle counter. Its rate is constant, unknown on amd64, and it
// may differ a little between cores.
//
//go:noescape
func ticks() uint64
