// Package receipt makes the result of a benchmark a signed document, finds what
// was changed in one since, and compares one with what a second run gave.
//
// A receipt is one JSON object in its canonical form (RFC 8785) and a line feed.
// Its member "signature" is Ed25519's (RFC 8032) over the canonical form of the
// object without that member; the key that checks it is the member "key", and so
// is signed, too. Both are in base64 (RFC 4648). That the file must be in the
// canonical form leaves no byte in it that could be another.
//
// What a signature proves is that whoever has the key vouches for the figures and
// that nobody changed them since. It does not prove that they were measured: that
// is what replaying is for.
package receipt

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/nearest"
)

// Version is of the document's form.
const Version = 1

// MaxBytes is the size of the largest receipt that is read.
const MaxBytes = 64 << 20

// Receipt is a benchmark's result with all that is needed to judge it and to run
// it again.
type Receipt struct {
	Version int             `json:"receipt"`
	Time    time.Time       `json:"time"` // of its making, UTC
	Maker   Maker           `json:"maker"`
	Suite   string          `json:"suite,omitempty"` // the suite file's text, if its maker gives it away; the records have its hash
	Records []record.Record `json:"records"`         // in the order in which they were measured

	Key       string `json:"key"`       // the signer's public key
	Signature string `json:"signature"` // over all the rest
}

// Maker is the program that wrote a receipt.
type Maker struct {
	Version string `json:"version"`      // of Ledge: a release, or the source's revision
	Go      string `json:"go,omitempty"` // the compiler
}

// Sign makes a receipt of a result. It sets the receipt's version, key and
// signature.
func (r Receipt) Sign(key ed25519.PrivateKey) ([]byte, error) {
	if err := whole(r.Records); err != nil {
		return nil, err
	}
	r.Version = Version
	r.Key = base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	r.Signature = ""
	body, err := members(r)
	if err != nil {
		return nil, err
	}
	delete(body, "signature")
	text, err := canonical(body)
	if err != nil {
		return nil, err
	}
	const rest = len(`"signature":"",`+"\n") + (ed25519.SignatureSize+2)/3*4
	if len(text) > MaxBytes-rest {
		return nil, fmt.Errorf("receipt: it would have %d MiB, and nobody reads more than %d: leave cases out", len(text)>>20, MaxBytes>>20)
	}
	r.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, text))
	if text, err = canonical(r); err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// whole sees to it that there is something in the records to judge.
func whole(records []record.Record) error {
	if len(records) == 0 {
		return errors.New("receipt: there is no record in it")
	}
	for i := range records {
		switch r := &records[i]; {
		case r.Version > record.Version:
			return fmt.Errorf("receipt: record %d is of version %d, this program reads up to version %d", i+1, r.Version, record.Version)
		case r.Version < 1:
			return fmt.Errorf("receipt: record %d is of version %d: there is none", i+1, r.Version)
		case r.Case == "":
			return fmt.Errorf("receipt: record %d is of no case", i+1)
		case len(r.Runs) == 0:
			return fmt.Errorf("receipt: nothing ran in record %d (%.80s)", i+1, r.Case)
		case r.Lacks() != "":
			return fmt.Errorf("receipt: record %d (%.80s) is without %s", i+1, r.Case, r.Lacks())
		}
	}
	return nil
}

// Verify reads a receipt and checks that it is what its key signed. Whose key
// that is, is for the caller to ask (Fingerprint). Every error says that this is no
// intact receipt that this program knows; a *ChangedError, that it was one.
func Verify(data []byte) (*Receipt, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("receipt: it is larger than %d MiB", MaxBytes>>20)
	}
	text, err := jcs.Transform(data)
	if err != nil {
		return nil, fmt.Errorf("receipt: it is no JSON that can be signed: %w", err)
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(text, &body); err != nil {
		return nil, fmt.Errorf("receipt: it is no JSON object: %w", err)
	}
	// By their exact names: encoding/json takes "KEY" for the field Key, too, and what
	// one reader takes for the key must be that for all.
	switch version := string(body["receipt"]); version {
	case fmt.Sprint(Version):
	case "":
		return nil, errors.New("receipt: this is another kind of file: " + lacking("receipt", body))
	default:
		return nil, fmt.Errorf("receipt: it is of version %.20s, this program reads version %d", version, Version)
	}
	for _, name := range []string{"records", "key", "signature"} {
		if body[name] == nil {
			return nil, &ChangedError{lacking(name, body)}
		}
	}
	key, err := ParsePublic(textOf(body["key"]))
	if err != nil {
		return nil, err
	}
	signature, ok := decode(textOf(body["signature"]), ed25519.SignatureSize)
	if !ok {
		return nil, &ChangedError{"its signature is none"}
	}
	delete(body, "signature")
	signed, err := canonical(body)
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(key, signed, signature) {
		return nil, &ChangedError{"its contents are not those that its key signed"}
	}
	if at := difference(data, append(text, '\n')); at >= 0 {
		return nil, &ChangedError{fmt.Sprintf("byte %d is not as it was written, though the contents are those that were signed: was it formatted anew?", at)}
	}
	r := new(Receipt)
	if err := exact(text, r); err != nil {
		return nil, fmt.Errorf("receipt: signed, but %w", err)
	}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("receipt: signed, but unlike any that this program writes: %w", err)
	}
	if err := whole(r.Records); err != nil {
		return nil, err
	}
	return r, nil
}

// lacking says that a member is not there, and which other one may be meant for it.
func lacking(name string, body map[string]json.RawMessage) string {
	known := fields(reflect.TypeFor[Receipt]())
	for _, other := range slices.Sorted(maps.Keys(body)) {
		if known[other] == nil && (strings.EqualFold(other, name) || nearest.Hint(other, []string{name}) != "") {
			return fmt.Sprintf("it has no member %q, but %+.80q", name, other)
		}
	}
	return fmt.Sprintf("it has no member %q", name)
}

// textOf is a JSON string's value; "" of what is none.
func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// ChangedError reports a receipt that is not as it was signed.
type ChangedError struct{ what string }

func (e *ChangedError) Error() string { return "receipt: it was changed: " + e.what }

// members is a value's JSON object.
func members(v any) (map[string]json.RawMessage, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return m, nil
}

// canonical is a value's JSON in the canonical form.
func canonical(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	text, err := jcs.Transform(data)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return text, nil
}

// difference is where two texts first differ, -1 if they do not.
func difference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) == len(b) {
		return -1
	}
	return n
}
