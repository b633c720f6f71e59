package accel

import "testing"

func TestBudget(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		l          Limits
		host, want uint64
	}{
		{Limits{MemoryTotal: 16 * gib}, 4 * gib, 15 * gib},
		{Limits{MemoryTotal: 16 * gib, MemoryFree: 8 * gib}, 4 * gib, 8 * gib / 16 * 15},
		{Limits{MemoryTotal: 16 * gib, Unified: true}, 4 * gib, 4 * gib / 16 * 15},
		{Limits{MemoryTotal: 16 * gib, MemoryFree: 2 * gib, Unified: true}, 4 * gib, 2 * gib / 16 * 15},
		{Limits{MemoryTotal: 16 * gib, Unified: true}, 0, 15 * gib},
		{Limits{Unified: true}, 16 * gib, 15 * gib},
		{Limits{}, 16 * gib, 0},
	} {
		if have := c.l.budget(c.host); have != c.want {
			t.Errorf("%+v beside %d bytes of the host: %d, want %d", c.l, c.host, have, c.want)
		}
	}
}
