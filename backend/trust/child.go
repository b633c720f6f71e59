package trust

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"time"
	"unicode"

	"github.com/ledge-run/ledge/backend"
)

// reportPrefix begins the line in which a probing process reports: drivers write
// to standard output, too.
const reportPrefix = "ledge-verdict "

// aliveLine is what a probing process writes when its driver has come back from
// some work.
const aliveLine = "ledge-alive"

const (
	maxReport = 1 << 20
	maxErrors = 64 << 10
	maxSaid   = 200 // characters of what a driver said that are kept
)

// Command gives the arguments with which a program reports on a driver: it answers
// with Report.
func Command(driver string, t backend.Trial, limit time.Duration) []string {
	args := []string{"probe", "--limit", limit.String()}
	if t.Asked {
		args = append(args, "--asked")
	}
	if t.Options.Level != "" {
		args = append(args, "--level", t.Options.Level)
	}
	if n := typeNames(t.Types); len(n) > 0 {
		args = append(args, "--types", strings.Join(n, ","))
	}
	return append(args, driver)
}

// Report writes a verdict so that another process can read it.
func Report(w io.Writer, v *backend.Verdict) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\n%s%s\n", reportPrefix, data)
	return err
}

// Alive tells the process that waits for a report that the driver does not hang.
func Alive(w io.Writer) error {
	_, err := io.WriteString(w, "\n"+aliveLine+"\n")
	return err
}

// errGarbled is what a process wrote that is no report.
var errGarbled = errors.New("its report makes no sense")

// readReport finds the report in what a process wrote, and asks whether it can be
// one of this driver.
func readReport(out []byte, driver string) (v backend.Verdict, err error) {
	found := false
	for line := range bytes.Lines(out) {
		if text, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte(reportPrefix)); ok {
			v, found = backend.Verdict{}, true
			if json.Unmarshal(text, &v) != nil {
				return v, errGarbled
			}
		}
	}
	if !found {
		return v, errors.New("there was no report")
	}
	return v, sensible(&v, driver)
}

// sensible asks for what every verdict has.
func sensible(v *backend.Verdict, driver string) error {
	if v.Driver != driver || len(v.Devices) == 0 && v.Reason == "" {
		return errGarbled
	}
	names := map[string]bool{}
	for _, p := range v.Devices {
		if p.Info.Name == "" || p.Info.Backend != driver || names[p.Info.Name] || !p.Passed && !p.Untested && p.Reason == "" || p.Passed && p.Untested {
			return errGarbled
		}
		names[p.Info.Name] = true
	}
	return nil
}

// child tries a driver in a process of its own. That it crashes, hangs or reports
// nonsense is the verdict; that it cannot be started is none, nor that somebody ends it.
func (p *Prover) child(ctx context.Context, driver string, t backend.Trial) (backend.Verdict, bool) {
	limit := p.limit()
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := Watch(limit, cancel)
	defer watch.Stop()
	args := append(append([]string{}, p.Program[1:]...), Command(driver, t, limit)...)
	c := exec.CommandContext(limited, p.Program[0], args...)
	c.WaitDelay = time.Second // for what a killed process leaves behind
	separate(c)
	var out, errs bytes.Buffer
	c.Stdout = &listener{bounded: bounded{w: &out, left: maxReport}, alive: watch.Heard}
	c.Stderr = &bounded{w: &errs, left: maxErrors}
	started, over := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the process ends with the thread: see withUs
		defer runtime.UnlockOSThread()
		err := c.Start()
		if started <- err; err == nil {
			over <- c.Wait()
		}
	}()
	err := <-started
	if err != nil {
		return refusal(driver, fmt.Sprintf("it cannot be tried: %v", err)), false
	}
	select { // a process that sleeps in a driver of the kernel cannot be killed
	case err = <-over:
	case <-limited.Done():
		select {
		case err = <-over:
		case <-time.After(2 * time.Second):
			return refusal(driver, fmt.Sprintf("its driver did not answer within %v, nor let itself be stopped", limit)), true
		}
	}
	if limited.Err() != nil {
		return refusal(driver, fmt.Sprintf("its driver did not answer within %v", limit)), true
	}
	if by := endedBy(err); by != "" {
		return refusal(driver, "its trial was ended from outside ("+by+")"), false
	}
	var v backend.Verdict
	if err == nil {
		v, err = readReport(out.Bytes(), driver)
	}
	if err != nil {
		text := fmt.Sprintf("its driver crashed when it was tried: %v", err)
		if s := said(errs.String()); s != "" {
			text += ": " + s
		}
		return refusal(driver, text), true
	}
	return v, true
}

// said is what a process complained of in one line: the one that says how it
// ended, or the first.
func said(errs string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(errs), "\n")
	for l := range strings.Lines(errs) {
		if l = strings.TrimSpace(l); strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") || strings.HasPrefix(l, "SIG") || strings.HasPrefix(l, "ledge: ") {
			line = l
			break
		}
	}
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, line)
	if r := []rune(line); len(r) > maxSaid {
		line = string(r[:maxSaid]) + "..."
	}
	return line
}

// bounded lets so many bytes through and drops the rest.
type bounded struct {
	w    io.Writer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	if _, err := b.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// listener keeps what a process writes, and tells of the signs of life in it.
type listener struct {
	bounded
	alive func()
	line  []byte // that is not over
}

func (l *listener) Write(p []byte) (int, error) {
	for _, b := range p {
		switch {
		case b == '\n':
			if string(l.line) == aliveLine {
				l.alive()
			}
			l.line = l.line[:0]
		case len(l.line) <= len(aliveLine): // or it is another one
			l.line = append(l.line, b)
		}
	}
	return l.bounded.Write(p)
}
