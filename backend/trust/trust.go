// Package trust decides whether a driver that calls code of others may be used:
// only on the strength of a verdict. The verdict comes from a trial in a process
// of its own, so that a driver that crashes or hangs ends that process and no
// other, and it is kept on disk: a start that finds one loads nothing of drivers
// that were refused, and tests nothing again.
package trust

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/owned"
	"github.com/ledge-run/ledge/graph/dtype"
)

// EnvProbe names the program that tries drivers for programs that use Ledge as a
// library: the program ledge.
const EnvProbe = "LEDGE_PROBE"

// EnvLimit is how long a trial may go without a sign of life: seconds, or a duration
// like 90s.
const EnvLimit = "LEDGE_PROBE_TIMEOUT"

// DefaultLimit is how long a driver may take until its next sign of life in a trial:
// it compiles some dozen kernels, each of which is one. All of them take a phone
// some seconds, and software drivers on a busy machine minutes.
const DefaultLimit = 60 * time.Second

// Prover gives verdicts. It may be used by several goroutines.
type Prover struct {
	// Program is what tries a driver: a program and its first arguments, to which
	// "probe" and so on are added (see Command). With none, drivers that no kept
	// verdict speaks of are tried in this process if InProcess allows it.
	Program   []string
	InProcess bool

	Cache *Cache        // nil keeps nothing beyond this process
	Limit time.Duration // of a trial without a sign of life; 0 for DefaultLimit

	// Retry tries drivers again, whatever verdict is kept, also those that do not
	// seem to be installed.
	Retry bool

	// Hint, if set, is added to the reasons of refusals that were kept, with their
	// age: what to do to have the driver tried again.
	Hint string

	// Slow, if set, is told of a driver whose trial takes longer than a second.
	Slow   func(driver string)
	slowMu sync.Mutex

	wrong error // what the environment says that cannot be; every driver is refused

	mu    sync.Mutex
	known map[string]*known // by key, in this process
}

type known struct {
	mu      sync.Mutex
	verdict *backend.Verdict
}

// New is the prover that the environment asks for, with the cache there. Program is
// the program ledge; "" takes that of LEDGE_PROBE, and with neither, drivers are
// tried in this process.
func New(getenv func(string) string, program string) *Prover {
	p := &Prover{Cache: DefaultCache(getenv)}
	if program == "" && owned.Trusted() {
		program = getenv(EnvProbe)
	}
	if program != "" {
		p.Program = []string{program}
	}
	p.InProcess = program == ""
	if text := getenv(EnvLimit); text != "" {
		p.Limit, p.wrong = owned.Duration(EnvLimit, text)
	}
	return p
}

func (p *Prover) limit() time.Duration {
	if p.Limit > 0 {
		return p.Limit
	}
	return DefaultLimit
}

// Prove gives the verdict on a driver: a kept one, or that of a trial. It suits
// backend.Choice.Prove.
func (p *Prover) Prove(ctx context.Context, d backend.Driver, t backend.Trial) backend.Verdict {
	files, err := d.Foreign.Files()
	if err != nil && !p.Retry {
		return refusal(d.Name, err.Error()) // costs nothing to find out again
	}
	if p.wrong != nil {
		return refusal(d.Name, p.wrong.Error())
	}
	key := keyOf(d, files, t)
	k := p.knownOf(key)
	k.mu.Lock() // one trial of a driver at a time
	defer k.mu.Unlock()
	if k.verdict != nil && covers(k.verdict, t) {
		return *k.verdict
	}
	kept, ok := p.Cache.load(d.Name, key)
	if ok && !p.Retry && covers(&kept, t) {
		p.hint(&kept)
		k.verdict = &kept
		return kept
	}
	if ok {
		t.Types = join(t.Types, kept.Types) // or two models would take turns
		t.Asked = t.Asked || testedAll(&kept)
	}
	v, final := p.try(ctx, d, t, err)
	if !final {
		return v
	}
	k.verdict = &v
	p.Cache.store(key, &v)
	return v
}

