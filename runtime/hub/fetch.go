package hub

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/files"
)

// A download in progress is FILE.part, described by FILE.part.json.
const (
	partSuffix = ".part"
	infoSuffix = ".json"
)

// spaceMargin is what a download leaves free on the disk.
const spaceMargin = 16 << 20

// partFile is what a download is written to; an interface so that tests can make it fail.
type partFile interface {
	io.ReadWriteSeeker
	io.Closer
	Truncate(size int64) error
	Sync() error
}

func openPartFile(path string) (partFile, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
}

// partInfo says what a FILE.part holds the beginning of.
type partInfo struct {
	URL       string `json:"url"`       // hash of the address: the address may hold secrets
	Validator string `json:"validator"` // strong ETag, for If-Range
	SHA256    string `json:"sha256"`    // of the whole file, if known
	Synced    int64  `json:"synced"`    // bytes that are on the disk for sure
}

// fetchAll downloads the files of a target into folder.
func (h *Hub) fetchAll(ctx context.Context, t *target, folder string, opt Options) ([]File, error) {
	sizes := make([]int64, len(t.files))
	var need int64
	for i, f := range t.files {
		if sizes[i] = f.size; f.size > 0 {
			need += f.size - present(folder, f)
		}
	}
	if err := h.checkSpace(folder, need); err != nil {
		return nil, err
	}
	m := newMeter(opt.Progress, sizes)
	var files []File
	for i, f := range t.files {
		m.begin(i, f.name)
		done, err := h.fetch(ctx, f, folder, m, opt)
		if err != nil {
			return nil, err
		}
		files = append(files, done)
	}
	return files, nil
}

// present is how much of a file is here already.
func present(folder string, f remoteFile) int64 {
	for _, name := range []string{f.name, f.name + partSuffix} {
		if st, err := os.Stat(filepath.Join(folder, name)); err == nil {
			return min(st.Size(), f.size)
		}
	}
	return 0
}

// checkSpace reports ErrNoSpace when the disk of dir hasn't need bytes to spare.
func (h *Hub) checkSpace(dir string, need int64) error {
	free, err := h.freeSpace(dir)
	if err != nil || need <= 0 || free >= need+spaceMargin {
		return nil
	}
	return fmt.Errorf("%w: %s needs %s more, the disk has %s free: make room or set LEDGE_MODELS to another disk", ErrNoSpace, dir, FormatBytes(need), FormatBytes(free))
}

// diskError turns a write error into one clear line.
func diskError(path string, err error) error {
	if diskFull(err) {
		return &localError{fmt.Errorf("%w: the disk filled up at %s: make room and run again, it goes on from there", ErrNoSpace, path)}
	}
	return &localError{fmt.Errorf("cannot write %s: %w", path, reason(err))}
}

// download is the state of one file being fetched.
type download struct {
	h     *Hub
	f     remoteFile // size and sha256 are filled in as they become known
	dest  string     // final path
	out   partFile
	sum   hash.Hash // of the bytes written so far
	off   int64     // how many these are
	info  partInfo
	m     *meter
	opt   Options
	space bool  // the disk has been checked for this file
	room  int64 // how far it has been, for a file of unknown size

	pinned bool // size and sha256 were known before the first answer: another file is an error
}

// fetch downloads one file, resuming what is there, verifies it and puts it under
// its final name.
func (h *Hub) fetch(ctx context.Context, f remoteFile, folder string, m *meter, opt Options) (File, error) {
	d := &download{h: h, f: f, dest: filepath.Join(folder, f.name), sum: sha256.New(), m: m, opt: opt, pinned: f.sha256 != ""}
	if done, ok := d.complete(ctx); ok {
		return done, nil
	}
	out, err := h.openPart(d.dest + partSuffix)
	if err != nil {
		return File{}, diskError(d.dest+partSuffix, err)
	}
	d.out = out
	done := false
	defer func() {
		if !done {
			_ = d.keep() // or less is built on
		}
		d.out.Close()
		if d.off == 0 { // nothing to resume
			os.Remove(d.dest + partSuffix)
			d.removeInfo()
		}
	}()
	if err := d.resume(ctx); err != nil {
		return File{}, err
	}
	old := d.off > 0 // bytes of an earlier run, which may be the wrong ones
	for {
		if err := d.run(ctx); err != nil {
			return File{}, err
		}
		got := hex.EncodeToString(d.sum.Sum(nil))
		if d.f.sha256 == "" || got == d.f.sha256 {
			done = true
			return d.finish(got)
		}
		if err := d.clear(); err != nil {
			return File{}, err
		}
		if !old {
			return File{}, fmt.Errorf("%w: %s has sha256 %s, not %s: removed", ErrChecksum, f.name, got, d.f.sha256)
		}
		old = false
		opt.logf("%s: the parts of two runs do not fit together: starting anew", f.name)
	}
}

