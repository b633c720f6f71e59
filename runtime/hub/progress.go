package hub

import (
	"fmt"
	"sync"
	"time"
)

// Progress is the state of a download. The bytes are those of all files together.
type Progress struct {
	File  string        // the file that is coming
	Index int           // its number, from 1
	Files int           // of so many
	Bytes int64         // here already
	Total int64         // -1 while unknown
	Speed float64       // bytes per second over the last few seconds; 0 while unknown
	ETA   time.Duration // time left; -1 while unknown
}

// Fraction is Bytes/Total in 0…1, or -1 while the total is unknown.
func (p Progress) Fraction() float64 {
	if p.Total <= 0 {
		return -1
	}
	return min(1, float64(p.Bytes)/float64(p.Total))
}

// String is a line such as "41.2 MB of 98.4 MB, 42 %, 5.1 MB/s, 11s left".
func (p Progress) String() string {
	s := FormatBytes(p.Bytes)
	if p.Total > 0 {
		s += fmt.Sprintf(" of %s, %d %%", FormatBytes(p.Total), int(100*p.Fraction()))
	}
	if p.Speed > 0 {
		s += ", " + FormatBytes(int64(p.Speed)) + "/s"
	}
	if p.ETA > 0 {
		s += ", " + p.ETA.Round(time.Second).String() + " left"
	}
	return s
}

// FormatBytes writes a size in decimal units, as disks and hubs do: 98.4 MB.
func FormatBytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		if f /= 1000; f < 999.95 || unit == "TB" {
			return fmt.Sprintf("%.1f %s", f, unit)
		}
	}
	return ""
}

// speedWindow is how far back the speed looks.
const speedWindow = 5 * time.Second

// meter counts bytes and reports them, at most every interval.
type meter struct {
	mu       sync.Mutex
	report   func(Progress)
	interval time.Duration
	now      func() time.Time

	p     Progress
	done  int64 // bytes of the files before the current one
	sizes []int64
	last  time.Time
	marks []mark // recent (time, bytes), the oldest about speedWindow ago
}

type mark struct {
	at    time.Time
	bytes int64
}

// newMeter makes a meter for files of the given sizes (-1: unknown yet).
func newMeter(report func(Progress), sizes []int64) *meter {
	m := &meter{report: report, interval: 100 * time.Millisecond, now: time.Now, sizes: sizes}
	m.p.Files = len(sizes)
	m.total()
	return m
}

func (m *meter) total() {
	m.p.Total = 0
	for _, n := range m.sizes {
		if n < 0 {
			m.p.Total = -1
			return
		}
		m.p.Total += n
	}
}

// begin starts file i (from 0).
func (m *meter) begin(i int, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = 0
	for _, n := range m.sizes[:i] {
		m.done += max(n, 0)
	}
	m.p.Index, m.p.File = i+1, name
}

// size tells the size of the current file once it is known.
func (m *meter) size(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sizes[m.p.Index-1] = n
	m.total()
}

// restart forgets the speed: the next set starts from bytes that were here before,
// or from zero again.
func (m *meter) restart(off int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Bytes = m.done + off
	m.p.Speed, m.p.ETA = 0, -1
	m.marks = append(m.marks[:0], mark{m.now(), m.p.Bytes})
}

// set tells how much of the current file is here.
func (m *meter) set(off int64, final bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.p.Bytes = m.done + off
	if !final && now.Sub(m.last) < m.interval {
		return
	}
	m.last = now
	m.marks = append(m.marks, mark{now, m.p.Bytes})
	for len(m.marks) > 2 && now.Sub(m.marks[1].at) >= speedWindow {
		m.marks = m.marks[1:]
	}
	m.p.Speed, m.p.ETA = rate(m.marks, m.p.Total)
	if m.report != nil {
		m.report(m.p)
	}
}

// rate computes speed and time left from marks in order of time.
func rate(marks []mark, total int64) (speed float64, eta time.Duration) {
	a, b := marks[0], marks[len(marks)-1]
	if dt := b.at.Sub(a.at).Seconds(); dt > 0 && b.bytes > a.bytes {
		speed = float64(b.bytes-a.bytes) / dt
	}
	if total < 0 {
		return speed, -1
	}
	left := float64(max(0, total-b.bytes))
	if left == 0 {
		return speed, 0
	}
	// Beyond a year a guess is no use, and a Duration would overflow in the end.
	if speed <= 0 || left/speed > 365*24*3600 {
		return speed, -1
	}
	return speed, time.Duration(left / speed * float64(time.Second))
}
