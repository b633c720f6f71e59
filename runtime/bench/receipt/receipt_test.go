package receipt_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/ledge-run/ledge/runtime/bench/receipt"
	"github.com/ledge-run/ledge/runtime/bench/record"
)

// key is the one of RFC 8032, 7.1, test 1.
func key(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	seed := []byte("\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60")
	return ed25519.NewKeyFromSeed(seed)
}

func sample() receipt.Receipt {
	return receipt.Receipt{
		Time:  time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC),
		Maker: receipt.Maker{Version: "0.1", Go: "go1.26"},
		Suite: "name: <small> & \u2028 größer 客厅\n",
		Records: []record.Record{{
			Version: record.Version, Case: "decode/t2", Round: 1, Time: time.Date(2026, 5, 6, 7, 0, 0, 0, time.UTC), Seconds: 1.5e-7,
			Runs: []record.Run{{Engine: record.Engine{Name: record.Ledge}, Figures: map[string]record.Figure{
				record.Decode: {Unit: "tokens/s", Samples: []float64{526.25, 1e21, 0.1}}}}},
		}},
	}
}

func sign(t testing.TB, r receipt.Receipt) []byte {
	t.Helper()
	data, err := r.Sign(key(t))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSignVerify(t *testing.T) {
	data := sign(t, sample())
	r, err := receipt.Verify(data)
	if err != nil {
		t.Fatal(err)
	}
	want := sample()
	if r.Suite != want.Suite || !r.Time.Equal(want.Time) || r.Records[0].Case != "decode/t2" || r.Key != receipt.Public(key(t)) {
		t.Errorf("read back %+v", r)
	}
	if again := sign(t, sample()); !bytes.Equal(again, data) {
		t.Error("the same result signed again gave another receipt")
	}
	text, err := jcs.Transform(data)
	if err != nil || !bytes.Equal(append(text, '\n'), data) {
		t.Errorf("the receipt is not in its canonical form (%v)", err)
	}
	for _, s := range []string{`größer 客厅\n`, "<small> & \u2028", "[526.25,1e+21,0.1]", "1.5e-7"} { // as RFC 8785 writes them
		if !bytes.Contains(data, []byte(s)) {
			t.Errorf("the receipt has no %q: %s", s, data)
		}
	}
	if _, err := (receipt.Receipt{}).Sign(key(t)); err == nil {
		t.Error("nothing was signed without an error")
	}
}

// TestEveryBit: no bit of a receipt can be another one.
func TestEveryBit(t *testing.T) {
	data := sign(t, sample())
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			if _, err := receipt.Verify(data); err == nil {
				t.Fatalf("bit %d of byte %d was changed, and nobody saw it: %s", bit, i, data)
			}
			data[i] ^= 1 << bit
		}
	}
	for n := range len(data) {
		if _, err := receipt.Verify(data[:n]); err == nil {
			t.Fatalf("cut after %d bytes, and nobody saw it", n)
		}
	}
	for _, more := range []string{" ", "\n", "{}", "\x00"} {
		if _, err := receipt.Verify(append(bytes.Clone(data), more...)); err == nil {
			t.Errorf("%q was added, and nobody saw it", more)
		}
	}
}

// TestForged: what an attacker or a friendly tool may do.
func TestForged(t *testing.T) {
	good := string(sign(t, sample()))
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in %s", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(good), "", "  "); err != nil {
		t.Fatal(err)
	}
	other := ed25519.NewKeyFromSeed(make([]byte, 32))
	for name, c := range map[string]struct{ data, want string }{
		"another figure":      {replace("526.25", "926.25"), "not those that its key signed"},
		"another key":         {replace(receipt.Public(key(t)), receipt.Public(other)), "not those that its key signed"},
		"no key":              {replace(receipt.Public(key(t)), "x"), "no public key"},
		"no signature":        {replace(`"signature":"`, `"signature":"A`), "signature is none"},
		"signatures":          {replace(`"signature":"`, `"signatures":"`), `it has no member "signature", but "signatures"`},
		"Key":                 {replace(`"key":"`, `"Key":"`), `it has no member "key", but "Key"`},
		"without a key":       {replace(`"key":"`+receipt.Public(key(t))+`",`, ""), `it has no member "key"`},
		"record":              {replace(`"records":`, `"record":`), `it has no member "records", but "record"`},
		"Receipt":             {replace(`"receipt":`, `"Receipt":`), `another kind of file: it has no member "receipt", but "Receipt"`},
		"twice":               {good + good, "no JSON"},
		"a byte order mark":   {"\ufeff" + good, "no JSON"},
		"half of it":          {good[:len(good)/2], "no JSON"},
		"formatted anew":      {pretty.String(), "formatted anew"},
		"a member twice":      {replace(`{"`, `{"receipt":1,"`), "no JSON that can be signed"},
		"a member more":       {replace(`{"`, `{"a":1,"`), "not those that its key signed"},
		"a later version":     {replace(`"receipt":1`, `"receipt":2`), "version 2"},
		"another kind":        {"{}", "another kind of file"},
		"an array":            {"[]", "no JSON object"},
		"nothing":             {"", "no JSON"},
		"nonsense":            {"PK\x03\x04", "no JSON"},
		"deep":                {strings.Repeat("[", 1<<20), "no JSON"},
		"a version as string": {replace(`"receipt":1`, `"receipt":"1"`), ""},
		"a version of words":  {replace(`"receipt":1`, `"receipt":{}`), "receipt"},
	} {
		_, err := receipt.Verify([]byte(c.data))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if changed := errors.As(err, new(*receipt.ChangedError)); changed != strings.Contains(fmt.Sprint(err), "was changed") {
			t.Errorf("%s: a ChangedError is %v: %v", name, changed, err)
		}
	}
	if _, err := receipt.Verify(make([]byte, receipt.MaxBytes+1)); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("too large: %v", err)
	}
}