// complete reports whether the file is already there under its final name, whole:
// another file of its model was interrupted.
func (d *download) complete(ctx context.Context) (File, bool) {
	st, err := os.Stat(d.dest)
	if err != nil || !st.Mode().IsRegular() || d.f.sha256 == "" || st.Size() != d.f.size && d.f.size >= 0 {
		return File{}, false
	}
	in, err := os.Open(d.dest)
	if err != nil {
		return File{}, false
	}
	defer in.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, files.Until(ctx, in)); err != nil || hex.EncodeToString(sum.Sum(nil)) != d.f.sha256 {
		return File{}, false
	}
	d.m.size(st.Size())
	d.m.restart(st.Size())
	return File{d.f.name, st.Size(), d.f.sha256}, true
}

// resume decides whether the bytes that are there can be built on, and hashes them.
func (d *download) resume(ctx context.Context) error {
	key := shortHash(d.f.url.String())
	data, err := os.ReadFile(d.dest + partSuffix + infoSuffix)
	if err == nil && json.Unmarshal(data, &d.info) != nil {
		d.info = partInfo{}
	}
	same := d.info.URL == key && d.info.Validator != ""
	if d.f.sha256 != "" && d.info.SHA256 != "" {
		same = d.info.SHA256 == d.f.sha256
	}
	if d.info.URL != key {
		d.info.Validator = "" // another server's
	}
	d.info.URL = key
	if !same {
		if err := d.clear(); err != nil {
			return err
		}
		d.info.Validator, d.info.SHA256 = "", d.f.sha256
		return d.saveInfo()
	}
	part := files.Until(ctx, d.out)
	unsure := d.f.sha256 == "" && d.info.SHA256 == "" // nothing will tell whether a power failure has torn its end
	if unsure {
		part = io.LimitReader(part, d.info.Synced)
	}
	n, err := io.Copy(d.sum, part)
	if err == nil && unsure {
		err = d.out.Truncate(n)
	}
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return diskError(d.dest+partSuffix, err)
	}
	d.off = n
	if d.f.size >= 0 && n > d.f.size {
		return d.clear()
	}
	if n > 0 {
		d.opt.logf("%s: resuming at %s", d.f.name, FormatBytes(n))
	}
	d.m.restart(n)
	return nil
}

// clear starts the file anew.
func (d *download) clear() error {
	if err := d.out.Truncate(0); err != nil {
		return diskError(d.dest+partSuffix, err)
	}
	if _, err := d.out.Seek(0, io.SeekStart); err != nil {
		return diskError(d.dest+partSuffix, err)
	}
	d.sum.Reset()
	d.off, d.info.Synced = 0, 0
	d.m.restart(0)
	return nil
}

// run makes requests until the file is whole, or hope is lost.
func (d *download) run(ctx context.Context) error {
	if d.f.size >= 0 && d.off == d.f.size && d.f.sha256 != "" {
		return nil
	}
	highest := d.off
	return d.h.retry(ctx, func(format string, args ...any) { d.opt.logf(d.f.name+": "+format, args...) }, func() (bool, error) {
		err := d.attempt(ctx)
		// Only bytes beyond the highest mark count: a server that always breaks off at
		// the same place and cannot resume would keep us busy for ever.
		progressed := d.off >= highest+d.h.tune.minProgress
		if progressed {
			highest = d.off
		}
		return progressed, err
	})
}

// attempt makes one request for what is missing and writes what comes.
func (d *download) attempt(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	watch := time.AfterFunc(d.h.tune.stall, func() { cancel(errStalled) })
	defer watch.Stop()
	var link linked
	ctx = context.WithValue(ctx, linkedKey{}, &link)

	req, err := d.h.request(ctx, d.f.url)
	if err != nil {
		return &permanent{err}
	}
	if d.off > 0 && d.info.Validator == "" && d.f.sha256 == "" {
		// Nothing would tell if the rest belonged to another version of the file.
		if err := d.clear(); err != nil {
			return &permanent{err}
		}
	}
	asked := d.off
	if asked > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", asked))
		if d.info.Validator != "" {
			req.Header.Set("If-Range", d.info.Validator)
		}
	}
	resp, err := d.h.client.Do(req)
	if err != nil {
		if context.Cause(ctx) == errStalled {
			return &noAnswer{fmt.Errorf("%s does not answer within %s", d.f.url.Host, d.h.tune.stall)}
		}
		return connectError(err, d.f.url)
	}
	defer resp.Body.Close()
	watch.Reset(d.h.tune.stall)

	total, err := d.begin(resp, asked)
	if err != nil {
		return err
	}
	link.read(resp.Header)
	body := bufio.NewReaderSize(resp.Body, 256<<10)
	kind := resp.Header.Get("Content-Type")
	if err := d.learn(resp.Header, body, total, &link); err != nil {
		return err
	}
	return d.copyBody(ctx, body, kind, watch)
}

