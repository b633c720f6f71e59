package receipt_test

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/receipt"
)

func TestOpenKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "key.pem")
	k, made, err := receipt.OpenKey(path)
	if err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	again, made, err := receipt.OpenKey(path)
	if err != nil || made || !again.Equal(k) {
		t.Errorf("the second time: made %v, equal %v, %v", made, again.Equal(k), err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the key: %v", info.Mode())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestOpenKeyTogether: programs that start at once agree on one key.
func TestOpenKeyTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	var got [8]string
	var made [8]bool
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			k, m, err := receipt.OpenKey(path)
			if err != nil {
				t.Error(err)
				return
			}
			got[i], made[i] = receipt.Public(k), m
		})
	}
	wg.Wait()
	n := 0
	for i := range got {
		if got[i] != got[0] {
			t.Errorf("two keys: %s and %s", got[i], got[0])
		}
		if made[i] {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d say that they made the key", n)
	}
}

func TestBadKeys(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"empty":    {"", "openssl genpkey"},
		"public":   {"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n", "openssl genpkey"},
		"cut":      {"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v\n-----END PRIVATE KEY-----\n", "asn1"},
		"X25519":   {"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIEhwX5sZoQ6cbDqDUm4k1nQ2kN0p5sDXr5ZXkWp0mV5m\n-----END PRIVATE KEY-----\n", "Ed25519"},
		"nonsense": {strings.Repeat("x", 1000), "openssl genpkey"},
	} {
		path := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := receipt.OpenKey(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if data, _ := os.ReadFile(path); string(data) != c.data {
			t.Errorf("%s: the file was written over", name)
		}
	}
	if _, _, err := receipt.OpenKey(t.TempDir()); err == nil {
		t.Error("a folder is a key")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := receipt.OpenKey(filepath.Join(file, "key.pem")); err == nil {
		t.Error("a key under a file")
	}
}

// TestReadKey: a key that is named must be there, and be its owner's alone.
func TestReadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	if _, err := receipt.ReadKey(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "openssl genpkey") {
		t.Errorf("no file: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("reading made a key")
	}
	made, _, err := receipt.OpenKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if k, err := receipt.ReadKey(path); err != nil || !k.Equal(made) {
		t.Errorf("read back %v, %v", k.Equal(made), err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o620: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got := receipt.Exposed(path); got != want {
			t.Errorf("mode %o: exposed is %v", mode, got)
		}
	}
	if receipt.Exposed(filepath.Join(path, "none")) {
		t.Error("no file is exposed")
	}
}

// publicPEM is what openssl pkey -pubout writes of the key of RFC 8032, 7.1, test 1.
const publicPEM = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n"

func TestReadPublic(t *testing.T) {
	want := receipt.Public(key(t))
	for _, text := range []string{want, want + "\n", " " + want + "\r\n", publicPEM, "comment\n" + publicPEM} {
		if got, err := receipt.ReadPublic(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, why := range map[string]string{
		"":                           "no public key",
		want[:20] + "\n" + want[20:]: "no public key",
		strings.ReplaceAll(publicPEM, "PUBLIC", "PRIVATE"):                      "openssl pkey -pubout",
		strings.Replace(publicPEM, "MCow", "MCoX", 1):                           "public key",
		strings.Replace(publicPEM, "MCowBQYDK2VwAyEA", "MCowBQYDK2VuAyEA", 1):   "wanted is one of Ed25519", // X25519
		"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n":          "public key",
		"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n":                "public key",
		"-----BEGIN CERTIFICATE-----\nMCow\n-----END CERTIFICATE-----\n" + want: "CERTIFICATE",
	} {
		if got, err := receipt.ReadPublic(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func FuzzReadPublic(f *testing.F) {
	f.Add(publicPEM)
	f.Add("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n")
	f.Fuzz(func(t *testing.T, data string) {
		text, err := receipt.ReadPublic(data)
		if err != nil {
			return
		}
		if again, err := receipt.ReadPublic(text); err != nil || again != text || receipt.Fingerprint(text) == "" {
			t.Fatalf("%q is read as %q, and that as %q, %v", data, text, again, err)
		}
	})
}

func TestFingerprint(t *testing.T) {
	fp := receipt.Fingerprint(receipt.Public(key(t)))
	if !regexp.MustCompile(`^([0-9a-f]{4}:){7}[0-9a-f]{4}$`).MatchString(fp) {
		t.Errorf("fingerprint %q", fp)
	}
	// sha256 of the public key of RFC 8032, 7.1, test 1: d75a9801…511a.
	if want := "21fe:31df:a154:a261:626b:f854:046f:d227"; fp != want {
		t.Errorf("fingerprint %s, want %s", fp, want)
	}
	if fp := receipt.Fingerprint("nonsense"); fp != "" {
		t.Errorf("nonsense has fingerprint %s", fp)
	}
}
