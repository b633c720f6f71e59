package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// endpoint is the address of a hub, and the token that belongs to it alone.
type endpoint struct {
	base  *url.URL
	token string
	err   error // the address is wrong; reported when the endpoint is needed
}

// newEndpoint reads an address; a bare host means https.
func newEndpoint(setting, addr, token string) endpoint {
	if !strings.Contains(addr, "://") {
		addr = "https://" + addr
	}
	u, err := url.Parse(strings.TrimRight(addr, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return endpoint{base: &url.URL{Scheme: "https", Host: "invalid"}, err: fmt.Errorf("%s is no web address of the form https://host", setting)}
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return endpoint{base: u, token: token}
}

// owns reports whether u lies at the endpoint: same scheme, host and port.
func (e endpoint) owns(u *url.URL) bool { return e.err == nil && sameOrigin(e.base, u) }

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "http":
		return "80"
	default:
		return "443"
	}
}

// secretHeaders never travel to another host.
var secretHeaders = []string{"Authorization", "Cookie"}

// newClient makes the HTTP client of all requests. net/http drops secret headers
// only when the host name changes; here another port or scheme is another host too,
// and once they are dropped they stay so.
func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
		t.DisableCompression = true
		transport = t
	}
	return &http.Client{Transport: transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("more than ten redirections")
		}
		first := via[0]
		if first.URL.Scheme == "https" && req.URL.Scheme != "https" {
			return errors.New("redirected from https to an unprotected address")
		}
		for _, r := range append(via[1:len(via):len(via)], req) {
			if !sameOrigin(first.URL, r.URL) {
				for _, name := range secretHeaders {
					req.Header.Del(name)
				}
				req.Header.Del("Referer")
				break
			}
		}
		// The hub tells the file's sha256 and size in the answer that redirects to its store.
		if l, ok := req.Context().Value(linkedKey{}).(*linked); ok && req.Response != nil {
			l.read(req.Response.Header)
		}
		return nil
	}}
}

// linked is what the hub's redirection says of the file behind it.
type linked struct {
	sha256 string
	size   int64
}

type linkedKey struct{}

func (l *linked) read(h http.Header) {
	etag := strings.Trim(strings.TrimPrefix(h.Get("X-Linked-Etag"), "W/"), `"`)
	if l.sha256 == "" && sha256Form.MatchString(etag) {
		l.sha256 = strings.ToLower(etag)
	}
	if n, err := strconv.ParseInt(h.Get("X-Linked-Size"), 10, 64); err == nil && n > 0 && l.size <= 0 {
		l.size = n
	}
}

// request makes a GET request, with the token if the address is its endpoint's.
func (h *Hub) request(ctx context.Context, u *url.URL) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("malformed address")
	}
	req.Header.Set("User-Agent", "ledge")
	req.Header.Set("Accept-Encoding", "identity")
	switch {
	case h.hf.token != "" && h.hf.owns(u):
		req.Header.Set("Authorization", "Bearer "+h.hf.token)
	case h.ms.token != "" && h.ms.owns(u):
		req.Header.Set("Authorization", "Bearer "+h.ms.token)
		req.AddCookie(&http.Cookie{Name: "m_session_id", Value: h.ms.token})
	}
	return req, nil
}

// permanent marks an error that a retry cannot cure.
type permanent struct{ err error }

func (e *permanent) Error() string { return e.err.Error() }
func (e *permanent) Unwrap() error { return e.err }

func permanentf(format string, args ...any) error { return &permanent{fmt.Errorf(format, args...)} }

// later asks for a pause before the retry.
type later struct {
	err  error
	wait time.Duration
}

func (e *later) Error() string { return e.err.Error() }
func (e *later) Unwrap() error { return e.err }

// noAnswer marks an error before the server said anything.
type noAnswer struct{ err error }

func (e *noAnswer) Error() string { return e.err.Error() }
func (e *noAnswer) Unwrap() error { return e.err }

