package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Limits on what a file listing may cost.
const (
	maxListing = 16 << 20 // bytes of one answer
	maxPages   = 50
	maxFiles   = 100_000
)

// hfFile is the address of a file: ENDPOINT/owner/repo/resolve/revision/path.
func (e endpoint) hfFile(r Ref, path string) *url.URL {
	return e.base.JoinPath(r.Owner, r.Repo, "resolve", escapeRevision(r.Revision, "main"), escapePath(path))
}

// hfTree is the address of the file list, which gives path, size and the LFS
// object id, a sha256, of each file:
// https://huggingface.co/docs/hub/api (GET /api/models/{repo}/tree/{revision}).
func (e endpoint) hfTree(r Ref) *url.URL {
	u := e.base.JoinPath("api", "models", r.Owner, r.Repo, "tree", escapeRevision(r.Revision, "main"))
	u.RawQuery = "recursive=true"
	return u
}

// msFile and msTree are the same for ModelScope:
// GET /api/v1/models/{repo}/repo?Revision=…&FilePath=… and …/repo/files?Revision=….
func (e endpoint) msFile(r Ref, path string) *url.URL {
	u := e.base.JoinPath("api", "v1", "models", r.Owner, r.Repo, "repo")
	u.RawQuery = url.Values{"Revision": {orDefault(r.Revision, "master")}, "FilePath": {path}}.Encode()
	return u
}

func (e endpoint) msTree(r Ref) *url.URL {
	u := e.base.JoinPath("api", "v1", "models", r.Owner, r.Repo, "repo", "files")
	u.RawQuery = url.Values{"Revision": {orDefault(r.Revision, "master")}, "Recursive": {"true"}}.Encode()
	return u
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// escapeRevision escapes a revision as one path element: a branch may be called a/b.
func escapeRevision(revision, fallback string) string {
	return url.PathEscape(orDefault(revision, fallback))
}

func escapePath(path string) string {
	elems := strings.Split(path, "/")
	for i := range elems {
		elems[i] = url.PathEscape(elems[i])
	}
	return strings.Join(elems, "/")
}

// findHF asks the Hugging Face hub for the file a reference means.
func (h *Hub) findHF(ctx context.Context, r Ref) (*target, error) {
	if h.hf.err != nil {
		return nil, h.hf.err
	}
	var files []repoFile
	next := h.hf.hfTree(r)
	for page := 0; next != nil; page++ {
		if page == maxPages || len(files) > maxFiles {
			return nil, errors.New("the repository holds too many files; name the one you want by its address")
		}
		body, header, err := h.getJSON(ctx, next)
		if err != nil {
			return nil, err
		}
		list, err := parseHFTree(body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", next.Host, err)
		}
		files = append(files, list...)
		if next, err = nextPage(header, next); err != nil {
			return nil, err
		}
	}
	return repoTarget(r, files, h.hf.hfFile)
}

// findMS asks ModelScope for the file a reference means.
func (h *Hub) findMS(ctx context.Context, r Ref) (*target, error) {
	if h.ms.err != nil {
		return nil, h.ms.err
	}
	u := h.ms.msTree(r)
	body, _, err := h.getJSON(ctx, u)
	if err != nil {
		return nil, err
	}
	files, err := parseMSFiles(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.Host, err)
	}
	return repoTarget(r, files, h.ms.msFile)
}

func repoTarget(r Ref, files []repoFile, address func(Ref, string) *url.URL) (*target, error) {
	c, err := pick(files, r.Want)
	if err != nil {
		return nil, err
	}
	full := r
	full.Want = c.name
	t := &target{name: full.String(), source: publicURL(address(r, c.name))}
	if t.name != r.String() {
		t.also = r.String()
	}
	for _, f := range c.files {
		base, err := localName(f.path)
		if err != nil {
			return nil, err
		}
		t.files = append(t.files, remoteFile{name: base, url: address(r, f.path), size: f.size, sha256: f.sha256})
	}
	return t, nil
}