var contentRange = regexp.MustCompile(`^\s*bytes\s+(?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18}|\*)\s*$`)

// begin looks at the status of an answer and sets the place its body belongs to. It
// returns the size of the whole file, or -1.
func (d *download) begin(resp *http.Response, asked int64) (total int64, err error) {
	cr := contentRange.FindStringSubmatch(resp.Header.Get("Content-Range"))
	start := int64(-1)
	total = -1
	if cr != nil {
		if cr[1] != "" {
			start, _ = strconv.ParseInt(cr[1], 10, 64)
		}
		if cr[3] != "*" {
			total, _ = strconv.ParseInt(cr[3], 10, 64)
		}
	}
	switch {
	case resp.StatusCode == http.StatusPartialContent && asked > 0 && start == asked:
		return total, nil
	case resp.StatusCode == http.StatusOK && asked > 0 && start == asked:
		return total, nil // ModelScope sends parts with status 200
	case resp.StatusCode == http.StatusOK && start <= 0:
		if asked > 0 {
			d.opt.logf("%s: the server cannot resume, or the file has changed: starting anew", d.f.name)
			if err := d.clear(); err != nil {
				return 0, &permanent{err}
			}
		}
		return max(total, resp.ContentLength), nil
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && asked > 0:
		if err := d.clear(); err != nil {
			return 0, &permanent{err}
		}
		d.info.Validator = ""
		return 0, fmt.Errorf("%s has no more of this file than is here: starting anew", d.f.url.Host)
	case resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusOK:
		if err := d.clear(); err != nil {
			return 0, &permanent{err}
		}
		return 0, fmt.Errorf("%s sent another part of the file than was asked for", d.f.url.Host)
	}
	return 0, d.h.statusError(resp, d.f.url)
}

// learn takes in what an answer says of the file: size, sha256, validator. It fails
// when that is another file than the one wanted, and starts anew when the file has
// changed since the bytes that are here.
func (d *download) learn(header http.Header, body *bufio.Reader, total int64, link *linked) error {
	if total < 0 && link.size > 0 {
		total = link.size
	}
	host := d.f.url.Host
	if total >= 0 && d.f.size >= 0 && total != d.f.size && d.off == 0 && total < 1<<20 {
		// A page or an error message tells more than two sizes that differ.
		head, _ := body.Peek(headSize)
		if err := sniff(head, header.Get("Content-Type")); err != nil {
			return &permanent{err}
		}
	}
	otherSum := link.sha256 != "" && d.f.sha256 != "" && link.sha256 != d.f.sha256
	otherSize := total >= 0 && d.f.size >= 0 && total != d.f.size
	validator := strongValidator(header)
	otherTag := d.off > 0 && d.f.sha256 == "" && strings.HasPrefix(d.info.Validator, `"`) && strings.HasPrefix(validator, `"`) && validator != d.info.Validator
	switch {
	case otherSum && d.pinned:
		return permanentf("%w: %s now holds another file under this name (sha256 %s, not %s)", ErrChecksum, host, link.sha256, d.f.sha256)
	case otherSize && d.pinned:
		return permanentf("%w: %s has %d bytes under this name, not %d", ErrChecksum, host, total, d.f.size)
	case (otherSum || otherSize || otherTag) && d.off > 0:
		d.info.Validator = ""
		d.f.size, d.f.sha256 = -1, ""
		if err := d.clear(); err != nil {
			return &permanent{err}
		}
		return fmt.Errorf("the file has changed at %s: starting anew", host)
	}
	if link.sha256 != "" {
		d.f.sha256 = link.sha256
	} else if d.f.sha256 == "" && d.off > 0 {
		d.f.sha256 = d.info.SHA256 // of the same version: the server goes on with it
	}
	if total >= 0 && total != d.f.size {
		d.f.size = total
		d.m.size(total)
	}
	if !d.space {
		if err := d.h.checkSpace(filepath.Dir(d.dest), d.f.size-d.off); err != nil {
			return &permanent{err}
		}
		d.space = true
	}
	d.info.Validator, d.info.SHA256 = validator, d.f.sha256
	if err := d.saveInfo(); err != nil {
		return &permanent{err}
	}
	return nil
}