// signed signs any object, as another program might.
func signed(t *testing.T, text string) []byte {
	t.Helper()
	body, err := jcs.Transform([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(key(t), body))
	all, err := jcs.Transform([]byte(strings.TrimSuffix(text, "}") + `,"signature":"` + signature + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	return append(all, '\n')
}

// TestHollow: a right signature under nothing.
func TestHollow(t *testing.T) {
	const good = `{"version":1,"case":"c","time":"2026-05-06T07:08:09Z","runs":[{"engine":{"name":"ledge"}}]}`
	for records, want := range map[string]string{
		"[" + good + "]": "",
		`[]`:             "no record",
		`null`:           "no record",
		`[null]`:         "record 1 is of version 0",
		`[{}]`:           "record 1 is of version 0",
		`[` + good + `,{"version":0,"case":"c","runs":[{}]}]`:                  "record 2 is of version 0",
		`[{"version":-1,"case":"c","runs":[{}]}]`:                              "record 1 is of version -1",
		`[{"version":2,"case":"c","runs":[{}]}]`:                               "record 1 is of version 2",
		`[{"version":1,"case":"","runs":[{}]}]`:                                "record 1 is of no case",
		`[{"version":1,"case":"c","runs":[]}]`:                                 "nothing ran in record 1",
		`[{"version":1,"case":"c","runs":null}]`:                               "nothing ran in record 1",
		`[{"version":1,"case":"c","runs":[{}]}]`:                               "record 1 (c) is without a time",
		`[{"version":1,"case":"c","time":"2026-05-06T07:08:09Z","runs":[{}]}]`: "record 1 (c) is without the engine's name in run 1",
		`{"version":1}`: "unlike any",
		`[[]]`:          "unlike any",
	} {
		r, err := receipt.Verify(signed(t, fmt.Sprintf(`{"receipt":1,"key":%q,"records":%s}`, receipt.Public(key(t)), records)))
		if want == "" && err == nil && r != nil {
			continue
		}
		if want == "" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", records, err, want)
		}
	}
	for name, change := range map[string]func(*receipt.Receipt){
		"no records":    func(r *receipt.Receipt) { r.Records = nil },
		"no version":    func(r *receipt.Receipt) { r.Records[0].Version = 0 },
		"later version": func(r *receipt.Receipt) { r.Records[0].Version = record.Version + 1 },
		"no case":       func(r *receipt.Receipt) { r.Records[0].Case = "" },
		"no runs":       func(r *receipt.Receipt) { r.Records[0].Runs = nil },
		"too large":     func(r *receipt.Receipt) { r.Suite = strings.Repeat("a", receipt.MaxBytes) },
	} {
		r := sample()
		change(&r)
		if _, err := r.Sign(key(t)); err == nil {
			t.Errorf("%s: it is signed", name)
		}
	}
}

// TestNames: what this program takes for a member is what every other one does.
func TestNames(t *testing.T) {
	mine := receipt.Public(key(t))
	theirs := receipt.Public(ed25519.NewKeyFromSeed(make([]byte, 32)))
	const records = `"records":[{"version":1,"case":"c","time":"2026-05-06T07:08:09Z","runs":[{"engine":{"name":"ledge"}}]}]`
	for _, name := range []string{"Key", "KEY", "\u212aey"} {
		// The victim's key under the right name, the forger's under one that encoding/json
		// takes for it, in either order of the canonical form.
		_, err := receipt.Verify(signed(t, fmt.Sprintf(`{"receipt":1,"key":%q,%q:%q,%s}`, theirs, name, mine, records)))
		if err == nil || !strings.Contains(err.Error(), "not those that its key signed") {
			t.Errorf("%s: checked with another key than the member key: %v", name, err)
		}
		r, err := receipt.Verify(signed(t, fmt.Sprintf(`{"receipt":1,"key":%q,%q:%q,%s}`, mine, name, theirs, records)))
		if err == nil || !strings.Contains(err.Error(), `is not "key"`) {
			t.Errorf("%s: %v; the key is said to be %+v", name, err, r)
		}
		if _, err = receipt.Verify(signed(t, fmt.Sprintf(`{"receipt":1,%q:%q,%s}`, name, mine, records))); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("no member \"key\", but %+q", name)) {
			t.Errorf("%s alone: %v", name, err)
		}
	}
	if _, err := receipt.Verify(signed(t, fmt.Sprintf(`{"Receipt":1,"key":%q,%s}`, mine, records))); err == nil || !strings.Contains(err.Error(), "another kind") {
		t.Errorf("Receipt: %v", err)
	}
	with := func(old, new string) error {
		text := fmt.Sprintf(`{"receipt":1,"key":%q,%s}`, mine, records)
		if !strings.Contains(text, old) {
			t.Fatalf("no %q in %s", old, text)
		}
		_, err := receipt.Verify(signed(t, strings.Replace(text, old, new, 1)))
		return err
	}
	for _, c := range [][3]string{
		{`"receipt":1`, `"receipt":1,"Records":[]`, `"Records" in the receipt itself is not "records"`},
		{`"case":"c"`, `"case":"c","CASE":"d"`, `"CASE" in "records[0]" is not "case"`},
		{`"name":"ledge"`, `"name":"ledge","Name":"x"`, `"Name" in "records[0].runs[0].engine" is not "name"`},
		{`"case":"c"`, `"case":"c","\u017fuite":{}`, `is not "suite"`},
		{`"case":"c"`, `"case":"c","settings":{"quality":{"Text":"x"}}`, `"Text" in "records[0].settings.quality" is not "text"`},
		{`"engine"`, `"figures":{"decode":{"unit":"","samples":[1],"Samples":[2]}},"engine"`, `"Samples" in "records[0].runs[0].figures.decode" is not "samples"`},
		{`"case":"c"`, `"case":"c","weather":1`, `this version of the program does not know the member "weather" in "records[0]"`},
		{`"receipt":1`, `"receipt":1,"weather":1`, `does not know the member "weather" in the receipt itself`},
		{`"case":"c"`, `"case":"c","settings":{"env":{"a":"1","A":"2"}}`, ""}, // two variables
		{`"receipt":1`, `"receipt":"1"`, `version`},
		{`"receipt":1`, `"receipt":[1]`, `version`},
		{`"key":"`, `"key":"\n`, `no public key`},
	} {
		if err := with(c[0], c[1]); (err == nil) != (c[2] == "") || err != nil && !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s: %v, want %q", c[1], err, c[2])
		}
	}
	good := string(sign(t, sample()))
	if _, err := receipt.Verify([]byte(strings.Replace(good, `"signature":"`, `"signature":"\n`, 1))); err == nil {
		t.Error("a line break in the signature is another receipt with the same one")
	}
}