// getJSON fetches a small answer, with retries.
func (h *Hub) getJSON(ctx context.Context, u *url.URL) (body []byte, header http.Header, err error) {
	err = h.retry(ctx, func(string, ...any) {}, func() (bool, error) {
		tctx, cancel := context.WithTimeoutCause(ctx, h.tune.stall, errStalled)
		defer cancel()
		req, err := h.request(tctx, u)
		if err != nil {
			return false, &permanent{err}
		}
		req.Header.Set("Accept", "application/json")
		resp, err := h.client.Do(req)
		if err != nil {
			return false, connectError(err, u)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return false, h.statusError(resp, u)
		}
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxListing+1))
		if err != nil {
			return false, fmt.Errorf("%s broke off: %s", u.Host, oneLine(err.Error()))
		}
		if len(body) > maxListing {
			return false, permanentf("%s answered with more than %s", u.Host, FormatBytes(maxListing))
		}
		header = resp.Header
		return true, nil
	})
	return body, header, err
}

// nonsense says what came instead of the JSON that was expected.
func nonsense(body []byte) error {
	start := oneLine(string(body[:min(len(body), 256)]))
	if start == "" {
		return errors.New("the answer is empty instead of a file list")
	}
	return fmt.Errorf("the answer is no file list: it starts with %q", cut(start, 60))
}

// parseHFTree reads the hub's list of files.
func parseHFTree(body []byte) ([]repoFile, error) {
	var list []struct {
		Type string `json:"type"`
		Path string `json:"path"`
		Size *int64 `json:"size"`
		LFS  *struct {
			OID  string `json:"oid"`
			Size *int64 `json:"size"`
		} `json:"lfs"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		if said := serverMessage(nil, body); said != "" {
			return nil, fmt.Errorf("no file list: it says: %s", said)
		}
		return nil, nonsense(body)
	}
	var files []repoFile
	for _, e := range list {
		if e.Type != "file" || e.Path == "" {
			continue
		}
		f := repoFile{path: e.Path, size: sizeOr(e.Size, -1)}
		if e.LFS != nil {
			f.size = sizeOr(e.LFS.Size, f.size)
			f.sha256 = digest(e.LFS.OID)
		}
		files = append(files, f)
	}
	return files, nil
}

// parseMSFiles reads ModelScope's list of files.
func parseMSFiles(body []byte) ([]repoFile, error) {
	var answer struct {
		Code    int64
		Message string
		Data    *struct {
			Files []struct {
				Path   string
				Type   string
				Size   *int64
				Sha256 string
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, nonsense(body)
	}
	if answer.Data == nil {
		if answer.Message != "" {
			return nil, fmt.Errorf("no file list: it says: %s", cut(oneLine(answer.Message), 200))
		}
		return nil, nonsense(body)
	}
	var files []repoFile
	for _, e := range answer.Data.Files {
		if e.Type == "tree" || e.Path == "" {
			continue
		}
		files = append(files, repoFile{path: e.Path, size: sizeOr(e.Size, -1), sha256: digest(e.Sha256)})
	}
	return files, nil
}

func sizeOr(n *int64, fallback int64) int64 {
	if n == nil || *n < 0 {
		return fallback
	}
	return *n
}

// digest is s if it is a sha256 in hexadecimal, else "".
func digest(s string) string {
	s = strings.TrimPrefix(s, "sha256:")
	if !sha256Form.MatchString(s) {
		return ""
	}
	return strings.ToLower(s)
}

// serverMessage finds what a hub says about an error: a header of the Hugging Face
// hub, or the usual fields of a JSON body.
func serverMessage(h http.Header, body []byte) string {
	said := ""
	if h != nil {
		said = h.Get("X-Error-Message")
	}
	if said == "" {
		var v struct {
			Error   any `json:"error"`
			Message any `json:"message"`
		}
		if json.Unmarshal(body, &v) == nil {
			for _, f := range []any{v.Error, v.Message} {
				if s, ok := f.(string); ok && s != "" {
					said = s
					break
				}
			}
		}
	}
	return cut(oneLine(said), 200)
}

var linkNext = regexp.MustCompile(`<([^<>]*)>\s*;[^,]*\brel="?next"?`)

// nextPage reads the Link header (RFC 8288) of a list that comes in pages.
func nextPage(h http.Header, at *url.URL) (*url.URL, error) {
	m := linkNext.FindStringSubmatch(strings.Join(h.Values("Link"), ", "))
	if m == nil {
		return nil, nil
	}
	next, err := at.Parse(m[1])
	if err != nil || !sameOrigin(at, next) {
		return nil, fmt.Errorf("%s names a next page that is not its own", at.Host)
	}
	return next, nil
}

// errStalled is the cause when a connection delivers nothing for too long.
var errStalled = &stalled{}

type stalled struct{}

func (*stalled) Error() string { return "no data for too long" }
