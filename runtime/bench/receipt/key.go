package receipt

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Keys are kept as OpenSSL writes them: PKCS #8 (RFC 5958) in PEM, so that
// `openssl genpkey -algorithm ed25519` makes one, and a company may bring its own.
const (
	pemType    = "PRIVATE KEY"
	publicType = "PUBLIC KEY"
)

// KeyPath is where a user's key lies by default.
func KeyPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("receipt: no place for a key: %w; name a file", err)
	}
	return filepath.Join(dir, "ledge", "bench-key.pem"), nil
}

// ReadKey reads the key in a file, which must be there.
func ReadKey(path string) (ed25519.PrivateKey, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("receipt: key: %w; openssl genpkey -algorithm ed25519 -out FILE makes one", err)
	}
	if err != nil {
		return nil, fmt.Errorf("receipt: key: %w", err)
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, fmt.Errorf("receipt: key %s: %w", path, err)
	}
	return key, nil
}

// OpenKey reads the key in a file, or makes one there if there is no file; made
// says which. The file is its owner's alone.
func OpenKey(path string) (key ed25519.PrivateKey, made bool, err error) {
	key, err = ReadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	key, err = newKey(path)
	if !errors.Is(err, fs.ErrExist) {
		return key, err == nil, err
	}
	key, err = ReadKey(path) // somebody else made it meanwhile
	return key, false, err
}

// Exposed reports whether others than its owner may read or replace a key's file, as
// far as its mode tells; Windows' modes do not.
func Exposed(path string) bool {
	st, err := os.Stat(path)
	return err == nil && runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0
}

// newKey makes a key and writes it. It never writes over a file, and a file is there whole or not at all.
func newKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("receipt: a new key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("receipt: a new key: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("receipt: a new key: %w", err)
	}
	f, err := os.CreateTemp(dir, ".bench-key-*") // 0600
	if err != nil {
		return nil, fmt.Errorf("receipt: a new key: %w", err)
	}
	defer os.Remove(f.Name())
	err = pem.Encode(f, &pem.Block{Type: pemType, Bytes: der})
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		if err = os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) { // a file system without hard links
			err = writeNew(path, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("receipt: a new key: %w", err)
	}
	return key, nil
}

func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

func parseKey(data []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != pemType {
		return nil, fmt.Errorf("the file has no %q in PEM; openssl genpkey -algorithm ed25519 makes one", pemType)
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := any.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it is a %T, wanted is an Ed25519 key", any)
	}
	return key, nil
}

// Public is the text of a key's public half, as receipts have it.
func Public(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

// ParsePublic reads a public key from its text.
func ParsePublic(text string) (ed25519.PublicKey, error) {
	key, ok := decode(text, ed25519.PublicKeySize)
	if !ok {
		return nil, fmt.Errorf("receipt: %.80q is no public key of Ed25519 in base64", text)
	}
	return key, nil
}

// ReadPublic reads a public key as people hand it on: its text, or what OpenSSL
// writes (openssl pkey -pubout), a SubjectPublicKeyInfo (RFC 8410) in PEM. It gives
// the key's text, as receipts have it.
func ReadPublic(data string) (string, error) {
	text := strings.TrimSpace(data)
	block, _ := pem.Decode([]byte(data))
	if block == nil {
		_, err := ParsePublic(text)
		return text, err
	}
	if block.Type != publicType {
		return "", fmt.Errorf("receipt: the PEM has a %.40q, wanted is a %q; openssl pkey -pubout writes it", block.Type, publicType)
	}
	any, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("receipt: public key: %w", err)
	}
	key, ok := any.(ed25519.PublicKey)
	if !ok {
		return "", fmt.Errorf("receipt: the public key is a %T, wanted is one of Ed25519", any)
	}
	return base64.StdEncoding.EncodeToString(key), nil
}

// decode reads base64 of a certain length that could not have been written in
// another way: the library's decoder passes over line breaks.
func decode(text string, size int) ([]byte, bool) {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	return data, err == nil && len(data) == size && base64.StdEncoding.EncodeToString(data) == text
}

// Fingerprint is a short name of a public key, for people to compare: the first 16
// bytes of its SHA-256 in groups of four digits. It is "" of what is no key.
func Fingerprint(public string) string {
	key, err := ParsePublic(public)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(key)
	var groups []string
	for i := 0; i < 16; i += 2 {
		groups = append(groups, fmt.Sprintf("%02x%02x", sum[i], sum[i+1]))
	}
	return strings.Join(groups, ":")
}