// TestOpenSSL: another program finds the signature right, with nothing but the
// description at the head of this package.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl (Debian package openssl)")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "key.pem")
	if out, err := exec.Command(openssl, "genpkey", "-algorithm", "ed25519", "-out", path).CombinedOutput(); err != nil {
		t.Skipf("this openssl knows no Ed25519: %v: %s", err, out)
	}
	k, made, err := receipt.OpenKey(path)
	if err != nil || made {
		t.Fatalf("OpenSSL's key: made %v, %v", made, err)
	}
	public, err := exec.Command(openssl, "pkey", "-in", path, "-pubout").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := receipt.ReadPublic(string(public)); err != nil || got != receipt.Public(k) {
		t.Errorf("OpenSSL's public key is read as %q, %v", got, err)
	}
	data, err := sample().Sign(k)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	signature, err := base64.StdEncoding.DecodeString(m["signature"].(string))
	if err != nil {
		t.Fatal(err)
	}
	// Without the member, whose place in the canonical form is known.
	i := bytes.Index(data, []byte(`"signature":"`))
	end := i + bytes.IndexByte(data[i+13:], '"') + 15 // with the comma after it
	body := append(bytes.Clone(data[:i]), bytes.TrimRight(data[end:], "\n")...)
	for name, b := range map[string][]byte{"sig": signature, "body": body} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func() error {
		cmd := exec.Command(openssl, "pkeyutl", "-verify", "-inkey", path, "-rawin", "-in", filepath.Join(dir, "body"), "-sigfile", filepath.Join(dir, "sig"))
		out, err := cmd.CombinedOutput()
		t.Logf("openssl: %s", bytes.TrimSpace(out))
		return err
	}
	if err := verify(); err != nil {
		t.Errorf("OpenSSL refuses the signature: %v", err)
	}
	body[len(body)/2] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "body"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	if verify() == nil {
		t.Error("OpenSSL takes a signature of something else")
	}
}

func FuzzVerify(f *testing.F) {
	good := sign(f, sample())
	f.Add(good)
	f.Add(bytes.Replace(good, []byte("526.25"), []byte("5"), 1))
	f.Add([]byte(`{"receipt":1,"key":"","signature":""}`))
	f.Add([]byte(`{"receipt":1e0}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := receipt.Verify(data)
		if (r == nil) == (err == nil) {
			t.Fatalf("%v and %v", r, err)
		}
		if err == nil && r.Key == receipt.Public(key(t)) && !bytes.Equal(data, good) {
			t.Fatalf("forged: %s", data)
		}
	})
}
