package power

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

// Meter measures energy with what the machine has.
type Meter struct {
	files   reader
	cards   []CardReader
	sources []*source
	absent  []Absent
	now     func() time.Time // for tests; nil: time.Now
}

// OpenAt finds what there is in a tree as the kernel shows it at /: tests bring the
// files of a machine.
func OpenAt(root fs.FS) *Meter { return OpenWith(root, nil) }

// OpenWith is OpenAt for a machine with cards; nil: nothing reads them. A nil root has
// no files.
func OpenWith(root fs.FS, cards Cards) *Meter {
	if root == nil {
		root = embed.FS{}
	}
	m := &Meter{files: reader{root}}
	m.sources, m.absent = m.files.find()
	m.addCards(cards)
	m.nameApart()
	return m
}

// Run is a piece of work whose energy is measured. Its methods may be called from
// several goroutines.
type Run struct {
	meter *Meter
	begin time.Time
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once
	total Energy // after Stop

	mu     sync.Mutex
	series []*series
}

// Start begins to measure; Stop must be called. While it runs, one goroutine reads
// the sources: 20 times a second where one wants that, else once a second; where
// there are no sources, there is none. A nil meter measures nothing, and says so.
func (m *Meter) Start() *Run {
	if m == nil {
		m = &Meter{absent: []Absent{{"energy", "it was not asked for"}}}
	}
	return m.run(0)
}

// StartSlow is Start for long work: every source is read once a second, so that
// a machine with nothing to do can sleep.
func (m *Meter) StartSlow() *Run { return m.run(rarely) }

func (m *Meter) run(least time.Duration) *Run {
	r := m.start(least)
	every := rarely
	for _, s := range r.series {
		if s.failed == nil {
			every = min(every, s.every)
			r.done = make(chan struct{})
		}
	}
	if r.done != nil {
		r.stop = make(chan struct{})
		go r.sample(every)
	}
	return r
}

// start takes the first samples. Between samples is the least time given, or more.
func (m *Meter) start(least time.Duration) *Run {
	r := &Run{meter: m}
	for _, s := range m.sources {
		own := *s
		own.every = max(own.every, least)
		r.series = append(r.series, &series{source: &own})
	}
	r.begin = r.read(true)
	return r
}

func (m *Meter) time() time.Time {
	if m.now != nil {
		return m.now()
	}
	return time.Now()
}

func (r *Run) sample(every time.Duration) {
	defer close(r.done)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-t.C:
			r.mu.Lock()
			r.read(false)
			r.mu.Unlock()
		}
	}
}

// read takes samples: of all sources, or of those whose time has come. They count as of the
// moment it gives, and so does the run's time: with one of each source's own, reading the
// others would be time without energy.
func (r *Run) read(all bool) time.Time {
	now := r.meter.time()
	for _, s := range r.series {
		// Half a tick early: tickers tremble.
		if all || now.Sub(s.tried) >= s.every-often/2 {
			s.sample(now)
		}
	}
	return now
}

// SoFar is the energy since the start, up to now.
func (r *Run) SoFar() Energy {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := Energy{Seconds: r.read(true).Sub(r.begin).Seconds()}
	for _, s := range r.series {
		err := s.failed
		if err == nil {
			err = s.missing // the last moment is not known
		}
		if err != nil {
			e.Absent = append(e.Absent, Absent{s.name, reason(err)})
			continue
		}
		m := Measured{Name: s.name, Covers: s.covers, Method: s.method(), Joules: float64(s.micro) / 1e6, Samples: s.samples}
		if s.ranges == nil {
			m.every = s.every.Seconds()
		}
		e.Sources = append(e.Sources, m.over(e.Seconds))
	}
	e.Absent = append(e.Absent, r.meter.absent...)
	return e
}

// Stop ends the measurement, and its goroutine before it returns. Called again, it
// gives the same.
func (r *Run) Stop() Energy {
	r.once.Do(func() {
		if r.stop != nil {
			close(r.stop)
			<-r.done
		}
		r.total = r.SoFar()
	})
	return r.total
}

// reason is an error with what its reader can do.
func reason(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return err.Error() + " (root may read it)"
	}
	return err.Error()
}

// series is what a source said during a run.
type series struct {
	*source
	values  []int64   // of the last sample
	at      time.Time // of the last sample
	tried   time.Time // of the last sample, or failure to take one
	micro   int64     // µJ until then
	samples int
	missed  int   // one after the other
	missing error // why the last was missed
	failed  error // why there will be no figure
}

// What ends a series: samples that are missed one after the other, and a time
// without any. Across shorter gaps power is taken to change evenly.
const (
	mostMissed = 3
	longestGap = 10 * time.Second
)

func (s *series) sample(now time.Time) {
	if s.failed != nil {
		return
	}
	s.tried = now
	values, err := s.read()
	if s.missing = err; err != nil {
		if s.missed++; s.samples == 0 || s.missed >= mostMissed {
			s.failed = err
		}
		return
	}
	if s.samples > 0 {
		took := now.Sub(s.at)
		micro, err := s.spent(values, took)
		if err == nil && took > longestGap {
			err = fmt.Errorf("it was not read for %.0f s: the program was stopped", took.Seconds())
		}
		if err != nil {
			s.failed = err
			return
		}
		s.micro += micro
	}
	s.values, s.at, s.missed = values, now, 0
	s.samples++
}

// spent is the energy, in µJ, since the last sample.
func (s *series) spent(values []int64, took time.Duration) (int64, error) {
	if s.ranges == nil {
		return int64(float64(values[0]+s.values[0]) / 2 * took.Seconds()), nil
	}
	var sum int64
	for i, v := range values {
		d := v - s.values[i]
		if d < 0 {
			if s.ranges[i] < s.values[i] {
				return 0, fmt.Errorf("the counter went back from %d to %d µJ, and its range (%d) does not explain it", s.values[i], v, s.ranges[i])
			}
			d += s.ranges[i]
		}
		// One that was set back looks like one that wrapped around after kilojoules;
		// counters move in steps, so that a second's worth is always believed.
		if most := maxMicro * (took.Seconds() + 1) / 5; float64(d) > most {
			return 0, fmt.Errorf("the counter jumped from %d to %d µJ in %.2f s", s.values[i], v, took.Seconds())
		}
		sum += d
	}
	return sum, nil
}