// connectError makes one clear line of what client.Do returns; it drops the
// address, which may hold a signature, but keeps the host.
func connectError(err error, u *url.URL) error {
	var uerr *url.Error
	if errors.As(err, &uerr) {
		if host, perr := url.Parse(uerr.URL); perr == nil && host.Host != "" {
			u = host
		}
		err = uerr.Err
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errStalled):
		return &noAnswer{fmt.Errorf("%s does not answer in time", u.Host)}
	case errors.As(err, &dns) && dns.IsNotFound:
		return &permanent{fmt.Errorf("cannot reach %s: no such host (offline, or blocked here?)", u.Host)}
	case errors.As(err, &dns):
		return &noAnswer{fmt.Errorf("cannot reach %s: looking up its name failed", u.Host)}
	}
	return &noAnswer{fmt.Errorf("cannot reach %s: %s", u.Host, oneLine(err.Error()))}
}

// statusError explains an answer that is no success; the body is read and dropped.
func (h *Hub) statusError(resp *http.Response, u *url.URL) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	said := serverMessage(resp.Header, body)
	if said != "" {
		said = ": it says: " + said
	}
	host, code := u.Host, resp.StatusCode
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		switch {
		case h.hf.owns(u) && h.hf.token == "":
			return permanentf("%s refuses (HTTP %d): the repository does not exist, is private, or its licence must be accepted on its web page first; then set HF_TOKEN%s", host, code, said)
		case h.hf.owns(u):
			return permanentf("%s refuses (HTTP %d): HF_TOKEN is wrong, or its owner has not accepted the repository's licence on its web page%s", host, code, said)
		case h.ms.owns(u):
			return permanentf("%s refuses (HTTP %d): the repository is private or gated; set MODELSCOPE_API_TOKEN%s", host, code, said)
		}
		return permanentf("%s refuses (HTTP %d)%s", host, code, said)
	case code == http.StatusNotFound || code == http.StatusGone:
		return permanentf("%s has nothing there (HTTP %d): check owner, repository, revision and file%s", host, code, said)
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		err := fmt.Errorf("%s is busy or limits requests (HTTP %d)%s", host, code, said)
		wait, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now())
		if ok && wait > h.tune.maxRetryAfter {
			return permanentf("%w: it asks to come back in %s", err, wait.Round(time.Second))
		}
		return &later{err, wait}
	case code == http.StatusRequestTimeout || code >= 500:
		return fmt.Errorf("%s failed (HTTP %d)%s", host, code, said)
	}
	return permanentf("%s answered HTTP %d%s", host, code, said)
}

// retryAfter reads a Retry-After header: seconds or a date (RFC 9110, 10.2.3).
func retryAfter(s string, now time.Time) (time.Duration, bool) {
	if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32); err == nil && n >= 0 {
		return time.Duration(n) * time.Second, true
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// retry runs attempt until it succeeds, fails for good, or has failed too often in a
// row. attempt reports whether it got on; then the count starts anew.
func (h *Hub) retry(ctx context.Context, logf func(string, ...any), attempt func() (progressed bool, err error)) error {
	wait, failures, silent := h.tune.backoff, 0, 0
	for {
		progressed, err := attempt()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var perm *permanent
		if errors.As(err, &perm) {
			return err
		}
		if progressed {
			wait, failures, silent = h.tune.backoff, 0, 0
		}
		var none *noAnswer
		if errors.As(err, &none) {
			silent++
		} else {
			silent = 0
		}
		failures++
		if failures >= h.tune.attempts || silent >= h.tune.connects {
			return fmt.Errorf("%w (%d attempts)", err, failures)
		}
		d := wait
		var l *later
		if errors.As(err, &l) {
			d = max(d, l.wait)
		}
		if d >= time.Second {
			logf("%v: again in %s", err, d.Round(time.Second))
		} else {
			logf("%v: trying again", err)
		}
		if err := pause(ctx, d); err != nil {
			return err
		}
		wait = min(2*wait, h.tune.maxBackoff)
	}
}
