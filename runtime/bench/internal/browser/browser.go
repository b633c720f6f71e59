// Package browser drives a real browser in tests, through the pipe of Chrome's
// DevTools protocol (https://chromedevtools.github.io/devtools-protocol/).
package browser

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Page is a tab of a browser.
type Page struct {
	t       *testing.T
	in      *os.File
	out     *bufio.Reader
	id      int
	session string

	Requests []string // URLs that the page asked for, the page itself first
	Problems []string // what the console and the log complained of
}

// message is a call.
type message struct {
	ID        int    `json:"id"`
	SessionID string `json:"sessionId,omitempty"`
	Method    string `json:"method"`
	Params    any    `json:"params,omitempty"`
}

// Open starts a browser with a tab of a size in CSS pixels and loads a URL. The test is
// skipped if there is no browser. Nothing is fetched from other machines.
func Open(t *testing.T, url string, width, height int) *Page {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no browser (Debian package chromium)")
	}
	fromUs, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, toUs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// The browser's file descriptors 3 and 4. No sandbox: tests may run as root, and the page is ours.
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND", "--hide-scrollbars", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{fromUs, toUs}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Skipf("the browser does not start: %v", err)
	}
	fromUs.Close()
	toUs.Close()
	p := &Page{t: t, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		_ = p.send(message{ID: 1 << 30, Method: "Browser.close"})
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			cmd.Process.Kill()
			<-done
		}
		in.Close()
		out.Close()
		if t.Failed() {
			t.Logf("the browser said: %.2000s", said.Bytes())
		}
	})
	if err := out.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil { // a slow machine's browser
		t.Fatal(err)
	}
	var target struct{ TargetID string }
	p.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	p.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session = attached.SessionID
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		p.call(domain+".enable", nil, nil)
	}
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	p.call("Page.navigate", map[string]any{"url": url}, nil)
	for !p.event("Page.loadEventFired") {
	}
	return p
}

// Eval gives the value of a JavaScript expression into v.
func (p *Page) Eval(expression string, v any) {
	p.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Text string }
	}
	p.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		p.t.Fatalf("%s: %s", expression, r.ExceptionDetails.Text)
	}
	if err := json.Unmarshal(r.Result.Value, v); err != nil {
		p.t.Fatalf("%s: %v in %s", expression, err, r.Result.Value)
	}
}

// Screenshot is the whole page as PNG, that part too which has to be scrolled to.
func (p *Page) Screenshot() []byte {
	p.t.Helper()
	var r struct{ Data string }
	p.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &r)
	data, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}

func (p *Page) send(m message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = p.in.Write(append(data, 0))
	return err
}

// call waits for a method's result.
func (p *Page) call(method string, params, result any) {
	p.t.Helper()
	p.id++
	if err := p.send(message{ID: p.id, SessionID: p.session, Method: method, Params: params}); err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
	for {
		m, err := p.read()
		if err != nil {
			p.t.Fatalf("%s: %v", method, err)
		}
		if m.ID != p.id {
			continue
		}
		if m.Error != nil {
			p.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				p.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

// event reads one message and reports whether it is that event.
func (p *Page) event(name string) bool {
	p.t.Helper()
	m, err := p.read()
	if err != nil {
		p.t.Fatalf("waiting for %s: %v", name, err)
	}
	return m.Method == name
}

// read reads a message and keeps what it says about requests and problems.
func (p *Page) read() (m struct {
	ID     int
	Method string
	Result json.RawMessage
	Error  *struct{ Message string }
}, err error) {
	data, err := p.out.ReadBytes(0)
	if err != nil {
		return m, errors.Join(errors.New("the browser is gone"), err)
	}
	data = bytes.TrimSuffix(data, []byte{0})
	if err := json.Unmarshal(data, &m); err != nil {
		return m, err
	}
	var e struct {
		Params struct {
			Request          struct{ URL string }
			Entry            struct{ Text, URL string }
			Type             string
			Args             []struct{ Value any }
			ExceptionDetails struct{ Text string }
		}
	}
	switch m.Method {
	case "Network.requestWillBeSent", "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown":
		if err := json.Unmarshal(data, &e); err != nil {
			return m, err
		}
	}
	switch m.Method {
	case "Network.requestWillBeSent":
		p.Requests = append(p.Requests, e.Params.Request.URL)
	case "Log.entryAdded":
		p.Problems = append(p.Problems, e.Params.Entry.Text+" "+e.Params.Entry.URL)
	case "Runtime.consoleAPICalled":
		p.Problems = append(p.Problems, fmt.Sprint(e.Params.Type, e.Params.Args))
	case "Runtime.exceptionThrown":
		p.Problems = append(p.Problems, e.Params.ExceptionDetails.Text)
	}
	return m, nil
}