func (p *Prover) knownOf(key string) *known {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[string]*known{}
	}
	if p.known[key] == nil {
		p.known[key] = &known{}
	}
	return p.known[key]
}

// try tries a driver now; final is false where that says nothing about the driver. Missing
// is why it does not seem to be installed.
func (p *Prover) try(ctx context.Context, d backend.Driver, t backend.Trial, missing error) (v backend.Verdict, final bool) {
	start := time.Now()
	if p.Slow != nil {
		defer p.watch(d.Name)()
	}
	switch {
	case len(p.Program) > 0:
		v, final = p.child(ctx, d.Name, t)
	case p.InProcess:
		v, final = Try(ctx, d, t, nil), true
	default:
		return refusal(d.Name, "it was not tried yet: ledge devices does that"), false
	}
	if ctx.Err() != nil {
		return refusal(d.Name, context.Cause(ctx).Error()), false
	}
	// A trial that came to its end, and so has its time, has found nothing either: that is
	// no verdict, but what is known without one.
	if missing != nil && len(v.Devices) == 0 && !v.When.IsZero() {
		return refusal(d.Name, v.Reason), false
	}
	v.When, v.Seconds = start, time.Since(start).Seconds()
	v.Types = typeNames(t.Types)
	return v, final
}

func (p *Prover) hint(v *backend.Verdict) {
	if p.Hint == "" {
		return
	}
	add := fmt.Sprintf(" (found out %s; %s)", Age(time.Since(v.When)), p.Hint)
	if v.Reason != "" {
		v.Reason += add
	}
	for i := range v.Devices {
		if d := &v.Devices[i]; !d.Passed && !d.Untested {
			d.Reason += add
		}
	}
}

// Age says how long ago something was.
func Age(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / u.unit); n == 1 {
			return "1 " + u.name + " ago"
		} else if n > 1 {
			return fmt.Sprintf("%d %ss ago", n, u.name)
		}
	}
	return "just now"
}

// watch tells Slow of a trial that is not over after a second; it is called once at
// a time, and not after the function that watch returns.
func (p *Prover) watch(driver string) (end func()) {
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		t := time.NewTimer(time.Second)
		defer t.Stop()
		select {
		case <-stop:
		case <-t.C:
			p.slowMu.Lock()
			defer p.slowMu.Unlock()
			p.Slow(driver)
		}
	}()
	return func() { close(stop); <-over }
}

func refusal(driver, reason string) backend.Verdict {
	return backend.Verdict{Driver: driver, Reason: reason}
}

// covers tells whether a verdict says all that a trial would: a refusal holds for
// all weight types, and types do not matter to devices that will not be picked.
func covers(v *backend.Verdict, t backend.Trial) bool {
	usable := false
	for _, p := range v.Devices {
		if t.Counts(p.Info) {
			if p.Untested {
				return false
			}
			usable = usable || p.Passed
		}
	}
	if !usable {
		return true
	}
	for _, t := range t.Types {
		if !slices.Contains(v.Types, t.String()) {
			return false
		}
	}
	return true
}

// testedAll tells whether devices were tested that are never picked.
func testedAll(v *backend.Verdict) bool {
	return slices.ContainsFunc(v.Devices, func(p backend.Proof) bool { return !p.Untested && p.Info.Score <= 0 })
}

func typeNames(types []dtype.DType) []string {
	var out []string
	for _, t := range types {
		if !slices.Contains(out, t.String()) {
			out = append(out, t.String())
		}
	}
	slices.Sort(out)
	return out
}

// join adds types by name; what is no type is left out.
func join(types []dtype.DType, names []string) []dtype.DType {
	out := slices.Clone(types)
	for _, n := range names {
		if t, err := dtype.Parse(n); err == nil && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// Self is the running program, as Prover.Program wants it.
func Self() ([]string, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("this program's own file is not known: %w", err)
	}
	return []string{path}, nil
}