// saveInfo writes what describes the part. If that is cut short, what was there stays:
// without it, nothing of the part is built on.
func (d *download) saveInfo() error {
	data, err := json.Marshal(d.info)
	if err != nil {
		return diskError(d.dest+partSuffix, err)
	}
	return writeFile(d.dest+partSuffix+infoSuffix, data)
}

// removeInfo removes what describes a part that is gone.
func (d *download) removeInfo() {
	os.Remove(d.dest + partSuffix + infoSuffix)
	os.Remove(d.dest + partSuffix + infoSuffix + tmpSuffix)
}

// keep makes a part durable that no checksum will check, so that a later run can build
// on it.
func (d *download) keep() error {
	if d.f.sha256 != "" || d.off == d.info.Synced {
		return nil
	}
	if err := d.out.Sync(); err != nil {
		return diskError(d.dest+partSuffix, err)
	}
	d.info.Synced = d.off
	return d.saveInfo()
}

// grow makes sure that a file of unknown size leaves room on the disk, whatever its
// server sends. It is looked at from time to time.
func (d *download) grow() error {
	if d.f.size >= 0 || d.off < d.room {
		return nil
	}
	d.room = d.off + spaceMargin
	err := d.h.checkSpace(filepath.Dir(d.dest), spaceMargin)
	if err == nil {
		return nil
	}
	if cerr := d.clear(); cerr != nil {
		return cerr
	}
	return fmt.Errorf("%w; %s does not say how much will come, and what came is removed", err, d.f.url.Host)
}

// strongValidator is what If-Range may carry (RFC 9110, 13.1.5): a strong ETag, else
// the date of the last change, else nothing.
func strongValidator(h http.Header) string {
	if etag := h.Get("ETag"); strings.HasPrefix(etag, `"`) {
		return etag
	}
	if _, err := http.ParseTime(h.Get("Last-Modified")); err == nil {
		return h.Get("Last-Modified")
	}
	return ""
}

// copyBody writes an answer's body at the place begin has set.
func (d *download) copyBody(ctx context.Context, body *bufio.Reader, kind string, watch *time.Timer) error {
	if d.off == 0 {
		head, err := body.Peek(4)
		if string(head) != "GGUF" && (err == nil || err == io.EOF) {
			head, _ = body.Peek(headSize)
			return &permanent{sniff(head, kind)}
		}
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			watch.Reset(d.h.tune.stall)
			if d.f.size >= 0 && d.off+int64(n) > d.f.size {
				return permanentf("%w: %s sends more than the %d bytes of the file", ErrChecksum, d.f.url.Host, d.f.size)
			}
			if _, werr := d.out.Write(buf[:n]); werr != nil {
				return &permanent{diskError(d.dest+partSuffix, werr)}
			}
			d.sum.Write(buf[:n])
			d.off += int64(n)
			d.m.set(d.off, false)
			if d.off >= d.info.Synced+d.h.tune.sync {
				if err := d.keep(); err != nil {
					return &permanent{err}
				}
			}
			if err := d.grow(); err != nil {
				return &permanent{err}
			}
		}
		switch {
		case err == io.EOF && (d.f.size < 0 || d.off == d.f.size):
			return nil
		case err == io.EOF:
			return fmt.Errorf("%s broke off at %s of %s", d.f.url.Host, FormatBytes(d.off), FormatBytes(d.f.size))
		case err != nil && context.Cause(ctx) == errStalled:
			return fmt.Errorf("%s sent nothing for %s", d.f.url.Host, d.h.tune.stall)
		case err != nil:
			return fmt.Errorf("the connection to %s broke at %s: %s", d.f.url.Host, FormatBytes(d.off), oneLine(err.Error()))
		}
	}
}

// finish makes the verified part durable and gives it its final name.
func (d *download) finish(sum string) (File, error) {
	err := d.out.Sync()
	if cerr := d.out.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(d.dest+partSuffix, d.dest)
	}
	if err != nil {
		return File{}, diskError(d.dest, err)
	}
	d.removeInfo()
	_ = files.SyncDir(filepath.Dir(d.dest)) // where the system can
	d.m.size(d.off)
	d.m.set(d.off, true)
	return File{d.f.name, d.off, sum}, nil
}
